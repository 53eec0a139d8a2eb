"""How each version stored a layer's arrays, and how they become today's.

Source: legacy_layouts of the project, and Keras 2's own conversion of the files of Keras 1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lctrain.geometry import Window
from lctrain.legacy import keras1
from lctrain.legacy.expected import Weight, expected_weights, sizes_of
from lctrain.legacy.report import Report
from lctrain.legacy.source import Source
from lctrain.legacy.telling import Teller
from lctrain.shapes.facts import Shape, is_channels_first, split_channels
from lctrain.shapes.windows import make_window

Arrays = list[np.ndarray]
TURNED_BY_THEANO = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D")
NOT_IN_THEANO = ("SeparableConv1D", "SeparableConv2D", "DepthwiseConv2D", "Conv3DTranspose")
POOLS = tuple(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3))
LSTM_GATES = (0, 2, 1, 3)  # Keras 1 stored the gates i, c, f, o; today's order is i, f, c, o
CORRELATES = ("tensorflow", "cntk", "jax", "torch")


@dataclass(frozen=True)
class Layout:
    """What a file must hold of a layer.

    Args:
        stored: its arrays in their order; where one has several possible shapes, they are in `others`.
        convert: makes today's arrays of them.
        others: by the place in `stored`, further shapes that versions of then had.
        arguments: makes arguments of the stored arrays, for a layer that today has them as such.
    """

    stored: list[Weight]
    convert: Callable[[Arrays], Arrays]
    others: Mapping[int, tuple[int, ...]]
    arguments: Callable[[Arrays], dict[str, Any]] | None = None


def find_layout(
    spec: Mapping[str, Any],
    shapes: Sequence[Shape],
    original: tuple[str, Mapping[str, Any]],
    source: Source,
    teller: Teller,
) -> Layout:
    """The stored layout of a layer.

    Args:
        spec: today's, complete.
        shapes: of its inputs.
        original: its class and configuration in the words of Keras 2.
        source: who wrote it.
        teller: hears what can't be known of it.
    """
    kind = spec["type"]
    weights = expected_weights(kind, spec, shapes)
    _check_theano(kind, spec, source, teller)
    if kind == "Bidirectional":
        return _in_both_directions(spec, shapes, original, source, teller)
    if kind == "TimeDistributed":
        batch, _, *frame = shapes[0]
        return find_layout(spec["layer"], [(batch, *frame)], _inner(original, source), source, teller)
    if kind.startswith("LocallyConnected"):
        return _local(spec, shapes[0], original[1], weights)
    if kind == "Normalization" and spec["mean"] is None:
        return _normalization(spec, shapes[0])
    if kind == "Discretization" and spec["bin_boundaries"] is None:
        return _discretization(spec)
    if kind == "SpectralNormalization":
        inner = find_layout(spec["layer"], shapes, _inner(original, source), source, teller)
        vector = Weight("vector_u", (1, inner.stored[0].shape[-1]), False)
        return Layout([*inner.stored, vector], lambda arrays: [arrays[-1], *inner.convert(arrays[:-1])], inner.others)
    turn = kind in TURNED_BY_THEANO and _is_turned(original[1], weights, source, teller)
    layout = None
    if source.keras_major == 1:
        layout = _of_keras_1(kind, original[1], weights, source, teller)
    layout = layout or Layout(weights, lambda arrays: arrays, {})
    return _turned(kind, layout) if turn else layout


def _inner(original: tuple[str, Mapping[str, Any]], source: Source) -> tuple[str, Mapping[str, Any]]:
    """The layer that a wrapper holds, in the words of Keras 2."""
    layer = original[1].get("layer") or {}
    class_name, config = layer.get("class_name", ""), layer.get("config") or {}
    if source.keras_major == 2:
        return class_name, config
    return keras1.upgrade(class_name, config, source.dim_orderings, Teller("", Report(), []))


def _in_both_directions(spec, shapes, original, source, teller) -> Layout:
    backward = spec["backward_layer"] or spec["layer"]
    first = find_layout(spec["layer"], shapes, _inner(original, source), source, teller)
    second = find_layout(backward, shapes, _inner(original, source), source, teller)
    number = len(first.stored)
    others = {**first.others, **{at + number: shape for at, shape in second.others.items()}}

    def convert(arrays: Arrays) -> Arrays:
        return [*first.convert(arrays[:number]), *second.convert(arrays[number:])]

    return Layout([*first.stored, *second.stored], convert, others)


def _local(spec: Mapping[str, Any], shape: Shape, config: Mapping[str, Any], weights: list[Weight]) -> Layout:
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


def _normalization(spec: Mapping[str, Any], shape: Shape) -> Layout:
    """The mean and variance that it has seen become its arguments."""
    axis = spec["axis"]
    axes = [] if axis is None else [axis] if isinstance(axis, int) else list(axis)
    kept = sorted(one % len(shape) for one in axes)
    stored_shape = tuple(shape[one] for one in kept)
    stored = [Weight(name, stored_shape, False) for name in ("mean", "variance")]
    spread = tuple(size if i in kept else 1 for i, size in enumerate(shape))[min(kept, default=0) :]

    def arguments(arrays: Arrays) -> dict[str, Any]:
        values = (array.astype(float).reshape(spread if kept else ()).tolist() for array in arrays[:2])
        return dict(zip(("mean", "variance"), values, strict=True))

    return Layout([*stored, Weight("count", (), False)], lambda _: [], {}, arguments)


def _discretization(spec: Mapping[str, Any]) -> Layout:
    """The summary of what it has seen, (2, any number) of values and their weights, becomes boundaries."""
    epsilon = 1 / spec["num_bins"]

    def arguments(arrays: Arrays) -> dict[str, Any]:
        values, weights = arrays[0].astype(float)
        if len(values) * epsilon >= 1:
            shares = np.cumsum(weights) / np.sum(weights)
            values = np.interp(epsilon + np.arange(0.0, 1.0, epsilon), shares, values)
        return {"bin_boundaries": np.float32(values)[:-1].astype(float).tolist(), "num_bins": None}

    return Layout([Weight("summary", (2, None), False)], lambda _: [], {}, arguments)


def _check_theano(kind: str, spec: Mapping[str, Any], source: Source, teller: Teller) -> None:
    """Theano padded "same" otherwise than TensorFlow where the window is even or makes steps, and pools too."""
    if source.backend != "theano":
        return
    if kind in NOT_IN_THEANO:
        teller.unsupported("backend", "theano", f"must be tensorflow for {kind}")
    window = spec.get("kernel_size", spec.get("pool_size"))
    if spec.get("padding") != "same" or window is None:
        return
    rank = int(next(letter for letter in kind if letter.isdecimal()))
    strides = spec.get("strides") or window
    is_plain = all(size % 2 == 1 for size in sizes_of(window, rank)) and set(sizes_of(strides, rank)) == {1}
    if kind in POOLS or not is_plain:
        told = "must be valid under Theano, whose same pads otherwise for even windows, strides and pooling"
        teller.unsupported("padding", "same", told)


def _is_turned(config: Mapping[str, Any], weights: Sequence[Weight], source: Source, teller: Teller) -> bool:
    """Whether the kernel was written to be turned by 180 degrees, as Theano's convolution does."""
    spatial = weights[0].shape[:-2]
    if all(size == 1 for size in spatial) or source.backend in CORRELATES:
        return False
    if source.backend == "theano":
        return True
    if source.backend is not None:
        teller.unsupported("backend", source.backend, f"must be one of theano, {', '.join(CORRELATES)}")
    elif is_channels_first(config):
        told = (
            "must be told, as Theano turns kernels of channels_first (th) models by 180 degrees and TensorFlow does not"
        )
        teller.unsupported(
            "backend", None, f"{told}: --backend theano or --backend tensorflow, load_model(backend=...)"
        )
    else:
        note = "tensorflow is taken; under Theano kernels were turned: --backend theano"
        teller.approximated("backend", None, note)
    return False


