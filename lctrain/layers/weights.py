"""How the weights of a locally connected layer are born and constrained: position by position."""

import copy
from collections.abc import Sequence

import keras
import numpy as np
from keras import initializers, ops

from lctrain.geometry import Window
from lctrain.ops.tf_keras_kernels import kernel_shapes, read_bias, read_kernel, same_margins

KERNEL_FANS = {  # axes of (positions, taps, in_channels, filters) whose sizes make fan_in and fan_out
    "position": {"input_axes": [1, 2], "output_axes": [1, 3]},
    "legacy": {"input_axes": [0, 1, 2], "output_axes": [0, 3]},
}


class KernelInitializer:
    """Draws a canonical kernel, `(num_positions, num_taps * in_channels // groups, filters)`.

    Args:
        initializer: Keras' or anything callable with (shape, dtype).
        window: where the taps lie; those on zero padding are born 0.
        fans: "position" computes the fans of the VarianceScaling family from one position; "legacy" as tf.keras'
            implementation 1, which counts all positions as receptive field.
    """

    def __init__(self, initializer, window: Window, fans: str):
        self._initializer = initializer
        self._window = window
        self._fans = fans

    def __call__(self, shape, dtype=None):
        num_positions, rows, filters = shape
        by_tap = (num_positions, self._window.num_taps, rows // self._window.num_taps, filters)
        initializer = self._initializer
        if isinstance(initializer, initializers.Orthogonal):
            kernel = _draw_orthogonal(initializer, shape, dtype)
        elif isinstance(initializer, initializers.Identity):
            kernel = ops.broadcast_to(initializer((rows, filters), dtype=dtype), shape)
        else:
            kernel = with_fans(initializer, **KERNEL_FANS[self._fans])(by_tap, dtype=dtype)
        if self._window.live_taps is not None:
            kernel = ops.reshape(kernel, by_tap) * ops.cast(self._window.live_taps[:, :, None, None], dtype)
        return ops.reshape(kernel, shape)


def with_fans(initializer, input_axes: list[int], output_axes: list[int]):
    """The same initializer; one of the VarianceScaling family computes its fans on these axes of what it draws."""
    if not isinstance(initializer, initializers.VarianceScaling) or initializer.input_axes is not None:
        return initializer
    initializer = copy.copy(initializer)
    initializer.input_axes, initializer.output_axes = input_axes, output_axes
    return initializer


def _draw_orthogonal(initializer, shape, dtype):
    """An orthogonal matrix of its own at each position; Saxe et al. 2014."""
    num_positions, rows, filters = shape
    tall, wide = max(rows, filters), min(rows, filters)
    normal = initializers.RandomNormal(mean=0.0, stddev=1.0, seed=initializer.seed)
    drawn_dtype = "float64" if dtype == "float64" else "float32"
    q, r = ops.qr(normal((num_positions, tall, wide), dtype=drawn_dtype))
    q = q * ops.sign(ops.diagonal(r, axis1=-2, axis2=-1))[:, None, :]  # uniform over all orthogonal matrices
    if rows < filters:
        q = ops.transpose(q, (0, 2, 1))
    return ops.cast(initializer.gain * q, dtype)


def per_position(constraint):
    """The same constraint, its norms taken over one position and filter instead of over all positions.

    Keras' default, axis 0, is the one of a Dense kernel; of the canonical kernel that is axis 1.
    """
    if constraint is None or getattr(constraint, "axis", None) != 0:
        return constraint
    constraint = copy.copy(constraint)
    constraint.axis = 1
    return constraint


def as_arrays(weights) -> tuple[np.ndarray, ...]:
    """The initial weights as arrays; a ValueError where they are no sequence."""
    if not isinstance(weights, Sequence):
        raise ValueError(f"`weights` must be a list of arrays, one per weight of the layer; got {weights!r}.")
    return tuple(np.asarray(array) for array in weights)


def check_shapes(arrays, variables) -> None:
    """Initial arrays must have the variables' shapes, in their order."""
    expected = [tuple(variable.shape) for variable in variables]
    got = [np.shape(array) for array in arrays]
    if got != expected:
        raise ValueError(f"`weights` must be arrays of shapes {expected}; got {got}.")


def is_of_tf_keras(store) -> bool:
    """Whether a layer's part of a `.weights.h5` file is tf.keras': Keras 3 writes the layer's name on it."""
    attributes = getattr(getattr(store, "_h5_entry_group", None), "attrs", None)
    return attributes is not None and "name" not in attributes


def read_tf_keras_weights(store, window: Window, channels: int, filters: int, is_first: bool) -> dict[str, np.ndarray]:
    """Today's kernel and bias, of those that tf.keras wrote under any of its implementations.

    Args:
        store: the layer's part of a file, the kernel under "0", the bias under "1".
        window: of the layer.
        channels: of its input.
        filters: of its output.
        is_first: whether it is channels_first.

    Raises:
        ValueError: a kernel of another layer, or of one with other zeros around its input.
    """
    arrays = [np.asarray(store[key]) for key in sorted(store.keys(), key=int)]
    shapes = kernel_shapes(window, channels, filters, is_first)
    theirs = same_margins(window.input_spatial, window.kernel_size, window.strides)
    if any(map(any, window.margins)) and window.margins != theirs:
        shapes = {1: shapes[1]}  # the only one that holds weights for the taps on zeros
    if not arrays or arrays[0].shape not in shapes.values():
        expected = " or ".join(map(str, shapes.values()))
        got = arrays[0].shape if arrays else "none"
        fix = f"tf.keras' own `same` pads {theirs}: give `padding` so." if len(shapes) == 1 else ""
        raise ValueError(f"The kernel that tf.keras wrote must have the shape {expected}; got {got}. {fix}".rstrip())
    kernel = read_kernel(arrays[0], window, channels, filters, is_first)
    biases = [read_bias(bias, window, filters, is_first) for bias in arrays[1:]]
    return {f"{i}": array for i, array in enumerate([kernel, *biases])}


def as_view(variable: keras.Variable):
    """A weight's numbers where they are, for who only reads them; the weight itself where that can't be had."""
    read = getattr(variable.value, "read_value", None)  # of TensorFlow's variables
    if read is None or "bfloat16" in str(variable.dtype):  # which Python's buffers do not know
        return variable
    return np.asarray(memoryview(read()))
