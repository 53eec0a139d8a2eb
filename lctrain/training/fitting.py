"""Training and evaluation of a whole split."""

from collections.abc import Iterable
from pathlib import Path

import keras

from lctrain.config import Config
from lctrain.data import Split, Splits
from lctrain.errors import TrainingFailed
from lctrain.training import loop as loops
from lctrain.training.keeping import Keeper
from lctrain.training.nonfinite import find_origin
from lctrain.training.setup import evaluation_batches, training_batches


def fit(
    model: keras.Model,
    splits: Splits,
    config: Config,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    folder: Path | None = None,
) -> loops.History:
    """Trains on the training split, watching the validation split.

    Args:
        model: compiled.
        splits: as `load_splits` gives them.
        config: validated.
        callbacks: Keras'.
        folder: where states are kept, and where there may be one to go on from; None keeps none.

    Returns:
        `loss`, `val_loss`, and the same of each metric, one value per epoch each.

    Raises:
        TrainingFailed: the loss became inf or nan; it says where that came from.
        KeyboardInterrupt, Terminated: after a signal, once the state is kept.
    """
    parts = training_batches(splits.train, config), evaluation_batches(splits.validation, config)
    keeper = Keeper(folder, config.training.checkpoint)
    loop = loops.Loop(model, *parts, config, callbacks, keeper)
    start = loop.state() if folder is None else None
    try:
        return loop.run()
    except loops.NonFiniteLoss as error:
        progress, num_batches = loop.progress, parts[0].num_batches
        start = keeper.read_newest() or start
        where = "it was not looked for where it came from"
        if start is not None and model.distribute_strategy.num_replicas_in_sync == 1:
            quiet = config.training.model_copy(update={"progress": "none", "stop_on_nan": False})
            again = loops.Loop(model, *parts, config.model_copy(update={"training": quiet}))
            where = f"the first values that are not finite are {find_origin(again, start, progress.step + 1)}"
        told = f"the loss became {error.loss} in epoch {progress.epoch + 1}, step {progress.batch + 1} of {num_batches}"
        fix = "Lower `optimizer.learning_rate`, set `optimizer.clipnorm`, or normalise the data (data.normalize)."
        raise TrainingFailed(f"{told} (step {progress.step + 1} in all): {where}. {fix}") from error


def evaluate(model: keras.Model, split: Split, config: Config) -> dict[str, float]:
    """`loss` and each metric on a split."""
    return loops.evaluate(model, evaluation_batches(split, config))


def ends_in_other_weights(config: Config) -> bool:
    """Whether a training's result is not what its last step left: the best epoch's weights, or averaged ones."""
    stopping = config.training.early_stopping
    restores = config.training.best is not None or (stopping is not None and stopping.restore_best)
    return restores or bool(config.optimizer.get("use_ema"))
