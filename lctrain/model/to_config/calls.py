"""The graph of a keras.Model as configurations see it: uses of layers, each on what other uses give."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from lctrain.errors import Problem
from lctrain.model.build import SEVERAL_ARGUMENTS

Array = tuple[str, int]  # what a layer gives: the layer's name, and at which of its uses
CALL_ARGUMENTS = ("query", "value", "key")  # of the layers that do not take a list
TENSOR = "__keras_tensor__"


@dataclass(frozen=True)
class Call:
    """One use of a layer: what it gives, and what it reads."""

    gives: Array
    layer: keras.layers.Layer
    reads: tuple[Array, ...]


@dataclass(frozen=True)
class Calls:
    """The shapes of a model's inputs (without the batch), its calls in topological order, and its outputs."""

    inputs: dict[Array, tuple[int | None, ...]]
    calls: list[Call]
    outputs: list[Array]

    @property
    def is_stack(self) -> bool:
        """Whether each call reads the one above it alone, the first the only input, and the last is the output."""
        above = [*self.inputs, *(call.gives for call in self.calls)]
        follow = all(call.reads == (array,) for call, array in zip(self.calls, above, strict=False))
        return len(self.inputs) == 1 and follow and self.outputs == above[-1:]


def read_calls(model: keras.Model) -> tuple[Calls, list[Problem]]:
    """The graph of a model, and what of it a configuration can't hold."""
    if isinstance(model, keras.Sequential):
        return _read_stack(model), []
    config = model.get_config() if hasattr(model, "output_names") else {}
    if "output_layers" not in config:
        problem = Problem("model", f"must be Sequential or functional; got {type(model).__name__}.")
        return Calls({}, [], []), [problem]
    return _FunctionalGraph(model, config).read()


def _read_stack(model: keras.Sequential) -> Calls:
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    arrays = [("", 0), *((layer.name, 0) for layer in layers)]
    calls = [Call(array, layer, (above,)) for above, array, layer in zip(arrays, arrays[1:], layers, strict=False)]
    return Calls({arrays[0]: ()}, calls, arrays[-1:])


class _FunctionalGraph:
    """A functional model, read from what Keras itself would save of it."""

    def __init__(self, model: keras.Model, config: Mapping[str, Any]):
        self.operations = {operation.name: operation for operation in model.operations}
        self.has_masks = any(
            isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False) for layer in model.layers
        )
        self.nodes = {
            (layer["name"], index): node
            for layer in config["layers"]
            for index, node in enumerate(layer["inbound_nodes"])
        }
        self.config = config
        self.problems: list[Problem] = []

    def read(self) -> tuple[Calls, list[Problem]]:
        for name in ("inputs", "outputs"):
            if isinstance(self.config[f"{name.removesuffix('s')}_layers"], Mapping):
                self._add_problem(f"model.{name}", "must be one tensor or a list of them; got names of tensors.")
        arrays = [self._find_array(end) for end in _find_ends(self.config["input_layers"])]
        inputs = {array: self.operations[array[0]].batch_shape[1:] for array in arrays}
        for (name, _), shape in inputs.items():
            if None in shape:
                self._add_problem(f"model.inputs.{name}", f"must have known sizes; got {(None, *shape)}.")
        outputs = [self._find_array(end) for end in _find_ends(self.config["output_layers"])]
        calls: dict[Array, Call] = {}
        waiting = list(outputs)
        while waiting:  # upstream, so that what computes masks alone is left out
            array = waiting.pop()
            if array not in calls and array not in inputs:
                calls[array] = self._read_call(array)
                waiting += calls[array].reads
        ordered = _sort({array: calls[array] for array in self.nodes if array in calls}, inputs)
        return Calls(inputs, ordered, outputs), self.problems

    def _read_call(self, array: Array) -> Call:
        name, _ = array
        node, is_list = self.nodes[array], True
        arguments, by_name = list(node["args"]), dict(node["kwargs"])
        if isinstance(self.operations[name], tuple(getattr(keras.layers, kind) for kind in SEVERAL_ARGUMENTS)):
            arguments += [by_name.pop(argument) for argument in CALL_ARGUMENTS if argument in by_name]
        elif len(arguments) == 1 and isinstance(arguments[0], list | tuple):
            arguments = list(arguments[0])
        else:
            is_list = len(arguments) == 1
        if not is_list or not all(map(_is_tensor, arguments)):
            self._add_problem(
                f"model.layers.{name}", "is called on other things than tensors, which configurations can't say."
            )
        for argument, value in by_name.items():
            if not self._is_by_itself(name, argument, value):
                self._add_problem(
                    f"model.layers.{name}", f"is called with `{argument}`, which configurations can't say."
                )
        tensors = [value["config"]["keras_history"] for value in arguments if _is_tensor(value)]
        return Call(array, self.operations[name], tuple(map(self._find_array, tensors)))

    def _find_array(self, history: Sequence[Any]) -> Array:
        name, index, place = history
        if place != 0:
            self._add_problem(f"model.layers.{name}", "gives several tensors; configurations can name the first alone.")
        return name, index

    def _is_by_itself(self, name: str, argument: str, value: Any) -> bool:
        """Whether Keras gives a call this argument by itself."""
        if argument == "mask" and _is_tensor(value):
            source = self.operations[value["config"]["keras_history"][0]]
            return self.has_masks and not isinstance(source, keras.layers.Layer)
        parameter = inspect.signature(self.operations[name].call).parameters.get(argument)
        return value is None or (parameter is not None and value is parameter.default)

    def _add_problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == TENSOR


def _find_ends(part: Any) -> list[Sequence[Any]]:
    """The inputs or outputs of a model, each `[name, index, place]`: one, a list or a mapping of them."""
    if isinstance(part, Mapping):
        return [end for value in part.values() for end in _find_ends(value)]
    return [part] if isinstance(part[0], str) else [end for item in part for end in _find_ends(item)]


def _sort(calls: Mapping[Array, Call], inputs: Mapping[Array, Any]) -> list[Call]:
    """The calls, each behind those that it reads, else in the order given."""
    placed, ordered, waiting = set(inputs), [], dict(calls)
    while waiting:
        array = next(array for array, call in waiting.items() if placed.issuperset(call.reads))
        ordered.append(waiting.pop(array))
        placed.add(array)
    return ordered
