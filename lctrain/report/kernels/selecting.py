"""Which of a layer's kernels are looked at, as arrays and as numbers in JSON."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lctrain.report.kernels.layers import LayerKernels
from lctrain.report.kernels.measuring import KernelNumbers

COLOURS = 3  # as many input channels are taken for red, green and blue
DIGITS = 6


@dataclass(frozen=True)
class Selection:
    """What of a layer is drawn.

    Args:
        filter: its number.
        channel: the number of an input channel among those that the filter sees; None is the first, or all three
            as colours.
        slice: along the output's depth, for layers of rank 3; None is the middle.
    """

    filter: int = 0
    channel: int | None = None
    slice: int | None = None

    def channels(self, layer: LayerKernels) -> list[int]:
        """One channel, or three to be shown as colours."""
        if self.channel is not None:
            return [self.channel]
        return [*range(COLOURS)] if layer.in_channels == COLOURS and layer.groups == 1 else [0]

    def depth(self, layer: LayerKernels) -> int:
        return layer.window.output_spatial[0] // 2 if self.slice is None else self.slice


def select_kernels(layer: LayerKernels, selection: Selection) -> np.ndarray:
    """`(*output_spatial, *kernel_size, channels)`: one filter's kernels on one channel or on three; NaN is padding."""
    window = layer.window
    taps = layer.kernel[:, :, selection.filter].reshape(window.num_positions, window.num_taps, layer.in_channels)
    taps = taps[:, :, selection.channels(layer)].astype(np.float32)
    if window.live_taps is not None:
        taps = np.where(window.live_taps[..., None], taps, np.float32(np.nan))
    return taps.reshape(*window.output_spatial, *window.kernel_size, -1)


def describe_numbers(layer: LayerKernels, numbers: KernelNumbers, selection: Selection) -> dict[str, Any]:
    """What the picture shows, and the whole of what it may have thinned, for JSON: nested lists, null for undefined."""
    kernels = select_kernels(layer, selection)
    return {
        "layer": layer.name,
        "type": layer.kind,
        "input_spatial": list(layer.window.input_spatial),
        "output_spatial": list(layer.window.output_spatial),
        "kernel_size": list(layer.window.kernel_size),
        "in_channels": layer.in_channels,
        "groups": layer.groups,
        "filters": layer.filters,
        "norm": _as_lists(numbers.norm),
        "variation": {
            "one_minus_cosine_similarity": _as_lists(numbers.direction),
            "relative_l2": _as_lists(numbers.distance),
        },
        "filter": selection.filter,
        "channels": [layer.channel_number(selection.filter, one) for one in selection.channels(layer)],
        "kernels": _as_lists(kernels),  # (*output_spatial, *kernel_size, channels)
    }


def _as_lists(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, list):
        return [_as_lists(value) for value in values]
    return float(f"{values:.{DIGITS}g}") if math.isfinite(values) else None
