"""Implementation 3: the matrix of implementation 2, stored sparse. TensorFlow only, and not XLA-compilable."""

import numpy as np
from keras import ops

from lctrain.geometry import Window
from lctrain.ops.layout import accumulable, from_positions_last, live_kernel_rows, matrix_rows, to_channels_last


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One matmul with a sparse matrix; see `lctrain.ops` for the shapes. As tf.keras' implementation 3."""
    import tensorflow as tf  # here, so that the other implementations need no TensorFlow

    dtype = kernel.dtype
    inputs, kernel = accumulable(to_channels_last(inputs, data_format)), accumulable(kernel)
    num_positions, filters, in_channels = window.num_positions, kernel.shape[-1], inputs.shape[-1]
    num_rows = window.num_inputs * in_channels
    rows = matrix_rows(window, groups, in_channels)
    rows = np.repeat(rows, filters // groups, axis=-1)  # (num_positions, rows of a position, filters)
    columns = np.arange(num_positions * filters).reshape(num_positions, 1, filters)
    cells = np.stack(np.broadcast_arrays(columns, rows), axis=-1).reshape(-1, filters, 2)
    kernel, cells = live_kernel_rows(ops.reshape(kernel, (cells.shape[0], filters)), cells, window)
    matrix = tf.SparseTensor(cells.reshape(-1, 2), tf.reshape(kernel, (-1,)), (num_positions * filters, num_rows))
    outputs = tf.sparse.sparse_dense_matmul(matrix, tf.reshape(inputs, (-1, num_rows)), adjoint_b=True)
    outputs = ops.reshape(ops.cast(ops.transpose(outputs), dtype), (-1, num_positions, filters))
    return from_positions_last(outputs, window, data_format)
