"""Layers whose output has its input's shape, and those that make another last axis: Dense, EinsumDense, Embedding."""

from collections.abc import Sequence
from math import prod
from string import ascii_letters
from typing import Any

from lctrain.model.shapes.facts import Arguments, LayerFacts, Shape, example_sizes, find_axes, num_elements, only_input
from lctrain.model.shapes.weights import Weight, with_bias


def dense(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape, units = only_input(shapes), arguments["units"]
    in_features = example_sizes(shape)[-1]
    return LayerFacts(
        (*shape[:-1], units),
        with_bias([Weight("kernel", (in_features, units))], arguments, units),
        taps=in_features,
        multiplications=num_elements(shape) * units,
    )


def einsum_dense(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """A kernel multiplied in by an `equation`: `abc,cd->abd`; `...` on either side stands for any axes.

    A null in `output_shape` is the input's size.
    """
    shape = only_input(shapes)
    sources, _, target = arguments["equation"].replace(" ", "").partition("->")
    source, _, weights = sources.partition(",")
    unused = "".join(letter for letter in ascii_letters if letter not in source + weights + target)
    elided = unused[: len(shape) - len(source.replace("...", ""))]
    source, target = source.replace("...", elided), target.replace("...", elided)
    sizes: dict[str, Any] = dict(zip(source, shape, strict=True))
    given = arguments["output_shape"]
    given = [given] if isinstance(given, int) else given
    made = [letter for letter in target if letter not in elided][-len(given) :]
    for letter, size in zip(made, given, strict=True):
        if size is not None and sizes.get(letter, size) != size:
            raise ValueError(f"`output_shape` must have the input's {sizes[letter]} along {letter!r}; got {given}.")
        sizes[letter] = sizes[letter] if size is None else size
    made_weights = [Weight("kernel", tuple(sizes[letter] for letter in weights))]
    bias_axes = arguments["bias_axes"]
    if bias_axes is not None:
        behind = target[min(target.index(letter) for letter in bias_axes) :]
        bias = tuple(sizes[letter] if letter in bias_axes else 1 for letter in behind)
        made_weights.append(Weight("bias", bias))
    summed = prod(sizes[letter] for letter in source if letter not in target)
    output_shape = tuple(sizes[letter] for letter in target)
    products = num_elements(output_shape) * summed
    return LayerFacts(output_shape, tuple(made_weights), taps=summed, multiplications=products)


def embedding(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """A vector for each integer; the reversible one may have a second table for the way back."""
    num_vectors, length = arguments["input_dim"], arguments["output_dim"]
    weights = [Weight("embeddings", (num_vectors, length))]
    if not arguments.get("tie_weights", True):
        weights.append(Weight("reverse_embeddings", (length, num_vectors)))
    return LayerFacts((*only_input(shapes), length), tuple(weights))


def elementwise(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return LayerFacts(only_input(shapes))


def along_axis(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Softmax and UnitNormalization: no weights, but an axis that the input must have."""
    shape = only_input(shapes)
    find_axes(arguments["axis"], shape)
    return LayerFacts(shape)


def spatial_dropout(rank: int, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return LayerFacts(only_input(shapes, rank + 2))


def prelu(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes)
    shared_axes = [] if arguments["shared_axes"] is None else arguments["shared_axes"]
    slopes = list(example_sizes(shape))
    for axis in [shared_axes] if isinstance(shared_axes, int) else shared_axes:
        if not -len(slopes) < axis <= len(slopes):
            raise ValueError(f"`shared_axes` must be axes of an input of shape {shape}; got {axis}.")
        # Keras counts so: a negative axis is the one before.
        slopes[axis - 1] = 1
    return LayerFacts(shape, (Weight("alpha", tuple(slopes)),), multiplications=num_elements(shape))


def batch_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """By choice a scale and a centre, and moving mean and variance, per element of one axis."""
    names = _find_scale_and_center(arguments)
    return _normalize(names, ["moving_mean", "moving_variance"], arguments, shapes)


def layer_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return _normalize(_find_scale_and_center(arguments), [], arguments, shapes)


def rms_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    return _normalize(["scale"], [], arguments, shapes)


def fixed_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Normalization by given numbers, or by stored ones: a mean and a variance per element of its axes, and a count."""
    shape = only_input(shapes)
    if arguments["mean"] is not None:
        return LayerFacts(shape)
    axis = arguments["axis"]
    axes = [] if axis is None else [axis] if isinstance(axis, int) else axis
    sizes = find_axes(sorted(axes, key=lambda one: one % len(shape)), shape)
    weights = Weight("mean", sizes, False), Weight("variance", sizes, False), Weight("count", (), False)
    return LayerFacts(shape, weights)


def group_normalization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    (size,) = find_axes(arguments["axis"], only_input(shapes))
    if size % arguments["groups"] != 0:
        raise ValueError(f"`groups` must divide the size along the axis, {size}; got {arguments['groups']}.")
    return layer_normalization(arguments, shapes)


def _find_scale_and_center(arguments: Arguments) -> list[str]:
    """The names that Keras gives them, of those that the layer has."""
    return [name for name, argument in (("gamma", "scale"), ("beta", "center")) if arguments[argument]]


def _normalize(
    trained: Sequence[str], moving: Sequence[str], arguments: Arguments, shapes: Sequence[Shape]
) -> LayerFacts:
    shape = only_input(shapes)
    sizes = find_axes(arguments["axis"], shape)
    weights = *(Weight(name, sizes) for name in trained), *(Weight(name, sizes, False) for name in moving)
    return LayerFacts(shape, weights, multiplications=num_elements(shape))
