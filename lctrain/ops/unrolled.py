"""Implementation 1: one small matmul per output position. Many small operations."""

from keras import ops

from lctrain.geometry import Window
from lctrain.ops.batch_last import locally_connected_by
from lctrain.ops.layout import on_plain_tensorflow


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One gather and one matmul per position, as tf.keras' implementation 1; see `lctrain.ops` for the shapes."""
    return locally_connected_by(_multiply, inputs, kernel, window, groups, data_format)


def _multiply(elements, kernel, indices):
    if on_plain_tensorflow():
        from lctrain.ops import own_gradient  # here, so that other backends need no TensorFlow

        return own_gradient.multiply_unrolled(elements, kernel, indices)
    outputs = []
    for indices_here, kernel_here in zip(indices, ops.unstack(kernel, axis=0), strict=True):
        patch = ops.take(elements, indices_here, axis=0)  # (taps, channels, batch)
        outputs.append(ops.matmul(ops.transpose(kernel_here), ops.reshape(patch, (kernel_here.shape[0], -1))))
    return ops.stack(outputs, axis=0)
