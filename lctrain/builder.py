"""From a validated configuration to a keras.Model."""

import re
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from lctrain import layers as own_layers
from lctrain.config import Config
from lctrain.config.allowlist import find_class
from lctrain.errors import ConfigError, Problem
from lctrain.summary import check_scores

FLOAT_ARGUMENTS = {
    *("learning_rate", "momentum", "rho", "beta_1", "beta_2", "epsilon", "weight_decay", "ema_momentum"),
    *("clipnorm", "clipvalue", "global_clipnorm", "initial_accumulator_value"),
}
ARGUMENT_AT_START = re.compile(r"`(\w+)` ")


def build_model(config: Config, must_classify: bool = True) -> keras.Model:
    """The model that `config.model` declares: its layers stacked in order on an input of the data's shape.

    Args:
        config: validated.
        must_classify: whether the last layer must give one score per class.

    Raises:
        ConfigError: a layer that can't be built on the shape that reaches it, with its path; a last layer whose output
            is not one score per class.
    """
    shape = tuple(config.data.input_shape)
    if config.data_format == "channels_first":
        shape = (shape[-1], *shape[:-1])
    inputs = keras.Input(shape, dtype="float64" if config.precision == "float64" else "float32")
    outputs, shape = inputs, inputs.shape
    for name, spec in config.model.layers.items():
        try:
            layer = build_layer(name, spec)
            shape, outputs = outputs.shape, layer(outputs)
            _try_penalties(layer)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            raise
        except Exception as error:  # whatever Keras says of the arguments is the user's to mend, with its own text
            raise ConfigError([_as_problem(name, spec, shape, error)]) from error
    problem = _check_head(layer, outputs.shape, config.data.num_classes) if must_classify else None
    if problem is not None:
        raise ConfigError([Problem(f"model.layers.{name}", problem)])
    return keras.Model(inputs, outputs, name=config.model.name)


def gives_probabilities(model: keras.Model) -> bool:
    """Whether the last layer ends in a softmax; else its outputs are logits."""
    last = model.layers[-1]
    return isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax


def _check_head(layer: keras.layers.Layer, output_shape: tuple, num_classes: int) -> str | None:
    problem = check_scores(output_shape, num_classes)
    if problem is not None:
        return problem
    activation = getattr(layer, "activation", keras.activations.linear)
    if activation not in (keras.activations.softmax, keras.activations.linear):
        got = keras.activations.serialize(activation)
        return f"must end in probabilities (activation: softmax) or logits (no activation); got activation {got!r}."
    return None


def _try_penalties(layer: keras.layers.Layer) -> None:
    """Calls each weight's regularizer and constraint once: what does not fit the weight's shape shows here."""
    for variable in layer.trainable_variables:
        for penalty in (variable.regularizer, variable.constraint):
            if penalty is not None:
                penalty(variable.value)


def describe_layers(model: keras.Model) -> dict[str, list]:
    """A table of the model's layers, one list per column; `implementation` is null where a layer has none."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    return {
        "name": [layer.name for layer in layers],
        "type": [type(layer).__name__ for layer in layers],
        "output_shape": [str(layer.output.shape) for layer in layers],
        "parameters": [layer.count_params() for layer in layers],
        "implementation": [_as_text(getattr(layer, "resolved_implementation", None)) for layer in layers],
    }


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)


def build_optimizer(spec: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """The optimizer that a validated spec declares.

    Raises:
        ConfigError: arguments that exclude each other.
    """
    try:
        return _make_object("optimizers", spec)
    except ValueError as error:
        raise ConfigError([Problem("optimizer", f"({spec['type']}) can't be made: {error}")]) from error


def build_layer(name: str, spec: Mapping[str, Any]) -> keras.layers.Layer:
    """The layer that a validated spec declares, not yet built on an input."""
    module = own_layers if hasattr(own_layers, spec["type"]) else keras.layers
    return getattr(module, spec["type"])(name=name, **_arguments(spec))


def _make_object(group: str, spec: Mapping[str, Any]) -> Any:
    """An object of Keras from its spec: `group` is both the allowlist's and Keras' module's name."""
    entry = find_class(group, spec["type"])
    return getattr(getattr(keras, group), entry.name)(**_arguments(spec))


def _arguments(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments: nested specs made into objects, lists into tuples."""
    arguments = {}
    for name, value in spec.items():
        if name == "type":
            continue
        kind = name.rpartition("_")[2] + "s"
        if isinstance(value, Mapping):
            value = _make_object(kind, value)
        elif isinstance(value, str) and kind in ("initializers", "regularizers", "constraints"):
            value = _make_object(kind, {"type": value})
        if name in FLOAT_ARGUMENTS and isinstance(value, int):
            value = float(value)  # YAML's 1 is meant as 1.0 here, and Keras' optimizers insist on it
        arguments[name] = _as_tuple(value)
    return arguments


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


def _as_problem(name: str, spec: Mapping[str, Any], input_shape: tuple, error: Exception) -> Problem:
    message = str(error).split("\n\nArguments received")[0]
    path = f"model.layers.{name}"
    argument = ARGUMENT_AT_START.match(message)
    if argument and argument[1] in find_class("layers", spec["type"]).arguments:
        return Problem(f"{path}.{argument[1]}", message[argument.end() :])
    return Problem(path, f"({spec['type']}) can't be built on an input of shape {input_shape}: {message}")
