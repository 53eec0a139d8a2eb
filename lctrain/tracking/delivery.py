"""Brings a journal into its store: each entry as often as need be, to the same effect as once."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lctrain.config.schema import TrackingConfig
from lctrain.tracking.delivery_state import DeliveryState
from lctrain.tracking.journal import Entry, Journal
from lctrain.tracking.mlflow_store import JOURNAL_TAG, MlflowStore
from lctrain.tracking.moving import find_journal_move, locate_parent, locate_store
from lctrain.tracking.run_sender import RunSender
from lctrain.tracking.store import database, is_http, is_replaced, load_store_code, read_tracking

BYTES_PER_STEP = 100_000  # of a journal: some hundred lines
PAUSE = 1  # seconds between two attempts
MAX_CONNECTIONS_REFUSED = 3


def journal_lock(folder: Path) -> FileLock:
    """Held by the process that delivers a journal: the run's own from its start to its end."""
    return FileLock(Path(folder) / ".lock", thread_local=False)


@contextmanager
def try_lock(folder: Path, timeout: float = 0) -> Iterator[bool]:
    """Holds a journal's lock, unless another process holds it for longer than so many seconds; whether it is held."""
    lock = journal_lock(folder)
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def do_nothing() -> None:
    """What happens between two requests, where nobody waits."""


