"""Brings a journal into its store: each entry as often as need be, to the same effect as once."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock

from lctrain.config.schema import TrackingConfig
from lctrain.tracking.journal import Entry, Journal
from lctrain.tracking.models import deliver_model
from lctrain.tracking.moving import Relocation, find_relocation, locate_parent, locate_store, move_of_journal
from lctrain.tracking.progress import DeliveryState
from lctrain.tracking.store import (
    is_http,
    is_replaced,
    load_mlflow,
    load_store_code,
    open_artifacts,
    open_store,
    read_tracking,
)

BYTES_PER_STEP = 100_000  # of a journal: some hundred lines
PAUSE = 1  # seconds between two attempts
REFUSALS = 3
LIMITS = {"params": 100, "tags": 100, "metrics": 1000}  # MLflow's own, of one request
JOURNAL_TAG = "lctrain.journal"
UNKNOWN = "RESOURCE_DOES_NOT_EXIST"  # ... to an id that it does not know, a deleted run's excepted
REFUSED = "INVALID_PARAMETER_VALUE"  # what MLflow answers to a value it will never take


class RunDeletedError(Exception):
    """The run was deleted by MLflow's means; it takes nothing until it is restored."""

    def __init__(self, run_id: str):
        super().__init__(f"run {run_id} was deleted in MLflow")
        self.run_id = run_id


def journal_lock(folder: Path) -> FileLock:
    """Held by the process that delivers a journal: the run's own from its start to its end."""
    return FileLock(Path(folder) / ".lock", thread_local=False)


