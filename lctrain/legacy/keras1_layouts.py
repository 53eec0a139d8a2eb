"""What Keras 1 stored otherwise than Keras 2.

Source: Keras 2's own conversion of the files of Keras 1, and the layers of Keras 1.0 to 1.2.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.layout import Arrays, Layout
from lctrain.legacy.source import Source
from lctrain.model.shapes.facts import is_channels_first
from lctrain.model.shapes.weights import Sizes, Weight

Change = Callable[[np.ndarray], np.ndarray]

# Keras 1 stored the gates i, c, f, o; today's order is i, f, c, o.
LSTM_GATES = (0, 2, 1, 3)


def find_keras1_layout(
    kind: str, config: Mapping[str, Any], weights: list[Weight], source: Source, collector: IssueCollector
) -> Layout | None:
    """What Keras 1 stored otherwise; None where it did not."""
    if kind == "BatchNormalization":
        return _with_deviation(config, weights, source, collector)
    if kind == "SeparableConv2D" and is_channels_first(config):
        stored = [Weight(weight.name, _to_first(weight.shape)) for weight in weights[:2]]
        return Layout([*stored, *weights[2:]], lambda a: [*map(_from_channels_first, a[:2]), *a[2:]], {})
    if kind == "Conv1D":
        size, channels, filters = weights[0].shape
        return _conv1d(size, channels, filters, weights)
    if kind in ("Conv2D", "Conv3D") and is_channels_first(config):
        return _with_kernel(weights, _to_first(weights[0].shape), _from_channels_first)
    if kind == "Conv2DTranspose":
        rows, columns, filters, channels = weights[0].shape
        if is_channels_first(config):
            shape = (filters, channels, rows, columns)
            return _with_kernel(weights, shape, lambda kernel: kernel.transpose(2, 3, 0, 1))
        return _with_kernel(weights, (rows, columns, channels, filters), lambda kernel: kernel.transpose(0, 1, 3, 2))
    if kind in ("LSTM", "GRU") and config.get("consume_less") != "gpu":
        return _of_gates(weights, LSTM_GATES if kind == "LSTM" else (0, 1, 2), lambda kernel: kernel)
    if kind == "ConvLSTM2D":
        is_first = is_channels_first(config)
        return _of_gates(weights, LSTM_GATES, _from_channels_first if is_first else lambda kernel: kernel, is_first)
    return None


def _with_deviation(
    config: Mapping[str, Any], weights: list[Weight], source: Source, collector: IssueCollector
) -> Layout | None:
    """Up to Keras 1.0.5 `running_std` was what it is called, and epsilon was added to it; later it is a variance."""
    if source.version < (1, 1) and len(source.version) < 3:
        message = "must be told in full for BatchNormalization: up to 1.0.5 it stored a deviation, then a variance"
        fix = "--keras-version 1.0.8, load_model(keras_version=...)"
        collector.unsupported("keras_version", source.keras_version, f"{message}: {fix}")
        return None
    if source.version >= (1, 0, 6):
        return None
    epsilon = config.get("epsilon", 1e-6)

    def convert(arrays: Arrays) -> Arrays:
        return [*arrays[:-1], (arrays[-1] + epsilon) ** 2 - epsilon]

    return Layout(weights, convert, {})


def _conv1d(size: int, channels: int, filters: int, weights: list[Weight]) -> Layout:
    """Keras 1.2 stored (size, 1, channels, filters), before it (filters, channels, size, 1)."""
    newer, older = (size, 1, channels, filters), (filters, channels, size, 1)

    def convert(arrays: Arrays) -> Arrays:
        kernel = arrays[0]
        made = kernel[:, 0] if kernel.shape == newer else kernel[..., 0].transpose(2, 1, 0)
        return [made, *arrays[1:]]

    return Layout([Weight("kernel", newer), *weights[1:]], convert, {0: (older,)})


def _with_kernel(weights: list[Weight], shape: Sizes, change: Change) -> Layout:
    return Layout([Weight("kernel", shape), *weights[1:]], lambda arrays: [change(arrays[0]), *arrays[1:]], {})


def _to_first(shape: Sizes) -> Sizes:
    *spatial, channels, filters = shape
    return filters, channels, *spatial


def _from_channels_first(kernel: np.ndarray) -> np.ndarray:
    """(filters, channels, *spatial) to (*spatial, channels, filters)."""
    return np.moveaxis(kernel, (0, 1), (-1, -2))


def _of_gates(weights: list[Weight], order: Sequence[int], change: Change, is_first: bool = False) -> Layout:
    """Each gate's kernel, recurrent kernel and bias by themselves, one gate behind the other."""
    number = len(order)
    shapes = [(*weight.shape[:-1], weight.shape[-1] // number) for weight in weights]
    kernels = [_to_first(shape) if is_first and len(shape) > 2 else shape for shape in shapes]
    stored = [
        Weight(f"gate {gate} {w.name}", s) for gate in range(number) for w, s in zip(weights, kernels, strict=True)
    ]

    def convert(arrays: Arrays) -> Arrays:
        gates = [arrays[start:stop] for start, stop in pairwise(range(0, len(arrays) + 1, len(weights)))]
        return [
            np.concatenate(
                [change(gates[gate][i]) if len(shapes[i]) > 1 else gates[gate][i] for gate in order], axis=-1
            )
            for i in range(len(weights))
        ]

    return Layout(stored, convert, {})