class Delivery:
    """The delivery of one journal; whoever uses it holds the journal's lock.

    Args:
        journal: what is delivered.
        between: called before each request; may wait, and may raise to end the delivery.
    """

    def __init__(self, journal: Journal, between: Callable[[], None] = do_nothing):
        self._journal = journal
        self._between = between
        self._store: MlflowStore | None = None
        self._num_requests = 0
        self.num_delivered = 0
        self.is_loading = False
        self.is_making_store = False  # a local database's tables, which takes seconds, on a busy disk minutes
        self.was_tried = threading.Event()  # once a store was opened, or could not be
        self.state = DeliveryState.read(journal.folder)
        if self.state.offset > journal.size:  # the lines went with the process that had them in memory
            self.state.offset = 0

    @property
    def is_open(self) -> bool:
        return self._store is not None

    @property
    def tracking(self) -> TrackingConfig:
        """Where the store is now."""
        run = self._journal.read_run()
        return locate_store(read_tracking(run["tracking"]), find_journal_move(run, self._journal.folder))

    @property
    def is_of_server(self) -> bool:
        """Whether the store is an MLflow server, which is opened at once or stays silent."""
        return is_http(self.tracking)

    @property
    def position(self) -> tuple[int, int]:
        """How far it is, which grows while it gets on: an attempt that fails where the last one did does not."""
        return self.state.offset, self._num_requests

    @property
    def num_left(self) -> int:
        """Entries that the store does not have; the missing link to a sweep is one."""
        is_all_sent = 0 < self.state.offset == self._journal.size
        is_orphan = is_all_sent and self._needs_parent(self._journal.read_run())
        return self.num_unsent + is_orphan

    @property
    def num_unsent(self) -> int:
        """Entries that the run's own process has to deliver: the link to its sweep may be set by that, later."""
        return self._journal.count(self.state.offset) + len(self.state.refused)

    def deliver(self, retry_refused: bool = False) -> None:
        """Delivers what there is.

        Args:
            retry_refused: whether what the store did not take before is sent again.

        Raises:
            Exception: whatever kept the store from being reached; to be tried again later, with the same Delivery.
        """
        self._num_requests = 0
        try:
            self._deliver(retry_refused)
        except Exception as error:
            if self._store is None or self.state.run_id is None:
                raise
            sender = self._make_sender(self._store, self.state.run_id)
            sender.check_not_deleted(error)
            # A database that is deleted while it is written to refuses that in words of its own.
            if not is_replaced(self.tracking) and not sender.is_lost(error):
                raise
            self._forget_store()
            self._deliver(retry_refused)

    def drop(self) -> None:
        """Lets what is left count as delivered; the journal itself stays as it is."""
        self.state.offset, self.state.refused = self._journal.size, []
        run = self._journal.read_run()
        if run["parent"] is not None:
            self.state.parent_id = self._read_parent_id(run) or ""  # none is waited for
        self._save()

    def use_store(self, function: Callable[[MlflowStore], None]) -> None:
        """Calls a function with the store, if it is open."""
        if self._store is not None:
            self._count_request()
            function(self._store)

    def _deliver(self, retry_refused: bool) -> None:
        run = self._journal.read_run()
        if self._store is None or is_replaced(self.tracking):
            self._store = self._open()
        if self.state.run_id is None:
            self.state.run_id = self._make_run(self._store, run)
            self._save()
        sender = self._make_sender(self._store, self.state.run_id)
        self._link_parent(sender, run)
        while entries := self._journal.entries(self.state.offset, BYTES_PER_STEP):
            num_before = len(self.state.refused)
            sender.send(entries)
            self.state.offset = entries[-1].end
            self.num_delivered += max(len(entries) - max(len(self.state.refused) - num_before, 0), 0)
            self._save()
        if retry_refused and self.state.refused:
            self._retry_refused(sender)

    def _retry_refused(self, sender: RunSender) -> None:
        refused, self.state.refused = self.state.refused, []
        try:
            sender.send([Entry(fields, self.state.offset) for fields in refused])
        except BaseException:
            self.state.refused = refused
            raise
        self.num_delivered += max(len(refused) - len(self.state.refused), 0)
        self._save()

    def _make_sender(self, store: MlflowStore, run_id: str) -> RunSender:
        return RunSender(store, run_id, self._journal, self.state, self._count_request)

    def _open(self) -> MlflowStore:
        tracking = self.tracking
        self._count_request()
        self.is_loading = True
        try:
            load_store_code(tracking)
        finally:
            self.is_loading = False
        try:
            self._count_request()
            self.is_making_store = tracking.name == "local" and not database(tracking).exists()
            return MlflowStore.open(tracking)
        finally:
            self.is_making_store = False
            self.was_tried.set()

    def _forget_store(self) -> None:
        """Back to the beginning, for a store that has nothing of the run."""
        self._store = None
        self.state = DeliveryState()
        self._save()

    def _count_request(self) -> None:
        self._between()
        self._num_requests += 1

    def _save(self) -> None:
        self.state.write(self._journal.folder)

    def _make_run(self, store: MlflowStore, run: Mapping[str, Any]) -> str:
        """The run's id; it is made unless an earlier attempt, whose answer was lost, made it."""
        self._count_request()
        found = store.find_runs(run["id"])
        if found:
            return str(min(made.info.run_id for made in found))
        self.state.num_creations += 1
        self._save()
        self._count_request()
        tags = {**run["tags"], JOURNAL_TAG: run["id"]}
        made = store.client.create_run(store.experiment_id, run["time"], tags, run["name"])
        return str(made.info.run_id)

    def _needs_parent(self, run: Mapping[str, Any]) -> bool:
        """Whether the link to its sweep is still to be set; the sweep may have been made anew in a new store."""
        if run["parent"] is None:
            return False
        return self.state.parent_id is None or self._read_parent_id(run) not in (None, self.state.parent_id)

    def _read_parent_id(self, run: Mapping[str, Any]) -> str | None:
        """The id of the sweep's run; None where that has not reached the store yet."""
        folder = locate_parent(Path(run["parent"]), find_journal_move(run, self._journal.folder))
        return DeliveryState.read(folder).run_id

    def _link_parent(self, sender: RunSender, run: Mapping[str, Any]) -> None:
        """The run of the sweep may reach the store after this one."""
        parent_id = self._read_parent_id(run) if self._needs_parent(run) else None
        if parent_id is not None:
            self._count_request()
            sender.store.client.set_tag(sender.run_id, "mlflow.parentRunId", parent_id)
            self.state.parent_id = parent_id
            self.num_delivered += self.num_unsent == 0  # then it was all that was left
            self._save()


def is_unreachable(error: Exception | None, num_failures: int) -> bool:
    """Whether nobody listens there, for so long that it makes no sense to wait."""
    return num_failures >= MAX_CONNECTIONS_REFUSED and "refused" in str(error)
