"""From files to a checked configuration and today's arrays, without Keras: what the child process does."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lctrain.config.allowlist import find_class, nested_group
from lctrain.legacy.arguments import Part
from lctrain.legacy.assignment import StoredLayer, assign
from lctrain.legacy.errors import LOST, LegacyFileError, Obstacle, UnsupportedKerasConfigurationError
from lctrain.legacy.flat import Flat, Leaf
from lctrain.legacy.flattening import flatten
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.own import read_own
from lctrain.legacy.report import MODEL, Report
from lctrain.legacy.source import Source, has_weights_by_layer, read_source
from lctrain.legacy.theano_padding import report_padding
from lctrain.legacy.whole import check_whole

RESULT = "result.json"
BY_LAYER = "by_layer"  # of the result, where weights are stored so that Keras asks each layer to load its own
EXTRAS = {
    "optimizer_weights": "the optimizer's state is not carried over; training starts with a fresh one",
    "training_config": "how the model was trained is not carried over; the configuration says how it is to be",
}
NOT_READ = "is no part of the model"
KINDS_OF_OUTPUT = {2: "feed_forward", 3: "recurrent", 4: "convolutional", 5: "convolutional_3d"}  # by axes
SIZES = ("kernel_size", "strides", "dilation_rate", "pool_size", "size")  # one number where all axes have the same


@dataclass(frozen=True)
class Request:
    """What is to be imported.

    Args:
        path: of the file.
        weights: of a second file, with the weights; None where the first has them.
        input_shape: of the only input, or by the inputs' names, where the file leaves sizes open.
        backend: where the file does not state it.
        keras_version: where the file does not state it.
        strict: whether all that is lost is an obstacle.
        must_build: whether the arrays are to be written; else obstacles are given as text.
        model: what the weights at `path` are for, as a file of conf/model holds it; None where files hold it.
        written_names: of its layers, where it can't call them so.
    """

    path: str
    weights: str | None = None
    input_shape: list[int] | dict[str, list[int]] | None = None
    backend: str | None = None
    keras_version: str | None = None
    strict: bool = False
    must_build: bool = True
    model: dict[str, Any] | None = None
    written_names: dict[str, str] | None = None


def parse(request: Request, folder: Path) -> None:
    """Reads an old model, checks it whole, and writes `result.json` and today's arrays into a folder.

    Raises:
        UserError: one of this room's errors, or of the files.
    """
    if request.model is not None and has_weights_by_layer(Path(request.path)):
        (folder / RESULT).write_text(json.dumps({BY_LAYER: True}), encoding="utf-8")
        return
    weights = None if request.weights is None else Path(request.weights)
    source = read_source(Path(request.path), weights, request.backend, request.keras_version, request.model)
    issues = IssueCollector(MODEL, Report(_introduce(request, source)), [])
    for name, value in source.extras.items():
        issues.dropped(name, value, EXTRAS.get(name, NOT_READ))
    _report_assumptions(source, issues)
    flat = _flatten(source, request, issues)
    if source.arrays is None and request.must_build:
        message = "holds an architecture without weights. Give them: --weights WEIGHTS.h5"
        raise LegacyFileError(f"{request.path} {message}, or load_model(path, weights=...).")
    stored = [] if source.arrays is None or issues.obstacles else _find_stored(flat, source, issues)
    if request.strict:
        issues.obstacles += _find_losses(issues.report)
    if request.must_build and issues.obstacles:
        raise UnsupportedKerasConfigurationError(issues.obstacles)
    for leaf, layout, arrays in stored:
        if layout.arguments is not None:
            flat.layers[leaf.name] |= layout.arguments([array.read() for array in arrays])
    index = _write_arrays(stored, folder) if request.must_build else {}
    model = write_config(flat)
    if not issues.obstacles:
        check_whole(model)
    result = {
        "model": model,
        "weights": index,
        "report": issues.report.as_data(),
        "problems": [str(obstacle) for obstacle in issues.obstacles],
        "keras_major": source.keras_major,
        "architecture": {} if request.must_build else dict(source.architecture),
        "layers": [_describe(leaf, flat) for leaf in flat.leaves],
        "input_shapes": flat.original_shapes,
    }
    (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")


def _flatten(source: Source, request: Request, issues: IssueCollector) -> Flat:
    """The architecture of the files, or that of the request, as one flat graph."""
    if not source.is_own:
        return flatten(source, issues, request.input_shape)
    flat = read_own(source, request.input_shape, request.written_names)
    for leaf in flat.leaves if source.arrays is not None else ():
        report_padding(Part(leaf.spec, leaf.original), leaf.shapes, source, issues.at(leaf.path))
    return flat


def _find_stored(flat: Flat, source: Source, issues: IssueCollector) -> list[StoredLayer]:
    """The arrays of each layer; those of the file that are no layer's are reported."""
    stored = list(assign(flat.leaves, source, issues, by_name=source.is_own and not flat.is_stack))
    if stored:
        read = {array.path for _, _, arrays in stored for array in arrays}
        for path in sorted(path for path in source.paths - read if not path.startswith("/optimizer_weights/")):
            issues.dropped(path, "array", NOT_READ)
    return stored


