"""What a configuration's model is, layer by layer, from arithmetic alone: no weights, no Keras."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lctrain.config import Config
from lctrain.config.allowlist import require_class, with_defaults
from lctrain.config.arguments import RANK
from lctrain.config.graph import WIRING
from lctrain.config.heads import declared_inputs, find_head_problem, gives_probabilities, output_names
from lctrain.config.objectives import find_problems_of_logits
from lctrain.cost import Cost, choose_implementation, train_step_cost
from lctrain.errors import ConfigError, Problem
from lctrain.implementations import IMPLEMENTATIONS
from lctrain.model.shapes import LayerFacts, Shape, infer_layer

ITEMSIZES = {"float64": 8}  # bytes of one number; weights and their gradients are float32 under mixed precision

# By the rank of a layer, what it reads, and a packaged model for examples of one axis fewer.
OTHER_MODELS = {1: ("sequences", "dense"), 2: ("images", "lc1d"), 3: ("volumes", "lc2d")}
SLOTS = {  # numbers that an optimizer keeps for each of a local kernel's, besides those that its arguments add
    **{"Adadelta": 2, "Adagrad": 1, "Adam": 2, "AdamW": 2, "Adamax": 2, "Ftrl": 2, "Lamb": 2, "Lion": 1, "Muon": 2},
    **{"Nadam": 2, "RMSprop": 1, "SGD": 0, "ScheduleFreeAdamW": 2},
    "Adafactor": 1,  # and the sums over either of the last two axes, which are small beside it
}


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a model.

    Args:
        name: its key in the configuration.
        type: its class.
        arguments: its constructor's, defaults included, in wrapped layers too.
        inputs: names of the layers and model inputs that feed it.
        input_shapes: of these, with the batch, None, first.
        facts: output shape, parameters, connectivity.
        shares: the layer whose weights it has; None where it has its own.
        implementation: what was asked for; None but for locally connected layers, wrapped ones included.
        resolved: what that becomes: the choice of "auto", or the same.
        costs: one training step under each implementation; empty but for locally connected layers. What is shared costs
            where it is the layer's own.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    facts: LayerFacts
    shares: str | None
    implementation: int | str | None
    resolved: int | str | None
    costs: Mapping[int | str, Cost]

    @property
    def parameters(self) -> int:
        """What it adds to the model's: nothing where it shares another's weights."""
        return self.facts.parameters if self.shares is None else 0

    @property
    def is_frozen(self) -> bool:
        """Whether its weights stay as they are drawn."""
        return _is_frozen(self.arguments)


@dataclass(frozen=True)
class ModelSummary:
    """A model's layers in topological order, its inputs' shapes (the batch, None, first) and its outputs' names."""

    name: str
    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    batch_size: int
    num_slots: int
    layers: tuple[LayerSummary, ...]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def flops(self) -> int:
        """Of one example's forward pass."""
        return sum(layer.facts.flops for layer in self.layers)

    @property
    def is_stack(self) -> bool:
        """Whether each layer reads the one above it alone, and the last gives the only output."""
        above = [*list(self.inputs)[:1], *(layer.name for layer in self.layers)]
        follow = all(layer.inputs == (name,) for layer, name in zip(self.layers, above, strict=False))
        return follow and len(self.inputs) == 1 and list(self.outputs) == above[-1:]


def summarize(config: Config) -> ModelSummary:
    """The model that a validated configuration declares.

    Raises:
        ConfigError: a layer that does not fit the shapes that reach it, an output that is not what the task asks for,
            or a loss or metric that does not fit it, each with its path.
    """
    num_slots = count_slots(config.optimizer)
    inputs = input_shapes(config)
    layers = summarize_layers(config, num_slots)
    shapes = {**inputs, **{name: layer.facts.output_shape for name, layer in layers.items()}}
    if len(inputs) == len(output_names(config)) == 1:
        problem = find_head_problem(config, shapes)
        problems = [] if problem is None else [problem]
        if not gives_probabilities(config):
            problems += find_problems_of_logits(config.training.model_dump(), config.data.task)
        if problems:
            raise ConfigError(problems)
    model = config.model
    return ModelSummary(
        model.name, inputs, tuple(output_names(config)), config.training.batch_size, num_slots, tuple(layers.values())
    )


def summarize_layers(config: Config, num_slots: int = 0) -> dict[str, LayerSummary]:
    """The layers of a validated configuration, by name, in topological order.

    Raises:
        ConfigError: a layer that does not fit the shapes that reach it.
    """
    shapes: dict[str, Shape] = dict(input_shapes(config))
    layers: dict[str, LayerSummary] = {}
    makers: dict[str, LayerSummary] = {}  # of shared layers the first use, on whose input the weights are made
    for name, spec in config.model.layers.items():
        read = {source: shapes[source] for source in spec["inputs"]}
        layers[name] = layer = _summarize_layer(config, name, read, num_slots)
        shapes[name] = layer.facts.output_shape
        _check_shared(config, makers.setdefault(layer.shares or name, layer), layer, read)
    return layers


def input_shapes(config: Config) -> dict[str, Shape]:
    """Shapes of the model's inputs where the run's `data_format` has the channels, behind the batch."""
    return {
        name: (None, *shape) if config.data_format == "channels_last" else (None, shape[-1], *shape[:-1])
        for name, shape in declared_inputs(config).items()
    }


