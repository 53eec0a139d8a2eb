"""Metrics that decisions are made by: which there are in a training, and which way each is better."""

from collections.abc import Mapping
from typing import Any

from lctrain.config.allowlist import require_class
from lctrain.errors import Problem, suggest

LOWER_IS_BETTER = (
    *("loss", "error", "mse", "mae", "mape", "msle", "perplexity", "divergence", "crossentropy"),
    *("hinge", "poisson", "falsepositives", "falsenegatives", "false_positives", "false_negatives"),
)
WATCHED = ("early_stopping", "reduce_on_plateau")  # keys of the training that hold a `monitor`


def lower_is_better(metric: str) -> bool:
    """By its name.

    >>> lower_is_better("val_loss"), lower_is_better("val_accuracy")
    (True, False)
    """
    return any(word in metric.lower() for word in LOWER_IS_BETTER)


def is_lower_better(monitor: str, metrics: Mapping[str, Any]) -> bool:
    """By the class of the metric, which may have a name of the user's own.

    Args:
        monitor: the metric, with or without `val_`.
        metrics: `training.metrics`, validated.

    >>> is_lower_better("val_mine", {"mine": {"type": "MeanSquaredError"}})
    True
    """
    spec = metrics.get(monitor.removeprefix("val_"))
    return lower_is_better(monitor if spec is None else require_class("metrics", spec["type"]).name)


def find_problems_in_monitors(training: Mapping[str, Any], optimizer: Any) -> list[Problem]:
    """Metrics that no epoch gives, and what can't go together."""
    metrics = training["metrics"]
    names = ["loss", *(map(str, metrics) if isinstance(metrics, Mapping) else ())]
    known = [f"{prefix}{name}" for prefix in ("val_", "") for name in names]
    asked = {"training.best": training.get("best")}
    for key in WATCHED:
        if isinstance(training.get(key), Mapping):
            asked[f"training.{key}.monitor"] = training[key].get("monitor", "val_loss")
    problems = [
        Problem(path, f"must be a metric that each epoch gives; got {name!r}. {suggest(name, known)}")
        for path, name in asked.items()
        if isinstance(name, str) and name not in known
    ]
    rate = optimizer.get("learning_rate") if isinstance(optimizer, Mapping) else None
    if isinstance(training.get("reduce_on_plateau"), Mapping) and isinstance(rate, Mapping):
        expected = "must be null where `optimizer.learning_rate` is a schedule"
        problems.append(Problem("training.reduce_on_plateau", f"{expected}; got both. Take one."))
    return problems
