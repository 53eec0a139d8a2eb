"""Implementation 2: the kernel scattered into one dense, mostly zero matrix. One large matmul, much memory."""

import numpy as np
from keras import ops

from lctrain.geometry import Window
from lctrain.ops.layout import from_positions_last, to_channels_last


def locally_connected(inputs, kernel, window: Window, data_format: str):
    """One matmul with a dense matrix; see `lctrain.ops` for the shapes. As tf.keras' implementation 2."""
    inputs = to_channels_last(inputs, data_format)
    num_positions, patch_size, filters = kernel.shape
    in_channels = patch_size // window.num_taps
    rows = input_rows(window, in_channels)
    blocks = rows * num_positions + np.arange(num_positions)[:, None]  # (num_positions, patch_size)
    num_rows = window.num_inputs * in_channels
    matrix = ops.scatter(blocks.reshape(-1, 1), ops.reshape(kernel, (-1, filters)), (num_rows * num_positions, filters))
    matrix = ops.reshape(matrix, (num_rows, num_positions * filters))
    outputs = ops.matmul(ops.reshape(inputs, (-1, num_rows)), matrix)
    return from_positions_last(ops.reshape(outputs, (-1, num_positions, filters)), window, data_format)


def input_rows(window: Window, in_channels: int) -> np.ndarray:
    """The row of the matrix that each kernel row multiplies, `(num_positions, num_taps * in_channels)`."""
    rows = window.tap_indices[:, :, None].astype(np.int64) * in_channels + np.arange(in_channels)
    return rows.reshape(window.num_positions, -1)
