"""Models that only predict: without what acts in training alone, in whole floats."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from lctrain.config.augmentation import OTHER_SHAPE, augmentations
from lctrain.layers import BaseLocallyConnected
from lctrain.legacy.errors import Obstacle, UnsupportedExportError
from lctrain.legacy.report import MODEL, Report

HALVES = ("float16", "bfloat16")
LONG = "float64"
DROPOUTS = (
    *("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
)
MIXTURES = ("AugMix", "CutMix", "MixUp")  # beside those of `data.augmentation`
IN_TRAINING = frozenset({*augmentations(), *DROPOUTS, *MIXTURES}) - {*OTHER_SHAPE}


@dataclass(frozen=True)
class Changes:
    """What becomes of the layers that are kept.

    Args:
        implementation: of the locally connected ones; None keeps theirs.
        dtypes: that become float32.
    """

    implementation: int | str | None
    dtypes: tuple[str, ...]

    def touches(self, policy: keras.DTypePolicy) -> bool:
        return policy.compute_dtype in self.dtypes or policy.variable_dtype in self.dtypes


def make_inference_model(
    model: keras.Model, report: Report, implementation: int | str | None = None, has_float64: bool = True
) -> keras.Model:
    """A model that predicts the same, made of layers that predict: random ones are left out, half precision is float32.

    Args:
        model: Sequential or functional, built; the same is given back where nothing in it is to be changed.
        report: gets a line for all that is.
        implementation: of the locally connected layers; None keeps theirs.
        has_float64: whether the format can compute in float64, which is float32 else.

    Raises:
        UnsupportedExportError: a model of another kind, in which something would have to be changed.
    """
    changes = Changes(implementation, HALVES if has_float64 else (*HALVES, LONG))
    layers = list(model._flatten_layers())
    local = [layer for layer in layers if isinstance(layer, BaseLocallyConnected) and implementation is not None]
    policies = sorted({layer.dtype_policy.name for layer in layers if changes.touches(layer.dtype_policy)})
    if not local and not policies and not any(map(acts_in_training, layers)):
        return model
    if not isinstance(model, keras.Sequential | keras.src.models.Functional):
        message = "must be Sequential or functional, so that what acts in training alone can be left out"
        raise UnsupportedExportError([Obstacle(MODEL, "class_name", type(model).__name__, message)])
    for layer in layers:
        if acts_in_training(layer):
            report.add(layer.name, "class_name", type(layer).__name__, "dropped", "it acts in training alone")
    for policy in policies:
        message = "float32, to its precision" if policy == LONG else "float32, which computes the same less coarsely"
        report.add(MODEL, "dtype", policy, "approximated", message)
    for layer in local:
        message = f"{implementation}: how, never what"
        report.add(layer.name, "implementation", layer.implementation, "translated", message)
    copies: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
    made = _rebuild(model, changes, copies)
    for old, new in copies:  # layer by layer: without some of them others may come in another order
        new.set_weights([_as_type(*pair) for pair in zip(old.weights, new.weights, strict=True)])
    return made


def acts_in_training(layer: Any) -> bool:
    """Whether a layer gives what it gets, but in training; a wrapper or a model of such layers alone does too."""
    if isinstance(layer, keras.layers.Wrapper):
        return acts_in_training(layer.layer)
    if isinstance(layer, keras.Model):
        inner = [one for one in layer.layers if not isinstance(one, keras.layers.InputLayer)]
        return isinstance(layer, keras.Sequential) and bool(inner) and all(map(acts_in_training, inner))
    return type(layer).__name__ in IN_TRAINING and type(layer).__module__.startswith("keras.")


def _rebuild(model: keras.Model, changes: Changes, copies: list[tuple[Any, Any]]) -> keras.Model:
    """A copy without the layers that act in training alone; each layer whose weights are to be copied is listed."""
    left_out: list[keras.layers.Layer] = []

    def copy(layer: Any) -> Any:
        if acts_in_training(layer):
            left_out.append(keras.layers.Identity(name=layer.name))
            return left_out[-1]
        if isinstance(layer, keras.Model):
            return _rebuild(layer, changes, copies)
        if not isinstance(layer, keras.layers.Layer):
            return layer  # an operation, which has no precision of its own
        config = _as_inference(layer.get_config(), layer, changes)
        if isinstance(layer, keras.layers.Wrapper) and isinstance(layer.layer, keras.Model):
            return type(layer)(**{**config, "layer": _rebuild(layer.layer, changes, copies)})
        made = type(layer).from_config(config)
        copies.append((layer, made))
        return made

    def call(layer: Any, *arguments: Any, **named: Any) -> Any:
        return arguments[0] if any(layer is one for one in left_out) else layer(*arguments, **named)

    starts = [
        keras.Input(batch_shape=one.shape, dtype=_as_float32(one.dtype, changes), name=one.name) for one in model.inputs
    ]
    if isinstance(model, keras.Sequential):
        kept = [copy(layer) for layer in model.layers if not acts_in_training(layer)]
        return keras.Sequential([starts[0], *kept], name=model.name)
    given = keras.tree.pack_sequence_as(model.input, starts)
    return keras.models.clone_model(model, input_tensors=given, clone_function=copy, call_function=call)


def _as_inference(config: Mapping[str, Any], layer: Any, changes: Changes) -> dict[str, Any]:
    """A layer's configuration, and those of the layers in it, with float32 and the implementation."""
    made = {name: _change(name, value, changes) for name, value in config.items()}
    if isinstance(layer, BaseLocallyConnected) and changes.implementation is not None:
        made["implementation"] = changes.implementation
    return made


def _change(name: str, value: Any, changes: Changes) -> Any:
    """A value in a layer's configuration, that of a layer in it included."""
    if name == "dtype" and value is not None:
        return "float32" if changes.touches(keras.dtype_policies.get(value)) else value
    if isinstance(value, list):
        return [_change("", one, changes) for one in value]
    if not isinstance(value, Mapping):
        return value
    made = {key: _change(key, one, changes) for key, one in value.items()}
    is_local = str(value.get("registered_name")).startswith("lctrain>") and "implementation" in made.get("config", {})
    if is_local and changes.implementation is not None:
        made["config"]["implementation"] = changes.implementation
    return made


def _as_float32(dtype: str, changes: Changes) -> str:
    return "float32" if dtype in changes.dtypes else dtype


def _as_type(old: keras.Variable, new: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(old), new.dtype)
