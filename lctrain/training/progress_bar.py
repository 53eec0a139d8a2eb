"""A training's progress on a terminal."""

import sys
import time
from contextlib import AbstractContextManager
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lctrain.system.terminal import find_width, format_folded
from lctrain.training.callbacks import Logs

SECONDS_BETWEEN = 0.1  # from one drawing to the next


class EpochBar(keras.callbacks.Callback, AbstractContextManager["EpochBar"]):
    """A bar for the epoch that is being trained, and a line for each that is done; while it is entered, no longer.

    Colours are the terminal's, none with `NO_COLOR`.
    """

    def __init__(self, console: Console | None = None):
        super().__init__()
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        message = TextColumn("{task.fields[message]}")
        console = console or Console(highlight=False)
        # What goes to another file must not get into the bar's.
        stays_apart = not sys.stderr.isatty()
        shown: dict[str, Any] = {"auto_refresh": False, "transient": True, "redirect_stderr": not stays_apart}
        self._bar = Progress(*columns, message, console=console, **shown)
        self._task = self._bar.add_task("", total=None, message="")
        self._drawn = self._started = 0.0

    def __exit__(self, *_: object) -> None:
        if self._bar.live.is_started:
            self._bar.stop()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._started = time.perf_counter()
        self._bar.reset(self._task, total=self.params["steps"], description=self._name(epoch), message="")
        self._bar.start()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._bar.update(self._task, completed=batch + 1)
        now = time.perf_counter()
        if now - self._drawn >= SECONDS_BETWEEN or batch + 1 == self.params["steps"]:
            self._drawn = now
            self._bar.update(self._task, message=_format_logs(logs), refresh=True)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        seconds = time.perf_counter() - self._started
        line = f"{self._name(epoch)}  {seconds:.1f} s  {_format_logs(logs)}"
        folded = format_folded(line, find_width(self._bar.console.file), indent=2)
        self._bar.console.print(folded, markup=False, soft_wrap=True)

    def _name(self, epoch: int) -> str:
        return f"Epoch {epoch + 1}/{self.params['epochs']}"


def _format_logs(logs: Logs) -> str:
    return "  ".join(f"{name} {float(value):.4g}" for name, value in (logs or {}).items())
