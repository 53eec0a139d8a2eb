"""Layers whose output has its input's shape, and those that make another last axis: Dense, EinsumDense, Embedding."""

from collections.abc import Sequence
from math import prod
from string import ascii_letters

from lctrain.model.shapes.facts import Arguments, LayerFacts, Shape, find_axis, num_elements, only_input


def dense(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    *leading, in_features = only_input(shapes)
    units = arguments["units"]
    return LayerFacts(
        (*leading, units),
        parameters=in_features * units + arguments["use_bias"] * units,
        taps=in_features,
        multiplications=prod(leading[1:]) * in_features * units,
    )


def einsum_dense(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """A kernel multiplied in as `equation` says: `abc,cd->abd`; `...` on either side stands for any axes.

    A null in `output_shape` is the input's size.
    """
    shape = only_input(shapes)
    sources, _, target = arguments["equation"].replace(" ", "").partition("->")
    source, _, weights = sources.partition(",")
    spare = "".join(letter for letter in ascii_letters if letter not in source + weights + target)
    elided = spare[: len(shape) - len(source.replace("...", ""))]
    source, target = source.replace("...", elided), target.replace("...", elided)
    sizes = dict(zip(source, shape, strict=True))
    given = arguments["output_shape"]
    given = [given] if isinstance(given, int) else given
    made = [letter for letter in target if letter not in elided][-len(given) :]
    for letter, size in zip(made, given, strict=True):
        if size is not None and sizes.get(letter, size) != size:
            raise ValueError(f"`output_shape` must have the input's {sizes[letter]} along {letter!r}; got {given}.")
        sizes[letter] = sizes[letter] if size is None else size
    kernel = prod(sizes[letter] for letter in weights)
    bias_axes = arguments["bias_axes"]
    bias = 0 if bias_axes is None else prod(sizes[letter] for letter in bias_axes)
    summed = prod(sizes[letter] for letter in source if letter not in target)
    output_shape = tuple(sizes[letter] for letter in target)
    products = prod(output_shape[1:]) * summed
    return LayerFacts(output_shape, parameters=kernel + bias, taps=summed, multiplications=products)


def embedding(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """A vector for each integer; the reversible one may have a second table for the way back."""
    table = arguments["input_dim"] * arguments["output_dim"]
    num_tables = 1 if arguments.get("tie_weights", True) else 2
    return LayerFacts((*only_input(shapes), arguments["output_dim"]), parameters=num_tables * table)


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


def rms_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return _normalization(1, arguments, shapes)


def fixed_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Normalization by given numbers, or by stored ones: a mean and a variance per element of its axes, and a count."""
    shape = only_input(shapes)
    if arguments["mean"] is not None:
        return LayerFacts(shape)
    axes = [] if arguments["axis"] is None else _axes(arguments)
    return LayerFacts(shape, parameters=2 * prod(find_axis(axis, shape) for axis in axes) + 1)


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
