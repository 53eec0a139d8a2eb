"""Sends the entries of a journal to their run; each may be sent again, to the same effect as once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lctrain.tracking.delivery_state import DeliveryState
from lctrain.tracking.journal import Entry, Journal
from lctrain.tracking.mlflow_store import MlflowStore
from lctrain.tracking.models import deliver_model
from lctrain.tracking.store import load_mlflow

LIMITS = {"params": 100, "tags": 100, "metrics": 1000}  # MLflow's own, of one request
CONTEXT_TAG = "mlflow.data.context"  # MLflow's own, of what a run used a dataset for
# What MLflow answers to an id that it does not know, a deleted run's excepted.
UNKNOWN = "RESOURCE_DOES_NOT_EXIST"
# What MLflow answers to a value that it will never take.
REFUSED = "INVALID_PARAMETER_VALUE"


class RunDeletedError(Exception):
    """The run was deleted by MLflow's means; it takes nothing until it is restored."""

    def __init__(self, run_id: str):
        super().__init__(f"run {run_id} was deleted in MLflow")
        self.run_id = run_id


@dataclass(frozen=True)
class RunSender:
    """What sends entries to one run.

    Args:
        store: that is open.
        run_id: of the run in the store.
        journal: that holds the files.
        state: where entries that the store refuses are kept.
        before_request: called before each request.
    """

    store: MlflowStore
    run_id: str
    journal: Journal
    state: DeliveryState
    before_request: Callable[[], None]

    def send(self, entries: Sequence[Entry]) -> None:
        """Sends entries, in MLflow's largest portions.

        Raises:
            Exception: whatever kept the store from being reached.
        """
        fields = [entry.fields for entry in entries]
        if any(one["kind"] == "resumed" for one in fields):
            self._delete_error_tag()
        for kind in ("params", "tags"):
            values: dict[str, Any] = {}
            for one in fields:
                if one["kind"] == kind:
                    values |= one["values"]
                elif one["kind"] == "resumed":
                    values.pop("error", None)
            self._send_values(kind, list(values.items()))
        metrics = [one for one in fields if one["kind"] == "metrics"]
        self._send_values(
            "metrics",
            [(name, value, one["time"], one["step"]) for one in metrics for name, value in one["values"].items()],
        )
        for one in fields:
            if one["kind"] == "datasets":
                self._send_datasets(one)
        for one in {one["path"]: one for one in fields if one["kind"] in ("artifact", "model")}.values():
            self._send_file(one)
        turns = [one for one in fields if one["kind"] in ("end", "resumed")]
        if turns and turns[-1]["kind"] == "end":
            self._end_run(turns[-1])
        elif turns:
            self.before_request()
            self.store.client.update_run(self.run_id, status="RUNNING")

    def check_not_deleted(self, error: Exception) -> None:
        """Raises RunDeletedError where that is why MLflow refuses all."""
        if getattr(error, "error_code", None) != REFUSED:
            return
        self.before_request()
        if self.store.client.get_run(self.run_id).info.lifecycle_stage != "active":
            raise RunDeletedError(self.run_id) from error

    def is_lost(self, error: Exception) -> bool:
        """Whether an error says that the store does not know the run: it is another than the one that had it."""
        if getattr(error, "error_code", None) != UNKNOWN:
            return False
        self.before_request()
        try:
            self.store.client.get_run(self.run_id)
        except load_mlflow().MlflowException as missing:
            return bool(missing.error_code == UNKNOWN)
        return False

    def _delete_error_tag(self) -> None:
        """A run that goes on is not known to fail."""
        self.before_request()
        if "error" in self.store.client.get_run(self.run_id).data.tags:
            self.store.client.delete_tag(self.run_id, "error")

    def _send_values(self, kind: str, values: Sequence[tuple[Any, ...]]) -> None:
        for batch in _split(values, LIMITS[kind]):
            error = self._log_values(kind, batch)
            if error is not None:
                self.check_not_deleted(error)
                for value in batch:  # to keep the others from being refused with one
                    self._send_one(kind, value)

    def _send_one(self, kind: str, value: tuple[Any, ...]) -> None:
        error = self._log_values(kind, [value])
        if error is not None:
            fields = {"kind": kind, "values": {value[0]: value[1]}}
            if kind == "metrics":
                fields |= {"time": value[2], "step": value[3]}
            self._keep_refused(fields, error)

    def _log_values(self, kind: str, values: Sequence[tuple[Any, ...]]) -> Exception | None:
        """Logs all values or none; the error where MLflow will never take one of them."""
        from mlflow.entities import Metric, Param, RunTag

        entity: Callable[..., Any] = {"params": Param, "tags": RunTag, "metrics": Metric}[kind]
        self.before_request()
        log_batch: Callable[..., Any] = self.store.client.log_batch
        try:
            log_batch(self.run_id, **{kind: [entity(*value) for value in values]})
        except load_mlflow().MlflowException as error:
            if error.error_code != REFUSED:
                raise
            refusal: Exception = error
            return refusal
        return None

    def _send_datasets(self, fields: Mapping[str, Any]) -> None:
        """MLflow knows a dataset by its name and digest, so that to send it again adds none."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = []
        for one in fields["values"]:
            described = {name: value for name, value in one.items() if name != "context"}
            inputs.append(DatasetInput(Dataset(**described), [InputTag(CONTEXT_TAG, one["context"])]))
        self.before_request()
        try:
            self.store.client.log_inputs(self.run_id, inputs)
        except load_mlflow().MlflowException as error:
            if error.error_code != REFUSED:
                raise
            self.check_not_deleted(error)
            self._keep_refused(fields, error)

    def _send_file(self, fields: Mapping[str, Any]) -> None:
        """A disk that is full where artifacts are kept must hold back neither metrics nor the run's end."""
        self.before_request()
        try:
            if fields["kind"] == "model":
                deliver_model(self.store, self.run_id, self.journal.folder / fields["path"])
            else:
                with self.journal.open_file(fields["path"]) as file:
                    self._send_artifact(file, fields["path"])
        except Exception as error:  # whatever the artifact store raises
            self.check_not_deleted(error)
            if self.is_lost(error):
                raise
            self._keep_refused(fields, error)

    def _send_artifact(self, file: Path, path: str) -> None:
        parent = Path(path).parent.as_posix()
        folder = None if parent == "." else parent
        list_artifacts, log_artifact = self.store.artifact_calls(self.run_id)
        if file.exists() or path not in [found.path for found in list_artifacts(folder)]:
            log_artifact(str(file), folder)

    def _keep_refused(self, fields: Mapping[str, Any], error: Exception) -> None:
        path = fields.get("path")
        others = [entry for entry in self.state.refused if path is None or entry.get("path") != path]
        self.state.refused = [*others, {**fields, "reason": format_error(error)}]

    def _end_run(self, fields: Mapping[str, Any]) -> None:
        client = self.store.client
        if self.state.num_creations > 1:
            self.before_request()
            for found in self.store.find_runs(self.journal.read_run()["id"]):
                if found.info.run_id != self.run_id:
                    self.before_request()
                    client.delete_run(found.info.run_id)
        self.before_request()
        if fields.get("is_found") and client.get_run(self.run_id).info.status != "RUNNING":
            # Its own process has ended it in the store, on a disk without room for that in the journal.
            return
        if fields.get("error"):
            client.set_tag(self.run_id, "error", fields["error"])
        client.set_terminated(self.run_id, fields["status"], fields["time"])


def format_error(error: Exception) -> str:
    """The beginning of what an error says, for a line of ours."""
    text = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {text[0]}"[:300]


def _split(values: Sequence[Any], length: int) -> Iterator[list[Any]]:
    remaining = iter(values)
    while batch := list(islice(remaining, length)):
        yield batch
