"""A run: what it logs goes into its journal at once, and from there to the store as that can be reached."""

import errno
import io
import json
import os
import shlex
import shutil
import signal
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psutil

from lctrain.config.schema import TrackingConfig
from lctrain.system.terminal import print_folded
from lctrain.tracking.delivery_thread import DeliveryThread
from lctrain.tracking.journal import Journal, make_journal
from lctrain.tracking.models import save_model
from lctrain.tracking.moving import FOLDER_TAG
from lctrain.tracking.orphaned_runs import OWNER_TAG
from lctrain.tracking.reading import read_journal
from lctrain.tracking.run_owner import describe_owner
from lctrain.tracking.run_result import FIRST_EPOCH, RunResult
from lctrain.tracking.store import dump_tracking, restore_command
from lctrain.tracking.values import flatten, format_table, shorten

MAX_LENGTHS = {"params": 6000, "tags": 8000}  # characters that MLflow keeps
MODEL = "model"  # the folder of the saved model, beside the journal
FULL = (errno.ENOSPC, errno.EDQUOT)


class Run:
    """One run, open; no method waits for the store.

    Args:
        journal: where it is logged.
        delivery_thread: who delivers that.
        repeated: what an earlier process has logged of a run that this one repeats in part: it is not logged twice.
    """

    def __init__(self, journal: Journal, delivery_thread: DeliveryThread, repeated: RunResult | None = None):
        self._journal = journal
        self._delivery_thread = delivery_thread
        self._params: dict[str, str] = {}
        self._tables: list[str] = []
        self._end: tuple[str, str | None] = ("FINISHED", None)
        self._has_model = repeated is not None and any(one.fields["kind"] == "model" for one in journal.entries())
        # A run that goes on keeps the numbers of its epochs.
        self.first_epoch = FIRST_EPOCH if repeated is None else repeated.first_epoch
        self._known_params = frozenset(repeated.params if repeated else ())
        metrics = repeated.metrics.items() if repeated else ()
        self._known_points = {(name, point.step) for name, points in metrics for point in points}

    @property
    def folder(self) -> Path:
        """Of its journal."""
        return self._journal.folder

    @property
    def run_id(self) -> str | None:
        """The store's; None until the run is there."""
        return self._delivery_thread.run_id

    def log_params(self, config: Mapping[str, Any]) -> None:
        """Every scalar (and list of scalars) of a nested configuration, under its dotted path, as JSON spells it.

        Raises:
            ValueError: a path that was logged before, with another value.
        """
        params = {path: value for path, value in flatten(config).items() if path not in self._known_params}
        for path, value in params.items():
            if self._params.get(path, value) != value:
                raise ValueError(f"`{path}` must keep its value {self._params[path]!r}; got {value!r}")
        self._params |= params
        self._append_texts("params", params, self._params, "params.json")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        step = 0 if step is None else int(step)
        values = {name: float(value) for name, value in metrics.items() if (name, step) not in self._known_points}
        if values:
            self._append("metrics", values=values, step=step)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        self._append_texts("tags", tags, dict(tags), f"{'-'.join(tags)[:50]}.json")

    def log_datasets(self, datasets: Sequence[Mapping[str, str]]) -> None:
        """What MLflow's UI shows as the run's datasets.

        Args:
            datasets: the fields of MLflow's `Dataset` of each, and its `context`.
        """
        self._append("datasets", values=[dict(dataset) for dataset in datasets])

    def log_text(self, text: str, path: str) -> None:
        self._add_file(path, text.encode())

    def log_table(self, table: Mapping[str, list[Any]], path: str) -> None:
        """A table, one list per column, as JSON that MLflow's UI shows and `mlflow.load_table` reads."""
        self._add_file(path, format_table(table).encode())
        if path not in self._tables:
            self._tables.append(path)
            listed = json.dumps([{"path": path, "type": "table"} for path in self._tables])
            self._append("tags", values={"mlflow.loggedArtifacts": listed})

    def log_figure(self, figure: Any, path: str) -> None:
        """A matplotlib figure, in the format that the path's ending names."""
        data = io.BytesIO()
        figure.savefig(data, format=Path(path).suffix[1:])
        self._add_file(path, data.getvalue())

    def log_model(self, model: Any, pip_requirements: list[str]) -> bool:
        """The Keras model as the MLflow model `model`; it holds no pickle, and loads after `import lctrain`.

        Returns:
            Whether it was kept. Where the disk has no room for it, a warning says so.
        """
        if self._has_model:  # an earlier process had got so far
            return True
        folder, partial = self.folder / MODEL, self.folder / f"{MODEL}.partial"
        for left in (folder, partial):
            shutil.rmtree(left, ignore_errors=True)
        try:
            save_model(model, partial, pip_requirements)
            partial.replace(folder)
        except Exception as error:  # h5py has errors of its own
            if not _is_disk_full(error):
                raise
            shutil.rmtree(partial, ignore_errors=True)
            print_folded(f"Warning: the model was not kept: no room in {folder} ({error}).", sys.stderr)
            return False
        self._append("model", path=MODEL)
        return True

    def fail(self, reason: str, status: str = "FAILED") -> None:
        """Lets the run end so, for this reason, though nothing is raised."""
        self._end = (status, reason)

    def end_at_once(self, status: str, reason: str) -> None:
        """Notes the end in the journal for a process that has no time to deliver it: `sync`, or the next run, does."""
        self._journal.append("tags", values={"error": reason})
        self._journal.append("end", status=status)

    def wait_for_store(self) -> None:
        """Waits until what tracking takes of this process's memory is taken, so that more of it is not the job's."""
        self._delivery_thread.wait_for_store()

    def paused(self) -> AbstractContextManager[None]:
        """Holds the delivery while something is measured."""
        return self._delivery_thread.paused()

    def _append_texts(self, kind: str, values: Mapping[str, str], whole: Mapping[str, str], path: str) -> None:
        """Logs params or tags; where one is longer than MLflow keeps, all of the whole are an artifact too."""
        if any(len(value) > MAX_LENGTHS[kind] for value in values.values()):
            self._add_file(path, json.dumps(whole, indent=1).encode())
        self._append(kind, values=shorten(values, MAX_LENGTHS[kind], path))

    def _add_file(self, path: str, data: bytes) -> None:
        self._journal.add_file(path, data)
        self._delivery_thread.wake()

    def _append(self, kind: str, **fields: Any) -> None:
        self._journal.append(kind, **fields)
        self._delivery_thread.wake()


