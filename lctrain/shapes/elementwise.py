"""Layers whose output has its input's shape, and Dense, which changes the last axis alone."""

from collections.abc import Sequence
from math import prod

from lctrain.shapes.facts import Arguments, LayerFacts, Shape, find_axis, num_elements, only_input


def dense(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    *leading, in_features = only_input(shapes)
    units = arguments["units"]
    return LayerFacts(
        (*leading, units),
        parameters=in_features * units + arguments["use_bias"] * units,
        taps=in_features,
        multiplications=prod(leading[1:]) * in_features * units,
    )


def elementwise(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return LayerFacts(only_input(shapes))


def along_axis(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Softmax and UnitNormalization: no weights, but an axis that the input must have."""
    shape = only_input(shapes)
    for axis in _axes(arguments):
        find_axis(axis, shape)
    return LayerFacts(shape)


def spatial_dropout(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return LayerFacts(only_input(shapes, rank + 2))


def prelu(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes)
    shared_axes = [] if arguments["shared_axes"] is None else arguments["shared_axes"]
    slopes = list(shape[1:])
    for axis in [shared_axes] if isinstance(shared_axes, int) else shared_axes:
        if not -len(slopes) < axis <= len(slopes):
            raise ValueError(f"`shared_axes` must be axes of an input of shape {shape}; got {axis}.")
        slopes[axis - 1] = 1  # as Keras counts, to whom a negative axis is the one before
    return LayerFacts(shape, parameters=prod(slopes), multiplications=num_elements(shape))


def batch_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Moving mean and variance, and by choice a scale and a centre, per element of one axis."""
    num_arrays = 2 + arguments["scale"] + arguments["center"]
    return _normalization(num_arrays, arguments, shapes)


def layer_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return _normalization(arguments["scale"] + arguments["center"], arguments, shapes)


def group_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    size = find_axis(arguments["axis"], only_input(shapes))
    if size % arguments["groups"] != 0:
        raise ValueError(f"`groups` must divide the size along the axis, {size}; got {arguments['groups']}.")
    return layer_normalization(arguments, shapes)


def _normalization(num_arrays: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes)
    size = prod(find_axis(axis, shape) for axis in _axes(arguments))
    return LayerFacts(shape, parameters=num_arrays * size, multiplications=num_elements(shape))


def _axes(arguments: Arguments) -> Sequence[int]:
    axis = arguments["axis"]
    return [axis] if isinstance(axis, int) else axis