@dataclass
class Store:
    """A store that is open: its client, and the experiment that collects the runs."""

    client: Any
    experiment_id: str
    relocation: Relocation | None = None  # where it keeps its artifacts, if not where it says

    @classmethod
    def open(cls, tracking: TrackingConfig) -> "Store":
        client, experiment_id = open_store(tracking)
        location = client.get_experiment(experiment_id).artifact_location if tracking.name == "local" else ""
        return cls(client, experiment_id, find_relocation(tracking, location))

    def locate(self, path: Path) -> Path:
        """Where a path that was noted in the store leads to now."""
        return path if self.relocation is None else self.relocation.move.apply(path)

    def search(self, filter_string: str) -> list:
        return list(self.client.search_runs([self.experiment_id], filter_string))


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
        self._store: Store | None = None
        self._num_steps = 0
        self.num_delivered = 0
        self.is_loading = False
        self.was_tried = threading.Event()  # once a store was opened, or could not be
        self.progress = DeliveryState.read(journal.folder)
        if self.progress.offset > journal.size:  # the lines went with the process that had them in memory
            self.progress.offset = 0

    @property
    def is_open(self) -> bool:
        return self._store is not None

    @property
    def tracking(self) -> TrackingConfig:
        """Where the store is now."""
        return self._find_tracking(self._read_run())

    @property
    def is_of_server(self) -> bool:
        """Whether the store is an MLflow server, which is opened at once or stays silent."""
        return is_http(self.tracking)

    @property
    def mark(self) -> tuple[int, int]:
        """How far it is, which grows while it gets on: an attempt that fails where the last one did does not."""
        return self.progress.offset, self._num_steps

    @property
    def num_left(self) -> int:
        """Entries that the store does not have; the missing link to a sweep is one."""
        is_all_sent = 0 < self.progress.offset == self._journal.size
        is_orphan = is_all_sent and self._needs_parent(self._read_run())
        return self.num_unsent + is_orphan

    @property
    def num_unsent(self) -> int:
        """Entries that the run's own process has to deliver: the link to its sweep may be told by that, later."""
        return self._journal.count(self.progress.offset) + len(self.progress.put_by)

    def deliver(self, again: bool = False) -> None:
        """Delivers what there is; `again` with what the store did not take before.

        Raises:
            Exception: whatever kept the store from being reached; to be tried again later, with the same Delivery.
        """
        self._num_steps = 0
        try:
            self._deliver(again)
        except Exception as error:
            self._check_not_deleted(error)
            if not self._is_lost(error):
                raise
            self._forget_store()
            self._deliver(again)

    def drop(self) -> None:
        """Lets what is left count as delivered; the journal itself stays as it is."""
        self.progress.offset, self.progress.put_by = self._journal.size, []
        run = self._read_run()
        if run["parent"] is not None:
            self.progress.parent_id = DeliveryState.read(self._find_parent(run)).run_id or ""  # none is waited for
        self._save()

    def _check_not_deleted(self, error: Exception) -> None:
        """Raises RunDeletedError where that is why MLflow refuses all."""
        if getattr(error, "error_code", None) != REFUSED or self.progress.run_id is None or self._store is None:
            return
        self._begin_step()
        if self._store.client.get_run(self.progress.run_id).info.lifecycle_stage != "active":
            raise RunDeletedError(self.progress.run_id) from error

    def _deliver(self, again: bool) -> None:
        run = self._read_run()
        if self._store is None or is_replaced(self._find_tracking(run)):
            self._store = self._open(run)
        if self.progress.run_id is None:
            self.progress.run_id = self._make_run(run)
            self._save()
        self._link_parent(run)
        while entries := self._journal.entries(self.progress.offset, BYTES_PER_STEP):
            num_before = len(self.progress.put_by)
            self._deliver_entries(entries)
            self.progress.offset = entries[-1].end
            self.num_delivered += max(len(entries) - max(len(self.progress.put_by) - num_before, 0), 0)
            self._save()
        if again and self.progress.put_by:
            self._deliver_put_by()

    def _is_lost(self, error: Exception) -> bool:
        """Whether an error says that the store does not know the run: it is another than the one that had it."""
        if self._store is None or self.progress.run_id is None or getattr(error, "error_code", None) != UNKNOWN:
            return False
        self._begin_step()
        try:
            self._store.client.get_run(self.progress.run_id)
        except load_mlflow().MlflowException as missing:
            return missing.error_code == UNKNOWN
        return False

    def _forget_store(self) -> None:
        """Back to the beginning, for a store that has nothing of the run."""
        self._store = None
        self.progress = DeliveryState()
        self._save()

    def _deliver_put_by(self) -> None:
        put_by, self.progress.put_by = self.progress.put_by, []
        try:
            self._deliver_entries([Entry(fields, self.progress.offset) for fields in put_by])
        except BaseException:
            self.progress.put_by = put_by
            raise
        self.num_delivered += max(len(put_by) - len(self.progress.put_by), 0)
        self._save()

    def use_store(self, function: Callable[[Store], None]) -> None:
        """Calls a function with the store, which must be open."""
        self._begin_step()
        function(self._store)

    def _open(self, run: Mapping[str, Any]) -> Store:
        tracking = self._find_tracking(run)
        self._begin_step()
        self.is_loading = True
        try:
            load_store_code(tracking)
        finally:
            self.is_loading = False
        try:
            self._begin_step()
            return Store.open(tracking)
        finally:
            self.was_tried.set()

    def _begin_step(self) -> None:
        self._between()
        self._num_steps += 1

    def _read_run(self) -> dict[str, Any]:
        return self._journal.entries(0, most=1)[0].fields

    def _find_tracking(self, run: Mapping[str, Any]) -> TrackingConfig:
        return locate_store(read_tracking(run["tracking"]), move_of_journal(run, self._journal.folder))

    def _find_parent(self, run: Mapping[str, Any]) -> Path:
        return locate_parent(Path(run["parent"]), move_of_journal(run, self._journal.folder))

    def _save(self) -> None:
        self.progress.write(self._journal.folder)

    def _find_runs(self, journal_id: str) -> list:
        self._begin_step()
        return self._store.search(f"tags.`{JOURNAL_TAG}` = '{journal_id}'")

    def _make_run(self, run: Mapping[str, Any]) -> str:
        """The run's id; it is made unless an earlier attempt, whose answer was lost, made it."""
        found = self._find_runs(run["id"])
        if found:
            return min(found, key=lambda made: made.info.run_id).info.run_id
        self.progress.num_creations += 1
        self._save()
        self._begin_step()
        tags = {**run["tags"], JOURNAL_TAG: run["id"]}
        made = self._store.client.create_run(self._store.experiment_id, run["time"], tags, run["name"])
        return made.info.run_id

    def _needs_parent(self, run: Mapping[str, Any]) -> bool:
        """Whether the run is still to be told of its sweep, which may have been made anew in a new store."""
        if run["parent"] is None:
            return False
        known = self.progress.parent_id
        return known is None or DeliveryState.read(self._find_parent(run)).run_id not in (None, known)

    def _link_parent(self, run: Mapping[str, Any]) -> None:
        """The run of the sweep may reach the store after this one."""
        if not self._needs_parent(run):
            return
        parent = DeliveryState.read(self._find_parent(run)).run_id
        if parent is not None:
            self._begin_step()
            self._store.client.set_tag(self.progress.run_id, "mlflow.parentRunId", parent)
            self.progress.parent_id = parent
            self.num_delivered += self.num_unsent == 0  # then it was all that was left
            self._save()

    def _deliver_entries(self, entries: list[Entry]) -> None:
        if any(fields["kind"] == "resumed" for fields, _ in entries):
            self._clear_error()
        for kind in ("params", "tags"):
            values = {}
            for fields, _ in entries:
                if fields["kind"] == kind:
                    values |= fields["values"]
                elif fields["kind"] == "resumed":
                    values.pop("error", None)
            self._send(kind, list(values.items()))
        points = [
            (name, value, fields["time"], fields["step"])
            for fields, _ in entries
            if fields["kind"] == "metrics"
            for name, value in fields["values"].items()
        ]
        self._send("metrics", points)
        files = {fields["path"]: fields for fields, _ in entries if fields["kind"] in ("artifact", "model")}
        for fields in files.values():
            self._send_file(fields)
        turns = [fields for fields, _ in entries if fields["kind"] in ("end", "resumed")]
        if turns and turns[-1]["kind"] == "end":
            self._end(turns[-1])
        elif turns:
            self._begin_step()
            self._store.client.update_run(self.progress.run_id, status="RUNNING")

    def _clear_error(self) -> None:
        """A run that goes on is not known to fail."""
        self._begin_step()
        if "error" in self._store.client.get_run(self.progress.run_id).data.tags:
            self._store.client.delete_tag(self.progress.run_id, "error")

    def _send(self, kind: str, values: list) -> None:
        for batch in _cut(values, LIMITS[kind]):
            try:
                self._log(kind, batch)
            except load_mlflow().MlflowException as error:
                if error.error_code != REFUSED:
                    raise
                self._check_not_deleted(error)
                for value in batch:  # to keep the others from being refused with one
                    self._send_one(kind, value)

    def _send_one(self, kind: str, value: tuple) -> None:
        try:
            self._log(kind, [value])
        except load_mlflow().MlflowException as error:
            if error.error_code != REFUSED:
                raise
            fields = {"kind": kind, "values": {value[0]: value[1]}}
            if kind == "metrics":
                fields |= {"time": value[2], "step": value[3]}
            self._put_by(fields, error)

    def _log(self, kind: str, values: list[tuple]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        entity = {"params": Param, "tags": RunTag, "metrics": Metric}[kind]
        self._begin_step()
        self._store.client.log_batch(self.progress.run_id, **{kind: [entity(*value) for value in values]})

    def _send_file(self, fields: Mapping[str, Any]) -> None:
        """A disk that is full where artifacts are kept must hold back neither metrics nor the run's end."""
        self._begin_step()
        try:
            if fields["kind"] == "model":
                deliver_model(
                    self._store.client,
                    self._store.experiment_id,
                    self.progress.run_id,
                    self._journal.folder / fields["path"],
                    self._store.relocation,
                )
            else:
                with self._journal.open_file(fields["path"]) as file:
                    self._send_artifact(file, fields["path"])
        except Exception as error:  # whatever the artifact store raises
            self._check_not_deleted(error)
            if self._is_lost(error):
                raise
            self._put_by(fields, error)

    def _send_artifact(self, file: Path, path: str) -> None:
        folder = Path(path).parent.as_posix()
        folder = None if folder == "." else folder
        client, run_id, relocation = self._store.client, self.progress.run_id, self._store.relocation
        if relocation is None:
            list_artifacts, log_artifact = partial(client.list_artifacts, run_id), partial(client.log_artifact, run_id)
        else:
            place = open_artifacts(relocation.apply(client.get_run(run_id).info.artifact_uri))
            list_artifacts, log_artifact = place.list_artifacts, place.log_artifact
        if file.exists() or path not in [found.path for found in list_artifacts(folder)]:
            log_artifact(str(file), folder)

    def _put_by(self, fields: Mapping[str, Any], error: Exception) -> None:
        path = fields.get("path")
        others = [entry for entry in self.progress.put_by if path is None or entry.get("path") != path]
        self.progress.put_by = [*others, {**fields, "reason": first_line(error)}]

    def _end(self, fields: Mapping[str, Any]) -> None:
        if self.progress.num_creations > 1:
            for doubled in self._find_runs(self._read_run()["id"]):
                if doubled.info.run_id != self.progress.run_id:
                    self._begin_step()
                    self._store.client.delete_run(doubled.info.run_id)
        self._begin_step()
        run_id = self.progress.run_id
        if fields.get("is_found") and self._store.client.get_run(run_id).info.status != "RUNNING":
            return  # its own process had told the store, on a disk without room for the same in the journal
        if fields.get("error"):
            self._store.client.set_tag(run_id, "error", fields["error"])
        self._store.client.set_terminated(run_id, fields["status"], fields["time"])


def is_refused(error: Exception, num_failures: int) -> bool:
    """Whether nobody listens there, for so long that it makes no sense to wait."""
    return num_failures >= REFUSALS and "refused" in str(error)


def first_line(error: Exception) -> str:
    """The beginning of what an error says, for a line of ours."""
    text = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {text[0]}"[:300]


def _cut(values: list, length: int) -> Iterator[list]:
    rest = iter(values)
    while batch := list(islice(rest, length)):
        yield batch
