"""Implementation 1: one small matmul per output position. Many small operations."""

from functools import partial

from keras import ops

from lctrain.geometry import Window
from lctrain.ops.batch_last import is_on_plain_tensorflow, locally_connected_by, moves_filters


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One matmul per position, as tf.keras' implementation 1; see `lctrain.ops` for the shapes."""
    filters_last = moves_filters(kernel)
    multiply = partial(_multiply, filters_last=filters_last)
    return locally_connected_by(multiply, inputs, kernel, window, groups, data_format, filters_last)


def _multiply(elements, kernel, indices, filters_last: bool):
    if is_on_plain_tensorflow():
        from lctrain.ops import own_gradient  # here, so that other backends need no TensorFlow

        return own_gradient.multiply_unrolled(elements, kernel, indices, filters_last)
    outputs = []
    kernels = ops.unstack(ops.convert_to_tensor(kernel), axis=0)  # which takes no Variable under JAX and PyTorch
    for indices_here, kernel_here in zip(indices, kernels, strict=True):
        patch = ops.take(elements, indices_here, axis=0)  # (taps, channels * batch)
        patch = ops.reshape(patch, (kernel_here.shape[0], -1))
        pair = (ops.transpose(patch), kernel_here) if filters_last else (ops.transpose(kernel_here), patch)
        outputs.append(ops.matmul(*pair))
    return ops.stack(outputs, axis=0)
