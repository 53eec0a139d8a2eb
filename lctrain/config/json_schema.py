"""JSON Schema for editors, made from the pydantic schema and the table of classes."""

from typing import Any

from lctrain.config.allowlist import LIST_ARGUMENTS, ClassEntry, classes, nested_group, spellings
from lctrain.config.arguments import find_check
from lctrain.config.schema import DATA_SETS, Config
from lctrain.config.specs import may_be_null
from lctrain.config.spelling import first_argument
from lctrain.config.task_metrics import USUAL
from lctrain.config.tasks import AUTO

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"  # the newest that YAML editors know well
GROUPS_OF_OBJECTS = (
    *("initializers", "regularizers", "constraints", "cells", "schedules", "losses", "metrics"),
)  # what arguments hold, as layers and cells do too
REFERENCE = {
    "type": "string",
    "pattern": r"^\$\{.+\}$",
    "description": "A reference to another key: ${data.num_classes}",
}
DEFAULTS = {"type": "array", "description": "Hydra's list of the files that this one builds on."}
NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
GLOBAL_GROUPS = ("experiment", "debug")  # whose files may hold parts of everything
GROUPS = ("model", "data", "optimizer", "training", "device", "tracking")
OF_FILES = [row.schema.__name__ for row in DATA_SETS.values() if row.is_of_files]
SHAPE = {"type": "array", "items": {"type": "integer", "exclusiveMinimum": 0}, "minItems": 1}
WIRING: dict[str, Schema] = {  # of a layer of the model, beside its arguments
    "inputs": {**NAMES, "description": "The layers and model inputs that it reads, by name; else the layer above it."},
    "after": {"type": "string", "description": "The layer behind which it stands, before all that that one feeds."},
    "shares": {"type": "string", "description": "The layer that it is once more, with the same weights."},
}


def config_schema() -> Schema:
    """The schema of one complete, composed configuration."""
    schema = Config.model_json_schema()
    definitions = schema.pop("$defs")
    definitions["ModelConfig"]["properties"]["layers"] |= {"additionalProperties": _reference("model.layer")}
    _replace(schema, "optimizer", {"anyOf": [_reference("optimizers.names"), _reference("optimizers")]})
    training = definitions["TrainingConfig"]
    _replace(training, "loss", {"anyOf": [_reference("losses.any"), {"type": "null"}], "default": None})
    metric = {"anyOf": [_reference("metrics.any"), {"const": AUTO}]}
    metrics = {"type": "object", "additionalProperties": metric}
    listed = {"type": "array", "items": _reference("metrics.any")}
    default = dict.fromkeys(USUAL, AUTO)
    _replace(training, "metrics", {"anyOf": [metrics, listed, _reference("metrics.names")], "default": default})
    augmentation = {"type": "array", "items": _reference("layers.any"), "default": []}
    for name, definition in definitions.items():
        if "augmentation" in definition.get("properties", {}):
            _replace(definitions[name], "augmentation", augmentation)
    for name in OF_FILES:  # whose shapes are read from them
        _replace(definitions[name], "input_shape", {"anyOf": [SHAPE, {"type": "null"}], "default": None})
        definitions[name]["required"].remove("input_shape")
    index = definitions["GpuConfig"]["properties"]["index"]["anyOf"][0]
    _replace(definitions["GpuConfig"], "index", {"anyOf": [index["items"], index, {"type": "null"}], "default": None})
    for part in (schema, *definitions.values()):
        part["properties"] = {name: _or_reference(name, value) for name, value in part["properties"].items()}
    for group in ("layers", "optimizers", *GROUPS_OF_OBJECTS):
        definitions[group] = _any_class(group)
        definitions[f"{group}.names"] = {"enum": _names(group)}
        definitions[f"{group}.short"] = _short_form(group)
        definitions[f"{group}.any"] = {
            "anyOf": [_reference(f"{group}.{form}") for form in ("names", "short")] + [_reference(group)]
        }
        definitions |= {f"{group}.{name}": _class_schema(entry, group) for name, entry in classes(group).items()}
    definitions["model.layer"] = {
        "anyOf": [_reference("layers.names"), _reference("layers"), {"$ref": "#/$defs/model.shared"}]
    }
    definitions["model.shared"] = {
        "type": "object",
        "required": ["shares"],
        "properties": {name: _reference(name) for name in WIRING},
    }
    return {"$schema": DRAFT, **schema, "$defs": {**definitions, **WIRING, "reference": REFERENCE}}


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
    if group in GLOBAL_GROUPS:
        parts = {**schema["properties"], **{name: _partial(name, schema) for name in GROUPS}, "defaults": DEFAULTS}
        content = {"properties": parts, "additionalProperties": False}
    else:
        kinds = _kinds(group, schema)
        content = {"if": {"required": ["defaults"]}, "then": _partial(group, schema), "else": _one_kind(kinds)}
    root = {"$schema": DRAFT, "title": f"a file of the group {group}", "type": "object", **content}
    return {**root, "$defs": _reachable(root, definitions)}


