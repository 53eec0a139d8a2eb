"""From a keras.Model back to the configuration that builds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import yaml

from lctrain import layers as own_layers
from lctrain.builder import build_layer
from lctrain.config.allowlist import ClassEntry, find_class
from lctrain.config.specs import check_spec
from lctrain.config.spelling import normalize
from lctrain.config.validation import LAYER_NAME
from lctrain.errors import ConfigError, Problem

NESTED = ("initializer", "regularizer", "constraint")  # last words of arguments that are objects
UNSAID = {"activation": "linear", "data_format": "channels_last", "dtype": "float32"}  # what builds without being said
SIZES = ("kernel_size", "strides", "dilation_rate", "pool_size", "size")  # one number where all axes have the same


def model_to_config(model: keras.Model, path: str | Path | None = None) -> dict[str, Any]:
    """The configuration of a model: its layers and their arguments, those that have their default left out.

    `lctrain.build` makes an equal model of it; weights are not part of it.

    Args:
        model: Sequential or functional, a stack of layers that configurations may name.
        path: a YAML file to write it to; None writes none.

    Returns:
        `name` and `layers`, as a file of conf/model holds them.

    Raises:
        ConfigError: everything in the model that a configuration can't say, with the layer's path.

    >>> head = keras.layers.Dense(3, activation="relu", name="head")
    >>> model = keras.Sequential([keras.Input((5,)), head], name="tiny")
    >>> model_to_config(model)
    {'name': 'tiny', 'layers': {'head': {'type': 'Dense', 'units': 3, 'activation': 'relu'}}}
    """
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    problems = _check_stack(model, layers)
    specs = {}
    for layer in layers:
        specs[layer.name], found = _write_layer(layer)
        problems += found
    if problems:
        raise ConfigError(problems)
    config = {"name": model.name, "layers": specs}
    if path is not None:
        Path(path).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return config


def _check_stack(model: keras.Model, layers: list[keras.layers.Layer]) -> list[Problem]:
    """What of the model's graph is no stack."""
    if isinstance(model, keras.Sequential):
        return []
    inputs = [layer.name for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    if not hasattr(model, "output_names") or len(inputs) != 1:
        return [Problem("model", f"must be Sequential or functional, with one input; got {type(model).__name__}.")]
    sources = _read_sources(model)
    problems, above = [], inputs[0]
    for layer in layers:
        if sources[layer.name] != [above]:
            got = ", ".join(sources[layer.name])
            fix = "Configurations are stacks."
            problems.append(Problem(f"model.layers.{layer.name}", f"must follow `{above}` alone; got {got}. {fix}"))
        above = layer.name
    if model.output_names != [above]:
        problems.append(Problem("model", f"must give the output of its last layer alone; got {model.output_names}."))
    return problems


def _read_sources(model: keras.Model) -> dict[str, list[str]]:
    """For each layer of a functional model the layers that it reads, once for each of its calls."""
    return {
        layer["name"]: [source for node in layer["inbound_nodes"] for source in _find_sources(node)]
        for layer in model.get_config()["layers"]
    }


def _find_sources(part: Any) -> list[str]:
    """Names of the layers whose outputs stand in a part of a serialized call."""
    if isinstance(part, Mapping):
        if part.get("class_name") == "__keras_tensor__":
            return [part["config"]["keras_history"][0]]
        return [name for value in part.values() for name in _find_sources(value)]
    return [name for item in part for name in _find_sources(item)] if isinstance(part, list | tuple) else []


def _write_layer(layer: keras.layers.Layer) -> tuple[dict[str, Any], list[Problem]]:
    path, kind = f"model.layers.{layer.name}", type(layer).__name__
    if not LAYER_NAME.fullmatch(layer.name):
        fix = "Names are letters, digits and underscores, a letter first."
        return {}, [Problem(path, f"has a name that configurations can't have. {fix}")]
    is_known = type(layer) is getattr(keras.layers, kind, None) or type(layer) is getattr(own_layers, kind, None)
    entry = find_class("layers", kind) if is_known else None
    if entry is None:
        return {}, [Problem(path, f"must be of a class that configurations may name; got {type(layer).__name__}.")]
    spec = _write_arguments(entry, layer.get_config() | {"dtype": layer.dtype_policy.name})
    spelling = normalize({"model": {"layers": {layer.name: spec}}})
    normal = spelling.config["model"]["layers"][layer.name]
    problems = [spelling.as_written(problem) for problem in check_spec(normal, path, "layers")]
    if not problems:
        built = build_layer(layer.name, normal).get_config()
        unsaid = [name for name, value in layer.get_config().items() if built.get(name) != value]
        problems = [Problem(f"{path}.{name}", "is set to what configurations can't say.") for name in unsaid]
    return spec, problems


def _write_arguments(entry: ClassEntry, config: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a layer or nested object, without the arguments that have their defaults."""
    spec = {"type": entry.name}
    for name, value in config.items():
        if name not in entry.arguments:
            continue
        if name.rpartition("_")[2] in NESTED and value is not None:
            value = _write_object(name, value)
        elif value == UNSAID.get(name):
            value = entry.optional.get(name, value)
        written = _plain(name, value)
        if name in entry.required or not _is_default(entry, name, written):
            spec[name] = written
    return spec


def _write_object(name: str, value: Mapping[str, Any]) -> Any:
    """An initializer, regularizer or constraint: its name where all its arguments have their defaults."""
    entry = find_class(name.rpartition("_")[2] + "s", value["class_name"])
    if entry is None:
        return {"type": value["class_name"]}
    spec = _write_arguments(entry, value["config"])
    return spec["type"] if len(spec) == 1 else spec


def _is_default(entry: ClassEntry, name: str, written: Any) -> bool:
    default = _plain(name, entry.optional[name])
    kind = name.rpartition("_")[2] + "s"
    if isinstance(written, str) and isinstance(default, str) and kind.removesuffix("s") in NESTED:
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
