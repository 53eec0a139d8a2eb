"""Implementation 1: one small matmul per output position. Many small operations, little memory."""

import numpy as np
from keras import ops

from lctrain.geometry import Window
from lctrain.ops.layout import from_positions_last, to_channels_last


def locally_connected(inputs, kernel, window: Window, data_format: str):
    """One matmul per output position; see `lctrain.ops` for the shapes. As tf.keras' implementation 1."""
    inputs = to_channels_last(inputs, data_format)
    patch_size = kernel.shape[1]
    outputs = []
    for position, kernel_here in zip(np.ndindex(window.output_spatial), ops.unstack(kernel, axis=0), strict=True):
        patch = inputs[(slice(None), *window.slices(position))]  # (batch, *kernel_size, in_channels)
        outputs.append(ops.matmul(ops.reshape(patch, (-1, patch_size)), kernel_here))
    return from_positions_last(ops.stack(outputs, axis=1), window, data_format)
