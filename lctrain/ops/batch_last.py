"""What the implementations share that read the input by element: its layout, with the batch as the last axis.

So a gather of elements yields patches of `(num_positions, num_taps, channels * batch)`, the right side of a matmul as
it stands. What is left to an implementation is `multiply(elements, kernel, indices)`: for each of `n` rows of indices,
the transposed kernel times the patch of elements that they name.

    elements: `(num_elements, channels * batch)`
    kernel: `(n, num_taps * channels, filters)`
    indices: int32 `(n, num_taps)`
    returns `(n, filters, batch)`, or `(n, batch, filters)` where `filters_last`

With groups, `n` is positions times groups, and the channels and filters are those of one group.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from lctrain.geometry import Window

FEW_ROWS = 64  # of a patch, up to which moving whole rows of filters pays: products cost little there, transposes much
MANY_FILTERS = 32  # from which on such rows are long enough


def moves_filters(kernel) -> bool:
    """Whether outputs are better made as `(n, batch, filters)`; measured on 2 CPU cores."""
    return kernel.shape[1] <= FEW_ROWS and kernel.shape[2] >= MANY_FILTERS


def is_on_plain_tensorflow() -> bool:
    """Whether what is built now runs on TensorFlow without being compiled by XLA."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util  # no public name tells whether XLA compiles what is traced

    return not control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def locally_connected_by(
    multiply: Callable, inputs, kernel, window: Window, groups: int, data_format: str, filters_last: bool = False
):
    """The layer by one of such products; see `lctrain.ops` for the shapes."""
    filters = kernel.shape[-1]
    per_group = inputs.shape[-1 if data_format == "channels_last" else 1] // groups
    elements = _batch_last(inputs, window, groups, per_group, data_format)
    indices = _element_indices(window, groups)
    if groups > 1:
        kernel = ops.reshape(kernel, (window.num_positions, -1, groups, filters // groups))
        kernel = ops.reshape(ops.transpose(kernel, (0, 2, 1, 3)), (len(indices), -1, filters // groups))
    outputs = multiply(elements, kernel, indices)
    axes = (
        (window.num_positions, groups, -1, filters // groups) if filters_last else (window.num_positions, filters, -1)
    )
    outputs = ops.reshape(outputs, axes)
    if data_format == "channels_last":
        outputs = ops.transpose(outputs, (2, 0, 1, 3) if filters_last else (2, 0, 1))
        return ops.reshape(outputs, (-1, *window.output_spatial, filters))
    outputs = ops.transpose(outputs, (2, 1, 3, 0) if filters_last else (2, 1, 0))
    return ops.reshape(outputs, (-1, filters, *window.output_spatial))


def _batch_last(inputs, window: Window, groups: int, per_group: int, data_format: str):
    """The inputs as `(groups * num_inputs, per_group * batch)`, with a last row of zeros if a tap falls on padding."""
    if groups == 1 and data_format == "channels_last":
        elements = ops.transpose(ops.reshape(inputs, (-1, window.num_inputs * per_group)))
    elif data_format == "channels_last":
        elements = ops.reshape(inputs, (-1, window.num_inputs, groups, per_group))
        elements = ops.transpose(elements, (2, 1, 3, 0))
    else:
        elements = ops.reshape(inputs, (-1, groups, per_group, window.num_inputs))
        elements = ops.transpose(elements, (1, 3, 2, 0))
    elements = ops.reshape(elements, (groups * window.num_inputs, -1))
    if window.live_taps is None:
        return elements
    return ops.pad(elements, ((0, 1), (0, 0)))


def _element_indices(window: Window, groups: int) -> np.ndarray:
    """int32 `(num_positions * groups, num_taps)`: the rows of `_batch_last` that each tap reads."""
    taps = window.tap_indices[:, None, :]
    indices = taps + (np.arange(groups, dtype=np.int32) * window.num_inputs)[:, None]
    indices = np.where(taps < 0, groups * window.num_inputs, indices)
    return indices.reshape(-1, window.num_taps).astype(np.int32)
