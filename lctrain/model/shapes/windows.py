"""Layers that slide a window whose weights, if any, are shared: convolutions and pooling."""

from collections.abc import Sequence
from math import prod

from lctrain.geometry import Window, standardize_sizes
from lctrain.model.shapes.facts import Arguments, LayerFacts, Shape, join_channels, only_input, split_channels
from lctrain.model.shapes.weights import Weight, with_bias


def make_window(arguments: Arguments, spatial: tuple[int, ...]) -> Window:
    """The window of a convolution or of a locally connected layer.

    Raises:
        ValueError: where it does not fit into the input even once.
    """
    rank = len(spatial)
    names = ("kernel_size", "strides", "dilation_rate")
    kernel_size, strides, dilation_rate = (standardize_sizes(arguments[name], rank, name) for name in names)
    padding = arguments["padding"]
    margins = padding.lower() if isinstance(padding, str) else tuple(map(tuple, padding))
    return Window(spatial, kernel_size, strides, dilation_rate, margins)


def check_groups(groups: int, in_channels: int, filters: int) -> None:
    """Raises a ValueError where channels or filters can't be split into as many groups."""
    for name, count in (("input's channels", in_channels), ("filters", filters)):
        if count % groups != 0:
            raise ValueError(f"`groups` must divide the {name}, {count}; got {groups}.")


def convolution(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 2)
    spatial, in_channels = split_channels(shape, arguments)
    window, filters, groups = make_window(arguments, spatial), arguments["filters"], arguments["groups"]
    check_groups(groups, in_channels, filters)
    kernel = Weight("kernel", (*window.kernel_size, in_channels // groups, filters))
    return LayerFacts(
        join_channels(shape[0], window.output_spatial, filters, arguments),
        with_bias([kernel], arguments, filters),
        taps=window.num_taps * in_channels // groups,
        multiplications=window.num_positions * kernel.size,
    )


def depthwise_convolution(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 2)
    spatial, in_channels = split_channels(shape, arguments)
    window, multiplier = make_window(arguments, spatial), arguments["depth_multiplier"]
    kernel = Weight("kernel", (*window.kernel_size, in_channels, multiplier))
    return LayerFacts(
        join_channels(shape[0], window.output_spatial, in_channels * multiplier, arguments),
        with_bias([kernel], arguments, in_channels * multiplier),
        taps=window.num_taps,
        multiplications=window.num_positions * kernel.size,
    )


def separable_convolution(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """A depthwise convolution, then one of a single tap."""
    shape = only_input(shapes, rank + 2)
    spatial, in_channels = split_channels(shape, arguments)
    window, filters = make_window(arguments, spatial), arguments["filters"]
    multiplier = arguments["depth_multiplier"]
    depthwise = Weight("depthwise_kernel", (*window.kernel_size, in_channels, multiplier))
    pointwise = Weight("pointwise_kernel", (*(1,) * rank, in_channels * multiplier, filters))
    return LayerFacts(
        join_channels(shape[0], window.output_spatial, filters, arguments),
        with_bias([depthwise, pointwise], arguments, filters),
        taps=window.num_taps * in_channels,
        multiplications=window.num_positions * (depthwise.size + pointwise.size),
    )


def transposed_convolution(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Each input element is spread over a window of the output."""
    shape = only_input(shapes, rank + 2)
    spatial, in_channels = split_channels(shape, arguments)
    filters, padding, added = arguments["filters"], arguments["padding"].lower(), arguments["output_padding"]
    names = ("kernel_size", "strides", "dilation_rate")
    kernel_size, strides, dilation_rate = (standardize_sizes(arguments[name], rank, name) for name in names)
    added = [None] * rank if added is None else [added] * rank if isinstance(added, int) else added
    output_spatial = []
    for size, taps, stride, dilation, more in zip(spatial, kernel_size, strides, dilation_rate, added, strict=True):
        extent = (taps - 1) * dilation + 1
        if more is None:
            output_spatial.append(size * stride + (max(extent - stride, 0) if padding == "valid" else 0))
        else:
            cut = 2 * (extent // 2) if padding == "same" else 0
            output_spatial.append((size - 1) * stride + extent - cut + more)
    kernel = Weight("kernel", (*kernel_size, filters, in_channels))
    return LayerFacts(
        join_channels(shape[0], output_spatial, filters, arguments),
        with_bias([kernel], arguments, filters),
        multiplications=prod(spatial) * kernel.size,
    )


def adaptive_pooling(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Pooling to a given size."""
    shape = only_input(shapes, rank + 2)
    _, channels = split_channels(shape, arguments)
    output_spatial = standardize_sizes(arguments["output_size"], rank, "output_size")
    return LayerFacts(join_channels(shape[0], output_spatial, channels, arguments))


def pooling(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 2)
    spatial, channels = split_channels(shape, arguments)
    pool_size = standardize_sizes(arguments["pool_size"], rank, "pool_size")
    strides = arguments["strides"]
    strides = pool_size if strides is None else standardize_sizes(strides, rank, "strides")
    if arguments["padding"].lower() == "same":
        output_spatial = tuple(-(-size // stride) for size, stride in zip(spatial, strides, strict=True))
    else:
        axes = zip(spatial, pool_size, strides, strict=True)
        output_spatial = tuple((size - pool) // stride + 1 for size, pool, stride in axes)
    if min(output_spatial) < 1:
        fix = "Use a smaller pool or padding: same."
        raise ValueError(f"`pool_size` must not exceed the input's spatial size {spatial}; got {pool_size}. {fix}")
    return LayerFacts(join_channels(shape[0], output_spatial, channels, arguments), taps=prod(pool_size))


def global_pooling(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 2)
    spatial, channels = split_channels(shape, arguments)
    kept = (1,) * rank if arguments["keepdims"] else ()
    return LayerFacts(join_channels(shape[0], kept, channels, arguments), taps=prod(spatial))
