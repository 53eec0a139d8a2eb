"""An old architecture as one flat graph of today's layers, with their shapes: models in models are written out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from lctrain.config.allowlist import with_defaults
from lctrain.config.graph import MERGES
from lctrain.config.specs import find_problems_in_spec
from lctrain.errors import UserError, suggest
from lctrain.legacy.arguments import MODELS, Part, layers_of, translate_layer
from lctrain.legacy.errors import LegacyFileError, Obstacle, describe, shorten
from lctrain.legacy.fields import check_origin
from lctrain.legacy.inputs import MAX_ELEMENTS, MAX_MODELS, find_input, read_input
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.keras3 import make_padding_explicit
from lctrain.legacy.masks import UNSURE, hand_on, reads_mask, repeats_masked
from lctrain.legacy.report import Report
from lctrain.legacy.source import Source
from lctrain.legacy.theano_padding import is_never_negative, write_padding
from lctrain.legacy.training_arguments import drop_for_training
from lctrain.legacy.wiring import MAX_LAYERS, check_arguments, read_graph, sort_calls
from lctrain.model.shapes import LayerFacts, Shape, infer_layer

KEYS_OF_LAYERS = {
    *("class_name", "config", "name", "inbound_nodes", "module", "registered_name", "build_config", "shared_object_id"),
}
KEYS_OF_STACKS = {"name", "layers", "build_input_shape", "trainable", "dtype"}
KEYS_OF_GRAPHS = {"name", "layers", "input_layers", "output_layers", "trainable", "dtype"}
Shapes = Sequence[int] | Mapping[str, Sequence[int]] | None
NO_NAME = re.compile(r"[^A-Za-z0-9_]+")


@dataclass
class Leaf:
    """A layer of today's model and what it was.

    Args:
        name: today's.
        place: of the old layer, the models that hold it before it, each with its place among its siblings.
        path: the names along it.
        spec: today's, as configurations write it; None where there is none.
        complete: with defaults.
        original: class and configuration in the words of Keras 2.
        original_type: the class as the file calls it.
        shapes: of its inputs; None where they are not known.
        facts: what its arithmetic gives; None where that is not known.
        is_frozen: whether the old layer was not to be trained.
    """

    name: str
    place: tuple[int, ...]
    path: tuple[str, ...]
    spec: dict[str, Any] | None
    complete: dict[str, Any] | None
    original: tuple[str, Mapping[str, Any]]
    original_type: str
    shapes: list[Shape] | None
    facts: LayerFacts | None = None
    is_frozen: bool = False


@dataclass
class Flat:
    """A model as a flat graph.

    Args:
        name: the model's.
        inputs: shapes without the batch, by name.
        batch_size: where the model has a fixed one.
        layers: today's specs with `inputs` or `shares`, in topological order.
        outputs: names of the layers that give the model's outputs.
        leaves: those of the layers that do not share another's weights.
        shapes: by the name of an input or layer; None where it is not known.
    """

    name: str
    inputs: dict[str, list[int]] = field(default_factory=dict)
    batch_size: int | None = None
    layers: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    shapes: dict[str, Shape | None] = field(default_factory=dict)
    original_shapes: dict[str, Any] = field(default_factory=dict)

    @property
    def is_stack(self) -> bool:
        """Whether each layer reads the one above it alone, the first the only input."""
        above = [*self.inputs, *self.layers]
        reads = [spec["inputs"] for spec in self.layers.values()]
        return len(self.inputs) == 1 and reads == [[name] for name in above[:-1]]


def flatten(source: Source, report: Report, obstacles: list[Obstacle], input_shape: Shapes) -> Flat:
    """Writes out an architecture.

    Args:
        source: what was read.
        report: takes what was translated, approximated or dropped.
        obstacles: takes what can't be carried over; the graph then has gaps.
        input_shape: of the only input, or by their names, where sizes are not all said; None where they are.

    Raises:
        LegacyFileError: where the architecture is damaged.
    """
    kind, config = source.architecture["class_name"], source.architecture["config"]
    if kind not in MODELS:
        message = f"must be one of {', '.join(MODELS[:3])}"
        obstacles.append(Obstacle("(model)", "class_name", shorten(kind), message))
        return Flat("model")
    name = config.get("name") if isinstance(config, Mapping) else None
    flat = Flat(make_name(name if isinstance(name, str) else "model", set()))
    writer = _Writer(source, report, obstacles, input_shape, flat)
    outputs = writer.write_model(kind, config, (), (), None)
    writer.check_input_names()
    flat.outputs = [writer.as_layer(output) for output in outputs]
    return flat


def make_name(name: str, taken: set[str]) -> str:
    """A name that configurations can have and nothing else has yet.

    >>> make_name("block/conv-1", {"block_conv_1"})
    'block_conv_1_2'
    """
    plain = NO_NAME.sub("_", name).strip("_")[:56]
    plain = plain if plain[:1].isalpha() else f"layer_{plain}"
    made, number = plain, 1
    while made in taken:
        number += 1
        made = f"{plain}_{number}"
    return made


class _Writer:
    """Writes out models, one into the other."""

    def __init__(self, source, report, obstacles, input_shape, flat: Flat):
        self.source, self.report, self.obstacles, self.flat = source, report, obstacles, flat
        self.input_shape = input_shape
        self.parts: dict[tuple[int, ...], list[Part]] = {}  # by place, as they are before zeros are put around them
        self.made: dict[tuple[int, ...], list[tuple[Part, Leaf]]] = {}  # by place, but for those zeros
        self.num_models = 0
        self.input_names: set[str] = set()  # as the file calls them, and as the model will
        self.masks: dict[str, str | None] = {}  # by the array that has it

    def collector(self, path: Sequence[str]) -> IssueCollector:
        return IssueCollector("/".join(path) or "(model)", self.report, self.obstacles)

    def write_model(
        self, kind: str, config: Any, path: tuple[str, ...], place: tuple[int, ...], arrays: list[str] | None
    ) -> list[str]:
        """Writes a model's layers, on given arrays or, at the top, on inputs of its own; the arrays that it gives."""
        self.num_models += 1
        if len(path) > MAX_MODELS or self.num_models > MAX_LAYERS:
            raise LegacyFileError(
                f"models must be in one another at most {MAX_MODELS} deep, {MAX_LAYERS:,} uses in all."
            )
        known = KEYS_OF_STACKS if kind == "Sequential" else KEYS_OF_GRAPHS
        self._check_keys(config, known, path)
        if kind == "Sequential":
            return self._write_stack(config, path, place, arrays)
        return self._write_graph(config, path, place, arrays)

    def _check_keys(self, mapping: Any, known: set[str], path: Sequence[str]) -> None:
        """What a file says beside what is read of it is no argument of anything."""
        for key in sorted(map(str, set(mapping) - known)) if isinstance(mapping, Mapping) else ():
            self.collector(path).unsupported(key, mapping.get(key), "is not known here")

    def _check_input(self, config: Any, array: str, path: Sequence[str]) -> None:
        """Whether what a model in another says of its input is what it gets there."""
        written = config.get("batch_input_shape") if isinstance(config, Mapping) else None
        shape = self.flat.shapes[array]
        if not isinstance(written, list) or shape is None:
            return
        pairs = zip(written[1:], shape[1:], strict=False)
        if len(written) != len(shape) or any(size not in (None, other) for size, other in pairs):
            self.collector(path).unsupported("batch_input_shape", written, f"must be that of what it reads, {shape}")

    def _write_stack(self, config: Any, path, place, arrays: list[str] | None) -> list[str]:
        layers, name = layers_of(config), "/".join(path) or "Sequential"
        if layers is None:
            raise LegacyFileError(f"model `{name}` must have a list of layers; got {describe(config)}.")
        for one in layers:
            if not isinstance(one, Mapping) or not isinstance(one.get("class_name"), str):
                message = "must have layers whose `class_name` is a text"
                raise LegacyFileError(f"model `{name}` {message}; got {describe(one)}.")
        if len(layers) > MAX_LAYERS:
            raise LegacyFileError(f"a model must have at most {MAX_LAYERS:,} layers; got {len(layers):,}.")
        if arrays is None and layers and layers[0]["class_name"] == "Merge":
            arrays, layers = self._write_branches(layers[0], path, place), layers
        elif arrays is None:
            build_shape = config.get("build_input_shape") if isinstance(config, Mapping) else None
            arrays = [self._add_input(*find_input(layers, build_shape), path)]
        for i, entry in enumerate(layers):
            if entry["class_name"] == "InputLayer" or (i == 0 and path):
                self._check_input(entry.get("config"), arrays[0], path)
            if entry["class_name"] != "InputLayer":
                arrays = self.write_layer(entry, path, (*place, i), arrays)
        return arrays

    def _write_branches(self, entry: Mapping[str, Any], path, place) -> list[str]:
        """Keras 1's Merge as the first layer: stacks of their own, stored as if they were the model's."""
        config = entry.get("config")
        branches = config.get("layers") if isinstance(config, Mapping) else None
        if not isinstance(branches, list) or not branches:
            raise LegacyFileError("a Merge that opens a model must have `layers`, the models that it merges.")
        arrays = []
        for i, branch in enumerate(branches):
            if not isinstance(branch, Mapping) or branch.get("class_name") not in MODELS:
                raise LegacyFileError(f"`layers` of a Merge must be models; got {describe(branch)}.")
            made = self.write_model(branch["class_name"], branch.get("config"), path, (*place, -1, i), None)
            arrays += made
        return arrays

    def _write_graph(self, config: Any, path, place, arrays: list[str] | None) -> list[str]:
        name = "/".join(path) or "model"
        graph = read_graph(config, name)
        if arrays is None:
            arrays = []
            for one in graph.inputs:
                entry = graph.entries[one]
                known = entry.get("config") if isinstance(entry.get("config"), Mapping) else {}
                arrays.append(self._add_input(one, known, path))
        if len(arrays) != len(graph.inputs):
            raise LegacyFileError(f"model `{name}` must be called on {len(graph.inputs)} arrays; got {len(arrays)}.")
        for one, array in zip(graph.inputs, arrays, strict=True):
            self._check_input(graph.entries[one].get("config"), array, (*path, one))
        given: dict[tuple[str, int], list[str]] = {
            (one, 0): [array] for one, array in zip(graph.inputs, arrays, strict=True)
        }
        places = {one: i for i, one in enumerate(graph.entries)}
        ordered = sort_calls(graph, name)
        for layer in set(graph.entries) - {use[0] for use in ordered} - set(graph.inputs):
            self.collector((*path, layer)).dropped("inbound_nodes", "no call", "leads to no output of the model")
        for layer, number in ordered:
            call = graph.calls[layer][number]
            reads = [self._pick(given, one, path) for one in call.reads]
            check_arguments(call, self.collector((*path, layer)))
            entry = {**graph.entries[layer], "name": layer}
            given[layer, number] = self.write_layer(entry, path, (*place, places[layer]), reads)
        return [self._pick(given, one, path) for one in graph.outputs]

    def _pick(self, given, reference, path) -> str:
        arrays = given[reference.layer, reference.call]
        if reference.tensor >= len(arrays):
            message = "must not be read but for its first output: states and further outputs can't be wired"
            self.collector((*path, reference.layer)).unsupported("inbound_nodes", reference.tensor, message)
            return arrays[0]
        return arrays[reference.tensor]

    def write_layer(self, entry: Mapping[str, Any], path, place, arrays: list[str]) -> list[str]:
        """Writes one use of a layer or of a model."""
        kind, config = entry["class_name"], entry.get("config")
        name = entry.get("name")
        if name is None and isinstance(config, Mapping):
            name = config.get("name")
        if name is not None and not isinstance(name, str):
            raise LegacyFileError(f"a layer's `name` must be a text; got {describe(name)}.")
        path = (*path, kind.lower() if name is None else name)
        self._check_keys(entry, KEYS_OF_LAYERS, path)
        check_origin(entry, self.collector(path))
        if kind in MODELS:
            if place not in self.made:
                self.made[place] = []
                self.collector(path).translated("class_name", kind, "its layers stand in the model itself")
            return self.write_model(kind, config, path, place, arrays)
        if place in self.made:
            return self._use_again(place, path, arrays, kind)
        self.parts[place] = self._translate(kind, config, path)
        self.made[place] = []
        for part in self.parts[place]:
            for piece in self._pad(part, path, arrays):
                leaf = self._add(piece, path, place, arrays, kind)
                self.made[place] += [(piece, leaf)] if piece.suffix is None else []
                arrays = [leaf.name]
        return arrays

    def _translate(self, kind: str, config: Any, path) -> list[Part]:
        """Today's layers for one of the old, without what today's Keras takes no more and training alone needs."""
        collector, parts = self.collector(path), []
        for part in translate_layer(kind, config, self.source, collector):
            if part.spec is not None:
                problems = find_problems_in_spec(part.spec, "layer", "layers")
                part = replace(part, spec=drop_for_training(part.spec, problems, collector)[0])
            parts.append(part)
        return parts

    def _pad(self, part: Part, path, arrays: list[str]) -> list[Part]:
        """The part, or several where Theano padded otherwise than today's Keras."""
        is_weightless = self.source.arrays is None and self.source.backend.name is None
        if is_weightless or part.spec is None or find_problems_in_spec(part.spec, "layer", "layers"):
            return [part]  # of the last the user is told when it is added
        is_positive = is_never_negative(arrays[0], self.flat.layers)
        return write_padding(part, self._shapes_of(arrays), is_positive, self.source, self.collector(path))

    def _use_again(self, place: tuple[int, ...], path, arrays: list[str], kind: str) -> list[str]:
        """Writes a further use of a layer: the same weights, behind zeros that are those of this input."""
        leaves = iter(self.made[place])
        for part in self.parts[place]:
            for piece in self._pad(part, path, arrays):
                if piece.suffix is not None:
                    arrays = [self._add(piece, path, place, arrays, kind).name]
                    continue
                first, leaf = next(leaves)
                if piece.spec == first.spec:
                    arrays = self._share(leaf, path, arrays)
                elif leaf.facts is not None and leaf.facts.parameters == 0:
                    arrays = [self._add(piece, path, place, arrays, kind).name]
                else:
                    message = (
                        "must be valid where a layer is used on inputs of several sizes: Theano padded each otherwise"
                    )
                    self.collector(path).unsupported("padding", "same", message)
        return arrays

    def _share(self, leaf: Leaf, path, arrays: list[str]) -> list[str]:
        """Writes a layer that has another's weights."""
        name = self._take_name(path, is_further_use=True)
        self.flat.layers[name] = {"shares": leaf.name, "inputs": arrays}
        shapes = self._shapes_of(arrays)
        facts = self._infer(leaf.complete, shapes, self.collector(path))
        self.flat.shapes[name] = None if facts is None else facts.output_shape
        self._follow_mask(name, leaf.spec, arrays, self.collector(path))
        return [name]

    def _follow_mask(
        self, name: str, spec: dict[str, Any] | None, arrays: Sequence[str], collector: IssueCollector
    ) -> None:
        """What of its inputs' masks a layer hands on; one that reads a mask which Keras 3 makes otherwise is told."""
        masks = [self.masks.get(array) for array in arrays]
        if spec is None:
            return
        if reads_mask(spec) and (UNSURE in masks or (spec["type"] == "TimeDistributed" and any(masks))):
            message = "must not come by a merge of differently masked arrays, Rescaling, Normalization, Identity"
            collector.unsupported(
                "mask", spec["type"], f"{message} or TimeDistributed: Keras 3 hands it on otherwise there"
            )
        if spec["type"] == "Bidirectional" and any(masks) and repeats_masked(spec) and not self.source.is_tf_keras:
            message = (
                "must not reach a Bidirectional of return_sequences: it repeated the step before, Keras 3 gives 0 there"
            )
            collector.unsupported("mask", spec["type"], message)
        self.masks[name] = hand_on(name, spec, masks)

    def _add(self, part: Part, path, place, arrays: list[str], original_type: str) -> Leaf:
        collector = self.collector(path)
        shapes = self._shapes_of(arrays)
        name = self._take_name(path, suffix=part.suffix)
        if len(arrays) > 1 and part.spec is not None and part.spec["type"] not in MERGES:
            message = f"must read one array; states can't be wired into {part.spec['type']}"
            collector.unsupported("inbound_nodes", len(arrays), message)
            shapes = None
        spec = make_padding_explicit(part.spec, shapes)
        complete = None if spec is None else self._complete(spec, collector)
        facts = self._infer(complete, shapes, collector)
        self.flat.layers[name] = {**(spec or {"type": original_type}), "inputs": arrays}
        self.flat.shapes[name] = None if facts is None else facts.output_shape
        if (
            part.expected_output is not None
            and facts is not None
            and tuple(facts.output_shape[1:]) != part.expected_output
        ):
            message = f"must be what its arguments give, {facts.output_shape}"
            collector.unsupported("output_shape", part.expected_output, message)
        is_frozen = part.original[1].get("trainable") is False
        leaf = Leaf(name, place, path, spec, complete, part.original, original_type, shapes, facts, is_frozen)
        self.flat.leaves.append(leaf)
        self._follow_mask(name, spec, arrays, collector)
        return leaf

    def _complete(self, spec: Mapping[str, Any], collector: IssueCollector) -> dict[str, Any] | None:
        """The spec with defaults, where it is one that configurations may hold; else what is wrong is told."""
        problems = find_problems_in_spec(spec, "layer", "layers")
        for problem in problems:
            name = problem.path.partition(".")[2]
            value = spec.get(name.split(".")[0], spec) if name else spec["type"]
            collector.unsupported(name or "class_name", value, problem.message.split("; got")[0].rstrip("."))
        return None if problems else with_defaults("layers", spec)

    def _infer(self, complete, shapes: list[Shape] | None, collector: IssueCollector) -> LayerFacts | None:
        if complete is None or shapes is None:
            return None
        try:
            facts = infer_layer(complete["type"], complete, shapes)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            message = f"must fit its input of shape {', '.join(map(str, shapes))}: {error}"
            collector.unsupported("config", complete["type"], message.rstrip("."))
            return None
        sizes = facts.output_shape[1:]
        elements = prod(sizes) * (self.flat.batch_size or 1)
        if any(size is None or size < 1 for size in sizes) or elements > MAX_ELEMENTS:
            collector.unsupported("config", facts.output_shape, f"must give at most {MAX_ELEMENTS:,} numbers, and some")
            return None
        return facts

    def _shapes_of(self, arrays: Sequence[str]) -> list[Shape] | None:
        shapes = [self.flat.shapes[array] for array in arrays]
        return None if None in shapes else shapes

    def _take_name(self, path: Sequence[str], is_further_use: bool = False, suffix: str | None = None) -> str:
        taken = {*self.flat.layers, *self.flat.inputs}
        if len(taken) > MAX_LAYERS:
            raise LegacyFileError(f"the model must have at most {MAX_LAYERS:,} layers, each use counted.")
        if suffix is not None:
            return make_name(f"{path[-1]}_{suffix}", taken)
        name = make_name(path[-1], taken)
        if name != path[-1] and len(path) > 1:
            name = make_name("_".join(path), taken)
        if name != path[-1] and not is_further_use:
            note = f"{name}: names are letters, digits and underscores, each once"
            self.collector(path).translated("name", path[-1], note)
        return name

    def _add_input(self, name: str, known: Mapping[str, Any], path) -> str:
        """An input of the whole model."""
        collector = self.collector((*path, name))
        given = self.input_shape
        if given is not None and not isinstance(given, Mapping) and self.flat.inputs:
            names = ", ".join(f"{one}={','.join(map(str, given))}" for one in [*self.flat.inputs, name])
            fix = (
                f"Give one for each: --input-shape NAME=SIZES, load_model(input_shape={{NAME: SIZES}}); as in {names}."
            )
            raise UserError(f"`input_shape` can't be one shape for several inputs; got {list(given)}. {fix}")
        made = make_name(name, {*self.flat.inputs, *self.flat.layers})
        self.input_names |= {name, made}
        found = read_input(
            made, known, given.get(made, given.get(name)) if isinstance(given, Mapping) else given, collector
        )
        if self.flat.inputs and found.batch_size != self.flat.batch_size:
            message = f"must open with the batch of the others, {self.flat.batch_size}"
            collector.unsupported("batch_input_shape", found.written, message)
        self.flat.batch_size = found.batch_size
        self.flat.inputs[made] = [1] if found.sizes is None else found.sizes
        self.flat.shapes[made] = None if found.sizes is None else (None, *found.sizes)
        self.flat.original_shapes[made] = found.written
        return made

    def check_input_names(self) -> None:
        """Whether each given shape is that of an input.

        Raises:
            UserError: names one that is not.
        """
        for name in self.input_shape if isinstance(self.input_shape, Mapping) else ():
            if name not in self.input_names:
                known = suggest(name, sorted(self.input_names))
                raise UserError(f"`input_shape` must name inputs of the model; got {name!r}. {known}")

    def as_layer(self, array: str) -> str:
        """An output that is an input as it stands becomes a layer's."""
        if array not in self.flat.inputs:
            return array
        name = self._take_name((f"{array}_output",))
        self.flat.layers[name] = {"type": "Activation", "activation": "linear", "inputs": [array]}
        self.flat.shapes[name] = self.flat.shapes[array]
        return name
