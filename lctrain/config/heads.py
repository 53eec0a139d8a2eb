"""The end of a model: what it becomes and must be for the task, and whether it gives probabilities or logits."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from lctrain.config.allowlist import with_defaults
from lctrain.config.graph import Graph
from lctrain.config.schema import Config
from lctrain.config.tasks import AUTO, TASKS, num_outputs, output_shape
from lctrain.errors import Problem

REARRANGING = ("Flatten", "Identity", "Permute", "Reshape")  # layers that compute nothing
RECURRENT = ("Bidirectional", "GRU", "LSTM", "RNN", "SimpleRNN")
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Ending:
    """What computes the model's first output.

    Args:
        name: of the layer.
        arguments: its own, or those of the layer that it wraps.
        behind: classes of the layers behind it, which only rearrange.
    """

    name: str
    arguments: Mapping[str, Any]
    behind: tuple[str, ...]

    @property
    def activation(self) -> str | None:
        """What it ends in; None where it gives scores or numbers as they are."""
        if self.arguments["type"] == "Softmax":
            return "softmax"
        activation = self.arguments.get("activation")
        return None if activation == "linear" else activation

    @property
    def axis(self) -> Any:
        """Along which a softmax compares."""
        return self.arguments["axis"] if self.arguments["type"] == "Softmax" else -1


def trace_back(layers: Mapping[str, Any], output: str) -> list[str]:
    """The layers from an output back to the one that computes it, through those that only rearrange.

    Args:
        layers: complete specs by name, each with its `inputs`.
        output: the name of one of them.
    """
    names = [output]
    while layers[names[-1]]["type"] in REARRANGING and layers[names[-1]]["inputs"][0] in layers:
        names += layers[names[-1]]["inputs"]
    return names


def output_names(config: Config) -> list[str]:
    """The model's outputs, each of which a validated configuration names."""
    if config.model.outputs is None:
        raise ValueError("`model.outputs` must be names, as `validate` writes them; got None.")
    return config.model.outputs


def declared_inputs(config: Config) -> dict[str, list[int | None]]:
    """The model's inputs and their shapes, which a validated configuration has."""
    if config.model.inputs is None:
        raise ValueError("`model.inputs` must be shapes by name, as `validate` writes them; got None.")
    return config.model.inputs


def complete_heads(config: Config, graph: Graph) -> dict[str, Any]:
    """The layers of a model, as written, in which each `auto` of a Dense layer is what `data.task` asks for.

    Behind a Dense layer whose input has no axes for the targets of `data.target_shape` there is then a layer that gives
    its output their shape, and one for the activation, which compares the classes of one target.

    Args:
        config: valid, of which nothing is completed.
        graph: how its layers connect.
    """
    targets, layers = config.data.target_shape, dict(config.model.layers)
    for name, spec in config.model.layers.items():
        layers[name] = head = _resolve_auto(spec, config)
        if not targets or spec.get("type") != "Dense" or spec.get("units") != AUTO or not _is_flat(name, config, graph):
            continue
        units, activation = head["units"], head.get("activation")
        layers[name] = {**head, "units": prod(targets) * units, "activation": None}
        behind = {"reshape": {"type": "Reshape", "target_shape": [*targets, units]}}
        if activation not in (None, "linear"):
            behind["activation"] = {"type": "Activation", "activation": activation}
        above = name
        for suffix, added in behind.items():
            new = f"{name}_{suffix}"
            while new in layers:
                new += "_"
            layers[new], above = {**added, "after": above}, new
    return layers


