"""Implementation 3: the matrix of implementation 2, stored sparse. TensorFlow only, and not XLA-compilable."""

import numpy as np
from keras import ops

from lctrain.geometry import Window
from lctrain.ops.dense import input_rows
from lctrain.ops.layout import from_positions_last, to_channels_last


def locally_connected(inputs, kernel, window: Window, data_format: str):
    """One matmul with a sparse matrix; see `lctrain.ops` for the shapes. As tf.keras' implementation 3."""
    import tensorflow as tf  # here, so that the other implementations need no TensorFlow

    inputs = to_channels_last(inputs, data_format)
    num_positions, patch_size, filters = kernel.shape
    in_channels = patch_size // window.num_taps
    num_rows = window.num_inputs * in_channels
    rows = np.repeat(input_rows(window, in_channels)[:, None, :], filters, axis=1)  # (positions, filters, patch_size)
    columns = np.arange(num_positions * filters).reshape(num_positions, filters, 1)
    indices = np.stack(np.broadcast_arrays(columns, rows), axis=-1).reshape(-1, 2)
    matrix = tf.SparseTensor(  # sorted by row, as TensorFlow's kernel likes it
        indices, tf.reshape(tf.transpose(kernel, (0, 2, 1)), (-1,)), (num_positions * filters, num_rows)
    )
    outputs = tf.sparse.sparse_dense_matmul(matrix, tf.reshape(inputs, (-1, num_rows)), adjoint_b=True)
    outputs = ops.reshape(ops.transpose(outputs), (-1, num_positions, filters))
    return from_positions_last(outputs, window, data_format)
