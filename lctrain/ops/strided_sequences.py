"""The gradient by the inputs of strided windows over sequences, as a product of its own instead of a sum of patches.

With `s` the stride, inputs `j*s .. j*s + s - 1` are read by positions `j`, `j - 1`, ... alone, `ceil(taps / s)` many.
So their gradient is one matmul of a regrouped kernel, `(s * channels, positions * filters)`, with the gradients of
those positions, where adding up patches would write each of `taps` rows and read it again.
"""

import numpy as np

from lctrain.geometry import Window

MOST_GATHERED = 1.25  # numbers gathered for each of a patch, up to which this is faster; measured on 2 CPU cores


def suits(window: Window, groups: int, in_channels: int, filters: int) -> bool:
    """Whether the gradient is made so: a sequence without padding or dilation, whose windows move by more than one."""
    is_plain = window.rank == 1 and groups == 1 and window.dilation_rate == (1,) and window.margins == ((0, 0),)
    return (
        is_plain
        and window.strides != (1,)
        and _num_readers(window) * filters <= MOST_GATHERED * window.num_taps * in_channels
    )


def multiply_inputs_gradient(kernel, upstream, window: Window):
    """`(num_inputs, in_channels * batch)` from the kernel and the outputs' gradient, `(positions, filters, batch)`."""
    import tensorflow as tf  # here, so that asking whether it suits needs no TensorFlow

    positions, rows, filters = kernel.shape
    channels, stride, readers = rows // window.num_taps, window.strides[0], _num_readers(window)
    num_blocks = -(-window.num_inputs // stride)
    kernel_rows, upstream_rows = _rows(window, channels, num_blocks)
    kernel = tf.pad(tf.reshape(kernel, (positions * rows, filters)), ((0, 1), (0, 0)))
    kernel = tf.reshape(tf.gather(kernel, kernel_rows), (num_blocks, stride * channels, readers * filters))
    upstream = tf.gather(tf.reshape(upstream, (positions, -1)), upstream_rows)  # (blocks, readers, filters * batch)
    gradient = tf.matmul(kernel, tf.reshape(upstream, (num_blocks, readers * filters, -1)))
    gradient = tf.reshape(gradient, (num_blocks * stride, channels * tf.shape(gradient)[-1]))
    return gradient[: window.num_inputs]


def _num_readers(window: Window) -> int:
    """Positions that read one block of inputs."""
    return -(-window.num_taps // window.strides[0])


def _rows(window: Window, channels: int, num_blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of the flattened kernel, and of the upstream, each block takes; the kernel's last row is zeros.

    Returns:
        int32 `(num_blocks, stride * channels, readers)` and `(num_blocks, readers)`.
    """
    taps, stride = window.num_taps, window.strides[0]
    block, offset, channel, reader = np.ogrid[:num_blocks, :stride, :channels, : _num_readers(window)]
    position, tap = block - reader, offset + stride * reader
    is_live = (position >= 0) & (position < window.num_positions) & (tap < taps)
    row = (position * taps + tap) * channels + channel
    kernel_rows = np.where(is_live, row, window.num_positions * taps * channels)
    upstream_rows = np.clip(position[:, 0, 0], 0, window.num_positions - 1)  # dead ones meet zeros of the kernel
    kernel_rows = kernel_rows.reshape(num_blocks, stride * channels, -1)
    return kernel_rows.astype(np.int32), upstream_rows.astype(np.int32)
