"""What pydantic says of a configuration, in our words: the place, what was expected, what was got, the nearest name."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from lctrain.config.allowlist import find_class
from lctrain.config.retired import OF_FIT, OF_OPTIMIZERS, explain_value
from lctrain.config.schema import Config
from lctrain.errors import Problem, suggest, suggest_near, suggest_unquoted

CHOSEN_ONLY = ("experiment", "debug", "hydra")  # what the command line sets and a composed configuration does not hold
Location = tuple[str | int, ...]
UNIONS = ("data", "device", "tracking")
EXPECTED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "a text",
    "list_type": "a list",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def as_problem(details: Any, raw: Mapping[str, Any]) -> Problem:
    """One of pydantic's errors in our words."""
    location = _location_as_written(details["loc"])
    path, got, context = ".".join(map(str, location)), details["input"], details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            return Problem(path, f"is not a known key. {_suggest_key(location, raw)}")
        case "missing":
            return Problem(path, "is missing. Add it.")
        case "literal_error":
            known = _quoted_names(context["expected"])
            hint = explain_value(got, known) or suggest_near(got, known) or suggest_unquoted(got)
            return Problem(path, f"must be one of {_comma_separated(context['expected'])}; got {got!r}.{hint}")
        case "union_tag_invalid":
            hint = suggest(str(context["tag"]), _quoted_names(context["expected_tags"]))
            return Problem(f"{path}.name", f"must be one of {context['expected_tags']}; got {context['tag']!r}. {hint}")
        case "union_tag_not_found":
            return Problem(f"{path}.name", "is missing. Add it.")
        case kind if kind in EXPECTED:
            return Problem(path, f"must be {EXPECTED[kind]}; got {got!r}.{suggest_unquoted(got)}")
        case "too_short" | "string_too_short":
            return Problem(path, "must not be empty. Fill it in.")
        case "uri":  # not shown, as it may hold a password
            return Problem(path, f"{details['msg']}.")
        case "invalid_key":
            return Problem(path, "is not a known key; keys are text.")
        case "string_pattern_mismatch":
            expected = "must start with a letter and hold letters, digits, `_`, `-` and `.` alone"
            return Problem(path, f"{expected}; got {got!r}.")
    expected = re.sub(r"^\w+ should", "must", details["msg"])
    return Problem(path, f"{expected}; got {got!r}.")


def _suggest_key(location: Location, raw: Mapping[str, Any]) -> str:
    """The key that is meant: by what Keras called it, the nearest beside it, or one of that name in another group."""
    above, key = location[:-1], str(location[-1])
    known, prefix = _known_keys(above, raw), "".join(f"{part}." for part in above)
    places = _find_places(OF_FIT.get(key) or OF_OPTIMIZERS.get(key) or key, raw)
    near = suggest_near(key, known, prefix).strip()
    if near:
        return near
    kinds = _kinds(Config, str(above[0])) if len(above) == 1 else {}
    choices = [name for name, kind in kinds.items() if key in kind.model_fields]
    if choices:
        return f"It belongs to {' or '.join(f'{above[0]}={choice}' for choice in choices)}."
    if places:
        return f"Did you mean {' or '.join(f'`{place}`' for place in places)}?"
    return suggest(key, known, prefix)


def _find_places(key: str, raw: Mapping[str, Any]) -> list[str]:
    """The paths of all keys of this name, at the top and in its groups; none of `name`, which is everywhere."""
    places = [key] if key in Config.model_fields else []
    for group in Config.model_fields if key != "name" else ():
        value, kind = raw.get(group), _find_kind(Config, group, raw)
        entry = find_class("optimizers", value.get("type")) if isinstance(value, Mapping) else None
        if key in (entry.arguments if entry is not None else kind.model_fields if kind is not None else ()):
            places.append(f"{group}.{key}")
    return places


def _location_as_written(location: Location) -> Location:
    """Pydantic's location without the tag that it adds behind the groups whose choices have keys of their own."""
    return (location[0], *location[2:]) if location[0] in UNIONS and len(location) > 2 else location


def _comma_separated(expected: str) -> str:
    return expected.replace(" or ", ", ").replace("True", "true").replace("False", "false")


def _quoted_names(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _known_keys(location: Location, raw: Mapping[str, Any]) -> list[str]:
    """The keys of the group at this location."""
    group: type[BaseModel] = Config
    for key in map(str, location):
        group = _find_kind(group, key, raw) or group
    return [*group.model_fields, *(CHOSEN_ONLY if group is Config else ())]


def _find_kind(group: type[BaseModel], key: str, raw: Mapping[str, Any]) -> type[BaseModel] | None:
    """The schema of what a key of a group holds; None where that is no group, or one whose `name` is wrong."""
    candidates, value = _models(group.model_fields[key].annotation), raw.get(key)
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    return _kinds(group, key).get(str(value.get("name"))) if isinstance(value, Mapping) else None


def _kinds(group: type[BaseModel], key: str) -> dict[str, type[BaseModel]]:
    """The schemas of what a key of a group may hold, by their `name`; none where there is one alone."""
    candidates = _models(group.model_fields[key].annotation)
    if len(candidates) < 2:
        return {}
    return {name: kind for kind in candidates for name in get_args(kind.model_fields["name"].annotation)}


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The schemas that an annotation names, itself or in a union."""
    return [
        kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, BaseModel)
    ]
