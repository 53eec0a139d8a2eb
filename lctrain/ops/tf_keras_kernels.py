"""Kernels and biases of locally connected layers as Keras 1, Keras 2 and tf.keras' three implementations stored them.

Arrays and geometry alone: importers use it, and the layers for weights that tf.keras wrote. Source: the project's table
of legacy layouts.
"""

from collections.abc import Sequence

import numpy as np

from lctrain.geometry import Window

Shape = tuple[int, ...]


def same_margins(sizes: Sequence[int], taps: Sequence[int], strides: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The zeros (before, behind) of tf.keras' local "same": half of the window before, `ceil(size / stride)` outputs.

    >>> same_margins((5, 6), (4, 3), (1, 2))
    ((2, 1), (1, 0))
    """
    pairs = []
    for size, window, stride in zip(sizes, taps, strides, strict=True):
        before, outputs = window // 2, -(-size // stride)
        pairs.append((before, max((outputs - 1) * stride + window - size - before, 0)))
    return tuple(pairs)


def kernel_shapes(window: Window, channels: int, filters: int, is_first: bool) -> dict[int, Shape]:
    """The shape of a stored kernel under each implementation of tf.keras; each has another number of axes."""
    matrix = (*window.input_spatial, channels, *window.output_spatial, filters)
    if is_first:
        matrix = (channels, *window.input_spatial, filters, *window.output_spatial)
    live = int((window.tap_indices >= 0).sum())
    return {
        1: (window.num_positions, window.num_taps * channels, filters),
        2: matrix,
        3: (live * channels * filters,),
    }


def read_kernel(stored: np.ndarray, window: Window, channels: int, filters: int, is_first: bool) -> np.ndarray:
    """Today's kernel, `(positions, taps * channels, filters)`, of a stored one of any implementation.

    Args:
        stored: of one of the shapes of `kernel_shapes`; the number of its axes tells which.
        window: of the layer.
        channels: of its input.
        filters: of its output.
        is_first: whether the layer was channels_first.
    """
    read = {1: _read_list, 3: _read_rows}.get(stored.ndim, _read_matrix)
    return read(stored, window, channels, filters, is_first)


def read_bias(stored: np.ndarray, window: Window, filters: int, is_first: bool) -> np.ndarray:
    """Today's bias: channels_first code reshaped the stored one to (filters, positions); it did not move its axes."""
    if not is_first:
        return stored
    return np.ascontiguousarray(np.moveaxis(stored.reshape(filters, *window.output_spatial), 0, -1))


def _read_rows(stored: np.ndarray, window: Window, channels: int, filters: int, is_first: bool) -> np.ndarray:
    """Implementation 1: (positions, rows, filters); under channels_first the rows are channels, then taps."""
    if not is_first:
        return stored
    kernel = stored.reshape(window.num_positions, channels, window.num_taps, filters)
    return np.ascontiguousarray(kernel.transpose(0, 2, 1, 3)).reshape(stored.shape)


def _read_matrix(stored: np.ndarray, window: Window, channels: int, filters: int, is_first: bool) -> np.ndarray:
    """Implementation 2: every input to every output; the taps outside of the input have no weight."""
    if is_first:
        matrix = stored.reshape(channels, window.num_inputs, filters, window.num_positions)
    else:
        matrix = stored.reshape(window.num_inputs, channels, window.num_positions, filters)
    kernel = np.zeros((window.num_positions, window.num_taps, channels, filters), stored.dtype)
    taps = window.tap_indices  # (positions, taps)
    for tap in range(window.num_taps):
        positions = np.flatnonzero(taps[:, tap] >= 0)
        read = taps[positions, tap]
        if is_first:  # the indexed axes come to the front: (positions, channels, filters)
            kernel[positions, tap] = matrix[:, read, :, positions]
        else:
            kernel[positions, tap] = matrix[read, :, positions, :]
    return kernel.reshape(window.num_positions, -1, filters)


def _read_list(stored: np.ndarray, window: Window, channels: int, filters: int, is_first: bool) -> np.ndarray:
    """Implementation 3: the weights alone, in the order of positions, filters, taps, channels, or channels first."""
    live = window.tap_indices >= 0  # (positions, taps)
    if is_first:  # filters, positions, channels, taps
        kernel = np.zeros((filters, window.num_positions, channels, window.num_taps), stored.dtype)
        mask = np.broadcast_to(live[None, :, None, :], kernel.shape)
        order = (1, 3, 2, 0)
    else:
        kernel = np.zeros((window.num_positions, filters, window.num_taps, channels), stored.dtype)
        mask = np.broadcast_to(live[:, None, :, None], kernel.shape)
        order = (0, 2, 3, 1)
    kernel[mask] = stored
    return np.ascontiguousarray(kernel.transpose(order)).reshape(window.num_positions, -1, filters)
