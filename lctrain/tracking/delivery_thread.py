"""The thread that delivers a run's journal while the run goes on."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lctrain.system.terminal import print_folded
from lctrain.tracking.delivery import PAUSE, Delivery, is_unreachable, journal_lock
from lctrain.tracking.journal import Journal
from lctrain.tracking.orphaned_runs import end_dead_runs
from lctrain.tracking.run_sender import RunDeletedError, format_error

INTERVAL = 2.0  # seconds in which entries gather
LONGEST_WAIT = 30.0  # seconds between two attempts at a store that can't be reached
LONGEST_PAUSE = 10.0  # seconds for which a measurement waits for a store to be opened
LONGEST_OPENING = 120.0  # seconds; a database's tables may be made meanwhile, by one process after another


class AbandonedError(Exception):
    """The run waits no longer for the thread."""


class DeliveryThread(threading.Thread):
    """Delivers what a journal gets, as far as the store can be reached; nobody waits for it but `close`.

    It ends with its process, whatever it is waiting for.
    """

    def __init__(self, journal: Journal):
        super().__init__(name="lctrain-tracking", daemon=True)
        self._journal = journal
        self._lock = journal_lock(journal.folder)
        self._lock.acquire()  # whoever gets it knows that this process has died
        self._delivery = Delivery(journal, between=self._wait_while_paused)
        self._has_entries = threading.Event()
        self._is_closing = threading.Event()
        self._is_idle = threading.Event()
        self._may_deliver = threading.Event()
        self._may_deliver.set()
        self._is_abandoned = False
        self._failure: Exception | None = None
        self._has_warned = False

    @property
    def run_id(self) -> str | None:
        return self._delivery.state.run_id

    def wake(self) -> None:
        """There is something new in the journal."""
        self._has_entries.set()

    def wait_for_store(self) -> None:
        """Waits until MLflow is loaded and the store is open, or could not be opened; for a silent server not long.

        From then on what MLflow takes of this process's memory hardly grows.
        """
        longest = LONGEST_PAUSE if self._delivery.is_of_server else LONGEST_OPENING
        while not self._delivery.was_tried.wait(longest) and self._delivery.is_loading:
            pass

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Sends nothing meanwhile; what is under way is waited for a little: a request takes no processor."""
        self._may_deliver.clear()
        is_opening = not self._delivery.is_open and self._failure is None
        if not self._is_idle.wait(LONGEST_PAUSE if is_opening else 1) and self._delivery.is_loading:
            self._is_idle.wait()
        try:
            yield
        finally:
            self._may_deliver.set()

    def close(self, patience: float) -> str:
        """Waits for the delivery of the rest, for so long as it gets on.

        Args:
            patience: seconds without progress after which nothing more is waited for, but for a new local store.

        Returns:
            Why some of it is left, in one line; empty where all is delivered.
        """
        self._is_closing.set()
        self._has_entries.set()
        self._may_deliver.set()
        furthest, since = self._delivery.position, time.monotonic()
        while self.is_alive() and time.monotonic() - since <= self._longest_wait(patience):
            self.join(0.05)
            if self._delivery.is_loading or self._delivery.position > furthest:
                furthest, since = self._delivery.position, time.monotonic()
        self._is_abandoned = True
        if self._delivery.num_unsent == 0:
            return ""
        refused = self._delivery.state.refused
        reason = refused[0]["reason"] if refused else f"no answer for {patience:g} s"
        if isinstance(self._failure, RunDeletedError):
            return str(self._failure)
        return reason if self._failure is None else format_error(self._failure)

    def _longest_wait(self, patience: float) -> float:
        return max(patience, LONGEST_OPENING) if self._delivery.is_making_store else patience

    @property
    def deleted(self) -> str | None:
        """The run's id, where it was deleted in MLflow; None where it was not, as far as is known."""
        return self._failure.run_id if isinstance(self._failure, RunDeletedError) else None

    def run(self) -> None:
        try:
            self._work()
        except AbandonedError:
            pass
        finally:
            self._lock.release()

    def _work(self) -> None:
        num_failures = num_last_failures = 0
        while True:
            is_last = self._is_closing.is_set()
            self._has_entries.clear()
            try:
                is_first = not self._delivery.is_open
                self._delivery.deliver(retry_refused=is_last)
                if is_first and not is_last:
                    self._delivery.use_store(end_dead_runs)
            except AbandonedError:
                raise
            except Exception as error:  # whatever keeps the store from being reached
                num_failures, num_last_failures = num_failures + 1, num_last_failures + is_last
                self._failure = error
                self._print_warning(error)
            else:
                num_failures, self._failure = 0, None
            if is_last and (self._is_done() or is_unreachable(self._failure, num_last_failures)):
                return
            self._wait_for_entries(num_failures)

    def _is_done(self) -> bool:
        """Whether nothing is left to be tried: all is delivered, or nobody takes it."""
        return self._failure is None or isinstance(self._failure, RunDeletedError)

    def _wait_for_entries(self, num_failures: int) -> None:
        self._is_idle.set()
        if self._is_closing.is_set():
            time.sleep(PAUSE if num_failures else 0)
        elif num_failures:
            self._is_closing.wait(min(2.0**num_failures, LONGEST_WAIT))
        else:
            self._has_entries.wait()
            self._is_closing.wait(INTERVAL)
        self._is_idle.clear()

    def _wait_while_paused(self) -> None:
        if self._is_abandoned:
            raise AbandonedError
        if not self._may_deliver.is_set():
            self._is_idle.set()
            self._may_deliver.wait()
            self._is_idle.clear()

    def _print_warning(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            message = f"the store can't be reached now ({format_error(error)})"
            kept = f"what the run logs is kept in {self._journal.folder} and delivered as soon as it can be"
            if isinstance(error, RunDeletedError):
                message, kept = str(error), f"what it logs is kept in {self._journal.folder} until the run is restored"
            print_folded(f"Warning: {message}; {kept}.", sys.stderr)
