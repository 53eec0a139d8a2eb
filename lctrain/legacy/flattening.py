"""An old architecture as one flat graph of today's layers: models in models are written out."""

from collections.abc import Mapping
from typing import Any

from lctrain.legacy.arguments import MODELS, find_layers
from lctrain.legacy.errors import LegacyFileError, describe
from lctrain.legacy.fields import report_origin
from lctrain.legacy.flat import Flat, Path, Place, make_name
from lctrain.legacy.inputs import MAX_MODELS, InputWriter, Shapes, find_input
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.leaves import LeafWriter
from lctrain.legacy.source import Source
from lctrain.legacy.wiring import MAX_LAYERS, Reference, read_graph, report_arguments, sort_calls

KEYS_OF_LAYERS = {
    *("class_name", "config", "name", "inbound_nodes", "module", "registered_name", "build_config", "shared_object_id"),
}
KEYS_OF_STACKS = {"name", "layers", "build_input_shape", "trainable", "dtype"}
KEYS_OF_GRAPHS = {"name", "layers", "input_layers", "output_layers", "trainable", "dtype"}


def flatten(source: Source, issues: IssueCollector, input_shape: Shapes) -> Flat:
    """Writes out an architecture.

    Args:
        source: what was read.
        issues: collects what was translated, approximated or dropped, and what can't be carried over; the graph then
            has gaps.
        input_shape: of the only input, or by their names, where sizes are not all known; None where they are.

    Raises:
        LegacyFileError: where the architecture is damaged.
    """
    kind, config = source.architecture["class_name"], source.architecture["config"]
    if kind not in MODELS:
        issues.unsupported("class_name", kind, f"must be one of {', '.join(MODELS[:3])}")
        return Flat("model")
    name = config.get("name") if isinstance(config, Mapping) else None
    flat = Flat(make_name(name if isinstance(name, str) else "model", ()))
    leaves, inputs = LeafWriter(source, issues, flat), InputWriter(input_shape, issues, flat)
    outputs = _ModelWriter(leaves, inputs, issues, flat).write_model(kind, config, (), (), None)
    inputs.check_names()
    flat.outputs = [leaves.write_output(output) for output in outputs]
    return flat


