"""Locally connected layers, and the low-rank ones between them and convolutions."""

from collections.abc import Sequence

from lctrain.cost import LayerSizes
from lctrain.model.shapes.facts import Arguments, LayerFacts, Shape, join_channels, only_input, split_channels
from lctrain.model.shapes.weights import Weight, with_bias
from lctrain.model.shapes.windows import check_groups, make_window


def locally_connected(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 2)
    spatial, in_channels = split_channels(shape, arguments)
    window, filters, groups = make_window(arguments, spatial), arguments["filters"], arguments["groups"]
    check_groups(groups, in_channels, filters)
    taps, use_bias = window.num_taps * in_channels // groups, arguments["use_bias"]
    kernel = Weight("kernel", (window.num_positions, taps, filters))
    positions = () if use_bias == "shared" else window.output_spatial
    return LayerFacts(
        join_channels(shape[0], window.output_spatial, filters, arguments),
        with_bias([kernel], arguments, *positions, filters),
        taps=taps,
        multiplications=kernel.size,
        local=LayerSizes(window, in_channels, filters, groups, use_bias),
    )


def low_rank_locally_connected(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, 4)
    spatial, in_channels = split_channels(shape, arguments)
    window, filters, rank = make_window(arguments, spatial), arguments["filters"], arguments["rank"]
    basis = Weight("basis", (*window.kernel_size, in_channels, rank * filters))
    num_rows, num_columns = window.output_spatial
    weights = [basis, Weight("rows", (num_rows, rank)), Weight("columns", (num_columns, rank))]
    if arguments["use_bias"]:
        weights += [Weight("bias_rows", (num_rows, 1, filters)), Weight("bias_columns", (1, num_columns, filters))]
    return LayerFacts(
        join_channels(shape[0], window.output_spatial, filters, arguments),
        with_bias(weights, arguments, filters),
        taps=window.num_taps * in_channels,
        multiplications=window.num_positions * (basis.size + rank * filters),
    )
