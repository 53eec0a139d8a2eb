"""What pydantic says of a configuration, in our words: the place, what was expected, what was got, the nearest name."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

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
            prefix = path.removesuffix(str(location[-1]))
            hint = suggest(str(location[-1]), _known_keys(location[:-1], raw), prefix)
            return Problem(path, f"is not a known key. {hint}")
        case "missing":
            return Problem(path, "is missing. Add it.")
        case "literal_error":
            hint = suggest_near(got, _quoted_names(context["expected"])) or suggest_unquoted(got)
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
        candidates = _models(group.model_fields[key].annotation)
        if len(candidates) == 1:
            group = candidates[0]
        else:
            by_name = {name: kind for kind in candidates for name in get_args(kind.model_fields["name"].annotation)}
            group = by_name[raw[key]["name"]]
    return [*group.model_fields, *(CHOSEN_ONLY if group is Config else ())]


def _models(annotation: Any) -> list[type[BaseModel]]:
    models = [kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models or [annotation]  # of a group that may be null there is one
