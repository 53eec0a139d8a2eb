"""Running jobs in joblib's workers, each of which gets to end its job when the sweep is interrupted."""

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import TaskFunction
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
from joblib import register_parallel_backend
from joblib._parallel_backends import LokyBackend
from joblib.externals.loky import get_reusable_executor
from omegaconf import DictConfig

from lctrain.errors import EXIT_INTERRUPTED

SECONDS_TO_END = 40  # a job gets 30 to close its run
POLL_SECONDS = 1.0
BACKEND = "loky"  # the name by which hydra-joblib-launcher asks for it

_is_interrupted = False  # of a worker
_has_job = False


class _Interrupting(LokyBackend):
    """Kills no worker before that had the time to write down that its job was interrupted."""

    def abort_everything(self, ensure_ready: bool = True) -> None:
        try:
            _interrupt(self._workers)
        finally:  # a second interrupt cuts the wait short
            super().abort_everything(ensure_ready)


def _interrupt(executor: Any) -> None:
    """Interrupts the workers until all have given back what they had: while one writes a record, it hears nothing."""
    deadline = time.monotonic() + SECONDS_TO_END
    while executor._pending_work_items and executor._flags.broken is None and time.monotonic() < deadline:
        for worker in list(executor._processes):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGINT)
        time.sleep(0.2)


@dataclass(frozen=True)
class _Interruptible:
    """A task for a worker: an interrupt ends it, and all that the worker is still given.

    Args:
        task: what Hydra is to call.
        sweep: the process of the sweep, with which its workers end.
    """

    task: TaskFunction
    sweep: int

    def __call__(self, composed: DictConfig) -> Any:
        global _has_job
        signal.signal(signal.SIGINT, _note_interrupt)
        _watch(self.sweep)
        if _is_interrupted:
            raise KeyboardInterrupt
        _has_job = True
        try:
            return self.task(composed)
        finally:
            _has_job = False


@cache
def _watch(sweep: int) -> None:
    """Ends this worker, and its job, when the sweep's process has died: nobody else would do so for minutes."""

    def end_with_sweep() -> None:
        while os.getppid() == sweep:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + SECONDS_TO_END
        while (_has_job or not _is_interrupted) and time.monotonic() < deadline:
            time.sleep(0.1)
        os._exit(EXIT_INTERRUPTED)

    threading.Thread(target=end_with_sweep, name="end-with-sweep", daemon=True).start()


def _note_interrupt(signal_number: int, frame: Any) -> None:
    """The first counts: a terminal's Ctrl-C reaches the workers too, before the sweep's own process passes it on."""
    global _is_interrupted
    is_first, _is_interrupted = not _is_interrupted, True
    if is_first and _has_job:
        raise KeyboardInterrupt


def launch(
    settings: Mapping[str, Any], given: Mapping[str, Any], job_overrides: Sequence[Sequence[str]], first: int
) -> Sequence[JobReturn]:
    """Runs as many jobs at once as there are workers.

    Args:
        settings: `hydra.launcher`'s keys, those of hydra-joblib-launcher.
        given: what Hydra hands to a launcher's `setup`.
        job_overrides: of each job.
        first: the number of the first.

    Returns:
        What each job returned.
    """
    register_parallel_backend(BACKEND, _Interrupting)
    launcher = JoblibLauncher(**settings)
    launcher.setup(**{**given, "task_function": _Interruptible(given["task_function"], os.getpid())})
    try:
        return launcher.launch(job_overrides, initial_job_idx=first)
    finally:
        get_reusable_executor(reuse=True).shutdown(kill_workers=True)
