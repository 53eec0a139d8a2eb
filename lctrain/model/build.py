"""From a validated configuration to a keras.Model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lctrain import layers as own_layers
from lctrain.config import Config, heads
from lctrain.config.allowlist import LIST_ARGUMENTS, nested_group, require_class
from lctrain.config.augmentation import CHANNELS_LAST_ONLY
from lctrain.config.graph import WIRING
from lctrain.config.misplaced_sums import find_misplaced_heads
from lctrain.errors import ConfigError, Problem
from lctrain.layers.sums import ATTENTIONS, find_sum_class
from lctrain.model.shapes import Shape
from lctrain.model.summary import input_shapes, layer_problem

FLOAT_ARGUMENTS = {
    *("initial_learning_rate", "end_learning_rate", "warmup_target", "decay_rate", "power", "t_mul", "m_mul", "values"),
    *("learning_rate", "momentum", "rho", "beta_1", "beta_2", "epsilon", "weight_decay", "ema_momentum"),
    *("clipnorm", "clipvalue", "global_clipnorm", "initial_accumulator_value"),
}
Normalization = tuple[np.ndarray, np.ndarray]
MODULES = {"layers": keras.layers, "cells": keras.layers, "schedules": keras.optimizers.schedules}
NUMBERED = re.compile(r"(.*?)_(\d{1,9})", re.DOTALL)
MOST_COUNTED = 100_000  # names of operations in one process
SEVERAL_ARGUMENTS = ATTENTIONS  # whose inputs are not one list


def build_model(config: Config, must_fit_task: bool = True, normalization: Normalization | None = None) -> keras.Model:
    """The model that `config.model` declares: its layers, connected by their `inputs`.

    Args:
        config: validated.
        must_fit_task: whether the only output of a model of one input must be what `data.task` asks for.
        normalization: what is subtracted from each channel of the only input, and the divisor; None does neither.

    Raises:
        ConfigError: a layer that can't be built on the shapes that reach it, with its path; an output that is not what
            the task asks for.
    """
    _keep_from_operations([*input_shapes(config), *config.model.layers])
    tensors = _make_inputs(config)
    inputs = list(tensors.values())
    if len(inputs) == 1:
        tensors = {name: _prepare(tensor, config, normalization) for name, tensor in tensors.items()}
    layers: dict[str, keras.layers.Layer] = {}
    shared = {spec.get("shares") for spec in config.model.layers.values()}
    for name, spec in config.model.layers.items():
        reads = [tensors[source] for source in spec["inputs"]]
        try:
            origin = spec.get("shares") or name  # which may come later: of layers on one input the order is free
            if origin not in layers:
                shapes = () if origin in shared else [tensor.shape for tensor in reads]
                layers[origin] = build_layer(origin, config.model.layers[origin], shapes)
            layers[name] = layers[origin]
            tensors[name] = _call(layers[name], config.model.layers[origin], reads)
            _try_penalties(layers[name])
        except Exception as error:
            by_source = {source: tensors[source].shape for source in spec["inputs"]}
            raise ConfigError([layer_problem(config, name, by_source, _keras_reason(error))]) from error
    outputs = [tensors[name] for name in heads.output_names(config)]
    if must_fit_task and len(inputs) == len(outputs) == 1:
        problem = heads.find_head_problem(config, {name: (None, *tensor.shape[1:]) for name, tensor in tensors.items()})
        if problem is not None:
            raise ConfigError([problem])
    ends = [ends[0] if len(ends) == 1 else ends for ends in (inputs, outputs)]
    return keras.Model(*ends, name=config.model.name)


def _keep_from_operations(names: Iterable[str]) -> None:
    """Lets Keras name the operations that make masks otherwise: by class and number, as layers; none may come twice."""
    for name in names:
        numbered = NUMBERED.fullmatch(name)
        prefix, number = (name, 0) if numbered is None else (numbered[1], int(numbered[2]))
        if number < MOST_COUNTED:
            while keras.backend.get_uid(prefix) <= number:
                pass


def _make_inputs(config: Config) -> dict[str, keras.KerasTensor]:
    dtype = "float64" if config.precision == "float64" else "float32"
    batch_size = config.model.batch_size
    shapes = input_shapes(config)
    return {name: keras.Input(shape[1:], batch_size, dtype=dtype, name=name) for name, shape in shapes.items()}


def _prepare(tensor: keras.KerasTensor, config: Config, normalization: Normalization | None) -> keras.KerasTensor:
    """The input as the model's own layers get it: normalised, and in training changed at random.

    Raises:
        ConfigError: an augmentation that can't be applied to it.
    """
    if normalization is not None:
        center, scale = normalization
        axis = 1 if config.data_format == "channels_first" else -1
        arguments = {"mean": center, "variance": scale**2, "dtype": tensor.dtype, "name": "data_normalization"}
        tensor = keras.layers.Normalization(axis, **arguments)(tensor)
    for i, spec in enumerate(config.data.augmentation):
        path, shape = f"data.augmentation.{i}", tensor.shape
        try:
            tensor = _augment(tensor, f"data_augmentation_{i}", spec, config.data_format)
        except Exception as error:
            message = f"({spec['type']}) can't be applied to inputs of shape {shape}: {_keras_reason(error)}"
            raise ConfigError([Problem(path, message)]) from error
        if tensor.shape != shape:
            raise ConfigError([Problem(path, f"({spec['type']}) must keep the shape {shape}; got {tensor.shape}.")])
    return tensor


def _augment(tensor: keras.KerasTensor, name: str, spec: Mapping[str, Any], data_format: str) -> keras.KerasTensor:
    """The tensor, changed at random; by a layer that computes channels_last alone with the channels turned for it."""
    layer = build_layer(name, spec)
    rank = len(tensor.shape) - 2
    is_turned = data_format == "channels_first" and spec.get("data_format") != "channels_first" and rank > 0
    if not is_turned or spec["type"] not in CHANNELS_LAST_ONLY:
        return layer(tensor)
    there, back = (*range(2, rank + 2), 1), (rank + 1, *range(1, rank + 1))
    turned = keras.layers.Permute(there, dtype=tensor.dtype, name=f"{name}_channels_last")(tensor)
    return keras.layers.Permute(back, dtype=tensor.dtype, name=f"{name}_channels_first")(layer(turned))


def _keras_reason(error: Exception) -> str:
    """What Keras raises over a layer's arguments or inputs, in its own text; that is the user's to mend.

    Raises:
        MemoryError, tf.errors.ResourceExhaustedError: where it is that, which is no mistake in a configuration.
    """
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        raise error
    return str(error).split("\n\nArguments received")[0]


def _call(layer: keras.layers.Layer, spec: Mapping[str, Any], sources: list[keras.KerasTensor]) -> keras.KerasTensor:
    name = spec["type"]
    if name in SEVERAL_ARGUMENTS:
        arguments = require_class("layers", name).optional | dict(spec)
        problem = find_misplaced_heads(name, arguments, [tensor.shape for tensor in sources])
        if problem is not None:
            raise ValueError(problem)
        return layer(*sources)
    return layer(sources[0] if len(sources) == 1 else sources)


def _try_penalties(layer: keras.layers.Layer) -> None:
    """Traces each weight's regularizer and constraint once: what does not fit the weight's shape shows here."""
    for variable in layer.trainable_variables:
        for penalty in (variable.regularizer, variable.constraint):
            if penalty is not None:
                tf.function(penalty).get_concrete_function(tf.TensorSpec(variable.shape, variable.dtype))


def describe_layers(model: keras.Model) -> dict[str, list[Any]]:
    """A table of the model's layers, one list per column; `implementation` is null where a layer has none."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    return {
        "name": [layer.name for layer in layers],
        "type": [type(layer).__name__ for layer in layers],
        "output_shape": [str(layer.output.shape) for layer in layers],
        "parameters": [layer.count_params() for layer in layers],
        "implementation": [_as_text(getattr(layer, "resolved_implementation", None)) for layer in layers],
    }


