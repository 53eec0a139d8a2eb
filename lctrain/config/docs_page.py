"""The reference page docs/config.md, made from the schema."""

import json
from typing import Any

from lctrain.config.allowlist import activations, classes, spellings
from lctrain.config.json_schema import GROUPS_OF_OBJECTS, WIRING, Schema, config_schema

HEADER = """# Configuration reference

Made by `python -m lctrain schema --markdown > docs/config.md` from the schema that checks configurations: change that.
`python -m lctrain schema` prints the same as JSON Schema; `python -m lctrain ls` lists the choices that are there.
In any value's place a reference to another key may stand: `"${data.num_classes}"`.
"""
LAYERS = """Each is the `type` of an entry of `model.layers`, or of the `layer` of a wrapper. A layer that needs no
argument may be its name alone: `flatten: Flatten`. Beside its arguments an entry of `model.layers` may hold:

"""
OBJECTS = """What takes one of these takes its name, a mapping of `type` and arguments, or the short form of a name with
its first argument: `l2`, `{type: L2, l2: 1e-4}` or `{l2: 1e-4}`.
"""
GROUP_NOTES = {
    "cells": "The `cell` of an RNN, and what StackedRNNCells stacks.\n",
    "schedules": "Each may be the `learning_rate` of an optimizer.\n",
    "losses": "Each may be `training.loss`.\n",
    "metrics": "Each may be one of `training.metrics`.\n",
}


def reference_page() -> str:
    """The page as Markdown."""
    schema = config_schema()
    definitions = schema["$defs"]
    parts = [HEADER, "## Top level\n", _table(schema)]
    for name, value in schema["properties"].items():
        kinds = [_name_of(kind) for kind in value.get("oneOf", [value]) if "$ref" in kind]
        for kind in kinds:
            about = definitions[kind].get("description", "")
            which = f", `name`: {in_words(definitions[kind]['properties']['name'])}" if len(kinds) > 1 else ""
            parts += [f"## `{name}`{which}\n", f"{about}\n" if about else "", _table(definitions[kind])]
            parts += _nested_groups(name, definitions[kind], definitions)
    wiring = "".join(f"- `{name}`: {value['description']}\n" for name, value in WIRING.items())
    parts += ["## Layers\n", LAYERS + wiring, *_classes("layers", definitions)]
    parts += ["## Optimizers\n", "Each is the `type` of `optimizer`.\n", *_classes("optimizers", definitions)]
    for group in GROUPS_OF_OBJECTS:
        parts += [f"## {group.capitalize()}\n", GROUP_NOTES.get(group, ""), OBJECTS, *_classes(group, definitions)]
    parts += ["## Activations\n", ", ".join(f"`{name}`" for name in activations()) + "\n"]
    return "\n".join(part for part in parts if part)


def _nested_groups(path: str, part: Schema, definitions: Schema) -> list[str]:
    """Sections of the mappings with keys of their own that a group holds."""
    parts = []
    for name, value in part["properties"].items():
        for option in value.get("anyOf", [value]):
            known = definitions.get(_name_of(option), {}) if "$ref" in option else {}
            if "properties" in known and "title" in known:
                parts += [f"### `{path}.{name}`\n", f"{known['description']}\n", _table(known)]
    return parts


def _classes(group: str, definitions: Schema) -> list[str]:
    return [
        f"### {name}\n\n{_other_names(group, name)}{_bullets(definitions[f'{group}.{name}'])}"
        for name in classes(group)
    ]


def _other_names(group: str, name: str) -> str:
    _, *others = spellings(group, name)
    return f"Also {', '.join(f'`{other}`' for other in others)}.\n\n" if others else ""


def _bullets(spec: Schema) -> str:
    lines = []
    for name, value in spec["properties"].items():
        if name != "type" and name not in WIRING:
            about = value["description"].removeprefix("Must be ").removesuffix(".")
            default = f" = `{_as_yaml(value['default'])}`" if "default" in value else " (required)"
            lines.append(f"- `{name}`{default}: {about}\n")
    return "".join(lines) or "No arguments.\n"


def _table(part: Schema) -> str:
    rows = ["| key | value | meaning |\n", "|---|---|---|\n"]
    for name, value in part["properties"].items():
        plain = value.get("anyOf", [value])[0]
        default = _as_yaml(value.get("default", plain.get("default")))
        required = "" if name in part.get("required", ()) else f"; {default} if missing"
        rows.append(f"| `{name}` | {in_words(value)}{required} | {' '.join(value.get('description', '').split())} |\n")
    return "".join(rows)


def _name_of(reference: Schema) -> str:
    target: str = reference["$ref"]
    return target.removeprefix("#/$defs/")


def in_words(schema: Schema) -> str:
    """What a value must be.

    >>> in_words({"type": "integer", "minimum": 2}), in_words({"enum": [1, "auto"]})
    ('integer, at least 2', '`1`, `auto`')
    """
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{_as_yaml(value)}`" for value in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema or "oneOf" in schema:
        _, _, form = schema.get("$ref", "").rpartition(".")
        return {"names": "text", "any": "one of those below"}.get(form, "mapping, see below")
    if "anyOf" in schema:
        words = [in_words(option) for option in schema["anyOf"] if option != {"$ref": "#/$defs/reference"}]
        return ", or ".join(dict.fromkeys(words))
    if schema["type"] == "array":
        return f"list of {in_words(schema['items'])}"
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    words = [f"{bounds[key]} {schema[key]}" for key in bounds if key in schema]
    kind: str = schema["type"]
    return ", ".join([{"object": "mapping", "string": "text"}.get(kind, kind), *words])


def _as_yaml(value: Any) -> str:
    """As one writes it in YAML; JSON is YAML, but texts need no quotes."""
    return value if isinstance(value, str) else json.dumps(value)
