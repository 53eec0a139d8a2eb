"""A layer as a spec: its class, and the arguments that have not their defaults."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from lctrain import layers as own_layers
from lctrain.config.allowlist import LIST_ARGUMENTS, ClassEntry, classes, find_class, nested_group
from lctrain.config.specs import find_problems_in_spec
from lctrain.config.spelling import normalize
from lctrain.config.validation import HASHES, LAYER_NAME, MAX_NAME
from lctrain.errors import Problem
from lctrain.layers.sums import SUMS
from lctrain.model.build import build_layer

# What builds without being written.
UNSAID = {"activation": "linear", "data_format": "channels_last", "dtype": "float32"}
SIZES = ("kernel_size", "strides", "dilation_rate", "pool_size", "size")  # one number where all axes have the same
LEFT_TO_KERAS = ("name", "build_config", "shared_object_id")  # of nested layers
OF_CLASSES = ("module", "registered_name")  # by which a class is known to be ours, in `_write_object`


def write_layer(layer: keras.layers.Layer, any_name: bool = False) -> tuple[dict[str, Any], list[Problem]]:
    """The spec of a layer, and what of it a configuration can't hold; `any_name` where it will be renamed."""
    path, entry = f"model.layers.{layer.name}", _find_entry(layer)
    if not any_name and not LAYER_NAME.fullmatch(layer.name):
        fix = f"Names are at most {MAX_NAME} letters, digits and underscores, a letter first."
        return {}, [Problem(path, f"has a name that configurations can't have. {fix}")]
    if entry is None:
        return {}, [Problem(path, f"must be of a class that configurations may name; got {type(layer).__name__}.")]
    config = layer.get_config() | {"dtype": layer.dtype_policy.name}
    spec = _write_arguments(entry, config)
    spelling = normalize({"model": {"layers": {layer.name: spec}}})
    normal = spelling.config["model"]["layers"][layer.name]
    problems = [spelling.as_written(problem) for problem in find_problems_in_spec(normal, path, "layers")]
    if not problems:
        built, own = (each.get_config() for each in (build_layer(layer.name, normal), layer))
        unsaid = [name for name in own if _comparable(built.get(name)) != _comparable(own[name])]
        problems = [Problem(f"{path}.{name}", "is set to what configurations can't say.") for name in unsaid]
    return spec, problems


def _find_entry(layer: keras.layers.Layer) -> ClassEntry | None:
    """The class by identity: Keras has some under other names than their own, users may have others of those names."""
    for name, entry in classes("layers").items():
        if type(layer) in (getattr(own_layers, name, None), getattr(keras.layers, name, None), SUMS.get(name)):
            return entry
    return None


def _write_arguments(entry: ClassEntry, config: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a layer or nested object, without the arguments that have their defaults."""
    spec = {"type": entry.name}
    for name, value in config.items():
        kind = nested_group(name)
        if name not in entry.arguments:
            continue
        if kind is not None and name in LIST_ARGUMENTS:
            value = [_write_object(kind, one) for one in value]
        elif kind is not None and value is not None:
            value = _write_object(kind, value)
        elif name == "dtype" and isinstance(value, Mapping):
            value = value["config"]["name"]
        elif name.endswith("activation") and isinstance(value, Mapping):
            value = _write_activation(value)
        if (kind is None and value == UNSAID.get(name)) or (entry.name in HASHES and value == "int64"):
            value = entry.optional.get(name, value)
        written = _plain(name, value)
        if name in entry.required or not _is_default(entry, name, written):
            spec[name] = written
    if entry.name == "Bidirectional" and _mirrors(spec["layer"], spec["backward_layer"]):
        del spec["backward_layer"]
    return spec


def _write_object(kind: str, value: Mapping[str, Any]) -> Any:
    """A nested object: its name where all its arguments have their defaults."""
    entry = find_class(kind, value["class_name"])
    is_ours = value["module"].split(".")[0] in ("keras", "lctrain")
    if entry is None or not is_ours:
        return {"type": value["class_name"] if entry is None else f"{value['module']}.{value['class_name']}"}
    spec = _write_arguments(entry, value["config"])
    return spec["type"] if len(spec) == 1 else spec


def _write_activation(value: Mapping[str, Any]) -> Any:
    """The name of one of our activations; what else is registered with Keras stays as it is, and is reported."""
    package, _, name = str(value.get("config")).partition(">")
    return name if package == "lctrain" and name in own_layers.OWN_ACTIVATIONS else value


def _mirrors(forward: Any, backward: Any) -> bool:
    """Whether the backward layer is what Keras makes of the forward one where none is given."""
    if not isinstance(forward, Mapping) or not isinstance(backward, Mapping):
        return False
    turned = {**forward, "go_backwards": not forward.get("go_backwards", False)}
    return turned == {**backward, "go_backwards": backward.get("go_backwards", False)}


def _comparable(value: Any) -> Any:
    """An argument without the names of nested layers, and with lists where tuples may be."""
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "DTypePolicy":
        return value["config"]["name"]
    return {key: _comparable(item) for key, item in value.items() if key not in LEFT_TO_KERAS + OF_CLASSES}


def _is_default(entry: ClassEntry, name: str, written: Any) -> bool:
    default, kind = _plain(name, entry.optional[name]), nested_group(name)
    if kind is not None and isinstance(written, str) and isinstance(default, str):
        return find_class(kind, written) is find_class(kind, default)
    return written == default and type(written) is type(default)


def _plain(name: str, value: Any) -> Any:
    """As YAML holds it: lists for tuples, Python's numbers for NumPy's, one size where all axes have the same."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, list | tuple):
        return value
    plain = [_plain(name, item) for item in value]
    is_one = name in SIZES and plain and all(item == plain[0] for item in plain)
    return plain[0] if is_one else plain