def has_open_units(model: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Whether a layer of `units: auto` follows classes of which `data`, as written, does not say how many there are."""
    is_open = data.get("num_classes") is None and data.get("task") not in ("binary", "regression")
    return is_open and _has_auto_units(model)


def _has_auto_units(node: Any) -> bool:
    return isinstance(node, Mapping) and (node.get("units") == AUTO or any(map(_has_auto_units, node.values())))


def _resolve_auto(value: Any, config: Config) -> Any:
    """A layer's spec, and those that it holds, with the numbers and the activation of one target."""
    if isinstance(value, list):
        return [_resolve_auto(one, config) for one in value]
    if not isinstance(value, Mapping):
        return value
    own = {"units": num_outputs(config.data), "activation": TASKS[config.data.task].activation}
    is_dense = value.get("type") == "Dense"
    return {
        key: own[key] if is_dense and key in own and one == AUTO else _resolve_auto(one, config)
        for key, one in value.items()
    }


def _is_flat(name: str, config: Config, graph: Graph) -> bool:
    """Whether the input of a layer has one axis behind the batch, by the nearest layer above that decides it."""
    layers = config.model.layers
    while (name := graph.sources[name][0]) in layers:
        spec = layers[layers[name].get("shares") or name]
        if spec["type"] == "Flatten" or spec["type"].startswith("Global"):
            return not spec.get("keepdims")
        if spec["type"] in RECURRENT:
            return not spec.get("layer", spec).get("return_sequences")
        if spec["type"] in ("Embedding", "RepeatVector", "Reshape"):
            return len(spec.get("target_shape", (0, 0))) == 1
    shapes = config.model.inputs
    return len(config.data.input_shape if shapes is None else shapes[name]) == 1


def find_ending(config: Config) -> Ending:
    """The last layer of a validated configuration that computes something."""
    layers = config.model.layers
    *behind, name = trace_back(layers, output_names(config)[0])
    arguments = with_defaults("layers", layers[name])
    while isinstance(arguments.get("layer"), Mapping):
        arguments = arguments["layer"]
    return Ending(name, arguments, tuple(layers[other]["type"] for other in behind))


def gives_probabilities(config: Config) -> bool:
    """Whether the model's first output ends in what makes probabilities under the task; else it gives logits."""
    activation = TASKS[config.data.task].activation
    return activation is not None and find_ending(config).activation == activation


def find_head_problem(config: Config, shapes: Mapping[str, Shape]) -> Problem | None:
    """What is wrong with the only output for the task.

    Args:
        config: validated, of a model with one output.
        shapes: of the outputs of all layers, each with the batch, None, first.
    """
    (name,), task = output_names(config), TASKS[config.data.task]
    path, expected, ending = f"model.layers.{name}", output_shape(config.data), find_ending(config)
    if shapes[name] != expected or _has_channels_first(config, ending):
        where = " for each position of `data.target_shape`" if config.data.target_shape else ""
        message = f"must give {task.gives}{where}, an output of shape {expected}; got {shapes[name]}"
        return Problem(path, f"{message}. {_suggest_end(config, ending, shapes[name])}")
    if task.activation is None:
        if ending.activation == "softmax" and expected[-1] == 1:
            fix = f"To let it follow the task: `model.layers.{ending.name}.activation=auto`."
            return Problem(f"model.layers.{ending.name}", f"ends in a softmax of one number, which is always 1. {fix}")
        return None
    if ending.activation not in (None, task.activation):
        message = f"must end in probabilities (activation: {task.activation}) or logits (no activation)"
        return Problem(f"model.layers.{ending.name}", f"{message}; got activation {ending.activation!r}.")
    return _find_softmax_problem(ending, shapes, path, expected[-1]) if ending.activation == "softmax" else None


def _has_channels_first(config: Config, ending: Ending) -> bool:
    """Whether the channels of an output with spatial axes are not its last axis, which its sizes may not show."""
    return (
        bool(config.data.target_shape) and not ending.behind and ending.arguments.get("data_format") == "channels_first"
    )


def _suggest_end(config: Config, ending: Ending, shape: Shape) -> str:
    targets, path, spec = config.data.target_shape, f"model.layers.{ending.name}", config.model.layers[ending.name]
    if targets and config.data_format == "channels_first" and shape == (None, output_shape(config.data)[-1], *targets):
        dims = [*range(2, len(targets) + 2), 1]
        return f"Channels are last here whatever `data_format` is: end with `type: Permute`, `dims: {dims}`."
    is_own_dense = spec["type"] == "Dense" and spec.get("shares") is None and not ending.behind
    if is_own_dense and list(shape[1:-1]) in ([], targets):
        return f"To let it follow the task: `{path}.units=auto {path}.activation=auto`."
    where = f" or on an input of shape (None, {', '.join(map(str, targets))}, channels)" if targets else ""
    return f"End with a Dense layer of `units: auto` and `activation: auto`, after a Flatten{where}."


def _find_softmax_problem(
    ending: Ending, shapes: Mapping[str, Shape], path: str, num_classes: int | None
) -> Problem | None:
    """Whether a softmax compares the scores of one target's classes, where they end up behind it too."""
    shape, (axis, *others) = shapes[ending.name], [ending.axis] if isinstance(ending.axis, int) else ending.axis
    num_scores = prod(0 if size is None else size for size in shape[1:])
    if not others and shape[axis] == num_scores == num_classes:
        return None
    if others or axis not in (-1, len(shape) - 1):
        message = "must be -1, along which the classes lie"
        return Problem(f"model.layers.{ending.name}.axis", f"{message}; got {ending.axis}. Write `axis: -1`.")
    if "Permute" in ending.behind or shape[-1] != num_classes:
        message = f"moves classes that the softmax of `model.layers.{ending.name}` has compared along another axis"
        return Problem(path, f"{message}. Put the softmax behind it: `type: Softmax`, `axis: -1`.")
    return None