def _turned(kind: str, layout: Layout) -> Layout:
    kernels = 2 if kind.startswith("ConvLSTM") else 1

    def convert(arrays: Arrays) -> Arrays:
        made = layout.convert(arrays)
        turned = [np.flip(kernel, tuple(range(kernel.ndim - 2))) for kernel in made[:kernels]]
        return [*turned, *made[kernels:]]

    return Layout(layout.stored, convert, layout.others)


def _of_keras_1(
    kind: str, config: Mapping[str, Any], weights: list[Weight], source: Source, teller: Teller
) -> Layout | None:
    """What Keras 1 stored otherwise; None where it did not."""
    if kind == "BatchNormalization":
        return _with_deviation(config, weights, source, teller)
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


def _with_deviation(config: Mapping[str, Any], weights: list[Weight], source: Source, teller: Teller) -> Layout | None:
    """Up to Keras 1.0.5 `running_std` was what its name says, and epsilon was added to it; later it is a variance."""
    if source.keras_version is None:
        told = "must be told for BatchNormalization, which stored a deviation up to 1.0.5 and a variance from 1.0.6"
        teller.unsupported("keras_version", None, f"{told}: --keras-version 1.0.8, load_model(keras_version=...)")
    if source.keras_version is None or source.version >= (1, 0, 6):
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

    return Layout([Weight("kernel", newer), *weights[1:]], convert, {0: older})


def _with_kernel(weights: list[Weight], shape: tuple[int, ...], change: Callable) -> Layout:
    return Layout([Weight("kernel", shape), *weights[1:]], lambda arrays: [change(arrays[0]), *arrays[1:]], {})


def _to_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    *spatial, channels, filters = shape
    return filters, channels, *spatial


def _from_channels_first(kernel: np.ndarray) -> np.ndarray:
    """(filters, channels, *spatial) to (*spatial, channels, filters)."""
    return np.moveaxis(kernel, (0, 1), (-1, -2))


def _of_gates(weights: list[Weight], order: Sequence[int], change: Callable, is_first: bool = False) -> Layout:
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
