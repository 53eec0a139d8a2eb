"""Implementation "batched": every patch gathered at once, then one batched matmul over positions.

The batch is the last axis throughout, so that the gather yields `(num_positions, num_taps, in_channels, batch)`, which
is the matmul's right side as it stands. The number of graph operations does not depend on any size.
"""

from keras import ops

from lctrain.geometry import Window


def locally_connected(inputs, kernel, window: Window, data_format: str):
    """One gather and one batched matmul; see `lctrain.ops` for the shapes."""
    num_positions, patch_size, filters = kernel.shape
    in_channels = patch_size // window.num_taps
    if data_format == "channels_last":
        flat = ops.reshape(inputs, (-1, window.num_inputs, in_channels))
        by_position = ops.transpose(flat, (1, 2, 0))
    else:
        flat = ops.reshape(inputs, (-1, in_channels, window.num_inputs))
        by_position = ops.transpose(flat, (2, 1, 0))
    patches = ops.take(by_position, window.tap_indices, axis=0)  # (positions, taps, in_channels, batch)
    patches = ops.reshape(patches, (num_positions, patch_size, -1))
    outputs = ops.matmul(ops.transpose(kernel, (0, 2, 1)), patches)  # (positions, filters, batch)
    if data_format == "channels_last":
        return ops.reshape(ops.transpose(outputs, (2, 0, 1)), (-1, *window.output_spatial, filters))
    return ops.reshape(ops.transpose(outputs, (2, 1, 0)), (-1, filters, *window.output_spatial))
