"""Which stored arrays are a layer's, and whether they are those of its configuration."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from lctrain.legacy.errors import LegacyFileError, describe
from lctrain.legacy.flat import Leaf
from lctrain.legacy.hdf5 import StoredArray
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.layout import Layout
from lctrain.legacy.layouts import find_layout
from lctrain.legacy.old_weights import ADAPTED, find_old_weights
from lctrain.legacy.source import Source

NamedArray = tuple[str, StoredArray]
# A layer that has arrays, how they are laid out, and the stored ones.
StoredLayer = tuple[Leaf, Layout, list[StoredArray]]
Pair = tuple[Leaf, Layout]
MAX_GROWTH = 64  # of a layer's numbers over the stored ones: taps outside of the input were not all stored


def assign(
    leaves: Sequence[Leaf],
    source: Source,
    issues: IssueCollector,
    by_name: bool = False,
) -> Iterator[StoredLayer]:
    """Each layer that has arrays, how they are laid out, and the stored ones; nothing of them is read.

    Args:
        leaves: of the whole model.
        source: with arrays.
        issues: collects those of the whole model.
        by_name: whether the order of the layers means nothing, as in a graph that was written anew.

    Raises:
        LegacyFileError: arrays that are missing, too many, or of other shapes than those of the configuration.
    """
    groups: dict[str, list[Leaf]] = {}
    for leaf in sorted(leaves, key=lambda leaf: leaf.place):
        groups.setdefault(leaf.path[0], []).append(leaf)
    wanted: dict[str, list[Pair]] = {}
    for name, group in groups.items():
        found = [(leaf, _find_layout(leaf, source, issues.at(leaf.path))) for leaf in group]
        having = [(leaf, layout) for leaf, layout in found if layout is not None and layout.stored]
        if having:
            wanted[name] = having
    stored = source.arrays or {}
    if set(wanted) == set(stored) and list(wanted) != list(stored) and not by_name:
        order = f"must be in the model's order, {', '.join(map(describe, list(wanted)[:8]))}"
        got = ", ".join(map(describe, list(stored)[:8]))
        raise LegacyFileError(f"`layer_names` of the weights {order}; got {got}.")
    if set(wanted) != set(stored):
        stored = _match_by_order(wanted, stored, issues, by_name)
    for name, pairs in wanted.items():
        for (leaf, layout), arrays in zip(pairs, _split(name, pairs, stored[name]), strict=True):
            _check_shapes(leaf, layout, arrays)
            yield leaf, layout, arrays


def _find_layout(leaf: Leaf, source: Source, collector: IssueCollector) -> Layout | None:
    if leaf.complete is None or leaf.facts is None or leaf.shapes is None:
        return None
    kind = leaf.complete["type"]
    stored = source.arrays or {}
    numbers = sum(prod(array.shape) for _, array in stored.get(leaf.path[0], []))
    if source.arrays is not None and leaf.facts.parameters > MAX_GROWTH * numbers:
        _check_size(leaf, leaf.facts.parameters, numbers, source.arrays)
    if kind not in ADAPTED:
        num_old = sum(weight.size for weight in find_old_weights(leaf.complete, leaf.shapes))
        if num_old != leaf.facts.parameters:
            collector.unsupported("class_name", kind, "has arrays whose old layout is not known")
    return find_layout(leaf.complete, leaf.shapes, leaf.original, source, collector)


def _check_size(leaf: Leaf, parameters: int, numbers: int, stored: Mapping[str, list[NamedArray]]) -> None:
    """Refuses sizes so far beyond what is stored that not even their layout is worked out."""
    everything = sum(prod(array.shape) for arrays in stored.values() for _, array in arrays)
    if parameters <= MAX_GROWTH * everything:
        # The group may have another name, and is found by its place.
        return
    got = f"{parameters:,} numbers by its configuration, {numbers:,} are stored"
    raise LegacyFileError(f"layer `{'/'.join(leaf.path)}` must have the sizes of its stored arrays; got {got}.")


def _match_by_order(
    wanted: Mapping[str, Any], stored: Mapping[str, list[NamedArray]], issues: IssueCollector, by_name: bool
) -> dict[str, list[NamedArray]]:
    """The stored groups under the model's own names, where theirs are others: one by one, as Keras does it."""
    if by_name:
        message = f"must have the names of the model's layers, {', '.join(map(describe, list(wanted)[:8]))}"
        raise LegacyFileError(f"the weights of a graph {message}; got {', '.join(map(describe, list(stored)[:8]))}.")
    if len(wanted) != len(stored):
        missing = [name for name in wanted if name not in stored]
        surplus = [name for name in stored if name not in wanted]
        message = f"got none for {', '.join(map(describe, missing[:5])) or 'none'}"
        message += f", and arrays of {', '.join(map(describe, surplus[:5]))}, which has none" if surplus else ""
        expected = f"the weights must be those of the model's {len(wanted)} layers that have some"
        raise LegacyFileError(f"{expected}; {message}.")
    for name, other in zip(wanted, stored, strict=True):
        if name != other:
            issues.assumed("layer_names", other, f"taken for layer {name}, by its place in the file")
    return dict(zip(wanted, stored.values(), strict=True))


