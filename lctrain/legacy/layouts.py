"""How each version stored a layer's arrays, and how they become today's.

Source: legacy_layouts of the project, and Keras 2's own conversion of the files of Keras 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lctrain.legacy import keras1
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.keras1_layouts import find_keras1_layout
from lctrain.legacy.layout import Arrays, Layout
from lctrain.legacy.local_kernels import find_local_layout
from lctrain.legacy.old_weights import find_old_weights
from lctrain.legacy.report import Report
from lctrain.legacy.source import Source
from lctrain.legacy.theano import RECURRENT, TURNED, is_turned, turn, unwiden, widen
from lctrain.model.shapes import Shape, Weight

# A size that any array may have.
ANY_SIZE: Any = None
# The class and configuration of a layer in the words of Keras 2.
Original = tuple[str, Mapping[str, Any]]


def find_layout(
    spec: Mapping[str, Any],
    shapes: Sequence[Shape],
    original: Original,
    source: Source,
    collector: IssueCollector,
) -> Layout:
    """The stored layout of a layer.

    Args:
        spec: today's, complete.
        shapes: of its inputs.
        original: what it was.
        source: who wrote it.
        collector: of the layer.
    """
    kind = spec["type"]
    weights = find_old_weights(unwiden(spec, original[1]), shapes)
    if kind == "Bidirectional":
        return _in_both_directions(spec, shapes, original, source, collector)
    if kind == "TimeDistributed":
        batch, _, *frame = shapes[0]
        return find_layout(spec["layer"], [(batch, *frame)], _inner(original, source), source, collector)
    if kind.startswith("LocallyConnected"):
        return find_local_layout(spec, shapes[0], original[1], weights)
    if kind == "Normalization" and spec["mean"] is None:
        return _normalization(spec, shapes[0], weights)
    if kind == "Discretization" and spec["bin_boundaries"] is None:
        return _discretization(spec)
    if kind == "SpectralNormalization":
        inner = find_layout(spec["layer"], shapes, _inner(original, source), source, collector)
        return _with_vector(inner, weights[1])
    layout = None
    if source.keras_major == 1:
        layout = find_keras1_layout(kind, original[1], weights, source, collector)
    layout = layout or Layout(weights, lambda arrays: arrays, {})
    if kind in TURNED and is_turned(weights, source.backend, collector):
        layout = turn(kind, layout)
    return widen(layout, spec["kernel_size"]) if kind == RECURRENT else layout


def _inner(original: Original, source: Source) -> Original:
    """The layer that a wrapper holds, in the words of Keras 2."""
    layer = original[1].get("layer") or {}
    class_name, config = layer.get("class_name", ""), layer.get("config") or {}
    if source.keras_major == 2:
        return class_name, config
    return keras1.upgrade(class_name, config, source.dim_orderings, IssueCollector("", Report(), []))


def _in_both_directions(
    spec: Mapping[str, Any],
    shapes: Sequence[Shape],
    original: Original,
    source: Source,
    collector: IssueCollector,
) -> Layout:
    backward = spec["backward_layer"] or spec["layer"]
    first = find_layout(spec["layer"], shapes, _inner(original, source), source, collector)
    second = find_layout(backward, shapes, _inner(original, source), source, collector)
    number = len(first.stored)
    others = {**first.others, **{at + number: shape for at, shape in second.others.items()}}

    def convert(arrays: Arrays) -> Arrays:
        return [*first.convert(arrays[:number]), *second.convert(arrays[number:])]

    return Layout([*first.stored, *second.stored], convert, others)


def _with_vector(inner: Layout, vector: Weight) -> Layout:
    """What a layer stores, and SpectralNormalization's vector behind it, which today stands behind the kernel."""

    def convert(arrays: Arrays) -> Arrays:
        kernel, *others = inner.convert(arrays[:-1])
        return [kernel, arrays[-1], *others]

    return Layout([*inner.stored, vector], convert, inner.others)


def _normalization(spec: Mapping[str, Any], shape: Shape, weights: list[Weight]) -> Layout:
    """The mean and variance that it has seen become its arguments."""
    axis = spec["axis"]
    axes = [] if axis is None else [axis] if isinstance(axis, int) else list(axis)
    kept = sorted(one % len(shape) for one in axes)
    spread: Any = tuple(size if i in kept else 1 for i, size in enumerate(shape))[min(kept, default=0) :]

    def arguments(arrays: Arrays) -> dict[str, Any]:
        values = (array.astype(float).reshape(spread if kept else ()).tolist() for array in arrays[:2])
        return dict(zip(("mean", "variance"), values, strict=True))

    return Layout(weights, lambda _: [], {}, arguments)


def _discretization(spec: Mapping[str, Any]) -> Layout:
    """The summary of what it has seen, (2, any number) of values and their weights, becomes boundaries."""
    epsilon = 1 / spec["num_bins"]

    def arguments(arrays: Arrays) -> dict[str, Any]:
        values, weights = arrays[0].astype(float)
        if len(values) * epsilon >= 1:
            shares = np.cumsum(weights) / np.sum(weights)
            values = np.interp(epsilon + np.arange(0.0, 1.0, epsilon), shares, values)
        return {"bin_boundaries": np.asarray(values, "float32")[:-1].astype(float).tolist(), "num_bins": None}

    return Layout([Weight("summary", (2, ANY_SIZE), False)], lambda _: [], {}, arguments)
