"""Old layers, one by one, as today's in a flat graph, with their shapes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from lctrain.config.allowlist import with_defaults
from lctrain.config.graph import MERGES
from lctrain.config.specs import find_problems_in_spec
from lctrain.errors import Problem
from lctrain.legacy.arguments import Part, translate_layer
from lctrain.legacy.errors import LegacyFileError
from lctrain.legacy.flat import Flat, Leaf, Path, Place, make_name
from lctrain.legacy.inputs import MAX_ELEMENTS
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.keras3 import make_padding_explicit
from lctrain.legacy.masks import MaskTracker
from lctrain.legacy.source import Source
from lctrain.legacy.theano_padding import is_never_negative, write_padding
from lctrain.legacy.training_arguments import drop_for_training
from lctrain.legacy.wiring import MAX_LAYERS
from lctrain.model.shapes import LayerFacts, Shape, infer_layer


class LeafWriter:
    """Writes layers into a flat graph.

    Args:
        source: what was read.
        issues: collects those of the whole model.
        flat: takes the layers.
    """

    def __init__(self, source: Source, issues: IssueCollector, flat: Flat):
        self.source, self.issues, self.flat = source, issues, flat
        # By place, as they are before zeros are put around them.
        self.parts: dict[Place, list[Part]] = {}
        # By place, but for those zeros.
        self.made: dict[Place, list[tuple[Part, Leaf]]] = {}
        self.masks = MaskTracker(source.is_tf_keras)

    def write_layer(self, kind: str, config: Any, path: Path, place: Place, arrays: list[str]) -> list[str]:
        """Writes one use of a layer; the arrays that it gives."""
        if place in self.made:
            return self._write_again(place, path, arrays, kind)
        self.parts[place] = self._translate(kind, config, path)
        self.made[place] = []
        for part in self.parts[place]:
            for piece in self._pad(part, path, arrays):
                leaf = self._add(piece, path, place, arrays, kind)
                self.made[place] += [(piece, leaf)] if piece.suffix is None else []
                arrays = [leaf.name]
        return arrays

    def write_output(self, array: str) -> str:
        """Makes an output that is an input as it stands a layer's; the name of the layer."""
        if array not in self.flat.inputs:
            return array
        name = self._make_name((f"{array}_output",))
        self.flat.layers[name] = {"type": "Activation", "activation": "linear", "inputs": [array]}
        self.flat.shapes[name] = self.flat.shapes[array]
        return name

    def _translate(self, kind: str, config: Any, path: Path) -> list[Part]:
        """Today's layers for one of the old, without what today's Keras refuses and training alone needs."""
        collector, parts = self.issues.at(path), []
        for part in translate_layer(kind, config, self.source, collector):
            if part.spec is not None:
                problems = find_problems_in_spec(part.spec, "layer", "layers")
                spec = drop_for_training(part.spec, problems, collector)
                if spec != part.spec:
                    problems = find_problems_in_spec(spec, "layer", "layers")
                part = replace(part, spec=spec, problems=tuple(problems))
            parts.append(part)
        return parts

    def _pad(self, part: Part, path: Path, arrays: list[str]) -> list[Part]:
        """The part, or several where Theano padded otherwise than today's Keras."""
        is_weightless = self.source.arrays is None and self.source.backend.name is None
        # A part with problems is reported when it is added.
        if is_weightless or part.spec is None or part.problems:
            return [part]
        is_positive = is_never_negative(arrays[0], self.flat.layers)
        return write_padding(part, self.flat.find_shapes(arrays), is_positive, self.source, self.issues.at(path))

    def _write_again(self, place: Place, path: Path, arrays: list[str], kind: str) -> list[str]:
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
                    message = "must be valid where a layer is used on inputs of several sizes"
                    self.issues.at(path).unsupported("padding", "same", f"{message}: Theano padded each otherwise")
        return arrays

    def _share(self, leaf: Leaf, path: Path, arrays: list[str]) -> list[str]:
        """Writes a layer that has another's weights."""
        collector, name = self.issues.at(path), self._make_name(path, is_further_use=True)
        self.flat.layers[name] = {"shares": leaf.name, "inputs": arrays}
        facts = self._infer(leaf.complete, self.flat.find_shapes(arrays), collector)
        self.flat.shapes[name] = None if facts is None else facts.output_shape
        self.masks.follow(name, leaf.spec, arrays, collector)
        return [name]

    def _add(self, part: Part, path: Path, place: Place, arrays: list[str], original_type: str) -> Leaf:
        collector, shapes = self.issues.at(path), self.flat.find_shapes(arrays)
        name = self._make_name(path, suffix=part.suffix)
        if len(arrays) > 1 and part.spec is not None and part.spec["type"] not in MERGES:
            message = f"must read one array; states can't be wired into {part.spec['type']}"
            collector.unsupported("inbound_nodes", len(arrays), message)
            shapes = None
        spec = make_padding_explicit(part.spec, shapes)
        complete = None if spec is None else _complete(spec, part.problems, collector)
        facts = self._infer(complete, shapes, collector)
        self.flat.layers[name] = {**(spec or {"type": original_type}), "inputs": arrays}
        self.flat.shapes[name] = None if facts is None else facts.output_shape
        expected = part.expected_output
        if expected is not None and facts is not None and tuple(facts.output_shape[1:]) != expected:
            collector.unsupported("output_shape", expected, f"must be what its arguments give, {facts.output_shape}")
        is_frozen = part.original[1].get("trainable") is False
        leaf = Leaf(name, place, path, spec, complete, part.original, original_type, shapes, facts, is_frozen)
        self.flat.leaves.append(leaf)
        self.masks.follow(name, spec, arrays, collector)
        return leaf

    def _infer(
        self, complete: Mapping[str, Any] | None, shapes: Sequence[Shape] | None, collector: IssueCollector
    ) -> LayerFacts | None:
        if complete is None or shapes is None:
            return None
        try:
            facts = infer_layer(complete["type"], complete, shapes)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            message = f"must fit its input of shape {', '.join(map(str, shapes))}: {error}"
            collector.unsupported("config", complete["type"], message.rstrip("."))
            return None
        sizes = [0 if size is None else size for size in facts.output_shape[1:]]
        if any(size < 1 for size in sizes) or prod(sizes) * (self.flat.batch_size or 1) > MAX_ELEMENTS:
            collector.unsupported("config", facts.output_shape, f"must give at most {MAX_ELEMENTS:,} numbers, and some")
            return None
        return facts

    def _make_name(self, path: Path, is_further_use: bool = False, suffix: str | None = None) -> str:
        used = {*self.flat.layers, *self.flat.inputs}
        if len(used) > MAX_LAYERS:
            raise LegacyFileError(f"the model must have at most {MAX_LAYERS:,} layers, each use counted.")
        if suffix is not None:
            return make_name(f"{path[-1]}_{suffix}", used)
        name = make_name(path[-1], used)
        if name != path[-1] and len(path) > 1:
            name = make_name("_".join(path), used)
        if name != path[-1] and not is_further_use:
            note = f"{name}: names are letters, digits and underscores, each once"
            self.issues.at(path).translated("name", path[-1], note)
        return name


def _complete(spec: Mapping[str, Any], problems: Iterable[Problem], collector: IssueCollector) -> dict[str, Any] | None:
    """The spec with defaults, where it is one that configurations may hold; else its problems are reported."""
    problems = list(problems)
    for problem in problems:
        name = problem.path.partition(".")[2]
        value = spec.get(name.split(".")[0], spec) if name else spec["type"]
        collector.unsupported(name or "class_name", value, problem.message.split("; got")[0].rstrip("."))
    return None if problems else with_defaults("layers", spec)
