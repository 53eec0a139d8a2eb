"""R keras' verbs, to write models from Python as one writes them in R.

    model = keras.Sequential([keras.Input((32, 32, 3))])
    model = layer_locally_connected_2d(model, 64, 3, activation="relu")

With pipes in R, `model |> layer_locally_connected_2d(64, 3)`; here the first argument is what R pipes in.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from lctrain.layers import LocallyConnected1D, LocallyConnected2D, LocallyConnected3D

__all__ = ["layer_locally_connected_1d", "layer_locally_connected_2d", "layer_locally_connected_3d"]


def layer_locally_connected_1d(
    object: Any = None, filters: int | None = None, kernel_size: Any = None, **arguments: Any
) -> Any:
    """A locally connected layer over sequences: made, added to a model, or called.

    Args:
        object: None, to which the layer itself is the answer; a `keras.Sequential`, to which it is added; or a tensor,
            on which it is called.
        filters: output channels at each position.
        kernel_size: size of the window, an integer or one per spatial axis.
        **arguments: those of `lctrain.layers.LocallyConnected1D`, `name`, `trainable`, `weights` among them; and
            `input_shape` and `batch_size`, the shape of one example and the fixed number of them, for the first layer
            of a Sequential that has no input yet. None stands for the default, as R's NULL does.

    Returns:
        The layer, the same Sequential, or the output tensor.

    Raises:
        TypeError: another `object`.
        ValueError: arguments that the layer refuses, or `input_shape` where nothing takes it.

    Source: R keras' layer_locally_connected_1d.

    >>> layer_locally_connected_1d(keras.Input((10, 32)), 64, 3).shape
    (None, 8, 64)
    """
    return _compose(LocallyConnected1D, object, filters, kernel_size, arguments)


def layer_locally_connected_2d(
    object: Any = None, filters: int | None = None, kernel_size: Any = None, **arguments: Any
) -> Any:
    """As `layer_locally_connected_1d`, over images.

    >>> model = keras.Sequential([keras.Input((32, 32, 3))])
    >>> layer_locally_connected_2d(model, 64, (3, 3)) is model
    True
    >>> model.output_shape
    (None, 30, 30, 64)
    """
    return _compose(LocallyConnected2D, object, filters, kernel_size, arguments)


def layer_locally_connected_3d(
    object: Any = None, filters: int | None = None, kernel_size: Any = None, **arguments: Any
) -> Any:
    """As `layer_locally_connected_1d`, over volumes.

    >>> layer_locally_connected_3d(filters=8, kernel_size=3).kernel_size
    (3, 3, 3)
    """
    return _compose(LocallyConnected3D, object, filters, kernel_size, arguments)


def _compose(kind: type[Any], object: Any, filters: int | None, kernel_size: Any, arguments: dict[str, Any]) -> Any:
    given = {name: value for name, value in arguments.items() if value is not None}
    input_shape, batch_size = given.pop("input_shape", None), given.pop("batch_size", None)
    _check_input(object, input_shape, batch_size)
    layer = kind(filters, kernel_size, **given)
    if object is None:
        return layer
    if isinstance(object, keras.Sequential):
        if input_shape is not None:
            object.add(keras.Input(tuple(input_shape), batch_size=batch_size))
        object.add(layer)
        return object
    if isinstance(object, keras.KerasTensor | np.ndarray) or keras.ops.is_tensor(object):
        return layer(object)
    raise TypeError(f"`object` must be None, a keras.Sequential or a tensor; got {object!r}.")


def _check_input(object: Any, input_shape: Sequence[int] | None, batch_size: int | None) -> None:
    """Refuses what would have no effect."""
    if batch_size is not None and input_shape is None:
        raise ValueError(f"`batch_size` must come with `input_shape`; got {batch_size!r} alone.")
    is_empty_model = isinstance(object, keras.Sequential) and not object.layers and not hasattr(object, "inputs")
    if input_shape is not None and not is_empty_model:
        fix = "Use keras.Input elsewhere."
        raise ValueError(f"`input_shape` is for the first layer of an empty Sequential; got {input_shape!r}. {fix}")
