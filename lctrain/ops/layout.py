"""What the operations share: moving the channel axis, and where the kernel's rows stand in the whole matrix."""

import keras
import numpy as np
from keras import ops

from lctrain.geometry import Window

HALF_PRECISIONS = ("float16", "bfloat16")


def on_plain_tensorflow() -> bool:
    """Whether what is built now runs on TensorFlow without being compiled by XLA."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util  # no public name tells whether XLA compiles what is traced

    return not control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def to_channels_last(inputs, data_format: str):
    """`(batch, *spatial, channels)` from either layout."""
    if data_format == "channels_last":
        return inputs
    return ops.moveaxis(inputs, 1, -1)


def from_positions_last(outputs, window: Window, data_format: str):
    """Output layout from `(batch, num_positions, filters)`."""
    filters = outputs.shape[-1]
    if data_format == "channels_last":
        return ops.reshape(outputs, (-1, *window.output_spatial, filters))
    outputs = ops.transpose(outputs, (0, 2, 1))  # (batch, filters, num_positions)
    return ops.reshape(outputs, (-1, filters, *window.output_spatial))


def accumulable(array):
    """The array in a precision in which many terms can be added up: half precisions become float32."""
    return ops.cast(array, "float32") if keras.backend.standardize_dtype(array.dtype) in HALF_PRECISIONS else array


def matrix_rows(window: Window, groups: int, in_channels: int) -> np.ndarray:
    """The input element that each kernel row multiplies, one per group of filters.

    Returns:
        int64 `(num_positions, num_taps * in_channels // groups, groups)`: indices into the flattened channels_last
        input; negative where the tap falls on zero padding.
    """
    per_group = in_channels // groups
    taps = window.tap_indices[:, :, None, None].astype(np.int64)
    channels = np.arange(per_group)[:, None] + np.arange(groups) * per_group
    rows = np.where(taps < 0, -1, taps * in_channels + channels)  # (positions, taps, per_group, groups)
    return rows.reshape(window.num_positions, -1, groups)


def live_kernel_rows(kernel, places: np.ndarray, window: Window):
    """Kernel rows and their places in a matrix without those whose tap falls on zero padding.

    Args:
        kernel: `(num_positions * num_taps * in_channels // groups, ...)`.
        places: as many rows.
    """
    if window.live_taps is None:
        return kernel, places
    live = np.repeat(window.live_taps.ravel(), kernel.shape[0] // window.live_taps.size)
    (rows,) = np.nonzero(live)
    return ops.take(kernel, rows, axis=0), places[rows]