def layer_problem(config: Config, name: str, shapes: Mapping[str, Shape], message: str) -> Problem:
    """A problem of a layer on shapes: at the argument that the message opens with, in backticks, else at the layer.

    Args:
        config: validated.
        name: the layer's.
        shapes: by the name of what feeds it.
        message: what is wrong with them.
    """
    spec, path = config.model.layers[name], f"model.layers.{name}"
    if len(shapes) > 1:
        ends = [
            f"{shape} from `model.{'inputs' if source in declared_inputs(config) else 'layers'}.{source}`"
            for source, shape in shapes.items()
        ]
        message = f"don't fit together in {spec['type']}: {' and '.join(ends)}. {message[:1].upper()}{message[1:]}"
        return Problem(f"{path}.inputs", f"{message} Reshape, pad or crop one of them.")
    argument, _, rest = message.removeprefix("`").partition("` ")
    if message.startswith("`") and argument in require_class("layers", spec["type"]).arguments:
        return Problem(f"{path}.{argument}", rest + _suggest_columns(config, spec["type"], argument))
    ((source, shape),) = shapes.items()
    hint = _suggest_shape(config, spec["type"], source)
    return Problem(path, f"({spec['type']}) can't be built on an input of shape {shape}: {message}{hint}")


def _suggest_columns(config: Config, type_name: str, argument: str) -> str:
    """Where a sequence is too short for a window: it may be the few columns of a table."""
    if argument != "kernel_size" or not type_name.endswith("1D") or len(config.data.input_shape) != 2:
        return ""
    return " For a table of few columns: model=lc1d_columns."


def _suggest_shape(config: Config, type_name: str, source: str) -> str:
    """Where a layer reads the user's own data, which have other axes than it needs."""
    rank, shape = RANK.search(type_name), config.data.input_shape
    if rank is None or len(shape) == int(rank[0]) + 1 or declared_inputs(config).get(source) != shape:
        return ""
    if config.data.name == "table":
        return " For a table: model=lc1d_columns or model=dense."
    if config.data.name != "arrays" or len(shape) != int(rank[0]):
        return ""
    stored = [shape[-1], *shape[:-1]] if getattr(config.data, "layout", None) == "channels_first" else shape
    stated = [*stored, 1]
    if _fits(config, source, stated):
        return f" If the examples have no axis of channels: data.input_shape=[{','.join(map(str, stated))}]."
    expected, other = OTHER_MODELS[int(rank[0])]
    return f" It reads {expected}, with their channels. For these examples: model={other}."


def _fits(config: Config, source: str, shape: list[int]) -> bool:
    """Whether a model of one input can be built on examples of another shape."""
    changes = {
        "data": config.data.model_copy(update={"input_shape": shape}),
        "model": config.model.model_copy(update={"inputs": {source: shape}}),
    }
    try:
        summarize(config.model_copy(update=changes))
    except ConfigError:
        return False
    return True


def count_slots(optimizer: Mapping[str, Any]) -> int:
    """Numbers that the optimizer of a validated spec keeps for each number of a locally connected kernel.

    >>> count_slots({"type": "Adam"}), count_slots({"type": "SGD", "momentum": 0.9}), count_slots({"type": "SGD"})
    (2, 1, 0)
    """
    entry = require_class("optimizers", optimizer["type"])
    arguments = entry.optional | dict(optimizer)
    has_momentum = entry.name in ("SGD", "RMSprop") and arguments["momentum"] != 0
    added = [has_momentum, arguments.get("amsgrad"), arguments.get("centered"), arguments["use_ema"]]
    return SLOTS[entry.name] + sum(map(bool, added)) + (arguments["gradient_accumulation_steps"] is not None)


def _summarize_layer(config: Config, name: str, shapes: Mapping[str, Shape], num_slots: int) -> LayerSummary:
    spec = config.model.layers[name]
    inputs = tuple(spec["inputs"])
    read = tuple(shapes[source] for source in inputs)
    arguments = with_defaults("layers", {key: value for key, value in spec.items() if key not in WIRING})
    try:
        facts = infer_layer(spec["type"], arguments, read)
    except ValueError as error:
        raise ConfigError([layer_problem(config, name, shapes, str(error))]) from error
    asked = resolved = None
    costs: dict[int | str, Cost] = {}
    if facts.local is not None:
        local = _find_local(arguments)
        asked = local["implementation"]
        resolved = choose_implementation(facts.local) if asked == "auto" else asked
        itemsize, examples = ITEMSIZES.get(local["dtype"], 4), config.training.batch_size * facts.calls
        is_trainable = not _is_frozen(arguments)
        costs = {
            choice: train_step_cost(facts.local, choice, examples, itemsize, num_slots, is_trainable)
            for choice in IMPLEMENTATIONS
        }
    shares = spec.get("shares")
    if shares is not None:
        costs = {choice: replace(cost, weights=0, gradients=0, slots=0) for choice, cost in costs.items()}
    return LayerSummary(name, spec["type"], arguments, inputs, read, facts, shares, asked, resolved, costs)


def _is_frozen(arguments: Mapping[str, Any]) -> bool:
    """Whether a layer, or the one that it wraps, is not trainable."""
    while arguments.get("trainable", True) and isinstance(arguments.get("layer"), Mapping):
        arguments = arguments["layer"]
    return not arguments.get("trainable", True)


def _find_local(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of the locally connected layer that a layer is or wraps."""
    while "implementation" not in arguments:
        arguments = arguments["layer"]
    return arguments


def _check_shared(config: Config, maker: LayerSummary, layer: LayerSummary, shapes: Mapping[str, Shape]) -> None:
    """Whether the weights of a layer fit its input, if another use of the layer has made them."""
    windows = [None if one.facts.local is None else one.facts.local.window.input_spatial for one in (maker, layer)]
    if windows[0] == windows[1] and maker.facts.parameters == layer.facts.parameters:
        return
    got = f"must be of shape {maker.input_shapes[0]}, for which `model.layers.{maker.name}` makes the shared weights."
    raise ConfigError([layer_problem(config, layer.name, shapes, got)])
