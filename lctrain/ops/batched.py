"""Implementation "batched": every patch gathered at once, then one batched matmul over positions.

The batch is the last axis throughout, so that the gather yields `(num_positions, num_taps, channels, batch)`, which is
the matmul's right side as it stands. The number of graph operations does not depend on any size.
"""

import keras
import numpy as np
from keras import ops

from lctrain.geometry import Window


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One gather and one batched matmul; see `lctrain.ops` for the shapes."""
    filters = kernel.shape[-1]
    per_group = inputs.shape[-1 if data_format == "channels_last" else 1] // groups
    elements = _batch_last(inputs, window, groups, per_group, data_format)
    indices = _element_indices(window, groups)
    if groups > 1:
        kernel = ops.reshape(kernel, (window.num_positions, -1, groups, filters // groups))
        kernel = ops.reshape(ops.transpose(kernel, (0, 2, 1, 3)), (len(indices), -1, filters // groups))
    outputs = _multiply_patches(elements, kernel, indices)  # (positions * groups, filters // groups, batch)
    outputs = ops.reshape(outputs, (window.num_positions, filters, -1))
    if data_format == "channels_last":
        return ops.reshape(ops.transpose(outputs, (2, 0, 1)), (-1, *window.output_spatial, filters))
    return ops.reshape(ops.transpose(outputs, (2, 1, 0)), (-1, filters, *window.output_spatial))


def _batch_last(inputs, window: Window, groups: int, per_group: int, data_format: str):
    """The inputs as `(groups * num_inputs, per_group, batch)`, with a last row of zeros if a tap falls on padding."""
    if data_format == "channels_last":
        elements = ops.reshape(inputs, (-1, window.num_inputs, groups, per_group))
        elements = ops.transpose(elements, (2, 1, 3, 0))
    else:
        elements = ops.reshape(inputs, (-1, groups, per_group, window.num_inputs))
        elements = ops.transpose(elements, (1, 3, 2, 0))
    elements = ops.reshape(elements, (groups * window.num_inputs, per_group, -1))
    if window.live_taps is None:
        return elements
    return ops.pad(elements, ((0, 1), (0, 0), (0, 0)))


def _element_indices(window: Window, groups: int) -> np.ndarray:
    """int32 `(num_positions * groups, num_taps)`: the rows of `_batch_last` that each tap reads."""
    taps = window.tap_indices[:, None, :]
    indices = taps + (np.arange(groups, dtype=np.int32) * window.num_inputs)[:, None]
    indices = np.where(taps < 0, groups * window.num_inputs, indices)
    return indices.reshape(-1, window.num_taps).astype(np.int32)


def _multiply_patches(elements, kernel, indices: np.ndarray):
    """For each of `n` rows of indices, the transposed kernel times the patch of elements that they name.

    Args:
        elements: `(num_elements, channels, batch)`.
        kernel: `(n, num_taps * channels, filters)`.
        indices: `(n, num_taps)`.

    Returns:
        `(n, filters, batch)`.
    """
    if keras.backend.backend() == "tensorflow":
        from lctrain.ops import batched_tensorflow  # here, so that other backends need no TensorFlow

        if not batched_tensorflow.is_compiled_by_xla():
            return batched_tensorflow.multiply_patches(elements, kernel, indices)
    patches = ops.take(elements, indices, axis=0)  # (n, taps, channels, batch)
    patches = ops.reshape(patches, (*kernel.shape[:2], -1))
    return ops.matmul(ops.transpose(kernel, (0, 2, 1)), patches)
