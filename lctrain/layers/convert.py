"""Turning models into others that compute the same function: another implementation, or local layers for Conv ones."""

import inspect
import warnings
from collections.abc import Callable, Iterable
from math import prod

import keras
import numpy as np

from lctrain.errors import suggest
from lctrain.layers.arguments import standardize_implementation
from lctrain.layers.local import (
    BaseLocallyConnected,
    LocallyConnected1D,
    LocallyConnected2D,
    LocallyConnected3D,
)
from lctrain.layers.sums import MISPLACED, SUMS, find_misplaced_sums
from lctrain.ops import check_backend

LOCAL_COUNTERPARTS = {
    **{keras.layers.Conv1D: LocallyConnected1D, SUMS["Conv1D"]: LocallyConnected1D},
    **{keras.layers.Conv2D: LocallyConnected2D, SUMS["Conv2D"]: LocallyConnected2D},
    **{keras.layers.Conv3D: LocallyConnected3D, SUMS["Conv3D"]: LocallyConnected3D},
}


def convert_implementation(model: keras.Model, to: int | str) -> keras.Model:
    """A new model whose locally connected layers use another implementation, with the same weights.

    Args:
        model: Sequential or functional; nested models and wrapped layers (TimeDistributed) are converted too.
        to: 1, 2, 3, "batched" or "auto".

    Raises:
        ValueError: an unknown implementation, or 3 under another Keras backend than TensorFlow.
    """
    standardize_implementation(to)

    def convert(layer):
        if not isinstance(layer, BaseLocallyConnected):
            return None
        check_backend(to, layer.name)  # here, since `from_config` would wrap the error
        return type(layer).from_config({**layer.get_config(), "implementation": to})

    converted = _clone(model, convert)
    converted.set_weights(model.get_weights())
    return converted


def conv_to_local(model: keras.Model, layers: Iterable[str] | None = None, **arguments) -> keras.Model:
    """A new model with locally connected layers in the place of Conv ones, which computes the same function.

    Use it to start from shared weights: each position's kernel is born as a copy of the Conv's, then trains alone.
    Where Keras adds a Conv's bias along another axis than that of its filters (`lctrain.config.misplaced_sums`), the
    local layer adds it where it belongs, and a warning names the Conv.

    Args:
        model: Sequential or functional; nested models and wrapped layers are converted too.
        layers: names of the Conv1D, Conv2D and Conv3D layers to convert; None converts them all.
        **arguments: for every new layer, `implementation` or `use_bias` say; the bias becomes one per position and
            filter unless `use_bias="shared"`.

    Raises:
        ValueError: a name in `layers` that is none of a Conv layer of the model; implementation 3 under another Keras
            backend than TensorFlow.
    """
    convertible = {layer.name for layer in model._flatten_layers() if type(layer) in LOCAL_COUNTERPARTS}
    chosen = convertible if layers is None else set(layers)
    for name in sorted(chosen - convertible):
        raise ValueError(f"`layers` must name Conv layers of the model; got {name!r}. {suggest(name, convertible)}")
    misplaced = sorted(chosen & {layer.name for layer in find_misplaced_sums(model)})
    if misplaced:
        listed = ", ".join(f"`{name}`" for name in misplaced)
        warnings.warn(f"{listed}: {MISPLACED} The local layers add it where it belongs.", stacklevel=2)

    def convert(layer):
        if type(layer) not in LOCAL_COUNTERPARTS or layer.name not in chosen:
            return None
        check_backend(arguments.get("implementation", "auto"), layer.name)
        counterpart = LOCAL_COUNTERPARTS[type(layer)]
        known = inspect.signature(counterpart).parameters
        config = {
            name: value for name, value in layer.get_config().items() if name in (*known, "name", "dtype", "trainable")
        }
        given = {name: value for name, value in arguments.items() if name != "use_bias" or layer.use_bias}
        return counterpart.from_config(config | given)

    converted = _clone(model, convert)
    _copy_weights(model, converted)
    return converted


def _clone(model: keras.Model, convert: Callable) -> keras.Model:
    """A copy of the model, layer by layer: what `convert` gives for a layer, or else its plain copy."""

    def copy_layer(layer):
        replaced = convert(layer)
        if replaced is not None:
            return replaced
        if isinstance(layer, keras.layers.Wrapper):
            wrapped = keras.saving.serialize_keras_object(copy_layer(layer.layer))
            return type(layer).from_config({**layer.get_config(), "layer": wrapped})
        if isinstance(layer, keras.Model):
            return _clone(layer, convert)
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=copy_layer)


def _copy_weights(model: keras.Model, converted: keras.Model) -> None:
    for old, new in zip(model.layers, converted.layers, strict=True):
        _copy_layer_weights(old, new)


def _copy_layer_weights(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    if isinstance(old, keras.Model):
        _copy_weights(old, new)
    elif isinstance(new, BaseLocallyConnected) and not isinstance(old, BaseLocallyConnected):
        new.set_weights(untie(old, new))
    elif [weight.shape for weight in old.weights] == [weight.shape for weight in new.weights]:
        new.set_weights(old.get_weights())
    else:  # a wrapper around what was converted
        _copy_layer_weights(old.layer, new.layer)


def untie(conv: keras.layers.Layer, local: BaseLocallyConnected) -> list[np.ndarray]:
    """The weights with which a built local layer computes what its twin does: the Conv's kernel at every position."""
    rows, filters = local.kernel.shape[1:]
    shared = np.reshape(keras.ops.convert_to_numpy(conv.kernel), (1, rows, filters))
    kernel = np.repeat(shared, local.kernel.shape[0], axis=0)
    if local.window.live_taps is not None:
        live = np.repeat(local.window.live_taps, rows // local.window.num_taps, axis=1)
        kernel = np.where(live[..., None], kernel, 0)
    if not local.use_bias:
        return [kernel]
    return [kernel, np.broadcast_to(keras.ops.convert_to_numpy(conv.bias), local.bias.shape)]


def are_equivalent(conv: keras.layers.Layer, local: keras.layers.Layer) -> bool:
    """Whether a Conv layer and a local one, both built, agree in rank, window, channels, groups, filters and bias."""
    if type(conv) not in LOCAL_COUNTERPARTS or not isinstance(local, LOCAL_COUNTERPARTS[type(conv)]):
        return False
    sizes = prod(conv.kernel.shape[:-1]), conv.filters, conv.groups, tuple(conv.kernel_size), bool(conv.use_bias)
    return sizes == (
        local.kernel.shape[1],
        *local.kernel.shape[2:],
        local.groups,
        local.kernel_size,
        bool(local.use_bias),
    )
