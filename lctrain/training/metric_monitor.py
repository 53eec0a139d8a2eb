"""What monitors a metric from epoch to epoch: when to stop, when to lower the learning rate, which epoch was the best.

Each keeps what it remembers in a mapping that JSON can hold, so that a resumed training decides alike.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras

from lctrain.config.monitors import is_lower_better
from lctrain.config.schema import EarlyStoppingConfig, PlateauConfig, TrainingConfig


class MetricMonitor:
    """The best value of a metric so far, and how long ago that was.

    Args:
        monitor: the metric.
        lower_is_better: whether less of it is better.
        min_delta: by how much a value must be better to count.
    """

    def __init__(self, monitor: str, lower_is_better: bool, min_delta: float = 0.0):
        self.monitor = monitor
        self._sign = 1 if lower_is_better else -1
        self._min_delta = min_delta
        self.state: dict[str, Any] = {"best": None, "best_epoch": None, "num_waited": 0}

    def update(self, metrics: Mapping[str, float], epoch: int) -> bool | None:
        """Takes an epoch's value: whether it is the best so far; None where the epoch has none."""
        value = metrics.get(self.monitor)
        if value is None:
            return None
        best = self.state["best"]
        is_better = best is None or self._sign * value < self._sign * best - self._min_delta
        if is_better and math.isfinite(value):
            self.state = {"best": value, "best_epoch": epoch, "num_waited": 0}
            return True
        self.state["num_waited"] += 1
        return False


class EarlyStopping(MetricMonitor):
    """Says when to stop."""

    def __init__(self, config: EarlyStoppingConfig, lower_is_better: bool):
        super().__init__(config.monitor, lower_is_better, config.min_delta)
        self._patience = config.patience

    @property
    def must_stop(self) -> bool:
        num_waited: int = self.state["num_waited"]
        return num_waited >= max(self._patience, 1)


class Plateau(MetricMonitor):
    """Lowers the learning rate, a variable of the optimizer."""

    def __init__(self, config: PlateauConfig, lower_is_better: bool):
        super().__init__(config.monitor, lower_is_better, config.min_delta)
        self._config = config

    def lower(self, optimizer: keras.optimizers.Optimizer) -> bool:
        """Whether it was time to, and the rate is lower now."""
        if self.state["num_waited"] < max(self._config.patience, 1):
            return False
        self.state["num_waited"] = 0
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        lower = max(rate * self._config.factor, self._config.min_learning_rate)
        if lower >= rate:
            return False
        optimizer.learning_rate = lower
        return True


def make_metric_monitors(training: TrainingConfig) -> dict[str, MetricMonitor]:
    """Those that a configuration asks for: `stopping`, `plateau`, `best`."""
    monitors: dict[str, MetricMonitor] = {}
    stopping, plateau = training.early_stopping, training.reduce_on_plateau
    if stopping is not None:
        lower_is_better = _is_lower_better(stopping.monitor, stopping.mode, training)
        monitors["stopping"] = EarlyStopping(stopping, lower_is_better)
        if stopping.restore_best:
            monitors["best"] = MetricMonitor(stopping.monitor, lower_is_better)
    if plateau is not None:
        monitors["plateau"] = Plateau(plateau, _is_lower_better(plateau.monitor, plateau.mode, training))
    if training.best is not None:
        monitors["best"] = MetricMonitor(training.best, _is_lower_better(training.best, "auto", training))
    return monitors


def _is_lower_better(monitor: str, mode: str, training: TrainingConfig) -> bool:
    return is_lower_better(monitor, training.metrics) if mode == "auto" else mode == "min"
