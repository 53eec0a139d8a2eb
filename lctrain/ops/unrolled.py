"""Implementation 1: one small matmul per output position. Many small operations, little memory."""

import numpy as np
from keras import ops

from lctrain.geometry import Window
from lctrain.ops.layout import accumulable, from_positions_last, to_channels_last


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One matmul per output position; see `lctrain.ops` for the shapes. As tf.keras' implementation 1."""
    inputs = to_channels_last(inputs, data_format)
    dtype, filters = kernel.dtype, kernel.shape[-1]
    inputs = accumulable(_pad(inputs, window))  # the gradients of overlapping slices add up in its precision
    outputs = []
    for position, kernel_here in zip(np.ndindex(window.output_spatial), ops.unstack(kernel, axis=0), strict=True):
        patch = ops.cast(inputs[(slice(None), *_slices(window, position))], dtype)  # (batch, *kernel_size, in_channels)
        if groups == 1:
            outputs.append(ops.matmul(ops.reshape(patch, (-1, kernel_here.shape[0])), kernel_here))
        else:
            outputs.append(_grouped_matmul(patch, kernel_here, groups, filters))
    return from_positions_last(ops.stack(outputs, axis=1), window, data_format)


def _grouped_matmul(patch, kernel, groups: int, filters: int):
    """`(batch, filters)`, each group of filters from its group of channels."""
    rows, in_channels = kernel.shape[0], patch.shape[-1]
    patch = ops.reshape(patch, (-1, rows * groups // in_channels, groups, in_channels // groups))
    patch = ops.reshape(ops.transpose(patch, (2, 0, 1, 3)), (groups, -1, rows))
    kernel = ops.transpose(ops.reshape(kernel, (rows, groups, filters // groups)), (1, 0, 2))
    outputs = ops.matmul(patch, kernel)  # (groups, batch, filters // groups)
    return ops.reshape(ops.transpose(outputs, (1, 0, 2)), (-1, filters))


def _pad(inputs, window: Window):
    """The channels_last inputs with their margins: zeros, or elements taken from inside."""
    if not any(map(sum, window.margins)):
        return inputs
    if window.padding not in ("circular", "reflect"):
        return ops.pad(inputs, ((0, 0), *window.margins, (0, 0)))
    mode = "wrap" if window.padding == "circular" else "reflect"
    for axis, (size, margin) in enumerate(zip(window.input_spatial, window.margins, strict=True), start=1):
        inputs = ops.take(inputs, np.pad(np.arange(size), margin, mode=mode), axis=axis)
    return inputs


def _slices(window: Window, position: tuple[int, ...]) -> tuple[slice, ...]:
    """The padded input's slices, one per spatial axis, that the window covers at `position`."""
    return tuple(
        slice(index * stride, index * stride + extent, dilation)
        for index, stride, extent, dilation in zip(
            position, window.strides, window.extent, window.dilation_rate, strict=True
        )
    )
