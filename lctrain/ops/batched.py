"""Implementation "batched": every patch gathered at once, then one batched matmul over positions.

The number of graph operations does not depend on any size.
"""

from functools import partial

from keras import ops

from lctrain.geometry import Window
from lctrain.ops import strided_sequences
from lctrain.ops.batch_last import is_on_plain_tensorflow, locally_connected_by, moves_filters


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One gather and one batched matmul; see `lctrain.ops` for the shapes."""
    in_channels = kernel.shape[1] // window.num_taps * groups
    inputs_gradient = None
    if strided_sequences.suits(window, groups, in_channels, kernel.shape[-1]):
        inputs_gradient = partial(strided_sequences.multiply_inputs_gradient, window=window)
    filters_last = moves_filters(kernel) and inputs_gradient is None  # which takes the batch last
    multiply = partial(_multiply, filters_last=filters_last, inputs_gradient=inputs_gradient)
    return locally_connected_by(multiply, inputs, kernel, window, groups, data_format, filters_last)


def _multiply(elements, kernel, indices, filters_last: bool, inputs_gradient):
    if is_on_plain_tensorflow():
        from lctrain.ops import own_gradient  # here, so that other backends need no TensorFlow

        return own_gradient.multiply_batched(elements, kernel, indices, filters_last, inputs_gradient)
    patches = ops.take(elements, indices, axis=0)  # (n, taps, channels * batch)
    patches = ops.reshape(patches, (*kernel.shape[:2], -1))
    if filters_last:
        return ops.matmul(ops.transpose(patches, (0, 2, 1)), kernel)
    return ops.matmul(ops.transpose(kernel, (0, 2, 1)), patches)