def _is_disk_full(error: Exception) -> bool:
    return getattr(error, "errno", None) in FULL or any(os.strerror(number) in str(error) for number in FULL)


@contextmanager
def start_run(
    tracking: TrackingConfig,
    name: str,
    tags: Mapping[str, str],
    folder: Path,
    parent: Path | None = None,
    resumed: Path | None = None,
    repeats: bool = False,
) -> Iterator[Run]:
    """A new run, which ends as the block does: FINISHED, FAILED with the error as a tag, or KILLED by a signal.

    Args:
        tracking: the store; it need not be there.
        name: what the run is called.
        tags: what is known of it from the start.
        folder: the job's, where the journal is kept.
        parent: the journal's folder of the run of the sweep that this one belongs to.
        resumed: the journal's folder of a run that has ended, which goes on in place of a new one.
        repeats: whether what is logged again is what was logged before, and so is left out.
    """
    repeated = None
    if resumed is None:
        journal = make_journal(folder)
        _append_run(journal, tracking, name, tags, parent)
    else:
        repeated = read_journal(resumed) if repeats else None
        journal = Journal(resumed)
        journal.append("resumed")
        journal.append("tags", values=dict(tags) | _owner_tags())
    delivery_thread = DeliveryThread(journal)
    delivery_thread.start()
    run = Run(journal, delivery_thread, repeated)
    try:
        yield run
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED"
        with ignore_signals():
            _append_end(run, status, f"{type(error).__name__}: {error}")
        _deliver_end(run, delivery_thread, tracking)
        raise
    _append_end(run, *run._end)
    _deliver_end(run, delivery_thread, tracking)


def _append_run(
    journal: Journal, tracking: TrackingConfig, name: str, tags: Mapping[str, str], parent: Path | None
) -> None:
    system_tags = _owner_tags() | {
        FOLDER_TAG: str(journal.folder),
        "mlflow.user": psutil.Process().username(),
        "mlflow.source.name": "lctrain",
    }
    journal.append(
        "run",
        id=uuid.uuid4().hex,
        name=name,
        tags=dict(tags) | system_tags,
        tracking=dump_tracking(tracking),
        parent=None if parent is None else str(Path(parent).absolute()),
    )


def _owner_tags() -> dict[str, str]:
    return {OWNER_TAG: json.dumps(describe_owner())}


def _append_end(run: Run, status: str, error: str | None) -> None:
    if error is not None:
        run.log_tags({"error": error})
    run._append("end", status=status)


def _deliver_end(run: Run, delivery_thread: DeliveryThread, tracking: TrackingConfig) -> None:
    try:
        reason = delivery_thread.close(tracking.patience)
    except BaseException:  # an interrupt; the end is in the journal
        _print_pending(run, "interrupted")
        raise
    if reason:
        _print_pending(
            run, reason, restore_command(tracking, delivery_thread.deleted) if delivery_thread.deleted else None
        )


def _print_pending(run: Run, reason: str, restore: str | None = None) -> None:
    folder = os.path.relpath(run.folder)
    folder = folder if not folder.startswith("..") else str(run.folder)
    message = f"Warning: not all of the run has reached the store ({reason})."
    if run._journal.is_whole:
        fix = f"Deliver the rest with: python -m lctrain sync {shlex.quote(folder)}"
        fix = fix if restore is None else f"Restore the run first: {restore}. {fix}"
    else:
        fix = f"There was no room for the rest in {folder}, so that it is lost."
    print_folded(f"{message} {fix}", sys.stderr)


@contextmanager
def ignore_signals() -> Iterator[None]:
    """A second Ctrl-C must not leave a run in the wrong state."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