def _find_losses(report: Report) -> list[Obstacle]:
    """What is lost, but for the optimizer's state, as obstacles."""
    return [
        Obstacle(line.layer, line.field, line.value, f"{LOST} ({line.kind}: {line.note})")
        for line in report.losses
        if line.field not in EXTRAS or line.layer != MODEL
    ]


def _report_assumptions(source: Source, issues: IssueCollector) -> None:
    """What nothing in the file states of it as a whole."""
    if source.keras_version is None:
        named = "arrays" if source.is_own else "layers' arguments"
        issues.assumed("keras_version", None, f"{source.keras_major}, as its {named} are called")
    if source.keras_major == 2 and source.backend.is_likely:
        issues.assumed("backend", None, "theano; cntk named arrays so too, and turned no kernel: --backend cntk")


def _introduce(request: Request, source: Source) -> dict[str, Any]:
    who = "tf.keras" if source.is_tf_keras else "Keras"
    return {
        "file": request.path,
        "weights": request.weights or (None if source.arrays is None else request.path),
        "written by": f"{who} {source.keras_version or source.keras_major}",
        "keras_version": source.keras_version,
        "backend": source.backend.name,
        "backend known from": source.backend.evidence,
    }


def _describe(leaf: Leaf, flat: Flat) -> dict[str, Any]:
    shape = flat.shapes.get(leaf.name)
    dtype = (leaf.spec or {}).get("dtype") or "float32"
    return {
        "name": "/".join(leaf.path),
        "type": None if leaf.spec is None else leaf.spec["type"],
        "original_type": leaf.original_type,
        "output_shape": None if shape is None else list(shape),
        "output_type": None if shape is None else KINDS_OF_OUTPUT.get(len(shape), f"{len(shape)} axes"),
        "dtype": dtype,
        "parameters": None if leaf.facts is None else leaf.facts.parameters,
    }


def _write_arrays(stored: Iterable[StoredLayer], folder: Path) -> dict[str, list[list[Any]]]:
    """Today's arrays, each in a file of its own; the file's name, dtype and shape, by layer."""
    index: dict[str, list[list[Any]]] = {}
    number = 0
    for leaf, layout, arrays in stored:
        if layout.arguments is not None:
            continue
        entries = index.setdefault(leaf.name, [])
        for array in layout.convert([array.read() for array in arrays]):
            name = f"{number}.array"
            np.ascontiguousarray(array).tofile(folder / name)
            entries.append([name, array.dtype.name, list(array.shape)])
            number += 1
    return index


def write_config(flat: Flat) -> dict[str, Any]:
    """The model as a file of conf/model: defaults and wires to the layer above are left out."""
    above = list(flat.inputs) if len(flat.inputs) == 1 else None
    layers = {}
    for name, spec in flat.layers.items():
        layers[name] = _shorten(spec)
        reads = spec["inputs"]
        if reads != above:
            layers[name]["inputs"] = reads[0] if len(reads) == 1 else reads
        above = [name]
    model: dict[str, Any] = {"name": flat.name, "inputs": flat.inputs, "layers": layers}
    if flat.outputs != above:
        model["outputs"] = flat.outputs
    if flat.batch_size is not None:
        model["batch_size"] = flat.batch_size
    return model


def _shorten(spec: Mapping[str, Any], group: str = "layers") -> dict[str, Any]:
    entry = find_class(group, spec["type"]) if "type" in spec else None
    short = {}
    for name, value in spec.items():
        if name == "inputs":
            continue
        if name in ("layer", "backward_layer") and isinstance(value, Mapping):
            value = _shorten(value)
        kind = nested_group(name)
        if kind is not None and kind != "layers" and isinstance(value, Mapping):
            value = _shorten_object(kind, value)
        if name in SIZES and isinstance(value, list) and value and all(one == value[0] for one in value):
            value = value[0]
        is_required = entry is None or name == "type" or name in entry.required
        if is_required or not _is_default(name, value, None if entry is None else entry.optional.get(name)):
            short[name] = value
    return short


def _shorten_object(group: str, spec: Mapping[str, Any]) -> Any:
    """An initializer or its like: its name, where all its arguments have their defaults."""
    short = _shorten(spec, group)
    return short["type"] if len(short) == 1 and group != "cells" else short


def _is_default(name: str, value: Any, default: Any) -> bool:
    if name == "activation" and value == "linear" and default in (None, "linear"):
        return True
    if (name, value) in (("data_format", "channels_last"), ("dtype", "float32")):
        return True
    if name.endswith("_initializer") and isinstance(value, str) and isinstance(default, str):
        return find_class("initializers", value) is find_class("initializers", default)
    return value == default and type(value) is type(default)
