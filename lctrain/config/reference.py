"""The reference page docs/config.md, made from the schema."""

import json
from typing import Any

from lctrain.config.allowlist import activations, classes
from lctrain.config.json_schema import GROUPS_OF_OBJECTS, Schema, config_schema

HEADER = """# Configuration reference

Made by `python -m lctrain schema --markdown > docs/config.md` from the schema that checks configurations: change that.
`python -m lctrain schema` prints the same as JSON Schema; `python -m lctrain ls` lists the choices that are there.
In any value's place a reference to another key may stand: `"${data.num_classes}"`.
"""
OBJECTS = """An argument that takes one of these takes its name, or a mapping of `type` and arguments:
`kernel_regularizer: l2` or `kernel_regularizer: {type: L2, l2: 1e-4}`.
"""


def reference_page() -> str:
    """The page as Markdown."""
    schema = config_schema()
    definitions = schema["$defs"]
    parts = [HEADER, "## Top level\n", _table(schema)]
    for name, value in schema["properties"].items():
        kinds = [_name_of(kind) for kind in value.get("oneOf", [value]) if "$ref" in kind]
        for kind in kinds:
            if "additionalProperties" in definitions[kind]:  # a group of the schema, not a class of Keras
                about = definitions[kind].get("description", "")
                which = f", `name: {definitions[kind]['properties']['name']['const']}`" if len(kinds) > 1 else ""
                parts += [f"## `{name}`{which}\n", f"{about}\n" if about else "", _table(definitions[kind])]
    parts += ["## Layers\n", "Each is the `type` of an entry of `model.layers`.\n", *_classes("layers", definitions)]
    parts += ["## Optimizers\n", "Each is the `type` of `optimizer`.\n", *_classes("optimizers", definitions)]
    for group in GROUPS_OF_OBJECTS:
        parts += [f"## {group.capitalize()}\n", OBJECTS, *_classes(group, definitions)]
    parts += ["## Activations\n", ", ".join(f"`{name}`" for name in activations()) + "\n"]
    return "\n".join(part for part in parts if part)


def _classes(group: str, definitions: Schema) -> list[str]:
    return [f"### {name}\n\n{_bullets(definitions[f'{group}.{name}'])}" for name in classes(group)]


def _bullets(spec: Schema) -> str:
    lines = []
    for name, value in spec["properties"].items():
        if name != "type":
            about = value["description"].removeprefix("Must be ").removesuffix(".")
            default = f" = `{_as_yaml(value['default'])}`" if "default" in value else " (required)"
            lines.append(f"- `{name}`{default}: {about}\n")
    return "".join(lines) or "No arguments.\n"


def _table(part: Schema) -> str:
    rows = ["| key | value | meaning |\n", "|---|---|---|\n"]
    for name, value in part["properties"].items():
        plain = value["anyOf"][0] if "anyOf" in value else value
        required = (
            "" if name in part["required"] else f"; {_as_yaml(value.get('default', plain.get('default')))} if missing"
        )
        rows.append(f"| `{name}` | {in_words(plain)}{required} | {value.get('description', '')} |\n")
    return "".join(rows)


def _name_of(reference: Schema) -> str:
    return reference["$ref"].removeprefix("#/$defs/")


def in_words(schema: Schema) -> str:
    """What a value must be.

    >>> in_words({"type": "integer", "minimum": 2}), in_words({"enum": [1, "auto"]})
    ('integer, at least 2', '`1`, `auto`')
    """
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{_as_yaml(value)}`" for value in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema or "oneOf" in schema:
        return "mapping, see below"
    if schema["type"] == "array":
        return f"list of {in_words(schema['items'])}"
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    words = [f"{bounds[key]} {schema[key]}" for key in bounds if key in schema]
    kind = {"object": "mapping", "string": "text"}.get(schema["type"], schema["type"])
    return ", ".join([kind, *words])


def _as_yaml(value: Any) -> str:
    """As one writes it in YAML; JSON is YAML, but texts need no quotes."""
    return value if isinstance(value, str) else json.dumps(value)
