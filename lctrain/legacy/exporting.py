"""Models of today's for others: Keras 2's HDF5, DL4J's importer, and TensorFlow's own formats."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import keras
import numpy as np

from lctrain.errors import UserError, suggest
from lctrain.implementations import LAYER_CHOICES
from lctrain.legacy import dl4j
from lctrain.legacy.depth import sort_by_depth
from lctrain.legacy.errors import Obstacle, UnsupportedExportError
from lctrain.legacy.inference import make_inference_model
from lctrain.legacy.keras2 import OldLayer, write_layer
from lctrain.legacy.report import MODEL, Report
from lctrain.legacy.tensorflow_formats import write_savedmodel, write_tflite
from lctrain.model.build import SEVERAL_ARGUMENTS
from lctrain.model.to_config.calls import Array, read_calls
from lctrain.system.files import write_durably

KERAS_VERSION = "2.15.0"  # the last that was tf.keras
NO_SCOPE = re.compile(r"[^A-Za-z0-9_.\\/>-]")  # what no name in TensorFlow may hold
MAX_HEADER = 64_512  # bytes of an attribute, as Keras 2 splits them


def export(model: keras.Model, path: Path, to: str, implementation: int | str | None = None) -> Report:
    """As `lctrain.legacy.export_model`."""
    if to not in FORMATS:
        raise UserError(f"`to` must be one of {', '.join(FORMATS)}; got {to!r}. {suggest(str(to), FORMATS)}")
    _check_implementation(implementation, to)
    if path.exists():
        raise UserError(f"`path` {str(path)!r} exists. Choose another name, or remove it first.")
    report = Report({"model": model.name, "format": to})
    if getattr(model, "inputs", None):  # what is not built, the formats refuse by themselves
        is_lite = to == "tflite"
        model = make_inference_model(model, report, "batched" if is_lite else implementation, has_float64=not is_lite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        FORMATS[to](model, path, report)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise UserError(f"`path` must be a place that can be written; got {str(path)!r} ({reason}).") from error
    return report


def _check_implementation(implementation: int | str | None, to: str) -> None:
    """Whether a format leaves it open how local layers compute."""
    if implementation is None:
        return
    if implementation not in LAYER_CHOICES:
        known = ", ".join(map(str, LAYER_CHOICES))
        raise UserError(f"`implementation` must be one of {known}; got {implementation!r}.")
    if to == "tflite" and implementation != "batched":
        message = "must be batched for tflite, which has the operations of that one alone"
        raise UserError(f"`implementation` {message}; got {implementation!r}. Leave it out.")
    if to in ("keras2-h5", "dl4j-h5"):
        raise UserError(f"`implementation` is for savedmodel; {to} says layers, not how they compute. Leave it out.")


def _export_keras2(model: keras.Model, path: Path, report: Report) -> None:
    _write(*_write_model(model, report), path)


def _export_dl4j(model: keras.Model, path: Path, report: Report) -> None:
    _write(*_write_model(model, report, dl4j.find_obstacles), path)


FORMATS: dict[str, Callable[[keras.Model, Path, Report], None]] = {
    "keras2-h5": _export_keras2,
    "dl4j-h5": _export_dl4j,
    "savedmodel": write_savedmodel,
    "tflite": write_tflite,
}
Check = Callable[[list[OldLayer]], Iterable[Obstacle]]


def _write_model(
    model: keras.Model, report: Report, check: Check | None = None
) -> tuple[dict[str, Any], list[OldLayer]]:
    """The architecture as Keras 2 writes it, and its layers.

    Raises:
        UnsupportedExportError: everything that Keras 2, or the check, does not take.
    """
    writer = _Writer(report)
    outputs = writer.write_graph(model, None)
    obstacles = writer.obstacles or ([] if check is None else list(check(list(writer.layers.values()))))
    if obstacles:
        raise UnsupportedExportError(obstacles)
    return writer.as_architecture(model.name, outputs), list(writer.layers.values())


class _Writer:
    """Gathers the layers of a model, those of models in it among them, and how they connect."""

    def __init__(self, report: Report):
        self.report = report
        self.obstacles: list[Obstacle] = []
        self.inputs: dict[str, tuple[int | None, ...]] = {}
        self.layers: dict[str, OldLayer] = {}
        self.nodes: dict[str, list[list[list[Any]]]] = {}
        self.made: dict[int, list[str]] = {}  # names of what each of today's layers became

    def write_graph(self, model: keras.Model, given: list[tuple[str, int]] | None) -> list[tuple[str, int]]:
        """Writes a model's calls; `given` are the arrays that it is called on, where it stands in another."""
        graph, problems = read_calls(model)
        self.obstacles += [
            Obstacle(
                problem.path.removeprefix("model.layers."), "call", model.name, f"it {problem.message.rstrip('.')}"
            )
            for problem in problems
        ]
        arrays: dict[Array, tuple[str, int]] = {}
        shapes = [tuple(one.shape) for one in getattr(model, "inputs", None) or []]
        if not shapes or problems:
            message = "must be built on inputs of known shapes, Sequential or functional"
            self.obstacles += [] if problems else [Obstacle(MODEL, "inputs", model.name, message)]
            return []
        for i, array in enumerate(graph.inputs):
            arrays[array] = self._add_input(model.inputs[i]) if given is None else given[i]
        for call in graph.calls:
            reads = [arrays[array] for array in call.reads]
            if isinstance(call.layer, keras.Model):
                (arrays[call.gives],) = self.write_graph(call.layer, reads)[:1] or [("", 0)]
            else:
                arrays[call.gives] = self._add_call(call.layer, reads)
        return [arrays[array] for array in graph.outputs]

    def _add_input(self, tensor: keras.KerasTensor) -> tuple[str, int]:
        name = self._free(tensor.name)
        self.inputs[name] = tuple(tensor.shape)
        return name, 0

    def _add_call(self, layer: keras.layers.Layer, reads: list[tuple[str, int]]) -> tuple[str, int]:
        if not isinstance(layer, keras.layers.Layer):
            message = "must be a layer: operations on tensors are code"
            self.obstacles.append(Obstacle(layer.name, "class_name", type(layer).__name__, message))
            return reads[0]
        if id(layer) not in self.made:
            self.made[id(layer)] = names = []
            for old in write_layer(layer, self.report, self.obstacles):
                name = self._free(str(old.config.get("name") or layer.name))
                old.rename(name)
                self.layers[name] = old
                self.nodes[name] = []
                names.append(name)
        for name in self.made[id(layer)]:
            self.nodes[name].append(_write_node(self.layers[name].class_name, reads))
            reads = [(name, len(self.nodes[name]) - 1)]
        return reads[0]

    def _free(self, name: str) -> str:
        """A name that TensorFlow allows for a scope, and that nothing else has."""
        plain = NO_SCOPE.sub("_", name)
        plain = plain if plain[:1].isalnum() else f"layer{plain}"
        made, number = plain, 1
        while made in self.layers or made in self.inputs:
            number += 1
            made = f"{plain}_{number}"
        if made != name:
            self.report.add(name, "name", name, "translated", f"{made}: names there are those of TensorFlow's scopes")
        return made

    def as_architecture(self, name: str, outputs: list[tuple[str, int]]) -> dict[str, Any]:
        """`class_name` and `config`: a stack where it is one, which more readers know, else a graph."""
        self._sort(outputs)
        layers: list[dict[str, Any]] = [
            {"class_name": old.class_name, "config": old.config, "name": key, "inbound_nodes": self.nodes[key]}
            for key, old in self.layers.items()
        ]
        if self._is_stack(outputs):
            (shape,) = self.inputs.values()
            first = {**layers[0]["config"], "batch_input_shape": list(shape)}
            stack = [{"class_name": one["class_name"], "config": one["config"]} for one in layers]
            stack[0]["config"] = first
            return {"class_name": "Sequential", "config": {"name": name, "layers": stack}}
        inputs = [
            {
                "class_name": "InputLayer",
                "config": {"name": key, "batch_input_shape": list(shape), "dtype": "float32", "sparse": False},
                "name": key,
                "inbound_nodes": [],
            }
            for key, shape in self.inputs.items()
        ]
        config = {
            "name": name,
            "layers": inputs + layers,
            "input_layers": [[key, 0, 0] for key in self.inputs],
            "output_layers": [[key, number, 0] for key, number in outputs],
        }
        return {"class_name": "Model", "config": config}

    def _sort(self, outputs: list[tuple[str, int]]) -> None:
        """Brings the layers into the order in which Keras 2 will hand out their arrays."""
        reads: dict[str, list[list[tuple[str, int]]]] = {name: [[]] for name in self.inputs}
        reads |= {
            name: [[(one[0], one[1]) for one in _references(node)] for node in self.nodes[name]] for name in self.nodes
        }
        ordered = [name for name in sort_by_depth(reads, outputs) if name in self.layers]
        self.layers = {name: self.layers[name] for name in ordered}

    def _is_stack(self, outputs: list[tuple[str, int]]) -> bool:
        above = [*self.inputs, *self.layers]
        nodes: list[Any] = [[[[source, 0, 0, {}]]] for source in above[:-1]]
        return len(self.inputs) == 1 and list(self.nodes.values()) == nodes and outputs == [(above[-1], 0)]


