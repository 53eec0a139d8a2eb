"""Locally connected layers, and the low-rank ones between them and convolutions."""

from collections.abc import Sequence

from lctrain.cost import LayerSizes
from lctrain.model.shapes.facts import Arguments, LayerFacts, Shape, join_channels, only_input, split_channels
from lctrain.model.shapes.windows import check_groups, make_window


def locally_connected(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 2)
    spatial, in_channels = split_channels(shape, arguments)
    window, filters, groups = make_window(arguments, spatial), arguments["filters"], arguments["groups"]
    check_groups(groups, in_channels, filters)
    sizes = LayerSizes(window, in_channels, filters, groups, arguments["use_bias"])
    return LayerFacts(
        join_channels(shape[0], window.output_spatial, filters, arguments),
        parameters=sizes.parameters,
        taps=window.num_taps * in_channels // groups,
        multiplications=sizes.kernel,
        local=sizes,
    )


def low_rank_locally_connected(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, 4)
    spatial, in_channels = split_channels(shape, arguments)
    window, filters, rank = make_window(arguments, spatial), arguments["filters"], arguments["rank"]
    basis = window.num_taps * in_channels * rank * filters
    num_places = sum(window.output_spatial)  # rows and columns
    bias = (num_places + 1) * filters if arguments["use_bias"] else 0
    return LayerFacts(
        join_channels(shape[0], window.output_spatial, filters, arguments),
        parameters=basis + num_places * rank + bias,
        taps=window.num_taps * in_channels,
        multiplications=window.num_positions * (basis + rank * filters),
    )
