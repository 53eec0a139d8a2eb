"""Kernels and biases of locally connected layers, as Keras 1, Keras 2 and tf.keras' three implementations stored them.

Source: the project's table of legacy layouts.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lctrain.geometry import Window
from lctrain.legacy.expected import Weight
from lctrain.legacy.layout import Arrays, Layout
from lctrain.shapes.facts import Shape, is_channels_first, split_channels
from lctrain.shapes.windows import make_window


def find_local_layout(
    spec: Mapping[str, Any], shape: Shape, config: Mapping[str, Any], weights: list[Weight]
) -> Layout:
    """Kernels of tf.keras' three implementations; Keras 1 and 2 had the first alone."""
    spatial, channels = split_channels(shape, spec)
    window, filters = make_window(spec, spatial), spec["filters"]
    first = is_channels_first(spec)
    implementation = config.get("implementation", 1)
    unpack = {1: _from_rows, 2: _from_matrix, 3: _from_list}[implementation]
    stored_shape = {1: weights[0].shape, 2: _matrix_shape(window, channels, filters, first)}.get(implementation)
    if implementation == 3:
        live = int((window.tap_indices >= 0).sum())
        stored_shape = (live * channels * filters,)

    def convert(arrays: Arrays) -> Arrays:
        kernel = unpack(arrays[0], window, channels, filters, first)
        return [kernel, *(_from_first(bias, window, filters) if first else bias for bias in arrays[1:])]

    return Layout([Weight("kernel", stored_shape), *weights[1:]], convert, {})


def _from_first(bias: np.ndarray, window: Window, filters: int) -> np.ndarray:
    """channels_first code reshapes the stored bias to (filters, positions); it does not move its axes."""
    return np.ascontiguousarray(np.moveaxis(bias.reshape(filters, *window.output_spatial), 0, -1))


def _from_rows(stored: np.ndarray, window: Window, channels: int, filters: int, first: bool) -> np.ndarray:
    """Implementation 1: (positions, rows, filters); under channels_first the rows are channels, then taps."""
    if not first:
        return stored
    kernel = stored.reshape(window.num_positions, channels, window.num_taps, filters)
    return np.ascontiguousarray(kernel.transpose(0, 2, 1, 3)).reshape(stored.shape)


def _matrix_shape(window: Window, channels: int, filters: int, first: bool) -> tuple[int, ...]:
    if first:
        return channels, *window.input_spatial, filters, *window.output_spatial
    return *window.input_spatial, channels, *window.output_spatial, filters


def _from_matrix(stored: np.ndarray, window: Window, channels: int, filters: int, first: bool) -> np.ndarray:
    """Implementation 2: every input to every output; the taps outside of the input have no weight."""
    if first:
        matrix = stored.reshape(channels, window.num_inputs, filters, window.num_positions)
    else:
        matrix = stored.reshape(window.num_inputs, channels, window.num_positions, filters)
    kernel = np.zeros((window.num_positions, window.num_taps, channels, filters), stored.dtype)
    taps = window.tap_indices  # (positions, taps)
    for tap in range(window.num_taps):
        positions = np.flatnonzero(taps[:, tap] >= 0)
        read = taps[positions, tap]
        if first:  # the indexed axes come to the front: (positions, channels, filters)
            kernel[positions, tap] = matrix[:, read, :, positions]
        else:
            kernel[positions, tap] = matrix[read, :, positions, :]
    return kernel.reshape(window.num_positions, -1, filters)


def _from_list(stored: np.ndarray, window: Window, channels: int, filters: int, first: bool) -> np.ndarray:
    """Implementation 3: the weights alone, in the order of positions, filters, taps, channels, or channels first."""
    live = window.tap_indices >= 0  # (positions, taps)
    if first:  # filters, positions, channels, taps
        kernel = np.zeros((filters, window.num_positions, channels, window.num_taps), stored.dtype)
        mask = np.broadcast_to(live[None, :, None, :], kernel.shape)
        order = (1, 3, 2, 0)
    else:
        kernel = np.zeros((window.num_positions, filters, window.num_taps, channels), stored.dtype)
        mask = np.broadcast_to(live[:, None, :, None], kernel.shape)
        order = (0, 2, 3, 1)
    kernel[mask] = stored
    return np.ascontiguousarray(kernel.transpose(order)).reshape(window.num_positions, -1, filters)
