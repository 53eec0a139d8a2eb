"""Layers that go through a sequence step by step, and wrappers, whose `layer` is a spec with complete arguments."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from lctrain.model.shapes.facts import (
    Arguments,
    LayerFacts,
    Shape,
    join_channels,
    only_input,
    split_channels,
)
from lctrain.model.shapes.windows import make_window

Infer = Callable[[str, Arguments, Sequence[Shape]], LayerFacts]


def gated(num_gates: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """SimpleRNN (1 gate), GRU (3) and LSTM (4)."""
    batch, steps, features = only_input(shapes, 3)
    return _over_steps(batch, steps, _cell(num_gates, arguments, features), arguments)


def of_cells(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """RNN of one cell, or of stacked ones."""
    batch, steps, features = only_input(shapes, 3)
    cell = arguments["cell"]
    cells = cell["cells"] if cell["type"] == "StackedRNNCells" else [cell]
    facts = LayerFacts((batch, features))
    for spec in cells:
        above = _cell(GATES[spec["type"]], spec, facts.output_shape[-1])
        parameters, products = facts.parameters + above.parameters, facts.multiplications + above.multiplications
        facts = replace(above, parameters=parameters, multiplications=products)
    return _over_steps(batch, steps, facts, arguments)


GATES = {"SimpleRNNCell": 1, "GRUCell": 3, "LSTMCell": 4}


def _cell(num_gates: int, arguments: Arguments, features: int) -> LayerFacts:
    """One step."""
    units = arguments["units"]
    kernels = num_gates * (features + units) * units
    num_biases = 2 if num_gates == 3 and arguments["reset_after"] else 1
    bias = arguments["use_bias"] * num_biases * num_gates * units
    return LayerFacts((None, units), kernels + bias, taps=features + units, multiplications=kernels)


def _over_steps(batch: int | None, steps: int, cell: LayerFacts, arguments: Arguments) -> LayerFacts:
    kept = (steps,) if arguments["return_sequences"] else ()
    output_shape = (batch, *kept, *cell.output_shape[1:])
    return replace(cell, output_shape=output_shape, multiplications=steps * cell.multiplications)


def convolutional_lstm(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    batch, steps, *frame = only_input(shapes, rank + 3)
    spatial, in_channels = split_channels((batch, *frame), arguments)
    window, filters = make_window(arguments, spatial), arguments["filters"]
    kernels = 4 * window.num_taps * (in_channels + filters) * filters
    cell = LayerFacts(
        join_channels(batch, window.output_spatial, filters, arguments),
        parameters=kernels + arguments["use_bias"] * 4 * filters,
        taps=window.num_taps * (in_channels + filters),
        multiplications=window.num_positions * kernels,
    )
    return _over_steps(batch, steps, cell, arguments)


def bidirectional(infer: Infer, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    forward = _inner(infer, arguments["layer"], shapes)
    backward = forward if arguments["backward_layer"] is None else _inner(infer, arguments["backward_layer"], shapes)
    shape = forward.output_shape
    if (
        arguments["merge_mode"] == "concat"
    ):  # along the last axis, whatever the data_format: columns under channels_first
        shape = (*shape[:-1], shape[-1] + backward.output_shape[-1])
    products = forward.multiplications + backward.multiplications
    return replace(
        forward, output_shape=shape, parameters=forward.parameters + backward.parameters, multiplications=products
    )


def time_distributed(infer: Infer, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """The layer on each step by itself, with the same weights."""
    shape = only_input(shapes)
    if len(shape) < 3:
        raise ValueError(f"takes an input of steps, at least 3 axes with the batch; got shape {shape}.")
    batch, steps, *frame = shape
    inner = _inner(infer, arguments["layer"], [(batch, *frame)])
    return replace(
        inner,
        output_shape=(batch, steps, *inner.output_shape[1:]),
        multiplications=steps * inner.multiplications,
        calls=steps * inner.calls,
    )


def spectral_normalization(infer: Infer, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """The layer, and a vector as long as its kernel's last axis."""
    inner = _inner(infer, arguments["layer"], shapes)
    layer = arguments["layer"]
    length = next(layer[name] for name in ("filters", "units", "output_dim") if name in layer)
    return replace(inner, parameters=inner.parameters + length)


def _inner(infer: Infer, spec: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return infer(spec["type"], spec, shapes)
