"""Compile, fit and evaluate a model as a configuration says; knows nothing of tracking."""

import sys
from collections.abc import Callable, Iterable

import keras
import numpy as np

from lctrain.builder import build_loss, build_metrics, build_optimizer, gives_probabilities
from lctrain.config import Config
from lctrain.config.objectives import label_encoding
from lctrain.data import Split, Splits
from lctrain.replicas import split_evenly_or_not


def prepare_process(config: Config) -> None:
    """Sets what Keras keeps per process: the seed of weights, shuffling and dropout, and its float type.

    Losses and penalties are added up in that type, which must be the weights'.
    """
    keras.utils.set_random_seed(config.seed)
    keras.config.set_floatx("float64" if config.precision == "float64" else "float32")


def compile_model(model: keras.Model, config: Config) -> None:
    with model.distribute_strategy.scope():  # in which all that holds variables must be made
        optimizer = build_optimizer(config.optimizer)
        if config.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        is_logits = not gives_probabilities(model)
        model.compile(
            optimizer=optimizer,
            loss=build_loss(config.training, is_logits),
            metrics=build_metrics(config.training, is_logits),
            jit_compile=config.jit_compile,
        )
    if config.strategy == "mirrored":
        split_evenly_or_not(model)


def encode_labels(labels: np.ndarray, config: Config) -> np.ndarray:
    """Labels as the loss and the metrics compare them: integers, `(num,)`, or one-hot, `(num, num_classes)`."""
    if label_encoding(config.training.model_dump()) == "integers":
        return labels
    return keras.utils.to_categorical(labels, config.data.num_classes).astype(keras.config.floatx())


class EpochMetrics(keras.callbacks.Callback):
    """Hands each epoch's metrics to `log(metrics, epoch)`; the first epoch is 0."""

    def __init__(self, log: Callable[[dict[str, float], int], None]):
        super().__init__()
        self._log = log

    def on_epoch_end(self, epoch, logs=None):
        self._log(dict(logs), epoch)


def fit(
    model: keras.Model, splits: Splits, config: Config, callbacks: Iterable[keras.callbacks.Callback]
) -> dict[str, list[float]]:
    """Trains on the training split, watching the validation split.

    Returns:
        `loss`, `val_loss`, and the same of each metric, one value per epoch each.
    """
    history = model.fit(
        splits.train.inputs,
        encode_labels(splits.train.labels, config),
        validation_data=(splits.validation.inputs, encode_labels(splits.validation.labels, config)),
        epochs=config.training.epochs,
        batch_size=config.training.batch_size,
        verbose=_verbosity(config.training.progress),
        callbacks=list(callbacks),
    )
    return history.history


def evaluate(model: keras.Model, split: Split, config: Config) -> dict[str, float]:
    """`loss` and each metric on a split."""
    labels = encode_labels(split.labels, config)
    return model.evaluate(split.inputs, labels, batch_size=config.training.batch_size, verbose=0, return_dict=True)


def _verbosity(progress: str) -> int:
    if progress == "auto":
        progress = "bar" if sys.stdout.isatty() else "lines"
    return {"none": 0, "bar": 1, "lines": 2}[progress]