def _split(name: str, pairs: Sequence[Pair], arrays: Sequence[NamedArray]) -> list[list[StoredArray]]:
    """The arrays of a group's layers: by their names, else by their order, what is trained first."""
    number = sum(len(layout.stored) for _, layout in pairs)
    if number != len(arrays):
        wanted = ", ".join(weight.name for _, layout in pairs for weight in layout.stored[:12])
        got = ", ".join(describe(array_name) for array_name, _ in arrays[:12])
        raise LegacyFileError(f"layer `{name}` must have {number} arrays ({wanted}); got {len(arrays)}: {got}.")
    if len(pairs) == 1:
        _check_names(name, pairs[0][1], arrays)
        return [[array for _, array in arrays]]
    return _split_by_name(pairs, arrays) or _split_by_order(pairs, arrays)


def _check_names(layer: str, layout: Layout, arrays: Sequence[NamedArray]) -> None:
    """Keras goes by the arrays' order; names in another order mean damage."""
    expected = [weight.name for weight in layout.stored]
    got = [name.rsplit("/", 1)[-1].partition(":")[0].removeprefix(f"{layer}_") for name, _ in arrays]
    if got != expected and sorted(got) == sorted(expected):
        raise LegacyFileError(f"`weight_names` of layer `{layer}` must be in the order {expected}; got {got}.")


def _split_by_name(pairs: Sequence[Pair], arrays: Sequence[NamedArray]) -> list[list[StoredArray]] | None:
    names = [leaf.path[-1] for leaf, _ in pairs]
    if len(set(names)) < len(names):
        return None
    found: dict[str, list[StoredArray]] = {name: [] for name in names}
    for array_name, array in arrays:
        parts = array_name.split("/")
        owners = [
            name for name in names if name in parts[:-1] or (len(parts) == 1 and array_name.startswith(f"{name}_"))
        ]
        if not owners:
            return None
        found[max(owners, key=len)].append(array)
    are_whole = all(len(found[leaf.path[-1]]) == len(layout.stored) for leaf, layout in pairs)
    return [found[name] for name in names] if are_whole else None


def _split_by_order(pairs: Sequence[Pair], arrays: Sequence[NamedArray]) -> list[list[StoredArray]]:
    """All that is trained in the order of the layers, then all that is not, frozen layers' weights among it."""
    slots = [
        (i, place, weight.is_trainable and not leaf.is_frozen)
        for i, (leaf, layout) in enumerate(pairs)
        for place, weight in enumerate(layout.stored)
    ]
    ordered = [slot for slot in slots if slot[2]] + [slot for slot in slots if not slot[2]]
    found: list[dict[int, StoredArray]] = [{} for _ in pairs]
    for (i, place, _), (_, array) in zip(ordered, arrays, strict=True):
        found[i][place] = array
    return [[one[place] for place in sorted(one)] for one in found]


def _check_shapes(leaf: Leaf, layout: Layout, arrays: Sequence[StoredArray]) -> None:
    for i, (weight, array) in enumerate(zip(layout.stored, arrays, strict=True)):
        allowed = [weight.shape, *layout.others.get(i, ())]
        if not any(_fits(array.shape, shape) for shape in allowed):
            expected = " or ".join(map(str, allowed))
            where = f"layer `{'/'.join(leaf.path)}`, `{weight.name}`"
            raise LegacyFileError(
                f"{where}: must be of shape {expected} by its configuration; `{array.path}` has {array.shape}."
            )


def _fits(shape: Sequence[int], allowed: Sequence[int | None]) -> bool:
    return len(shape) == len(allowed) and all(other in (None, size) for size, other in zip(shape, allowed, strict=True))