def _kinds(group: str, schema: Schema) -> list[Schema]:
    """What a file of a group may hold, complete: one schema per kind of data or class of optimizer."""
    definitions, complete = schema["$defs"], schema["properties"][group]
    if group == "optimizer":
        return [definitions[f"optimizers.{name}"] for name in classes("optimizers")]
    return [_resolve(kind, definitions) for kind in complete.get("oneOf", [complete])]


def _partial(group: str, schema: Schema) -> Schema:
    """The same, of which any part may be left out, as other files give it."""
    partial = []
    for kind in _kinds(group, schema):
        properties = {**kind["properties"], "defaults": DEFAULTS}
        if group == "model":
            arguments = {name for entry in classes("layers").values() for name in entry.arguments}
            changes = {"type": "object", "propertyNames": {"enum": sorted({*arguments, *WIRING})}}
            layer = {"anyOf": [_reference("model.layer"), changes]}
            properties["layers"] = {**properties["layers"], "additionalProperties": layer}
        partial.append({**kind, "properties": properties, "required": []})
    return _one_kind(partial)


def file_groups() -> list[str]:
    """The groups that `file_schema` knows."""
    return ["config", *GLOBAL_GROUPS, *GROUPS]


def _reachable(part: Any, definitions: Schema) -> Schema:
    """The definitions that a part of a schema refers to, directly or through others."""
    found: Schema = {}
    parts = [part]
    while parts:
        part = parts.pop()
        name = part.get("$ref", "").removeprefix("#/$defs/").partition("/")[0] if isinstance(part, dict) else ""
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
    if name in ("name", "optimizer") or "$ref" in schema or "oneOf" in schema or schema.get("type") == "object":
        return schema
    about: Schema = {key: schema[key] for key in ("title", "description") if key in schema}
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


def _short_form(group: str) -> Schema:
    """`{l2: 1e-4}`: a class with its first argument, or with a mapping of several."""
    forms: Schema = {}
    for name, entry in classes(group).items():
        several = {"type": "object", "propertyNames": {"enum": list(entry.arguments)}}
        first = first_argument(entry)
        alone = [] if first is None else [_reference(f"{group}.{name}/properties/{first}")]
        forms |= {spelling: {"anyOf": [*alone, several]} for spelling in spellings(group, name)}
    one = {"type": "object", "properties": forms, "additionalProperties": False, "minProperties": 1}
    if group != "regularizers":
        return {**one, "maxProperties": 1}
    both = {"type": "object", "required": ["l1", "l2"], "maxProperties": 2}
    return {**one, "if": {"minProperties": 2}, "then": both}


def _class_schema(entry: ClassEntry, group: str) -> Schema:
    arguments = {name: _argument_schema(entry, group, name) for name in entry.arguments}
    return {
        "type": "object",
        "title": entry.name,
        "properties": {
            "type": {"enum": spellings(group, entry.name)},
            **arguments,
            **{name: _reference(name) for name in (WIRING if group == "layers" else ())},
        },
        "required": ["type", *entry.required],
        "additionalProperties": False,
    }


def _argument_schema(entry: ClassEntry, group: str, name: str) -> Schema:
    kind = nested_group(name)
    if name in LIST_ARGUMENTS:
        schema: Schema = {"anyOf": [{"type": "array", "items": _reference(f"{kind}.any"), "minItems": 1}]}
        schema["description"] = f"Must be a list of {kind}."
    elif kind is not None and name != "learning_rate":
        schema = {"anyOf": [_reference(f"{kind}.any")]}
        schema["description"] = f"Must be one of Keras' {kind}: its name, or a mapping of `type` and arguments."
    else:
        schema = find_check(entry.name, group, name).json_schema()
    if name == "learning_rate":
        schema["anyOf"].append(_reference("schedules.any"))
        schema["description"] = schema["description"].removesuffix(".") + ", or one of Keras' schedules."
    options = [*schema["anyOf"], _reference("reference")]
    if name in entry.optional:
        schema["default"] = entry.optional[name]
        options += [{"type": "null"}] if may_be_null(entry, name) else []
    return {**schema, "anyOf": options}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _replace(part: Schema, name: str, schema: Schema) -> None:
    """Puts another schema in a property's place, whose description stays."""
    about = {"description": part["properties"][name]["description"]}
    part["properties"][name] = {**schema, **about}
