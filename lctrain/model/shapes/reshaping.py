"""Layers that move elements, add zeros or leave elements out."""

from collections.abc import Sequence
from math import prod
from typing import Any

from lctrain.geometry import standardize_sizes
from lctrain.model.shapes.facts import (
    Arguments,
    LayerFacts,
    Shape,
    join_channels,
    num_elements,
    only_input,
    split_channels,
)


def flatten(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes)
    return LayerFacts((shape[0], num_elements(shape)))


def reshape(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes)
    target, elements = tuple(arguments["target_shape"]), num_elements(shape)
    known = prod(size for size in target if size != -1)
    num_open = target.count(-1)
    if num_open > 1 or (elements % known if num_open else elements != known):
        expected = f"must hold the {elements} elements of an input of shape {shape}, at most one size being -1"
        raise ValueError(f"`target_shape` {expected}; got {target}.")
    return LayerFacts((shape[0], *(elements // known if size == -1 else size for size in target)))


def permute(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape, dims = only_input(shapes), arguments["dims"]
    if sorted(dims) != list(range(1, len(shape))):
        expected = f"must be the axes 1 to {len(shape) - 1} of an input of shape {shape} in any order"
        raise ValueError(f"`dims` {expected}; got {tuple(dims)}.")
    return LayerFacts((shape[0], *(shape[axis] for axis in dims)))


def repeat_vector(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    batch, size = only_input(shapes, 2)
    return LayerFacts((batch, arguments["n"], size))


def zero_padding(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 2)
    spatial, channels = split_channels(shape, arguments)
    margins = _margins(arguments["padding"], rank)
    padded = [size + before + after for size, (before, after) in zip(spatial, margins, strict=True)]
    return LayerFacts(join_channels(shape[0], padded, channels, arguments))


def cropping(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 2)
    spatial, channels = split_channels(shape, arguments)
    margins = _margins(arguments["cropping"], rank)
    cropped = [size - before - after for size, (before, after) in zip(spatial, margins, strict=True)]
    if min(cropped) < 1:
        raise ValueError(f"`cropping` must leave something of the spatial size {spatial}; got {margins}.")
    return LayerFacts(join_channels(shape[0], cropped, channels, arguments))


def up_sampling(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, rank + 2)
    spatial, channels = split_channels(shape, arguments)
    factors = standardize_sizes(arguments["size"], rank, "size")
    larger = [size * factor for size, factor in zip(spatial, factors, strict=True)]
    return LayerFacts(join_channels(shape[0], larger, channels, arguments))


def _margins(value: int | Sequence[Any], rank: int) -> tuple[tuple[int, int], ...]:
    """One (before, after) pair per spatial axis, from one margin, one per axis, or the pairs.

    >>> _margins(1, rank=2), _margins([1, [2, 3]], rank=2), _margins([1, 2], rank=1)
    (((1, 1), (1, 1)), ((1, 1), (2, 3)), ((1, 2),))
    """
    if rank == 1:
        value = [value]
    sides = value if isinstance(value, Sequence) else [value] * rank
    return tuple(tuple(side) if isinstance(side, Sequence) else (side, side) for side in sides)
