"""How layers connect: from `inputs`, `after` and `shares` to explicit inputs in topological order; no shapes here.

Each edge of the graph is one array, so that a layer's name stands for its output.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lctrain.config.allowlist import find_class
from lctrain.errors import Problem, suggest, suggest_near

WIRING = ("inputs", "after", "shares")  # keys of a layer's spec beside `type` and its arguments
MERGES = {  # how many inputs a layer takes, least and most; all others take one
    **dict.fromkeys(["Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply"], (2, None)),
    **dict.fromkeys(["Dot", "Subtract", "HashedCrossing"], (2, 2)),
    **dict.fromkeys(["Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"], (2, 3)),
}


@dataclass(frozen=True)
class Graph:
    """The layers of a model, each with its inputs.

    Args:
        sources: for each layer the names of the layers and model inputs that it reads, in topological order.
        outputs: the layers whose outputs are the model's.
    """

    sources: dict[str, list[str]]
    outputs: list[str]


def share_layers(layers: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The specs, where each that `shares` another layer has that one's `type` and arguments, and the problems found.

    A layer that shares another is the same layer once more: the same weights on other inputs.
    """
    complete, problems = dict(layers), []
    for name, spec in layers.items():
        if not isinstance(spec, Mapping) or spec.get("shares") is None:
            continue
        path, shared = f"model.layers.{name}", spec["shares"]
        others = {key: other for key, other in layers.items() if key != name and isinstance(other, Mapping)}
        origin = others.get(shared) if isinstance(shared, str) else None
        if origin is None:
            hint = suggest(str(shared), map(str, others))
            problems.append(Problem(f"{path}.shares", f"must name another layer; got {shared!r}. {hint}"))
            complete[name] = None
            continue
        if origin.get("shares") is not None:
            fix = f"Name `{origin['shares']}` itself."
            problems.append(Problem(f"{path}.shares", f"must name a layer that shares no other; got {shared!r}. {fix}"))
        own = {key: value for key, value in origin.items() if key not in WIRING}
        for key in spec:
            if key not in WIRING and (key not in own or own[key] != spec[key]):
                fix = suggest_near(key, WIRING).strip() or f"Set it in `model.layers.{shared}`."
                problems.append(Problem(f"{path}.{key}", f"can't be set in a layer that shares another. {fix}"))
        complete[name] = {**own, **{key: spec[key] for key in WIRING if key in spec}}
    return complete, problems


def connect(layers: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str] | None) -> Graph:
    """The graph that the specs declare.

    A layer without `inputs` reads the layer above it, the first one the model's input. `after: NAME` puts a layer
    between NAME and all that NAME feeds, but for layers that name it in their own `inputs`.

    Args:
        layers: the specs by name, as written.
        inputs: names of the model's inputs.
        outputs: names of the model's outputs; None is the last layer.

    Raises:
        GraphError: holds every problem found.
    """
    wiring = _Wiring(layers, tuple(inputs))
    wiring.read_sources()
    wiring.read_outputs(outputs)
    wiring.place_behind()
    if wiring.problems:
        raise GraphError(wiring.problems)
    ordered = _sort(wiring)
    _add_unconnected(wiring, ordered)
    if wiring.problems:
        raise GraphError(wiring.problems)
    return Graph({name: wiring.sources[name] for name in ordered}, wiring.outputs)


