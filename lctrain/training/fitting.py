"""Training and evaluation of a whole split."""

from collections.abc import Iterable
from pathlib import Path

import keras

from lctrain.config import Config
from lctrain.data import Split, Splits
from lctrain.errors import TrainingFailed
from lctrain.training import loop as loops
from lctrain.training.batches import Batches
from lctrain.training.checkpoint_manager import CheckpointManager
from lctrain.training.checkpoints import Checkpoint
from lctrain.training.nonfinite import find_origin
from lctrain.training.setup import evaluation_batches, training_batches


def fit(
    model: keras.Model,
    splits: Splits,
    config: Config,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    folder: Path | None = None,
) -> loops.History:
    """Trains on the training split, and evaluates the validation split after each epoch.

    Args:
        model: compiled.
        splits: as `load_splits` gives them.
        config: validated.
        callbacks: Keras'.
        folder: where states are kept, and where there may be one to go on from; None keeps none.

    Returns:
        `loss`, `val_loss`, and the same of each metric, one value per epoch each.

    Raises:
        TrainingFailed: the loss or the weights became inf or nan; it says where that came from.
        KeyboardInterrupt, Terminated: after a signal, once the state is kept.
    """
    parts = training_batches(splits.train, config), evaluation_batches(splits.validation, config)
    checkpoint_manager = CheckpointManager(folder, config.training.checkpoint)
    loop = loops.Loop(model, *parts, config, callbacks, checkpoint_manager)
    start = loop.make_checkpoint() if folder is None else None
    try:
        return loop.run()
    except loops.NonFiniteLoss as error:
        state = loop.state
        steps = range(state.step + 1, state.step + 1 + error.num_steps)
        batches = _format_steps(state.batch + 1, error.num_steps)
        when = f"{error} in epoch {state.epoch + 1}, {batches} of {parts[0].num_batches}"
        when += f" ({_format_steps(steps[0], error.num_steps)} in all)"
        reason: TrainingFailed = error
    except loops.NonFiniteWeights as error:
        steps, when, reason = range(loop.state.step, loop.state.step + 1), str(error), error
    where = _format_origin(model, parts, config, checkpoint_manager.read_newest() or start, steps)
    fix = "Lower `optimizer.learning_rate`, set `optimizer.clipnorm`, or normalise the data (data.normalize)."
    raise TrainingFailed(f"{when}: {where}. {fix}") from reason


def _format_steps(step: int, num_steps: int) -> str:
    return f"step {step}" if num_steps == 1 else f"steps {step} to {step + num_steps - 1}"


def _format_origin(
    model: keras.Model, parts: tuple[Batches, Batches], config: Config, start: Checkpoint | None, steps: range
) -> str:
    """Where it went wrong in one of those steps, in words."""
    if start is None or model.distribute_strategy.num_replicas_in_sync > 1:
        return "it was not looked for where it came from"
    if model.steps_per_execution > 1:
        model.steps_per_execution = 1
        model.make_train_function(force=True)
    quiet = {"progress": "none", "stop_on_nan": False, "steps_per_execution": 1}
    training = config.training.model_copy(update=quiet)
    again = loops.Loop(model, *parts, config.model_copy(update={"training": training}))
    return f"the first values that are not finite are {find_origin(again, start, steps)}"


def evaluate(model: keras.Model, split: Split, config: Config) -> dict[str, float]:
    """`loss` and each metric on a split."""
    return loops.evaluate(model, evaluation_batches(split, config))


def ends_in_other_weights(config: Config) -> bool:
    """Whether a training's result is not what its last step left: the best epoch's weights, or averaged ones."""
    stopping = config.training.early_stopping
    restores = config.training.best is not None or (stopping is not None and stopping.restore_best)
    return restores or bool(config.optimizer.get("use_ema"))
