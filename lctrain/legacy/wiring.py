"""How the layers of an old functional model connect: its nodes and references, read with suspicion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lctrain.legacy.arguments import MODELS
from lctrain.legacy.errors import LegacyFileError, describe
from lctrain.legacy.issues import IssueCollector

SEVERAL = ("query", "value", "key")  # call arguments that name further inputs, in today's order
MAX_LAYERS = 2_000


@dataclass(frozen=True)
class Reference:
    """What another layer gives: the layer's name, at which of its calls, and which of its tensors."""

    layer: str
    call: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """One use of a layer: what it reads, and with which arguments that are no tensors."""

    reads: tuple[Reference, ...]
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """An old functional model.

    Args:
        entries: its layers by name, in their order: `class_name`, `config` and more.
        calls: of each layer.
        inputs: names of its input layers.
        outputs: what it gives.
    """

    entries: dict[str, Mapping[str, Any]]
    calls: dict[str, list[Call]]
    inputs: list[str]
    outputs: list[Reference]


def read_graph(config: Any, path: str) -> Graph:
    """The graph of a functional model's configuration.

    Args:
        config: of the model.
        path: the model's name, for errors.

    Raises:
        LegacyFileError: where it is none.
    """
    layers = config.get("layers") if isinstance(config, Mapping) else None
    if not isinstance(layers, list) or not layers:
        raise LegacyFileError(f"model `{path}` must have a list of layers; got {describe(layers)}.")
    if len(layers) > MAX_LAYERS:
        raise LegacyFileError(f"model `{path}` must have at most {MAX_LAYERS:,} layers; got {len(layers):,}.")
    entries: dict[str, Mapping[str, Any]] = {}
    for entry in layers:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if name is None and isinstance(entry, Mapping) and isinstance(entry.get("config"), Mapping):
            name = entry["config"].get("name")
        if not isinstance(name, str) or name in entries or not isinstance(entry.get("class_name"), str):
            expected = "must have layers with a `class_name` and a `name` of their own"
            raise LegacyFileError(f"model `{path}` {expected}; got {describe(entry)}.")
        entries[name] = entry
    calls = {name: _read_calls(entry, f"{path}/{name}") for name, entry in entries.items()}
    inputs = [one.layer for one in _read_ends(config.get("input_layers"), path, "input_layers")]
    outputs = _read_ends(config.get("output_layers"), path, "output_layers")
    graph = Graph(entries, _renumber(entries, calls, outputs), inputs, outputs)
    _check_references(graph, path)
    return graph


def _read_calls(entry: Mapping[str, Any], path: str) -> list[Call]:
    nodes = entry.get("inbound_nodes") or []
    if not isinstance(nodes, list):
        raise LegacyFileError(f"layer `{path}`: `inbound_nodes` must be a list; got {describe(nodes)}.")
    return [_read_call(node, path) for node in nodes]


def _read_call(node: Any, path: str) -> Call:
    """One use: a list of `[name, call, tensor]`, of `[name, call, tensor, arguments]`, or one such alone."""
    if isinstance(node, Mapping):
        raise LegacyFileError(f"layer `{path}` is wired as Keras 3 does it; keras.saving.load_model opens such files.")
    parts = [node] if _is_reference(node) else node
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], list) and not _is_reference(parts[0]):
        parts = parts[0]
    if not isinstance(parts, list) or not parts or not all(map(_is_reference, parts)):
        raise LegacyFileError(f"layer `{path}`: `inbound_nodes` must hold [name, call, tensor]; got {describe(node)}.")
    reads = [Reference(*part[:3]) for part in parts]
    arguments: dict[str, Any] = {}
    for part in parts:
        arguments |= part[3] if len(part) > 3 else {}
    for name in SEVERAL:
        if _is_reference(arguments.get(name)):
            reads.append(Reference(*arguments.pop(name)[:3]))
    return Call(tuple(reads), arguments)


