"""SIGINT and SIGTERM: put off to where a job can stop, so that no exception is thrown into TensorFlow's midst."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from lctrain.errors import EXIT_INTERRUPTED, EXIT_TERMINATED

SIGNALS = (signal.SIGINT, signal.SIGTERM)
last_steps: list[Callable[[], None]] = []  # done when this process ends by itself, in whichever way


class Terminated(SystemExit):
    """SIGTERM, as an exception: what is open is closed on its way up."""

    def __init__(self) -> None:
        super().__init__(EXIT_TERMINATED)


class Interrupts:
    """What has been asked of this process by a signal and is not yet done."""

    def __init__(self) -> None:
        self._pending: int | None = None
        self._end_run: Callable[[], None] | None = None

    @property
    def is_pending(self) -> bool:
        return self._pending is not None

    @contextmanager
    def deferred(self, end_run: Callable[[], None]) -> Iterator[None]:
        """Within the block a signal only sets a mark, which `check` reads; a second SIGINT ends the process at once.

        Outside of the main thread, which alone gets signals, nothing changes.

        Args:
            end_run: called before the process is ended at once; must be quick.
        """
        if threading.current_thread() is not threading.main_thread() or self._end_run is not None:
            yield
            return
        self._end_run = end_run
        before = {number: signal.signal(number, self._handle_signal) for number in SIGNALS}
        try:
            yield
            self.check()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._pending = self._end_run = None

    def check(self) -> None:
        """Raises what a signal that came meanwhile stands for.

        Raises:
            KeyboardInterrupt: SIGINT.
            Terminated: SIGTERM.
        """
        if self._pending == signal.SIGINT:
            raise KeyboardInterrupt
        if self._pending == signal.SIGTERM:
            raise Terminated

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        if self._pending is None:
            self._pending = number
            what = "Interrupted" if number == signal.SIGINT else "Terminated"
            with suppress(OSError):  # nobody reads it any more
                os.write(2, f"{what}: the step is finished and kept; Ctrl-C ends at once.\n".encode())
        elif number == signal.SIGINT and self._end_run is not None:
            self._end_run()
            leave_at_once(EXIT_INTERRUPTED)


interrupts = Interrupts()  # signals are the process's


def leave_at_once(exit_code: int) -> NoReturn:
    """Ends the process without Python's own clean-up, during which busy threads of TensorFlow may abort it."""
    for step in last_steps:
        step()
    try:
        if "logging" in sys.modules:
            sys.modules["logging"].shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, RuntimeError):  # nobody reads them any more, or a signal came in the midst of writing
        pass
    os._exit(exit_code)


def leave(exit_code: int) -> NoReturn:
    """Ends the process as Python does, but does not take its modules apart: those of TensorFlow take seconds.

    What is done: executors of threads are told to end, threads that are no daemons are waited for, and what waits for
    the exit is called (temporary folders are removed, locks released, MLflow's runs ended, whatever a plugin wants).
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    leave_at_once(exit_code)
