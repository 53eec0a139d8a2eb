"""What a configuration's model is, layer by layer, from arithmetic alone: no weights, no Keras."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lctrain.config import Config
from lctrain.config.allowlist import find_class
from lctrain.cost import Cost, choose_implementation, train_step_cost
from lctrain.errors import ConfigError, Problem
from lctrain.shapes import LayerFacts, Shape, infer_layer

INPUT = "input"  # what the first layer's source is called
COMPARED = (1, 2, 3, "batched")
ITEMSIZES = {"float64": 8}  # bytes of one number; weights and their gradients are float32 under mixed precision
SLOTS = {  # numbers that an optimizer keeps for each parameter, besides those that its arguments add
    **{"Adadelta": 2, "Adagrad": 1, "Adam": 2, "AdamW": 2, "Adamax": 2, "Lamb": 2, "Lion": 1, "Nadam": 2},
    **{"RMSprop": 1, "SGD": 0},
}


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a model.

    Args:
        name: its key in the configuration.
        type: its class.
        arguments: its constructor's, defaults included.
        inputs: names of the layers that feed it; "input" is the model's own.
        input_shapes: of these, with the batch, None, first.
        facts: output shape, parameters, connectivity.
        implementation: what was asked for; None but for locally connected layers.
        resolved: what that becomes: the choice of "auto", or the same.
        costs: one training step under each implementation; empty but for locally connected layers.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    facts: LayerFacts
    implementation: int | str | None
    resolved: int | str | None
    costs: Mapping[int | str, Cost]


@dataclass(frozen=True)
class ModelSummary:
    """A model's layers in order, on an input of this shape (the batch, None, first)."""

    name: str
    input_shape: Shape
    batch_size: int
    num_slots: int
    layers: tuple[LayerSummary, ...]

    @property
    def parameters(self) -> int:
        return sum(layer.facts.parameters for layer in self.layers)

    @property
    def flops(self) -> int:
        """Of one example's forward pass."""
        return sum(layer.facts.flops for layer in self.layers)


def summarize(config: Config) -> ModelSummary:
    """The model that a validated configuration declares.

    Raises:
        ConfigError: a layer that does not fit the shape that reaches it, or a last layer whose output is not one score
            per class, with its path.
    """
    input_shape = model_input_shape(config)
    num_slots = count_slots(config.optimizer)
    shapes: dict[str, Shape] = {INPUT: input_shape}
    layers: list[LayerSummary] = []
    for name, spec in config.model.layers.items():
        inputs = (layers[-1].name if layers else INPUT,)
        input_shapes = tuple(shapes[source] for source in inputs)
        arguments = find_class("layers", spec["type"]).optional | spec
        try:
            facts = infer_layer(spec["type"], arguments, input_shapes)
        except ValueError as error:
            raise ConfigError([layer_problem(name, spec, input_shapes, str(error))]) from error
        shapes[name] = facts.output_shape
        costs = _compare_costs(facts, arguments, config.training.batch_size, num_slots)
        asked, resolved = _choose(facts, arguments)
        layers.append(LayerSummary(name, spec["type"], arguments, inputs, input_shapes, facts, asked, resolved, costs))
    problem = check_scores(facts.output_shape, config.data.num_classes)
    if problem is not None:
        raise ConfigError([Problem(f"model.layers.{name}", problem)])
    return ModelSummary(config.model.name, input_shape, config.training.batch_size, num_slots, tuple(layers))


def model_input_shape(config: Config) -> Shape:
    """The data's shape where the run's `data_format` has the channels, behind the batch."""
    shape = tuple(config.data.input_shape)
    return (None, *shape) if config.data_format == "channels_last" else (None, shape[-1], *shape[:-1])


def check_scores(output_shape: Shape, num_classes: int) -> str | None:
    """What is wrong with a last layer's output, which must be one score per class; None if nothing is."""
    if output_shape == (None, num_classes):
        return None
    fix = 'End with a Dense layer of `units: "${data.num_classes}"`, after a Flatten.'
    return f"must give one score per class, an output of shape (None, {num_classes}); got {output_shape}. {fix}"


def layer_problem(name: str, spec: Mapping[str, Any], input_shapes: tuple[Shape, ...], message: str) -> Problem:
    """A problem at the argument that the message opens with, in backticks, else at the layer."""
    path, entry = f"model.layers.{name}", find_class("layers", spec["type"])
    argument, _, rest = message.removeprefix("`").partition("` ")
    if message.startswith("`") and argument in entry.arguments:
        return Problem(f"{path}.{argument}", rest)
    on = ", ".join(map(str, input_shapes))
    return Problem(path, f"({entry.name}) can't be built on an input of shape {on}: {message}")


def count_slots(optimizer: Mapping[str, Any]) -> int:
    """Numbers that the optimizer of a validated spec keeps for each parameter.

    >>> count_slots({"type": "Adam"}), count_slots({"type": "SGD", "momentum": 0.9}), count_slots({"type": "SGD"})
    (2, 1, 0)
    """
    entry = find_class("optimizers", optimizer["type"])
    arguments = entry.optional | dict(optimizer)
    has_momentum = entry.name in ("SGD", "RMSprop") and arguments["momentum"] != 0
    added = [has_momentum, arguments.get("amsgrad"), arguments.get("centered"), arguments["use_ema"]]
    return SLOTS[entry.name] + sum(map(bool, added)) + (arguments["gradient_accumulation_steps"] is not None)


def _compare_costs(
    facts: LayerFacts, arguments: Mapping[str, Any], batch_size: int, num_slots: int
) -> dict[int | str, Cost]:
    if facts.local is None:
        return {}
    itemsize = ITEMSIZES.get(arguments["dtype"], 4)
    applied = batch_size * facts.calls
    return {choice: train_step_cost(facts.local, choice, applied, itemsize, num_slots) for choice in COMPARED}


def _choose(facts: LayerFacts, arguments: Mapping[str, Any]) -> tuple[int | str | None, int | str | None]:
    if facts.local is None:
        return None, None
    asked = arguments["implementation"]
    return asked, choose_implementation(facts.local) if asked == "auto" else asked
