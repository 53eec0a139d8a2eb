"""The order in which Keras 2 holds a graph's layers, and hands out the arrays of a file."""

from collections.abc import Mapping, Sequence

Use = tuple[str, int]  # a layer's name, and at which of its calls


def sort_by_depth(reads: Mapping[str, Sequence[Sequence[Use]]], outputs: Sequence[Use]) -> list[str]:
    """Names of the layers that lead to the outputs, those furthest from them first.

    Among equally far ones the order is that in which a walk upstream from the outputs meets them.

    Args:
        reads: for each call of each layer what it reads; an input has one call that reads nothing.
        outputs: of the model.

    >>> sort_by_depth({"x": [[]], "a": [[("x", 0)]], "b": [[("a", 0)]], "c": [[("x", 0)]]}, [("c", 0), ("b", 0)])
    ['x', 'a', 'c', 'b']
    """
    met, finished = _walk(reads, outputs)
    call_depths: dict[Use, int] = {}
    depths: dict[str, int] = {}
    for use in reversed(finished):
        name, call = use
        depths[name] = call_depths[use] = max(call_depths.get(use, 0), depths.get(name, 0))
        for source in reads[name][call]:
            call_depths[source] = max(call_depths.get(source, 0), call_depths[use] + 1)
    return sorted(depths, key=lambda name: (-depths[name], met[name]))


def _walk(reads: Mapping[str, Sequence[Sequence[Use]]], outputs: Sequence[Use]) -> tuple[dict[str, int], list[Use]]:
    """When a depth-first walk upstream meets each layer, and its calls, each behind those that it reads."""
    met: dict[str, int] = {}
    finished: dict[Use, None] = {}
    for output in outputs:
        waiting = [(output, False)]
        while waiting:
            use, is_done = waiting.pop()
            if use in finished:
                continue
            if is_done:
                finished[use] = None
                continue
            met.setdefault(use[0], len(met))
            waiting.append((use, True))
            waiting += [(source, False) for source in reversed(reads[use[0]][use[1]])]
    return met, list(finished)
