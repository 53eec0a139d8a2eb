"""What memory a whole training job needs, and whether it is there, before anything is loaded or allocated."""

from dataclasses import dataclass, fields, replace

from lctrain.config import Config
from lctrain.config.schema import CpuConfig
from lctrain.cost import choose_implementation
from lctrain.data import find_facts
from lctrain.devices.gpus import list_gpus
from lctrain.errors import ConfigError, DoesNotFit
from lctrain.implementations import IMPLEMENTATIONS
from lctrain.model.shapes.facts import num_elements
from lctrain.model.summary import ITEMSIZES, LayerSummary, ModelSummary, summarize
from lctrain.system.memory import GIGABYTE, RUNTIME_BYTES, find_tightest, format_need, format_shortage

REFUSED_FROM, WARNED_FROM = 1.25, 0.75  # of what is available; what is told here is within a fifth of what was measured
HALF_PRECISIONS = ("mixed_float16", "mixed_bfloat16")
UPDATE_COPIES = 4  # that an optimizer's step makes of the largest layer's weights
LARGEST = {  # of the parts that a configuration can make smaller
    "data": "the data set's arrays: take fewer examples",
    "weights": "weights and gradients: make layers smaller",
    "optimizer": "the optimizer's state: make layers smaller, or try optimizer=sgd",
    "matrix": "the matrices or graphs of locally connected layers: make their inputs smaller",
    "activations": "what the layers give for one batch: lower `training.batch_size`",
}


@dataclass(frozen=True)
class JobCost:
    """Bytes of the machine's memory that a job holds at its fullest, above what TensorFlow takes, by what holds them.

    Args:
        data: arrays of the data set, as loaded and as split; not those that stay on the disk.
        weights: of all layers, with their gradients, and half-precision copies where there are some.
        optimizer: its slots, and what it holds during a step.
        matrix: of locally connected layers, dense or sparse, and the graph of their many small operations.
        activations: outputs of all layers for one batch, their gradients, and patches.
        copies: of weights and slots, kept while steps are timed.
    """

    data: float
    weights: float
    optimizer: float
    matrix: float
    activations: float
    copies: float

    @property
    def total(self) -> float:
        return float(sum(getattr(self, part.name) for part in fields(self)))

    @property
    def largest(self) -> str:
        """The largest part that a configuration can lower."""
        return max(LARGEST, key=lambda part: float(getattr(self, part)))


def job_cost(config: Config, implementation: int | str | None = None) -> JobCost:
    """What a training job needs, from sizes alone.

    Args:
        config: validated.
        implementation: of every locally connected layer; None is what the configuration says, and `auto`'s choice where
            it says tuned.

    Raises:
        ConfigError: a model whose shapes do not fit together.
    """
    return _add_up(config, summarize(config), implementation)


def check_memory(config: Config, shared_bytes: int = 0) -> str:
    """Compares what a training job needs with what is available, whatever limits it.

    Args:
        config: validated.
        shared_bytes: that the job finds taken and shares (`fork_client.find_shared_bytes`).

    Returns:
        A warning where it comes near that; empty where it doesn't.

    Raises:
        DoesNotFit: it needs far more.
    """
    try:
        model = summarize(config)
    except ConfigError:  # building tells, which takes some shapes that the arithmetic refuses
        return ""
    cost = _add_up(config, model)
    limit, counted = find_tightest(cost.total, shared_bytes)
    message = f"it {format_need(limit, counted)}"
    if counted > REFUSED_FROM * limit.bytes:
        suggestion = _suggest_less(config, model, cost, shared_bytes)
        raise DoesNotFit(f"the job does not fit into memory: {message}. {suggestion}")
    if counted > WARNED_FROM * limit.bytes:
        return f"The job may not fit into memory: {message}."
    return ""


def _suggest_less(config: Config, model: ModelSummary, cost: JobCost, shared_bytes: int) -> str:
    """The implementations that would fit, the smallest first, or what else can be lowered."""
    has_choice = any(layer.costs for layer in model.layers)
    needs = {choice: _add_up(config, model, choice).total for choice in IMPLEMENTATIONS if has_choice}
    smallest_first = sorted(needs, key=needs.__getitem__)
    fitting = [choice for choice in smallest_first if not format_shortage(needs[choice], shared_bytes)]
    if fitting:
        listed = [f"{choice} ({(needs[choice] + RUNTIME_BYTES) / GIGABYTE:.1f} GB)" for choice in fitting]
        return f"With these implementations it fits: {', '.join(listed)}."
    if cost.total < RUNTIME_BYTES:
        return "TensorFlow itself takes most of it, whatever the job."
    share = f"{getattr(cost, cost.largest) / GIGABYTE:.1f} GB, is {LARGEST[cost.largest]}"
    return f"{'No implementation fits. ' if has_choice else ''}Most of it, {share}."


def _add_up(config: Config, model: ModelSummary, implementation: int | str | None = None) -> JobCost:
    replicas = _count_replicas(config)  # which hold weights and matrices each, and examples between them
    weights = [replicas * layer.parameters * _itemsize(layer) for layer in model.layers]
    trained = [size for size, layer in zip(weights, model.layers, strict=True) if not layer.is_frozen]
    slots = model.num_slots * sum(trained)
    outputs = sum(num_elements(layer.facts.output_shape) * _computed_itemsize(layer) for layer in model.layers)
    cost = JobCost(
        data=find_facts(config.data).data_bytes,
        weights=sum(weights) + sum(trained) + (sum(weights) / 2 if config.precision in HALF_PRECISIONS else 0),
        optimizer=slots + UPDATE_COPIES * max(trained, default=0),
        matrix=0,
        activations=2 * config.training.batch_size * outputs,
        copies=(sum(weights) + slots) / replicas,
    )
    if _is_on_gpu(config):
        return replace(cost, optimizer=0, activations=0)
    for layer in model.layers:
        if layer.costs:
            matrix, patches = _local_bytes(layer, implementation)
            cost = replace(cost, matrix=cost.matrix + replicas * matrix, activations=cost.activations + patches)
    return cost


def _local_bytes(layer: LayerSummary, implementation: int | str | None) -> tuple[float, float]:
    """What a locally connected layer's matrix, or its graph, and its patches take."""
    sizes = layer.facts.local
    choice = layer.resolved if implementation is None else implementation
    if sizes is None or choice is None:
        raise TypeError(f"`{layer.name}` is not locally connected")
    choice = choose_implementation(sizes) if choice == "tuned" else choice
    cost, row = layer.costs[choice], IMPLEMENTATIONS[choice]
    share = _computed_itemsize(layer) / _itemsize(layer) if row.has_half else 1
    return cost.matrix * share + row.hidden_bytes(sizes), cost.patches * share


def _count_replicas(config: Config) -> int:
    """Devices that share the machine's memory and train together."""
    device = config.device
    return device.logical if config.strategy == "mirrored" and isinstance(device, CpuConfig) else 1


def _is_on_gpu(config: Config) -> bool:
    """Whether what is computed lies in a graphics card's memory, of which nothing is known here."""
    return config.device.name == "gpu" or (config.device.name == "auto" and bool(list_gpus()))


def _itemsize(layer: LayerSummary) -> int:
    """Bytes of one of a layer's weights."""
    return ITEMSIZES.get(str(layer.arguments.get("dtype")), 4)


def _computed_itemsize(layer: LayerSummary) -> int:
    """Bytes of one of a layer's outputs."""
    return 2 if layer.arguments.get("dtype") in HALF_PRECISIONS else _itemsize(layer)
