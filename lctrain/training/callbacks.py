"""What a training logs while it goes on."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

Logs = dict[str, Any] | None
Log = Callable[[dict[str, float], int], None]


class EpochMetrics(keras.callbacks.Callback):
    """Hands each epoch's metrics to `log(metrics, epoch)`.

    Args:
        log: what gets them.
        first: the number of the first epoch.
    """

    def __init__(self, log: Log, first: int):
        super().__init__()
        self._log = log
        self._first = first

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._log(dict(logs or {}), self._first + epoch)

    def catch_up(self, metrics: Sequence[dict[str, float]]) -> None:
        """Hands over those of the epochs that an earlier process trained."""
        for epoch, values in enumerate(metrics, self._first):
            self._log(values, epoch)


class StepLosses(keras.callbacks.Callback):
    """Hands the mean loss since the epoch began to `log({"step_loss": loss}, step)`, as often as asked for.

    Args:
        log: what gets it; the first step is 1.
        every: steps from one to the next; where a call takes several, the first that reaches it.
    """

    def __init__(self, log: Log, every: int):
        super().__init__()
        self._log = log
        self._every = every
        self._before_epoch = self._before_call = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._before_epoch = epoch * self.params["steps"]

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._before_call = self._before_epoch + batch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        step = self._before_epoch + batch + 1
        if logs and step // self._every > self._before_call // self._every:
            self._log({"step_loss": float(logs["loss"])}, step)
