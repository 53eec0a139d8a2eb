"""A finished run's model and configuration, from its store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lctrain.config.schema import TrackingConfig
from lctrain.errors import UserError
from lctrain.tracking.results import find_by_beginning, get_run, introduce, open_existing, search
from lctrain.tracking.store import load_mlflow, store_uri

CONFIG = "config/config.yaml"  # the artifact that holds what a job was configured with


@dataclass(frozen=True)
class FetchedRun:
    """What a run left.

    Args:
        run_id: whole.
        config: what the job was configured with, complete, as plain mappings.
        model_file: the Keras model.
    """

    run_id: str
    config: dict[str, Any]
    model_file: Path


def fetch_run(tracking: TrackingConfig, run_id: str, folder: Path, argument: str = "run") -> FetchedRun:
    """Brings a run's model and configuration into a folder.

    Args:
        tracking: where the store is.
        run_id: whole, or its first letters, where no other run of the experiment begins with them.
        folder: an empty one.
        argument: what the user calls the id, for errors.

    Raises:
        UserError: no store, no such run, or one that has no model.
    """
    client, experiment_id = open_existing(tracking)
    run = _find(client, experiment_id, run_id, tracking, argument)
    found = []
    for what, find in (("model", _model_location), ("config", _config_location)):
        try:
            found.append(_download(find(client, run), tracking, folder / what))
        except Exception as error:  # stores and their clients differ in what they raise
            told = f"must be a finished run, which has a model; {introduce(run)} is {run.info.status} and has no {what}"
            raise UserError(f"`{argument}` {told}.") from error
    files = [*found[0].rglob("*.keras")]
    if len(files) != 1:
        raise UserError(f"`{argument}` must be a run of lctrain; {introduce(run)} has another kind of model.")
    return FetchedRun(run.info.run_id, yaml.safe_load(found[1].read_text()), files[0])


def _model_location(client, run) -> str:
    """Where the store keeps the files of the run's model; `runs:/ID/model` would ask MLflow's default store for it."""
    (model_id,) = [output.model_id for output in run.outputs.model_outputs]
    return client.get_logged_model(model_id).artifact_location


def _config_location(client, run) -> str:
    return f"{run.info.artifact_uri}/{CONFIG}"


def _download(location: str, tracking: TrackingConfig, folder: Path) -> Path:
    folder.mkdir()
    mlflow = load_mlflow()
    place = mlflow.artifacts.download_artifacts(
        artifact_uri=location, dst_path=str(folder), tracking_uri=store_uri(tracking)
    )
    return Path(place)


def _find(client, experiment_id: str, run_id: str, tracking: TrackingConfig, argument: str):
    run = get_run(client, run_id)
    if run is not None:
        return run
    known = list(search(client, experiment_id, ""))
    else_it = f"is none in experiment {tracking.experiment!r}"
    return find_by_beginning(known, run_id, f"`{argument}` must be the id of a run", else_it, "It has no runs.")
