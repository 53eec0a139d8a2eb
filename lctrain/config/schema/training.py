"""`training`: how long, in which steps, and when it stops, lowers its rate and keeps its state."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from lctrain.config.schema.base import ClassNumber, Fraction, Group, Mode, Name, PositiveInt


def _check_class_weight(weights: Any) -> Any:
    """Before pydantic, which would tell of each of the two ways to write it."""
    if (
        weights is None
        or weights == "balanced"
        or (isinstance(weights, dict) and all(map(_is_weight, weights.items())))
    ):
        return weights
    expected = "must be balanced, or numbers of classes, from 0, with what each counts, 0 or more"
    raise PydanticCustomError("class_weight", expected)


def _is_weight(item: tuple[Any, Any]) -> bool:
    number, weight = item
    is_class = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    return is_class and isinstance(weight, int | float) and not isinstance(weight, bool) and 0 <= weight < math.inf


class EarlyStoppingConfig(Group):
    """When training ends before its last epoch."""

    monitor: Name = "val_loss"
    """The metric that has to get better: `loss` or one of `training.metrics`, with `val_` of the validation split."""
    patience: Annotated[int, Field(ge=0)] = 10
    """Epochs without progress after which training ends."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """By how much at least it must get better."""
    mode: Mode = "auto"
    """Whether less or more of it is better; auto knows Keras' losses and metrics."""
    restore_best: bool = True
    """Whether the weights of its best epoch are the result; else the last epoch's."""


class PlateauConfig(Group):
    """When the learning rate is lowered."""

    monitor: Name = "val_loss"
    """The metric that has to get better."""
    patience: Annotated[int, Field(ge=0)] = 5
    """Epochs without progress after which the rate is lowered."""
    min_delta: Annotated[float, Field(ge=0)] = 1e-4
    """By how much at least it must get better."""
    mode: Mode = "auto"
    """Whether less or more of it is better; auto knows Keras' losses and metrics."""
    factor: Fraction = 0.1
    """What the rate is multiplied by."""
    min_learning_rate: Annotated[float, Field(ge=0)] = 0.0
    """Below which it is not lowered."""


class CheckpointConfig(Group):
    """How often all that a training goes on from is written to the job's folder."""

    every_seconds: Annotated[float, Field(gt=0)] | None = 30.0
    """After so many seconds, at the end of a step; less often where writing would take more than 2 % of the time."""
    every_steps: PositiveInt | None = None
    """After so many steps, too."""
    every_epochs: PositiveInt | None = None
    """After so many epochs, too."""
    keep: Annotated[int, Field(ge=2, le=1000)] = 2
    """How many of the newest stay until the job is done: if one is damaged, the one before it is taken."""


class TrainingConfig(Group):
    """How a model is trained, and what is seen of it."""

    name: Name
    """What this choice is called."""
    epochs: PositiveInt
    """Passes over the training split."""
    batch_size: PositiveInt
    """Examples of one training step."""
    progress: Literal["auto", "bar", "lines", "none"]
    """A bar, a line per epoch, or nothing; auto is a bar on a terminal, else lines."""
    loss: Any = None  # a spec, checked in objectives.py, as those of the metrics
    """What training lessens; null is the cross-entropy, of probabilities or logits as the model gives them, or with
    `data.task: regression` the mean squared error."""
    metrics: dict[Any, Any] = Field(default_factory=dict, max_length=100)
    """What is told after each epoch besides the loss: names of your own and classes, or a list of classes. `accuracy`,
    `mae` and `r2` may be auto, and all are where nothing is said: each is there where it suits `data.task`."""
    class_weight: Annotated[
        Literal["balanced"] | dict[ClassNumber, Annotated[float, Field(ge=0)]] | None,
        BeforeValidator(_check_class_weight),
    ] = None
    """What an example of each class counts in the loss, 1 where nothing is said: `{0: 1, 1: 5}`; balanced counts all
    classes alike, however many examples they have."""
    validation_frequency: PositiveInt = 1
    """Epochs from one look at the validation split to the next; the last epoch always has one."""
    steps_per_execution: PositiveInt = 1
    """Steps that TensorFlow takes in one call: more are faster for tiny models, and less is seen between them."""
    limit_batches: PositiveInt | None = None
    """Batches of an epoch, and of each evaluation, at most; null is all."""
    early_stopping: EarlyStoppingConfig | None = None
    """When training ends before its last epoch; null is never."""
    reduce_on_plateau: PlateauConfig | None = None
    """When the learning rate is lowered, which then must be a number; null is never."""
    best: Name | None = None
    """The metric by whose best epoch the resulting weights are chosen; null takes the last epoch's."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """How often the state of the training is kept, so that `resume=true` goes on from there."""
    stop_on_nan: bool = True
    """Whether a loss that is no finite number ends the job, telling the step and the layer that it came from."""
    log_every_steps: PositiveInt | None = None
    """Steps from one log of `step_loss`, the mean since the epoch began, to the next; null logs epochs alone."""
    kernels: bool = False
    """Whether the run gets a picture of what each locally connected layer has learnt, as the verb kernels draws it."""
    tensorboard: bool = False
    """Whether the job's folder gets TensorBoard's logs too (pip install 'lctrain[tensorboard]')."""
    profile: bool = False
    """Whether TensorFlow's profiler writes a trace of ten steps into the job's folder."""