class _ModelWriter:
    """Writes out models, one into the other."""

    def __init__(self, leaves: LeafWriter, inputs: InputWriter, issues: IssueCollector, flat: Flat):
        self.leaves, self.inputs, self.issues, self.flat = leaves, inputs, issues, flat
        self.num_models = 0
        self.models: set[Place] = set()

    def write_model(self, kind: str, config: Any, path: Path, place: Place, arrays: list[str] | None) -> list[str]:
        """Writes a model's layers, on given arrays or, at the top, on inputs of its own; the arrays that it gives."""
        self.num_models += 1
        if len(path) > MAX_MODELS or self.num_models > MAX_LAYERS:
            message = f"models must be in one another at most {MAX_MODELS} deep, {MAX_LAYERS:,} uses in all."
            raise LegacyFileError(message)
        self._report_keys(config, KEYS_OF_STACKS if kind == "Sequential" else KEYS_OF_GRAPHS, path)
        write = self._write_stack if kind == "Sequential" else self._write_graph
        return write(config, path, place, arrays)

    def _report_keys(self, mapping: Any, known: set[str], path: Path) -> None:
        """What a file holds beside what is read of it is no argument of anything."""
        for key in sorted(map(str, set(mapping) - known)) if isinstance(mapping, Mapping) else ():
            self.issues.at(path).unsupported(key, mapping.get(key), "is not known here")

    def _report_input(self, config: Any, array: str, path: Path) -> None:
        """What a model in another holds of its input must be what it gets there."""
        written = config.get("batch_input_shape") if isinstance(config, Mapping) else None
        shape = self.flat.shapes[array]
        if not isinstance(written, list) or shape is None:
            return
        pairs = zip(written[1:], shape[1:], strict=False)
        if len(written) != len(shape) or any(size not in (None, other) for size, other in pairs):
            self.issues.at(path).unsupported("batch_input_shape", written, f"must be that of what it reads, {shape}")

    def _write_stack(self, config: Any, path: Path, place: Place, arrays: list[str] | None) -> list[str]:
        layers = _read_stack(config, "/".join(path) or "Sequential")
        if arrays is None and layers and layers[0]["class_name"] == "Merge":
            arrays = self._write_branches(layers[0], path, place)
        elif arrays is None:
            build_shape = config.get("build_input_shape") if isinstance(config, Mapping) else None
            arrays = [self.inputs.add(*find_input(layers, build_shape), path)]
        for i, entry in enumerate(layers):
            if entry["class_name"] == "InputLayer" or (i == 0 and path):
                self._report_input(entry.get("config"), arrays[0], path)
            if entry["class_name"] != "InputLayer":
                arrays = self._write_entry(entry, path, (*place, i), arrays)
        return arrays

    def _write_branches(self, entry: Mapping[str, Any], path: Path, place: Place) -> list[str]:
        """Keras 1's Merge as the first layer: stacks of their own, stored as if they were the model's."""
        config = entry.get("config")
        branches = config.get("layers") if isinstance(config, Mapping) else None
        if not isinstance(branches, list) or not branches:
            raise LegacyFileError("a Merge that opens a model must have `layers`, the models that it merges.")
        arrays = []
        for i, branch in enumerate(branches):
            if not isinstance(branch, Mapping) or branch.get("class_name") not in MODELS:
                raise LegacyFileError(f"`layers` of a Merge must be models; got {describe(branch)}.")
            arrays += self.write_model(branch["class_name"], branch.get("config"), path, (*place, -1, i), None)
        return arrays

    def _write_graph(self, config: Any, path: Path, place: Place, arrays: list[str] | None) -> list[str]:
        name = "/".join(path) or "model"
        graph = read_graph(config, name)
        if arrays is None:
            arrays = []
            for one in graph.inputs:
                known = graph.entries[one].get("config")
                arrays.append(self.inputs.add(one, known if isinstance(known, Mapping) else {}, path))
        if len(arrays) != len(graph.inputs):
            raise LegacyFileError(f"model `{name}` must be called on {len(graph.inputs)} arrays; got {len(arrays)}.")
        given: dict[tuple[str, int], list[str]] = {}
        for one, array in zip(graph.inputs, arrays, strict=True):
            self._report_input(graph.entries[one].get("config"), array, (*path, one))
            given[one, 0] = [array]
        places = {one: i for i, one in enumerate(graph.entries)}
        ordered = sort_calls(graph, name)
        for layer in set(graph.entries) - {use[0] for use in ordered} - set(graph.inputs):
            self.issues.at((*path, layer)).dropped("inbound_nodes", "no call", "leads to no output of the model")
        for layer, number in ordered:
            call = graph.calls[layer][number]
            reads = [self._pick(given, one, path) for one in call.reads]
            report_arguments(call, self.issues.at((*path, layer)))
            entry = {**graph.entries[layer], "name": layer}
            given[layer, number] = self._write_entry(entry, path, (*place, places[layer]), reads)
        return [self._pick(given, one, path) for one in graph.outputs]

    def _pick(self, given: Mapping[tuple[str, int], list[str]], reference: Reference, path: Path) -> str:
        arrays = given[reference.layer, reference.call]
        if reference.tensor >= len(arrays):
            message = "must not be read but for its first output: states and further outputs can't be wired"
            self.issues.at((*path, reference.layer)).unsupported("inbound_nodes", reference.tensor, message)
            return arrays[0]
        return arrays[reference.tensor]

    def _write_entry(self, entry: Mapping[str, Any], path: Path, place: Place, arrays: list[str]) -> list[str]:
        """Writes one use of a layer or of a model."""
        kind, config = entry["class_name"], entry.get("config")
        name = entry.get("name")
        if name is None and isinstance(config, Mapping):
            name = config.get("name")
        if name is not None and not isinstance(name, str):
            raise LegacyFileError(f"a layer's `name` must be a text; got {describe(name)}.")
        path = (*path, kind.lower() if name is None else name)
        self._report_keys(entry, KEYS_OF_LAYERS, path)
        report_origin(entry, self.issues.at(path))
        if kind not in MODELS:
            return self.leaves.write_layer(kind, config, path, place, arrays)
        if place not in self.models:
            self.models.add(place)
            self.issues.at(path).translated("class_name", kind, "its layers stand in the model itself")
        return self.write_model(kind, config, path, place, arrays)


def _read_stack(config: Any, name: str) -> list[Mapping[str, Any]]:
    """The layers of a Sequential.

    Raises:
        LegacyFileError: where they are none.
    """
    layers = find_layers(config)
    if layers is None:
        raise LegacyFileError(f"model `{name}` must have a list of layers; got {describe(config)}.")
    for one in layers:
        if not isinstance(one, Mapping) or not isinstance(one.get("class_name"), str):
            message = "must have layers whose `class_name` is a text"
            raise LegacyFileError(f"model `{name}` {message}; got {describe(one)}.")
    if len(layers) > MAX_LAYERS:
        raise LegacyFileError(f"a model must have at most {MAX_LAYERS:,} layers; got {len(layers):,}.")
    return layers
