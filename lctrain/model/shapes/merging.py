"""Layers of several inputs: merges and attention."""

from collections.abc import Sequence

from lctrain.config.misplaced_sums import find_misplaced_heads
from lctrain.model.shapes.facts import Arguments, LayerFacts, Shape, example_sizes
from lctrain.model.shapes.weights import Sizes, Weight


def elementwise_merge(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Add, Multiply and their like: equal shapes, or sizes of 1 that are spread."""
    ndim = max(map(len, shapes))
    padded = [(shape[0], *(1,) * (ndim - len(shape)), *shape[1:]) for shape in shapes]
    merged = []
    for sizes in zip(*padded, strict=True):
        larger = {size for size in sizes if size != 1}
        if len(larger) > 1:
            raise ValueError(f"must merge equal shapes, or sizes of 1; got {', '.join(map(str, shapes))}.")
        merged.append(larger.pop() if larger else 1)
    return LayerFacts(tuple(merged), taps=len(shapes))


def concatenation(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    first, given = shapes[0], arguments["axis"]
    axis = given % len(first) if -len(first) <= given < len(first) else 0
    others = {tuple(size for at, size in enumerate(shape) if at != axis) for shape in shapes}
    if axis == 0 or len(others) > 1 or len({*map(len, shapes)}) > 1:
        got = ", ".join(map(str, shapes))
        raise ValueError(f"`axis` must be the only one in which shapes differ, not the batch; got {given} of {got}.")
    length = sum(example_sizes(shape)[axis - 1] for shape in shapes)
    return LayerFacts((*first[:axis], length, *first[axis + 1 :]))


def dot(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Sums of products along one axis of either input."""
    given = arguments["axes"]
    pair = [given, given] if isinstance(given, int) else list(given)
    axes = [axis % len(shape) for axis, shape in zip(pair, shapes, strict=True)]
    if 0 in axes or len({shape[axis] for axis, shape in zip(axes, shapes, strict=True)}) > 1:
        got = ", ".join(map(str, shapes))
        raise ValueError(f"`axes` must be of equal size, behind the batch, in both inputs; got {given} of {got}.")
    kept = [
        size for axis, shape in zip(axes, shapes, strict=True) for at, size in enumerate(shape) if at not in (0, axis)
    ]
    return LayerFacts((shapes[0][0], *(kept or [1])), taps=2 * example_sizes(shapes[0])[axes[0] - 1])


def attention(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Attention of query and value (and key): at most two scalars."""
    scalars = [("scale", arguments["use_scale"]), ("concat_score_weight", arguments["score_mode"] == "concat")]
    weights = tuple(Weight(name, ()) for name, is_there in scalars if is_there)
    return LayerFacts((*shapes[0][:-1], shapes[1][-1]), weights)


def additive_attention(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    weights = (Weight("scale", example_sizes(shapes[0])[-1:]),) if arguments["use_scale"] else ()
    return LayerFacts((*shapes[0][:-1], shapes[1][-1]), weights)


def multi_head_attention(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    query, value, *rest = shapes
    key = rest[0] if rest else value
    heads, key_dim = arguments["num_heads"], arguments["key_dim"]
    value_dim = arguments["value_dim"] or key_dim
    given = arguments["output_shape"]
    output = example_sizes(query)[-1:] if given is None else (given,) if isinstance(given, int) else tuple(given)
    _check_heads("MultiHeadAttention", arguments, shapes)
    widths = (heads, key_dim), (heads, key_dim), (heads, value_dim)
    return LayerFacts((*query[:-1], *output), _project(arguments, (query, key, value), widths, output))


def group_query_attention(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    query, value, *rest = shapes
    key = rest[0] if rest else value
    if len({shape[-1] for shape in shapes}) > 1 or {*map(len, shapes)} != {3}:
        raise ValueError(f"must attend to sequences of equal last sizes; got {', '.join(map(str, shapes))}.")
    _check_heads("GroupQueryAttention", arguments, shapes)
    queries = (arguments["num_query_heads"], arguments["head_dim"])
    others = (arguments["num_key_value_heads"], arguments["head_dim"])
    return LayerFacts(
        query, _project(arguments, (query, key, value), (queries, others, others), example_sizes(query)[-1:])
    )


def _check_heads(name: str, arguments: Arguments, shapes: Sequence[Shape]) -> None:
    problem = find_misplaced_heads(name, arguments, shapes)
    if problem is not None:
        raise ValueError(problem)


def _project(
    arguments: Arguments, shapes: Sequence[Shape], widths: Sequence[tuple[int, int]], output: Sizes
) -> tuple[Weight, ...]:
    """The projections of query, key and value, of what they attend to, and a gate's if there is one.

    Args:
        arguments: the layer's.
        shapes: of query, key and value.
        widths: heads and numbers in each, of query, key and value.
        output: what the layer gives at each place.
    """
    query, key, value = (example_sizes(shape)[-1:] for shape in shapes)
    attended = (widths[0][0], widths[2][1])
    gate = [("gate", query, attended)] if arguments["use_gate"] else []
    kernels: list[tuple[str, Sizes, Sizes]] = [("query", query, widths[0]), ("key", key, widths[1]), *gate]
    kernels += [("value", value, widths[2]), ("attention_output", attended, output)]
    weights = []
    for name, inputs, outputs in kernels:
        weights.append(Weight(f"{name}/kernel", (*inputs, *outputs)))
        weights += [Weight(f"{name}/bias", outputs)] if arguments["use_bias"] else []
    return tuple(weights)
