"""Layers of several inputs: merges and attention."""

from collections.abc import Sequence

from lctrain.config.misplaced_sums import find_misplaced_heads
from lctrain.model.shapes.facts import Arguments, LayerFacts, Shape, num_elements


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
    return LayerFacts((*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :]))


def dot(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Sums of products along one axis of either input."""
    given = arguments["axes"]
    pair = [given, given] if isinstance(given, int) else list(given)
    axes = [axis % len(shape) for axis, shape in zip(pair, shapes, strict=True)]
    contracted = [shape[axis] for axis, shape in zip(axes, shapes, strict=True)]
    if contracted[0] != contracted[1] or 0 in axes:
        got = ", ".join(map(str, shapes))
        raise ValueError(f"`axes` must be of equal size, behind the batch, in both inputs; got {given} of {got}.")
    kept = [
        size for axis, shape in zip(axes, shapes, strict=True) for at, size in enumerate(shape) if at not in (0, axis)
    ]
    return LayerFacts((shapes[0][0], *(kept or [1])), taps=2 * contracted[0])


def attention(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Attention of query and value (and key): at most two scalars."""
    parameters = bool(arguments["use_scale"]) + (arguments["score_mode"] == "concat")
    return LayerFacts((*shapes[0][:-1], shapes[1][-1]), parameters=parameters)


def additive_attention(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    parameters = shapes[0][-1] if arguments["use_scale"] else 0
    return LayerFacts((*shapes[0][:-1], shapes[1][-1]), parameters=parameters)


def multi_head_attention(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    query, value, *rest = shapes
    key = rest[0] if rest else value
    heads, key_dim, bias = arguments["num_heads"], arguments["key_dim"], arguments["use_bias"]
    value_dim = arguments["value_dim"] or key_dim
    given = arguments["output_shape"]
    output = (query[-1],) if given is None else (given,) if isinstance(given, int) else tuple(given)
    width = num_elements((None, *output))
    inner = [(query[-1], heads * key_dim), (key[-1], heads * key_dim), (value[-1], heads * value_dim)]
    inner += [(query[-1], heads * value_dim)] if arguments["use_gate"] else []
    parameters = _projections([*inner, (heads * value_dim, width)], bias)
    _check_heads("MultiHeadAttention", arguments, shapes)
    return LayerFacts((*query[:-1], *output), parameters=parameters)


def group_query_attention(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    query, value, *rest = shapes
    key = rest[0] if rest else value
    if len({shape[-1] for shape in shapes}) > 1 or {*map(len, shapes)} != {3}:
        raise ValueError(f"must attend to sequences of equal last sizes; got {', '.join(map(str, shapes))}.")
    queries = arguments["num_query_heads"] * arguments["head_dim"]
    others = arguments["num_key_value_heads"] * arguments["head_dim"]
    inner = [(query[-1], queries), (key[-1], others), (value[-1], others)]
    inner += [(query[-1], queries)] if arguments["use_gate"] else []
    _check_heads("GroupQueryAttention", arguments, shapes)
    return LayerFacts(query, parameters=_projections([*inner, (queries, query[-1])], arguments["use_bias"]))


def _check_heads(name: str, arguments: Arguments, shapes: Sequence[Shape]) -> None:
    problem = find_misplaced_heads(name, arguments, shapes)
    if problem is not None:
        raise ValueError(problem)


def _projections(sizes: Sequence[tuple[int, int]], use_bias: bool) -> int:
    """Parameters of matrices of these (inputs, outputs), each with a bias or not."""
    return sum(inputs * outputs + use_bias * outputs for inputs, outputs in sizes)
