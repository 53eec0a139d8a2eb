"""Implementation 2: the kernel scattered into one dense, mostly zero matrix. One large matmul, much memory."""

import numpy as np
from keras import ops

from lctrain.geometry import Window
from lctrain.ops.layout import from_positions_last, live_kernel_rows, matrix_rows, to_channels_last


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One matmul with a dense matrix; see `lctrain.ops` for the shapes. As tf.keras' implementation 2."""
    inputs = to_channels_last(inputs, data_format)
    num_positions, filters, in_channels = window.num_positions, kernel.shape[-1], inputs.shape[-1]
    num_rows = window.num_inputs * in_channels
    blocks = _blocks(window, groups, in_channels)
    kernel, blocks = live_kernel_rows(ops.reshape(kernel, (blocks.shape[0], groups, -1)), blocks, window)
    matrix = ops.scatter(
        blocks.reshape(-1, 1),
        ops.reshape(kernel, (blocks.size, filters // groups)),
        (num_rows * num_positions * groups, filters // groups),
    )
    matrix = ops.reshape(matrix, (num_rows, num_positions * filters))
    outputs = ops.matmul(ops.reshape(inputs, (-1, num_rows)), matrix)
    return from_positions_last(ops.reshape(outputs, (-1, num_positions, filters)), window, data_format)


def _blocks(window: Window, groups: int, in_channels: int) -> np.ndarray:
    """Where each row of the kernel goes: `(num_positions * num_taps * in_channels // groups, groups)`.

    The matrix, `(num_inputs * in_channels, num_positions, groups, filters // groups)`, is written in blocks of its last
    axis; these are their numbers.
    """
    rows = matrix_rows(window, groups, in_channels)  # (num_positions, rows of a position, groups)
    positions = np.arange(window.num_positions)[:, None, None]
    blocks = (rows * window.num_positions + positions) * groups + np.arange(groups)
    return blocks.reshape(-1, groups)
