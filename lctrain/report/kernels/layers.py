"""The locally connected layers of a Keras model, and their kernels as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lctrain.geometry import Window


@dataclass(frozen=True)
class LayerKernels:
    """The kernels of one layer.

    Args:
        name: of the layer.
        kind: its class.
        kernel: `(positions, taps * in_channels, filters)`, positions row-major, taps first, then channels.
        window: where they lie.
        in_channels: that each filter sees; where there are groups, those of its own group.
        groups: of channels and filters.
    """

    name: str
    kind: str
    kernel: np.ndarray
    window: Window
    in_channels: int
    groups: int = 1

    @property
    def filters(self) -> int:
        return int(self.kernel.shape[-1])

    def channel_number(self, index: int, channel: int) -> int:
        """Of the input, for a channel among those that a filter sees."""
        return index // (self.filters // self.groups) * self.in_channels + channel


def find_kernels(model: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The layers of a Keras model that have a kernel for each position, and the class of every other layer, by name.

    A wrapped layer (in TimeDistributed, say) goes by the name of its wrapper, which is the one that the user gave.
    """
    from lctrain.layers import BaseLocallyConnected, LowRankLocallyConnected2D

    found: dict[str, Any] = {}
    others: dict[str, str] = {}
    for name, layer in _list_layers(model):
        if isinstance(layer, BaseLocallyConnected | LowRankLocallyConnected2D):
            found.setdefault(name, layer)
        else:
            others.setdefault(name, type(layer).__name__)
    return found, {name: kind for name, kind in others.items() if name not in found}


def _list_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Every layer with its name; a wrapped one with that of its wrapper, the one that the user gave."""
    import keras

    for layer in model.layers:
        name, inner = layer.name, layer
        while isinstance(inner, keras.layers.Wrapper):
            inner = inner.layer
        yield name, inner
        if isinstance(inner, keras.Model):
            yield from _list_layers(inner)


def read_kernels(layer: Any, name: str) -> LayerKernels:
    """A built layer's kernels; those of a low-rank layer are what its positions mix of the shared ones."""
    import keras

    groups = getattr(layer, "groups", 1)
    if hasattr(layer, "kernel"):
        window, kernel = layer.window, keras.ops.convert_to_numpy(layer.kernel)
    else:
        window, kernel = _mix_kernels(layer)
    kernel = kernel.astype(np.float32, copy=False)
    return LayerKernels(name, type(layer).__name__, kernel, window, kernel.shape[1] // window.num_taps, groups)


def _mix_kernels(layer: Any) -> tuple[Window, np.ndarray]:
    import keras

    window = layer._window(layer.input_spec.shape)
    basis = keras.ops.convert_to_numpy(layer.basis).reshape(-1, layer.rank, layer.filters)  # (taps * channels, ...)
    weights = keras.ops.convert_to_numpy(layer.combining_weights()).reshape(-1, layer.rank)  # (positions, rank)
    return window, np.einsum("pr,krf->pkf", weights, basis, optimize=True)
