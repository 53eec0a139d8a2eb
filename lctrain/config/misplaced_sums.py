"""Where Keras adds an array along another axis than its own: what its `ops.add` takes for a bias on TensorFlow."""

from collections.abc import Mapping, Sequence
from typing import Any

from lctrain.config.heads import Shape


def is_misplaced(shape: Shape, added: Shape) -> bool:
    """Whether Keras 3.15 on TensorFlow may add an array along another axis than its own.

    Its `ops.add` takes an array with one axis of more than 1 for a bias. It adds that along the last axis of the other
    array if that is as long, or else along axis 1 if that is.

    Args:
        shape: of the array that is added to, the batch first. Sizes that are None may turn out to be any.
        added: of the array that is added to it.

    >>> is_misplaced((None, 7, 5, 7), (1, 7, 1, 1)), is_misplaced((None, 7, 5, 6), (1, 7, 1, 1))
    (True, False)
    >>> is_misplaced((None, 5, 5), (None, 5, 1))  # in batches of one example
    True
    """
    ndim = max(len(shape), len(added))
    shape, added = ((*(1,) * (ndim - len(one)), *one) for one in (shape, added))
    long = [axis for axis, size in enumerate(added) if size not in (None, 1)]
    if len(long) > 1 or ndim < 2:
        return False
    open_axes = [axis for axis, size in enumerate(added) if size is None]
    return any(_may_land_elsewhere(shape, axis, added[axis]) for axis in long or open_axes)


def _may_land_elsewhere(shape: Shape, axis: int, size: int | None) -> bool:
    """Whether a bias of this size, its own axis given, may be added along another one."""
    on_last, on_second = (one != 1 and (one is None or size is None or one == size) for one in (shape[-1], shape[1]))
    is_surely_last = size is not None and shape[-1] == size
    return (on_last and axis != len(shape) - 1) or (on_second and axis != 1 and not is_surely_last)


def is_any_misplaced(shapes: Sequence[Shape]) -> bool:
    """Whether a sum of arrays, taken one after the other as Keras' merges do, may misplace one of them.

    >>> is_any_misplaced([(None, 4), (None, 4)]), is_any_misplaced([(None, 4), (None, 1)])
    (False, True)
    """
    ndim = max(map(len, shapes))
    total, *others = ((shape[0], *(1,) * (ndim - len(shape)), *shape[1:]) for shape in shapes)
    for other in others:
        if is_misplaced(total, other):
            return True
        total = tuple(size if new == 1 else new for size, new in zip(total, other, strict=True))
    return False


def find_misplaced_heads(name: str, arguments: Mapping[str, Any], shapes: Sequence[Shape]) -> str | None:
    """What is wrong where an attention layer may add a bias of its heads along the sequence; None where it can't.

    Args:
        name: "MultiHeadAttention" or "GroupQueryAttention".
        arguments: all of its constructor's, defaults included.
        shapes: of query, value and maybe key.
    """
    query, value, *rest = shapes
    key = rest[0] if rest else value
    if name == "MultiHeadAttention":
        heads, given = arguments["num_heads"], arguments["output_shape"]
        keys, values = (heads, arguments["key_dim"]), (heads, arguments["value_dim"] or arguments["key_dim"])
        output = (query[-1],) if given is None else (given,) if isinstance(given, int) else tuple(given)
        added = [(query, keys), (key, keys), (value, values), (query, values), (query, output)]
    else:
        sizes = (arguments["num_query_heads"], arguments["num_key_value_heads"])
        of_queries, of_others = ((size, arguments["head_dim"]) for size in sizes)
        added = [(query, of_queries), (key, of_others), (value, of_others)]
    for shape, bias in added if arguments["use_bias"] else ():
        if is_misplaced((*shape[:-1], *bias), bias):
            fix = "Use heads of more than 1, another number of heads, or use_bias=false."
            message = f"must not add a bias of shape {bias} to an array of shape {(*shape[:-1], *bias)}"
            return f"{message}, which Keras 3.15 adds along the sequence. {fix}"
    return None
