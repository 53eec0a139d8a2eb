"""The arrays of every layer that can be imported, in the order and shapes that today's Keras has them.

They are found from the layer's arguments and its input's shape alone, before anything is built.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

from lctrain.legacy.issues import IssueCollector
from lctrain.model.shapes.facts import Shape, find_axis, split_channels
from lctrain.model.shapes.recurrent import GATES

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Weight:
    """One array of a layer.

    Args:
        name: as Keras calls it.
        shape: in numbers; None is any.
        is_trainable: by its nature; whether the layer is frozen is not asked here.
    """

    name: str
    shape: tuple[int | None, ...]
    is_trainable: bool = True


def expected_weights(type_name: str, arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    """The arrays of a layer, of complete arguments, on inputs of these shapes; none for a class that has none."""
    find = FAMILIES.get(type_name)
    return [] if find is None else find(arguments, shapes)


def _with_bias(weights: list[Weight], arguments: Arguments, *shape: int) -> list[Weight]:
    return [*weights, Weight("bias", shape)] if arguments["use_bias"] else weights


def dense(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    units = arguments["units"]
    return _with_bias([Weight("kernel", (shapes[0][-1], units))], arguments, units)


def sizes_of(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def convolution(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    _, channels = split_channels(shapes[0], arguments)
    filters = arguments["filters"]
    kernel = (*sizes_of(arguments["kernel_size"], rank), channels // arguments["groups"], filters)
    return _with_bias([Weight("kernel", kernel)], arguments, filters)


def transposed_convolution(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    _, channels = split_channels(shapes[0], arguments)
    filters = arguments["filters"]
    kernel = (*sizes_of(arguments["kernel_size"], rank), filters, channels)
    return _with_bias([Weight("kernel", kernel)], arguments, filters)


def depthwise_convolution(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    _, channels = split_channels(shapes[0], arguments)
    multiplier = arguments["depth_multiplier"]
    kernel = (*sizes_of(arguments["kernel_size"], rank), channels, multiplier)
    return _with_bias([Weight("kernel", kernel)], arguments, channels * multiplier)


def separable_convolution(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    _, channels = split_channels(shapes[0], arguments)
    multiplier, filters = arguments["depth_multiplier"], arguments["filters"]
    depthwise = (*sizes_of(arguments["kernel_size"], rank), channels, multiplier)
    pointwise = (*(1,) * rank, channels * multiplier, filters)
    kernels = [Weight("depthwise_kernel", depthwise), Weight("pointwise_kernel", pointwise)]
    return _with_bias(kernels, arguments, filters)


def embedding(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    return [Weight("embeddings", (arguments["input_dim"], arguments["output_dim"]))]


def batch_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    moving = [Weight("moving_mean", _along(arguments, shapes[0]), False)]
    moving.append(Weight("moving_variance", _along(arguments, shapes[0]), False))
    return [*layer_normalization(arguments, shapes), *moving]


def layer_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    shape = _along(arguments, shapes[0])
    names = [name for name, is_there in (("gamma", arguments["scale"]), ("beta", arguments["center"])) if is_there]
    return [Weight(name, shape) for name in names]


def _along(arguments: Arguments, shape: Shape) -> tuple[int, ...]:
    axis = arguments["axis"]
    return tuple(find_axis(one, shape) for one in ([axis] if isinstance(axis, int) else axis))


def prelu(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    slopes = list(shapes[0][1:])
    shared = arguments["shared_axes"]
    for axis in [shared] if isinstance(shared, int) else shared or []:
        slopes[axis - 1] = 1
    return [Weight("alpha", tuple(slopes))]


def gated(num_gates: int, arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    return _cell(num_gates, arguments, shapes[0][-1])


def _cell(num_gates: int, arguments: Arguments, features: int) -> list[Weight]:
    units = arguments["units"]
    width = num_gates * units
    kernels = [Weight("kernel", (features, width)), Weight("recurrent_kernel", (units, width))]
    has_two = num_gates == 3 and arguments["reset_after"]
    return _with_bias(kernels, arguments, *((2, width) if has_two else (width,)))


def of_cells(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    cell, features, weights = arguments["cell"], shapes[0][-1], []
    for spec in cell["cells"] if cell["type"] == "StackedRNNCells" else [cell]:
        weights += _cell(GATES[spec["type"]], spec, features)
        features = spec["units"]
    return weights


def convolutional_lstm(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    batch, _, *frame = shapes[0]
    _, channels = split_channels((batch, *frame), arguments)
    filters, kernel = arguments["filters"], sizes_of(arguments["kernel_size"], rank)
    kernels = [Weight("kernel", (*kernel, channels, 4 * filters))]
    kernels.append(Weight("recurrent_kernel", (*kernel, filters, 4 * filters)))
    return _with_bias(kernels, arguments, 4 * filters)


def attention(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    scalars = [("scale", arguments["use_scale"]), ("concat_score_weight", arguments["score_mode"] == "concat")]
    return [Weight(name, ()) for name, is_there in scalars if is_there]


def additive_attention(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    return [Weight("scale", (shapes[0][-1],))] if arguments["use_scale"] else []


def multi_head_attention(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    query, value, *rest = shapes
    key = rest[0] if rest else value
    heads, key_dim = arguments["num_heads"], arguments["key_dim"]
    value_dim = arguments["value_dim"] or key_dim
    given = arguments["output_shape"]
    output = (query[-1],) if given is None else (given,) if isinstance(given, int) else tuple(given)
    weights = []
    for name, shape, width in (("query", query, key_dim), ("key", key, key_dim), ("value", value, value_dim)):
        weights.append(Weight(f"{name}/kernel", (shape[-1], heads, width)))
        weights += [Weight(f"{name}/bias", (heads, width))] if arguments["use_bias"] else []
    weights.append(Weight("attention_output/kernel", (heads, value_dim, *output)))
    return [*weights, Weight("attention_output/bias", output)] if arguments["use_bias"] else weights


def locally_connected(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    from lctrain.model.shapes.windows import make_window

    spatial, channels = split_channels(shapes[0], arguments)
    window, filters = make_window(arguments, spatial), arguments["filters"]
    kernel = Weight("kernel", (window.num_positions, window.num_taps * channels, filters))
    return _with_bias([kernel], arguments, *window.output_spatial, filters)


def bidirectional(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    backward = arguments["backward_layer"] or arguments["layer"]
    return [
        Weight(f"{direction}/{weight.name}", weight.shape, weight.is_trainable)
        for direction, layer in (("forward", arguments["layer"]), ("backward", backward))
        for weight in expected_weights(layer["type"], layer, shapes)
    ]


def time_distributed(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    batch, _, *frame = shapes[0]
    layer = arguments["layer"]
    return expected_weights(layer["type"], layer, [(batch, *frame)])


def einsum_dense(arguments: Arguments, shapes: Sequence[Shape]) -> list[Weight]:
    """The kernel has the sizes that its letters have in the input or in `output_shape`."""
    sources, _, target = arguments["equation"].replace(" ", "").partition("->")
    source, _, letters = sources.partition(",")
    given = arguments["output_shape"]
    given = [given] if isinstance(given, int) else list(given)
    sizes = dict(zip(reversed(source.replace("...", "")), reversed(shapes[0]), strict=False))
    made = target.replace("...", "")[-len(given) :]
    sizes |= {letter: size for letter, size in zip(made, given, strict=True) if size is not None}
    weights = [Weight("kernel", tuple(sizes[letter] for letter in letters))]
    axes = arguments["bias_axes"]
    if axes is not None:
        behind = target[min(target.index(letter) for letter in axes) :]
        weights.append(Weight("bias", tuple(sizes[letter] if letter in axes else 1 for letter in behind)))
    return weights


def _of_ranks(template: str, family: Callable, *ranks: int) -> dict[str, Callable]:
    return {template.format(rank): partial(family, rank) for rank in ranks}


FAMILIES: dict[str, Callable[[Arguments, Sequence[Shape]], list[Weight]]] = {
    "Dense": dense,
    "EinsumDense": einsum_dense,
    **_of_ranks("Conv{}D", convolution, 1, 2, 3),
    **_of_ranks("Conv{}DTranspose", transposed_convolution, 1, 2, 3),
    **_of_ranks("DepthwiseConv{}D", depthwise_convolution, 1, 2),
    **_of_ranks("SeparableConv{}D", separable_convolution, 1, 2),
    **_of_ranks("LocallyConnected{}D", locally_connected, 1, 2),
    **_of_ranks("ConvLSTM{}D", convolutional_lstm, 1, 2, 3),
    "Embedding": embedding,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "GroupNormalization": layer_normalization,
    "PReLU": prelu,
    "SimpleRNN": partial(gated, 1),
    "GRU": partial(gated, 3),
    "LSTM": partial(gated, 4),
    "RNN": of_cells,
    "Attention": attention,
    "AdditiveAttention": additive_attention,
    "MultiHeadAttention": multi_head_attention,
    "Bidirectional": bidirectional,
    "TimeDistributed": time_distributed,
}


def check_counts(type_name: str, weights: Sequence[Weight], parameters: int, collector: IssueCollector) -> None:
    """Whether the arrays make up the parameters that the layer's arithmetic gives; a class unknown here does not."""
    found = sum(prod(weight.shape) for weight in weights)
    if found != parameters:
        collector.unsupported("class_name", type_name, "has arrays whose old layout is not known")
