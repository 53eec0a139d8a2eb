"""Layers that go through a sequence step by step, and wrappers, whose `layer` is a spec with complete arguments."""

from collections.abc import Sequence
from dataclasses import replace

from lctrain.model.shapes.facts import (
    Arguments,
    Infer,
    LayerFacts,
    Shape,
    example_sizes,
    join_channels,
    only_input,
    split_channels,
)
from lctrain.model.shapes.weights import Weight, with_bias
from lctrain.model.shapes.windows import make_window

GATES = {"SimpleRNNCell": 1, "GRUCell": 3, "LSTMCell": 4}


def gated(num_gates: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """SimpleRNN (1 gate), GRU (3) and LSTM (4)."""
    shape = only_input(shapes, 3)
    return _repeat(shape, _cell(num_gates, arguments, example_sizes(shape)[-1]), arguments)


def of_cells(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """RNN of one cell, or of stacked ones."""
    shape, cell = only_input(shapes, 3), arguments["cell"]
    cells = cell["cells"] if cell["type"] == "StackedRNNCells" else [cell]
    facts = LayerFacts(shape)
    for spec in cells:
        above = _cell(GATES[spec["type"]], spec, example_sizes(facts.output_shape)[-1])
        products = facts.multiplications + above.multiplications
        facts = replace(above, weights=facts.weights + above.weights, multiplications=products)
    return _repeat(shape, facts, arguments)


def _cell(num_gates: int, arguments: Arguments, features: int) -> LayerFacts:
    """One step."""
    units = arguments["units"]
    width = num_gates * units
    kernels = [Weight("kernel", (features, width)), Weight("recurrent_kernel", (units, width))]
    biases = (2,) if num_gates == 3 and arguments["reset_after"] else ()
    weights = with_bias(kernels, arguments, *biases, width)
    products = sum(kernel.size for kernel in kernels)
    return LayerFacts((None, units), weights, taps=features + units, multiplications=products)


def _repeat(shape: Shape, cell: LayerFacts, arguments: Arguments) -> LayerFacts:
    """A cell that goes over all steps of an input."""
    steps = example_sizes(shape)[0]
    kept = (steps,) if arguments["return_sequences"] else ()
    output_shape = (shape[0], *kept, *cell.output_shape[1:])
    return replace(cell, output_shape=output_shape, multiplications=steps * cell.multiplications)


def convolutional_lstm(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 3)
    spatial, in_channels = split_channels(shape[1:], arguments)
    window, filters = make_window(arguments, spatial), arguments["filters"]
    taps, gates = window.kernel_size, 4 * filters
    kernels = [Weight("kernel", (*taps, in_channels, gates)), Weight("recurrent_kernel", (*taps, filters, gates))]
    cell = LayerFacts(
        join_channels(shape[0], window.output_spatial, filters, arguments),
        with_bias(kernels, arguments, gates),
        taps=window.num_taps * (in_channels + filters),
        multiplications=window.num_positions * sum(kernel.size for kernel in kernels),
    )
    return _repeat(shape, cell, arguments)


def bidirectional(infer: Infer, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    forward = _inner(infer, arguments["layer"], shapes)
    backward = forward if arguments["backward_layer"] is None else _inner(infer, arguments["backward_layer"], shapes)
    shape = forward.output_shape
    if arguments["merge_mode"] == "concat":
        # Along the last axis, whatever the data_format: columns under channels_first.
        last = example_sizes(shape)[-1] + example_sizes(backward.output_shape)[-1]
        shape = (*shape[:-1], last)
    weights = tuple(
        replace(weight, name=f"{direction}/{weight.name}")
        for direction, facts in (("forward", forward), ("backward", backward))
        for weight in facts.weights
    )
    products = forward.multiplications + backward.multiplications
    return replace(forward, output_shape=shape, weights=weights, multiplications=products)


def time_distributed(infer: Infer, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """The layer on each step by itself, with the same weights."""
    shape = only_input(shapes)
    if len(shape) < 3:
        raise ValueError(f"takes an input of steps, at least 3 axes with the batch; got shape {shape}.")
    steps = example_sizes(shape)[0]
    inner = _inner(infer, arguments["layer"], [(shape[0], *shape[2:])])
    return replace(
        inner,
        output_shape=(shape[0], steps, *inner.output_shape[1:]),
        multiplications=steps * inner.multiplications,
        calls=steps * inner.calls,
    )


def spectral_normalization(infer: Infer, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """The layer, and a vector as long as its kernel's last axis, which Keras keeps right behind that kernel."""
    inner = _inner(infer, arguments["layer"], shapes)
    kernel = next((weight for weight in inner.weights if weight.name in ("kernel", "embeddings")), None)
    if kernel is None:
        expected = "must be a layer that has a kernel, such as Dense or Conv2D, or embeddings"
        raise ValueError(f"`layer` {expected}; got {arguments['layer']['type']}.")
    vector = Weight("vector_u", (1, kernel.shape[-1]), False)
    others = (weight for weight in inner.weights if weight is not kernel)
    return replace(inner, weights=(kernel, vector, *others))


def _inner(infer: Infer, spec: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return infer(spec["type"], spec, shapes)