def _write_node(class_name: str, reads: Sequence[tuple[str, int]]) -> list[list[Any]]:
    """What one call reads: a list of arrays, or by name what MultiHeadAttention attends to."""
    node: list[list[Any]] = [[source, number, 0, {}] for source, number in reads]
    if class_name not in SEVERAL_ARGUMENTS:
        return node
    named = dict(zip(("value", "key"), ([*one[:3]] for one in node[1:]), strict=False))
    return [[*node[0][:3], named]]


def _references(node: list[list[Any]]) -> list[list[Any]]:
    """All arrays that a call reads, those named in its arguments behind the others."""
    return [*node, *(one for part in node for one in part[3].values())]


def _write(architecture: Mapping[str, Any], layers: list[OldLayer], path: Path) -> None:
    """A whole-model HDF5 file as Keras 2 wrote it."""
    write_durably(path, lambda file: _fill(architecture, layers, file))


def _fill(architecture: Mapping[str, Any], layers: list[OldLayer], target: BinaryIO) -> None:
    with h5py.File(target, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = KERAS_VERSION.encode(), b"tensorflow"
        file.attrs["model_config"] = json.dumps(architecture).encode()
        group = file.create_group("model_weights")
        group.attrs["keras_version"], group.attrs["backend"] = KERAS_VERSION.encode(), b"tensorflow"
        _write_names(group, "layer_names", [layer.config["name"] for layer in layers])
        for layer in layers:
            inner = group.create_group(layer.config["name"])
            _write_names(inner, "weight_names", [name for name, _ in layer.arrays])
            for name, array in layer.arrays:
                inner.create_dataset(name, data=array)


def _write_names(group: h5py.Group, name: str, names: list[str]) -> None:
    """A list of names as an attribute, in parts where it would exceed what HDF5 allows."""
    texts = np.asarray([one.encode() for one in names])
    number = 1
    while any(part.nbytes > MAX_HEADER for part in np.array_split(texts, number)):
        number += 1
    if number == 1:
        group.attrs[name] = texts
        return
    for i, part in enumerate(np.array_split(texts, number)):
        group.attrs[f"{name}{i}"] = part
