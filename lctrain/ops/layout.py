"""Moving the channel axis, for the operations that compute on channels_last arrays."""

from keras import ops

from lctrain.geometry import Window


def to_channels_last(inputs, data_format: str):
    """`(batch, *spatial, channels)` from either layout."""
    if data_format == "channels_last":
        return inputs
    return ops.moveaxis(inputs, 1, -1)


def from_positions_last(outputs, window: Window, data_format: str):
    """Output layout from `(batch, num_positions, filters)`."""
    filters = outputs.shape[-1]
    if data_format == "channels_last":
        return ops.reshape(outputs, (-1, *window.output_spatial, filters))
    outputs = ops.transpose(outputs, (0, 2, 1))  # (batch, filters, num_positions)
    return ops.reshape(outputs, (-1, filters, *window.output_spatial))
