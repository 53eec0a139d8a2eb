"""Implementation 2: the kernel scattered into one dense, mostly zero matrix. One large matmul, much memory."""

import numpy as np
from keras import ops

from lctrain.geometry import Window


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One matmul with a dense matrix; see `lctrain.ops` for the shapes. As tf.keras' implementation 2."""
    inputs = _to_channels_last(inputs, data_format)
    num_positions, filters, in_channels = window.num_positions, kernel.shape[-1], inputs.shape[-1]
    num_rows = window.num_inputs * in_channels
    blocks = _blocks(window, groups, in_channels)
    kernel, blocks = _live_kernel_rows(ops.reshape(kernel, (blocks.shape[0], groups, -1)), blocks, window)
    matrix = ops.scatter(
        blocks.reshape(-1, 1),
        ops.reshape(kernel, (blocks.size, filters // groups)),
        (num_rows * num_positions * groups, filters // groups),
    )
    matrix = ops.reshape(matrix, (num_rows, num_positions * filters))
    outputs = ops.matmul(ops.reshape(inputs, (-1, num_rows)), matrix)
    return _from_positions_last(ops.reshape(outputs, (-1, num_positions, filters)), window, data_format)


def _blocks(window: Window, groups: int, in_channels: int) -> np.ndarray:
    """Where each row of the kernel goes: `(num_positions * num_taps * in_channels // groups, groups)`.

    The matrix, `(num_inputs * in_channels, num_positions, groups, filters // groups)`, is written in blocks of its last
    axis; these are their numbers.
    """
    rows = _matrix_rows(window, groups, in_channels)  # (num_positions, rows of a position, groups)
    positions = np.arange(window.num_positions)[:, None, None]
    blocks = (rows * window.num_positions + positions) * groups + np.arange(groups)
    return blocks.reshape(-1, groups)


def _to_channels_last(inputs, data_format: str):
    """`(batch, *spatial, channels)` from either layout."""
    if data_format == "channels_last":
        return inputs
    return ops.moveaxis(inputs, 1, -1)


def _from_positions_last(outputs, window: Window, data_format: str):
    """Output layout from `(batch, num_positions, filters)`."""
    filters = outputs.shape[-1]
    if data_format == "channels_last":
        return ops.reshape(outputs, (-1, *window.output_spatial, filters))
    outputs = ops.transpose(outputs, (0, 2, 1))  # (batch, filters, num_positions)
    return ops.reshape(outputs, (-1, filters, *window.output_spatial))


def _matrix_rows(window: Window, groups: int, in_channels: int) -> np.ndarray:
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


def _live_kernel_rows(kernel, places: np.ndarray, window: Window):
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
