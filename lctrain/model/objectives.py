"""From a validated configuration to the loss and the metrics that Keras computes."""

import math
from collections.abc import Mapping
from typing import Any

import keras

from lctrain.config import Config, heads
from lctrain.config.allowlist import require_class
from lctrain.config.objectives import label_encoding, refuse_logits
from lctrain.config.task_metrics import is_for_probabilities
from lctrain.config.tasks import TASKS
from lctrain.errors import ConfigError, Problem
from lctrain.model.build import make_object


def build_loss(config: Config) -> keras.losses.Loss:
    """The loss that `training.loss` declares; without one the task's, for labels as the metrics want them."""
    spec = config.training.loss
    if spec is None:
        is_one_hot = label_encoding(config.training.model_dump(), config.data.task) == "one_hot"
        spec = {"type": "CategoricalCrossentropy" if is_one_hot else TASKS[config.data.task].loss}
    return _make_metric("losses", "training.loss", spec, config)


def build_metrics(config: Config) -> list[keras.metrics.Metric]:
    """The metrics that `training.metrics` declares, under the names that they have there."""
    encoding = label_encoding(config.training.model_dump(), config.data.task)
    accuracies = {"integers": "SparseCategoricalAccuracy", "one_hot": "CategoricalAccuracy"}
    metrics = []
    for name, spec in config.training.metrics.items():
        kind = accuracies.get(encoding, "BinaryAccuracy") if spec["type"] == "Accuracy" else spec["type"]
        path = f"training.metrics.{name}"
        metrics.append(_make_metric("metrics", path, {**spec, "type": kind, "name": name}, config))
    return metrics


def _make_metric(group: str, path: str, spec: Mapping[str, Any], config: Config) -> Any:
    """A loss or metric, told whether the model gives logits.

    Raises:
        ConfigError: where it judges probabilities alone and the model gives logits, or can't be made.
    """
    entry, task, is_logits = require_class(group, spec["type"]), config.data.task, not heads.gives_probabilities(config)
    if "from_logits" in entry.arguments:
        spec = {"from_logits": is_logits, **spec}
    elif is_logits and is_for_probabilities(entry.name, task):
        raise ConfigError([refuse_logits(path, entry.name, task)])
    if "average" in entry.arguments and spec.get("average") is None:
        spec = {**spec, "average": "macro"}  # one number, not one per class
    if "threshold" in entry.arguments and task in ("binary", "multilabel"):
        threshold = 0.5 if spec.get("threshold") is None else spec["threshold"]
        spec = {**spec, "threshold": _as_logit(threshold) if is_logits else threshold}
    if entry.name in ("IoU", "MeanIoU"):
        spec = {"sparse_y_pred": False, **spec}  # the model gives a score per class, not the class
    try:
        return make_object(group, spec)
    except ValueError as error:
        raise ConfigError([Problem(path, f"({entry.name}) can't be made: {error}")]) from error


def _as_logit(probability: float) -> float:
    """
    >>> _as_logit(0.5), _as_logit(1)
    (0.0, inf)
    """
    if probability in (0, 1):
        return math.inf if probability else -math.inf
    return math.log(probability / (1 - probability))