def find_implementations(model: keras.Model) -> dict[str, str]:
    """What each locally connected layer of a built model computes by, wrapped ones included, by its name."""
    found = ((layer.name, getattr(layer, "resolved_implementation", None)) for layer in model._flatten_layers())
    return {name: str(choice) for name, choice in found if choice is not None}


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)


def build_optimizer(spec: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """The optimizer that a validated spec declares.

    Raises:
        ConfigError: arguments that exclude each other.
    """
    try:
        return make_object("optimizers", spec)
    except ValueError as error:
        raise ConfigError([Problem("optimizer", f"({spec['type']}) can't be made: {error}")]) from error


def build_layer(name: str, spec: Mapping[str, Any], shapes: Sequence[Shape] = ()) -> keras.layers.Layer:
    """The layer that a validated spec declares, not yet built on an input.

    Args:
        name: its key in the configuration.
        spec: validated.
        shapes: of what it will read alone; none where it may come on others too.
    """
    return make_object("layers", {**spec, "name": name}, shapes)


def make_object(group: str, spec: Mapping[str, Any], shapes: Sequence[Shape] = ()) -> Any:
    """An object of Keras, or a layer of ours, from its spec."""
    name = require_class(group, spec["type"]).name
    module = own_layers if hasattr(own_layers, name) else MODULES.get(group) or getattr(keras, group)
    made_by = (find_sum_class(name, spec, shapes) if group == "layers" else None) or getattr(module, name)
    is_frozen = group in ("layers", "cells") and spec.get("trainable") is False
    if is_frozen:
        spec = {name: value for name, value in spec.items() if name != "trainable"}
    made = made_by(**_arguments(spec))
    if is_frozen:
        made.trainable = False  # not by the constructor, which does not hand it on to the layers that this one holds
    return made


def _arguments(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments: nested specs made into objects, lists into tuples."""
    arguments = {}
    for name, value in spec.items():
        if name == "type" or name in WIRING:
            continue
        kind = nested_group(name)
        if kind is not None and name in LIST_ARGUMENTS:
            arguments[name] = [make_object(kind, one) for one in value]
            continue
        if kind is not None and isinstance(value, Mapping):
            if kind in MODULES and "name" in spec:
                value = {**value, "name": f"{spec['name']}_{name}"}  # Keras' own would count up over a process's life
            value = make_object(kind, value)
        elif isinstance(value, str) and kind is not None:
            value = make_object(kind, {"type": value})
        elif name.endswith("activation") and value in own_layers.OWN_ACTIVATIONS:
            value = own_layers.OWN_ACTIVATIONS[value]
        if name in FLOAT_ARGUMENTS:
            value = _as_float(value)  # YAML's 1 is meant as 1.0 here, and Keras' optimizers insist on it
        arguments[name] = _as_tuple(value)
    return arguments


def _as_float(value: Any) -> Any:
    if isinstance(value, list):
        return [float(number) for number in value]
    return float(value) if isinstance(value, int) else value


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