def _is_reference(value: Any) -> bool:
    if not isinstance(value, list) or len(value) not in (3, 4) or not isinstance(value[0], str):
        return False
    is_numbered = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 10**6 for one in value[1:3])
    return is_numbered and (len(value) == 3 or isinstance(value[3], Mapping))


def _read_ends(value: Any, path: str, field: str) -> list[Reference]:
    """`input_layers` or `output_layers`: a list of references, or one alone."""
    if isinstance(value, Mapping):
        value = list(value.values())
    parts = [value] if _is_reference(value) else value
    if not isinstance(parts, list) or not parts or not all(map(_is_reference, parts)):
        raise LegacyFileError(
            f"model `{path}`: `{field}` must be a list of [name, call, tensor]; got {describe(value)}."
        )
    return [Reference(*part[:3]) for part in parts]


def _renumber(
    entries: Mapping[str, Mapping[str, Any]], calls: dict[str, list[Call]], outputs: Sequence[Reference]
) -> dict[str, list[Call]]:
    """Lets the calls of nested models count from 0: from Keras 2.2 on their own making was call 0."""
    numbers_of: dict[str, set[int]] = {}
    for reference in [*outputs, *(read for uses in calls.values() for call in uses for read in call.reads)]:
        numbers_of.setdefault(reference.layer, set()).add(reference.call)
    shifted = {
        name
        for name, numbers in numbers_of.items()
        if name in entries and entries[name]["class_name"] in MODELS and max(numbers) == len(calls[name]) >= 1
    }

    def shift(reference: Reference) -> Reference:
        if reference.layer not in shifted:
            return reference
        return Reference(reference.layer, max(reference.call - 1, 0), reference.tensor)

    for i, reference in enumerate(outputs):
        outputs[i] = shift(reference)
    return {name: [Call(tuple(map(shift, use.reads)), use.arguments) for use in uses] for name, uses in calls.items()}


def _check_references(graph: Graph, path: str) -> None:
    for name in graph.inputs:
        if name not in graph.entries:
            raise LegacyFileError(f"model `{path}`: `input_layers` must name its layers; got {describe(name)}.")
    read = [(name, one) for name, uses in graph.calls.items() for use in uses for one in use.reads]
    for name, one in [*read, *(("output_layers", one) for one in graph.outputs)]:
        calls = graph.calls.get(one.layer)
        is_input = one.layer in graph.inputs and one.call == 0
        if calls is None or (one.call >= len(calls) and not is_input):
            raise LegacyFileError(f"model `{path}`, `{name}` must read what its layers give; got {one}.")


def sort_calls(graph: Graph, path: str) -> list[tuple[str, int]]:
    """The calls that lead to the outputs, each behind those that it reads.

    Raises:
        LegacyFileError: where they close a cycle.
    """
    ordered: dict[tuple[str, int], None] = {}
    under_way: set[tuple[str, int]] = set()
    for output in graph.outputs:
        waiting = [(output.layer, output.call)]
        while waiting:
            use = waiting[-1]
            if use in ordered or use[0] in graph.inputs:
                waiting.pop()
                continue
            reads = [(one.layer, one.call) for one in graph.calls[use[0]][use[1]].reads]
            missing = [one for one in reads if one not in ordered and one[0] not in graph.inputs]
            if not missing:
                ordered[use] = None
                under_way.discard(use)
                waiting.pop()
            elif use in under_way and any(one in under_way for one in missing):
                raise LegacyFileError(f"model `{path}` must not close a cycle; layer `{use[0]}` reads what it gives.")
            else:
                under_way.add(use)
                waiting += missing
    return list(ordered)


def check_arguments(call: Call, collector: IssueCollector) -> None:
    """Call arguments that would change what a layer gives are obstacles; the others are those of today's calls."""
    for name, value in call.arguments.items():
        if value is None or value is False:
            if value is not None:
                collector.translated(f"call argument {name}", value, "as it is without being said")
        else:
            collector.unsupported(f"call argument {name}", value, "must not be given: wires carry inputs alone")
