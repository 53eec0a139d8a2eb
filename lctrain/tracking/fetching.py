"""A finished run's model and configuration, from its store; an error says what is missing and why."""

import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lctrain.config.schema import TrackingConfig
from lctrain.errors import UserError
from lctrain.tracking.journal import FILE as JOURNAL_FILE
from lctrain.tracking.moving import FOLDER_TAG, find_relocation, local_path
from lctrain.tracking.results import (
    LATEST,
    find_deleted,
    find_run,
    format_run,
    get_run_by_prefix,
    open_existing,
    search_runs,
)
from lctrain.tracking.store import load_mlflow, restore_command, store_uri

if TYPE_CHECKING:  # MLflow takes seconds to load
    from mlflow import MlflowClient
    from mlflow.entities import Run

CONFIG = "config/config.yaml"  # the artifact that holds what a job was configured with
KERAS_FILE = "data/model.keras"  # in the folder of the model
UNREACHED = ("Connection", "Timeout", "timed out", "Max retries", "refused")  # words of errors of a store that is away


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
        run_id: whole, or its first letters, where no other run of the experiment begins with them; or latest, as
            `find_latest` has it.
        folder: an empty one.
        argument: what the user calls the id, for errors.

    Raises:
        UserError: no store, no such run, or one that has no model, which is damaged or can't be reached.
    """
    client, experiment_id = open_existing(tracking)
    run_id = find_latest(tracking, argument) if run_id == LATEST else run_id
    run = _find(client, experiment_id, run_id, tracking, argument)
    source = _Source(client, run, tracking, argument)
    model = source.fetch(source.find_model(), folder / "model", "the folder of its model")
    config = source.fetch(f"{run.info.artifact_uri}/{CONFIG}", folder / "config", f"its {CONFIG}")
    files = [*model.rglob("*.keras")]
    if len(files) != 1:
        held = f"whose folder holds {len(files)} .keras files, not one ({KERAS_FILE})"
        raise UserError(f"`{argument}` must be a run with a model of lctrain; got {format_run(run)}, {held}.")
    source.check_not_damaged(files[0])
    return FetchedRun(run.info.run_id, yaml.safe_load(config.read_text()), files[0])


def find_latest(tracking: TrackingConfig, argument: str) -> str:
    """The id of the newest finished run of a training, which is printed with its name.

    Args:
        tracking: where the store is, and the experiment.
        argument: what the user calls the run, for errors.

    Raises:
        UserError: no store, or no such run in its experiment.
    """
    client, experiment_id = open_existing(tracking)
    finished = search_runs(client, experiment_id, "attributes.status = 'FINISHED'")
    # A sweep's own run has a verb too.
    latest = next((run for run in finished if "verb" not in run.data.tags), None)
    if latest is None:
        where = f"experiment {tracking.experiment!r} of {store_uri(tracking)}"
        raise UserError(
            f"`{argument}` {LATEST}: no training is finished in {where}. Train a model first, or give an id."
        )
    print(f"The latest finished run is {format_run(latest)}.", file=sys.stderr, flush=True)
    run_id: str = latest.info.run_id
    return run_id


@dataclass(frozen=True)
class _Source:
    """Where a run's files come from, and the errors where something is wrong with them."""

    client: "MlflowClient"
    run: "Run"
    tracking: TrackingConfig
    argument: str

    def _make_error(self, message: str) -> UserError:
        return UserError(f"`{self.argument}` must be a finished run with its model; {format_run(self.run)} {message}")

    def find_model(self) -> str:
        """Where the store keeps the files of the run's model; `runs:/ID/model` would ask MLflow's default store for it.

        Raises:
            UserError: it has logged none, and why that is.
        """
        logged = self.run.outputs.model_outputs if self.run.outputs is not None else []
        if logged:
            location: str = self.client.get_logged_model(logged[-1].model_id).artifact_location
            return location
        raise self._make_error(self._format_missing_model())

    def _format_missing_model(self) -> str:
        tags, status = self.run.data.tags, self.run.info.status
        journal = Path(tags.get(FOLDER_TAG, ""))
        if status == "RUNNING":
            return "is still running: its model is logged at its end. If its process has died, `sync` ends the run."
        if "sweep.jobs" in tags:
            return "is a sweep's own run, which has no model. Give one of its jobs' runs."
        if tags.get("verb"):
            return f"is a run of `{tags['verb']}`, which trains no model."
        if (journal / "model").is_dir() and (journal / JOURNAL_FILE).is_file():
            return f"has a model that has not reached the store yet: python -m lctrain sync {journal.parent}"
        why = f" ({tags['error'].splitlines()[0][:200]})" if tags.get("error") else ""
        return f"is {status} and never logged a model{why}."

    def fetch(self, location: str, folder: Path, what: str) -> Path:
        """Brings what lies at a URI of the store's into a folder.

        Raises:
            UserError: says whether it is gone, may not be read, or can't be reached now.
        """
        place = self._locate(location)
        path = local_path(place)
        if path is not None:
            self._check_readable(path, what)
        folder.mkdir()
        mlflow = load_mlflow()
        try:
            fetched = mlflow.artifacts.download_artifacts(
                artifact_uri=place, dst_path=str(folder), tracking_uri=store_uri(self.tracking)
            )
        except PermissionError as error:
            raise self._make_error(f"is there, but {what} may not be read: {error}.") from error
        except Exception as error:  # stores and their clients differ in what they raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            if isinstance(error, ConnectionError) or any(
                word in f"{type(error).__name__} {error}" for word in UNREACHED
            ):
                raise UserError(
                    f"`tracking`: {store_uri(self.tracking)} can't be reached now for {what}: {reason}"
                ) from error
            raise self._make_error(f"is there, but {what} can't be fetched from {place}: {reason}") from error
        return Path(fetched)

    def _locate(self, location: str) -> str:
        """Where it is now: beside a local store that was moved, unless it is still where it was alone."""
        experiment = self.client.get_experiment(self.run.info.experiment_id)
        relocation = find_relocation(self.tracking, experiment.artifact_location)
        if relocation is None:
            return location
        new = relocation.apply(location)
        old_path, new_path = local_path(location), local_path(new)
        is_still_there = old_path is not None and old_path.exists()
        return location if is_still_there and new_path is not None and not new_path.exists() else new

    def _check_readable(self, path: Path, what: str) -> None:
        """Looks at every file below a path of this machine."""
        try:
            path.stat()
            for file in [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]:
                with file.open("rb"):
                    pass
            has_files = path.is_file() or any(path.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            has_files = False
        except OSError as error:
            message = f"is there, but {what} can't be read: {error.filename or path} ({error.strerror})."
            raise self._make_error(message) from error
        if not has_files:
            raise self._make_error(f"has lost {what}: there is nothing in {path} any more.")

    def check_not_damaged(self, file: Path) -> None:
        """Whether a .keras file, which is a zip archive, has all that was written.

        Raises:
            UserError: it was cut off, or has changed.
        """
        try:
            with zipfile.ZipFile(file) as archive:
                bad = archive.testzip()
            reason = "" if bad is None else f"the checksum of its {bad} is wrong"
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
            reason = str(error)
        if reason:
            size = f"{file.stat().st_size:,} bytes"
            raise self._make_error(f"has a damaged model: {file.name} of {size} was cut off or changed ({reason}).")


def _find(client: "MlflowClient", experiment_id: str, run_id: str, tracking: TrackingConfig, argument: str) -> "Run":
    run = find_run(client, run_id)
    if run is not None:
        return run
    deleted = find_deleted(client, experiment_id, run_id)
    if deleted is not None:
        fix = f"Restore it: {restore_command(tracking, deleted.info.run_id)}"
        raise UserError(f"`{argument}` must be a run that is there; {format_run(deleted)} was deleted in MLflow. {fix}")
    known = list(search_runs(client, experiment_id, ""))
    otherwise = f"is none in experiment {tracking.experiment!r}"
    return get_run_by_prefix(
        known, run_id, f"`{argument}` must be {LATEST} or the id of a run", otherwise, "It has no runs."
    )
