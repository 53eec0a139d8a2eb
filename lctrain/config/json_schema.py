"""JSON Schema for editors, made from the pydantic schema and the table of classes."""

from typing import Any

from lctrain.config.allowlist import ClassEntry, activations, classes, spellings
from lctrain.config.arguments import find_check
from lctrain.config.schema import Config
from lctrain.config.values import describe_values

DRAFT = "http://json-schema.org/draft-07/schema#"  # the newest that YAML editors know well
GROUPS_OF_OBJECTS = ("initializers", "regularizers", "constraints")
REFERENCE = {
    "type": "string",
    "pattern": r"^\$\{.+\}$",
    "description": "A reference to another key: ${data.num_classes}",
}
DEFAULTS = {"type": "array", "description": "Hydra's list of the files that this one builds on."}

Schema = dict[str, Any]


def config_schema() -> Schema:
    """The schema of one complete, composed configuration."""
    schema = Config.model_json_schema()
    definitions = schema.pop("$defs")
    definitions["ModelConfig"]["properties"]["layers"] |= {"additionalProperties": {"$ref": "#/$defs/layers"}}
    about = schema["properties"]["optimizer"]["description"]
    schema["properties"]["optimizer"] = {"$ref": "#/$defs/optimizers", "description": about}
    for part in (schema, *definitions.values()):
        part["properties"] = {name: _or_reference(name, value) for name, value in part["properties"].items()}
    for group in ("layers", "optimizers", *GROUPS_OF_OBJECTS):
        definitions[group] = _any_class(group)
        definitions[f"{group}.names"] = {"enum": _names(group)}
        definitions |= {f"{group}.{name}": _class_schema(entry, group) for name, entry in classes(group).items()}
    return {"$schema": DRAFT, **schema, "$defs": {**definitions, "reference": REFERENCE}}


def file_schema(group: str) -> Schema:
    """The schema of one file of a group, `conf/model/lc2d.yaml` say; a file with `defaults` need not be complete.

    Args:
        group: a key of the configuration that holds a mapping, or "config" for conf/config.yaml.
    """
    schema = config_schema()
    definitions = schema["$defs"]
    if group == "config":
        own = {**schema["properties"], "defaults": DEFAULTS, "hydra": {"type": "object"}}
        properties = {name: value for name, value in schema.items() if name not in ("required", "$defs")}
        return {**properties, "properties": own, "$defs": definitions}
    complete = schema["properties"][group]
    kinds = [_resolve(kind, definitions) for kind in complete.get("oneOf", [complete])]
    if group == "optimizer":
        kinds = [definitions[f"optimizers.{name}"] for name in classes("optimizers")]
    partial = [
        {**kind, "properties": {**kind["properties"], "defaults": DEFAULTS}, "required": ["defaults"]} for kind in kinds
    ]
    choice = {"if": {"required": ["defaults"]}, "then": {"anyOf": partial}, "else": _one_kind(kinds)}
    root = {"$schema": DRAFT, "title": f"a file of the group {group}", "type": "object", **choice}
    return {**root, "$defs": _reachable(root, definitions)}


def file_groups() -> list[str]:
    """The groups that `file_schema` knows."""
    properties = config_schema()["properties"]
    return ["config", *(name for name, value in properties.items() if "$ref" in value or "oneOf" in value)]


def _reachable(part: Any, definitions: Schema) -> Schema:
    """The definitions that a part of a schema refers to, directly or through others."""
    found: Schema = {}
    parts = [part]
    while parts:
        part = parts.pop()
        name = part.get("$ref", "").removeprefix("#/$defs/") if isinstance(part, dict) else ""
        if name and name not in found:
            found[name] = definitions[name]
            parts.append(definitions[name])
        parts += part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
    return dict(sorted(found.items()))


def _one_kind(kinds: list[Schema]) -> Schema:
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _resolve(schema: Schema, definitions: Schema) -> Schema:
    return definitions[schema["$ref"].removeprefix("#/$defs/")] if "$ref" in schema else schema


def _or_reference(name: str, schema: Schema) -> Schema:
    """Allows a reference in a plain value's place."""
    if name == "name" or "$ref" in schema or "oneOf" in schema or schema.get("type") == "object":
        return schema
    about = {key: schema[key] for key in ("title", "description") if key in schema}
    return {"anyOf": [schema, {"$ref": "#/$defs/reference"}], **about}


def _any_class(group: str) -> Schema:
    """A spec of any class of the group: its `type` decides what else it holds."""
    branches = [
        {"if": {"properties": {"type": {"enum": spellings(group, name)}}}, "then": {"$ref": f"#/$defs/{group}.{name}"}}
        for name in classes(group)
    ]
    types = {"$ref": f"#/$defs/{group}.names"}
    return {"type": "object", "required": ["type"], "properties": {"type": types}, "allOf": branches}


def _names(group: str) -> list[str]:
    return [spelling for name in classes(group) for spelling in spellings(group, name)]


def _class_schema(entry: ClassEntry, group: str) -> Schema:
    arguments = {name: _argument_schema(entry, group, name) for name in entry.arguments}
    return {
        "type": "object",
        "title": entry.name,
        "properties": {"type": {"enum": spellings(group, entry.name)}, **arguments},
        "required": ["type", *entry.required],
        "additionalProperties": False,
    }


def _argument_schema(entry: ClassEntry, group: str, name: str) -> Schema:
    kind = name.rpartition("_")[2] + "s"
    if kind in GROUPS_OF_OBJECTS:
        schema: Schema = {"anyOf": [{"$ref": f"#/$defs/{kind}.names"}, {"$ref": f"#/$defs/{kind}"}]}
        schema["description"] = f"Must be the name of one of Keras' {kind}, or a mapping of `type` and arguments."
    else:
        schema = describe_values(find_check(entry.name, group, name), activations() if name == "activation" else ())
    options = [*schema["anyOf"], {"$ref": "#/$defs/reference"}]
    if name in entry.optional:
        schema["default"] = entry.optional[name]
        options += [{"type": "null"}] if entry.optional[name] is None else []
    return {**schema, "anyOf": options}