class GraphError(Exception):
    """Everything that is wrong in how layers connect."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = list(problems)
        super().__init__(*self.problems)


@dataclass
class _Wiring:
    """What is known of the graph while it is read."""

    layers: Mapping[str, Any]
    inputs: tuple[str, ...]
    sources: dict[str, list[str]] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def read_sources(self) -> None:
        above = self.inputs[0] if len(self.inputs) == 1 else None
        for name, spec in self.layers.items():
            path = f"model.layers.{name}"
            if name in self.inputs:
                self._add_problem(path, "must not have the name of an input of the model. Choose another name.")
            if spec.get("after") is not None:
                if spec.get("inputs") is not None:
                    self._add_problem(
                        f"{path}.after", f"can't go with `{path}.inputs`, which says the same. Remove one."
                    )
                self._accepts_name(spec["after"], f"{path}.after", but=name)
                continue
            if spec.get("inputs") is not None:
                self.sources[name] = self._read_names(spec["inputs"], f"{path}.inputs")
            elif above is None:
                self._add_problem(
                    path, f"must say which of the model's inputs it reads. Add `inputs: {self.inputs[0]}`."
                )
            else:
                self.sources[name] = [above]
            above = name
            if name in self.sources and isinstance(spec.get("type"), str):
                self._add_problem_of_number(name, spec, path)

    def read_outputs(self, outputs: Sequence[str] | None) -> None:
        if outputs is not None:
            self.outputs = [
                name
                for i, name in enumerate(outputs)
                if self._accepts_name(name, f"model.outputs.{i}", known=self.layers)
            ]
            if len(set(outputs)) < len(outputs):
                self._add_problem("model.outputs", f"must not name a layer twice; got {list(outputs)}.")
        elif self.sources:
            self.outputs = [list(self.sources)[-1]]

    def place_behind(self) -> None:
        """Places each layer that has `after`, once what it goes behind has its place."""
        waiting = {name: spec["after"] for name, spec in self.layers.items() if spec.get("after") is not None}
        if self.problems:
            return
        if not self.outputs:
            self.outputs = list(self.inputs[:1])  # nothing but layers with `after`: they stand behind the input
        while ready := [name for name, target in waiting.items() if target not in waiting]:
            for name in ready:
                self._insert(name, waiting.pop(name))
        for name, target in waiting.items():
            self._add_problem(
                f"model.layers.{name}.after", f"closes a cycle: `model.layers.{target}` is itself placed behind it."
            )

    def _insert(self, name: str, target: str) -> None:
        for sources in self.sources.values():
            if name not in sources:
                sources[:] = [name if source == target else source for source in sources]
        if name not in self.outputs:
            self.outputs = [name if output == target else output for output in self.outputs]
        self.sources[name] = [target]
        self._add_problem_of_number(name, self.layers[name], f"model.layers.{name}")

    def _read_names(self, names: Any, path: str) -> list[str]:
        if not isinstance(names, list) or not names:
            expected = "must be the name of a layer or of an input of the model, or a list of them"
            self._add_problem(path, f"{expected}; got {names!r}.")
            return []
        return [name for i, name in enumerate(names) if self._accepts_name(name, f"{path}.{i}")]

    def _accepts_name(self, name: Any, path: str, known: Iterable[str] | None = None, but: str | None = None) -> bool:
        known = [*self.inputs, *self.layers] if known is None else list(known)
        if name == but and but is not None:
            self._add_problem(path, f"closes a cycle: `model.layers.{name}` can't be placed behind itself.")
        elif name not in known:
            hint = suggest(str(name), [str(other) for other in known if other != but])
            kind = "a layer" if known == list(self.layers) else "a layer or an input of the model"
            self._add_problem(path, f"must name {kind}; got {name!r}. {hint}")
        return name in known and name != but

    def _add_problem_of_number(self, name: str, spec: Mapping[str, Any], path: str) -> None:
        entry = find_class("layers", spec.get("type"))
        if entry is None:
            return
        least, most = MERGES.get(entry.name, (1, 1))
        written = spec.get("inputs")
        number = len(written) if isinstance(written, list) else 1
        if least <= number and (most is None or number <= most):
            return
        got = f"got {written!r}" if written is not None else f"got `{self.sources[name][0]}` alone"
        if most == 1:
            self._add_problem(
                f"{path}.inputs", f"must name one layer for {entry.name}; {got}. Merge them first with Concatenate."
            )
        else:
            wanted = {None: "2 layers or more", 2: "2 layers", 3: "2 or 3 layers"}[most]
            self._add_problem(
                f"{path}.inputs", f"must name {wanted} for {entry.name}; {got}. Write `inputs: [NAME, NAME]`."
            )

    def _add_problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))


def _sort(wiring: _Wiring) -> list[str]:
    """The layers, each behind those it reads, else in the order written; of a cycle the problem is told."""
    ordered: list[str] = []
    placed = set(wiring.inputs)
    waiting = dict.fromkeys([*(name for name in wiring.layers if name in wiring.sources)])
    while waiting:
        name = next((name for name in waiting if placed.issuperset(wiring.sources[name])), None)
        if name is None:
            cycle = _find_cycle(wiring.sources, waiting)
            steps = " -> ".join(f"`model.layers.{name}`" for name in [*cycle, cycle[0]])
            fix = "Let one of them read from elsewhere."
            wiring.problems.append(Problem(f"model.layers.{cycle[0]}.inputs", f"closes a cycle: {steps}. {fix}"))
            return ordered
        del waiting[name]
        placed.add(name)
        ordered.append(name)
    return ordered


def _find_cycle(sources: Mapping[str, Sequence[str]], waiting: Iterable[str]) -> list[str]:
    """Layers that feed each other in turn, found by walking upstream among those that wait."""
    waiting = list(waiting)
    walked = [waiting[0]]
    while True:
        upstream = next(source for source in sources[walked[-1]] if source in waiting)
        if upstream in walked:
            cycle = walked[walked.index(upstream) :]
            cycle.reverse()  # walked upstream, told downstream
            first = min(range(len(cycle)), key=lambda i: waiting.index(cycle[i]))
            return cycle[first:] + cycle[:first]
        walked.append(upstream)


def _add_unconnected(wiring: _Wiring, ordered: Sequence[str]) -> None:
    """Tells of each end that leads to no output: a layer that nothing reads, an input that reaches none."""
    if wiring.problems:
        return
    reaching = set(wiring.outputs)
    for name in reversed(ordered):
        if name in reaching:
            reaching.update(wiring.sources[name])
    read = {source for sources in wiring.sources.values() for source in sources}
    ends = " or ".join(f"`model.layers.{name}`" for name in wiring.outputs)
    for name in [*wiring.inputs, *ordered]:
        if name in reaching or (name in read and name not in wiring.inputs):
            continue
        path = f"model.inputs.{name}" if name in wiring.inputs else f"model.layers.{name}"
        fix = "Name it in the `inputs` of another layer"
        fix += ", or remove it." if name in wiring.inputs else " or in `model.outputs`, or remove it."
        wiring.problems.append(Problem(path, f"is unconnected: nothing leads from it to the output {ends}. {fix}"))
