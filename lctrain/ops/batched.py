"""Implementation "batched": every patch gathered at once, then one batched matmul over positions.

The number of graph operations does not depend on any size.
"""

from keras import ops

from lctrain.geometry import Window
from lctrain.ops.batch_last import locally_connected_by
from lctrain.ops.layout import on_plain_tensorflow


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One gather and one batched matmul; see `lctrain.ops` for the shapes."""
    return locally_connected_by(_multiply, inputs, kernel, window, groups, data_format)


def _multiply(elements, kernel, indices):
    if on_plain_tensorflow():
        from lctrain.ops import own_gradient  # here, so that other backends need no TensorFlow

        return own_gradient.multiply_batched(elements, kernel, indices)
    patches = ops.take(elements, indices, axis=0)  # (n, taps, channels, batch)
    patches = ops.reshape(patches, (*kernel.shape[:2], -1))
    return ops.matmul(ops.transpose(kernel, (0, 2, 1)), patches)
