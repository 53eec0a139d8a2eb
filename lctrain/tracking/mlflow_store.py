"""An MLflow store that is open."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lctrain.config.schema import LocalTracking, TrackingConfig
from lctrain.tracking.moving import Relocation, find_relocation
from lctrain.tracking.store import open_artifacts, open_store

if TYPE_CHECKING:  # MLflow takes seconds to load
    from mlflow import MlflowClient
    from mlflow.entities import Run

JOURNAL_TAG = "lctrain.journal"


@dataclass(frozen=True)
class MlflowStore:
    """The client of a store, and the experiment that collects the runs.

    Args:
        client: MLflow's.
        experiment_id: of the experiment.
        relocation: where the store keeps its artifacts; None if that is where it says.
    """

    client: "MlflowClient"
    experiment_id: str
    relocation: Relocation | None = None

    @classmethod
    def open(cls, tracking: TrackingConfig) -> "MlflowStore":
        client, experiment_id = open_store(tracking)
        is_local = isinstance(tracking, LocalTracking)
        location = client.get_experiment(experiment_id).artifact_location if is_local else ""
        return cls(client, experiment_id, find_relocation(tracking, location))

    def locate(self, path: Path) -> Path:
        """Where a path that was noted in the store leads to now."""
        return path if self.relocation is None else self.relocation.move.apply(path)

    def search(self, filter_string: str) -> "list[Run]":
        return list(self.client.search_runs([self.experiment_id], filter_string))

    def find_runs(self, journal_id: str) -> "list[Run]":
        """The runs of a journal: one, or after a lost answer two."""
        return self.search(f"tags.`{JOURNAL_TAG}` = '{journal_id}'")

    def artifact_calls(self, run_id: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """What lists a run's artifacts in a folder, and what logs a file into a folder."""
        client = self.client
        if self.relocation is None:
            return partial(client.list_artifacts, run_id), partial(client.log_artifact, run_id)
        repository = open_artifacts(self.relocation.apply(client.get_run(run_id).info.artifact_uri))
        return repository.list_artifacts, repository.log_artifact
