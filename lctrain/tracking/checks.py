"""What a look at a store shows of a user's mistakes, before anything slow starts; it takes no MLflow."""

import os
import sqlite3
import tempfile
from contextlib import closing

from lctrain.config.schema import TrackingConfig
from lctrain.errors import UserError
from lctrain.tracking.store import artifact_root, database, store_folder

EXPERIMENT = "SELECT experiment_id, lifecycle_stage, artifact_location FROM experiments WHERE name = "


def check_writable(tracking: TrackingConfig) -> None:
    """Refuses a store that no run could be logged into; makes the folder of one that is to be.

    Raises:
        UserError: what is wrong with it.
    """
    _check_folder(tracking)
    _check_database(tracking)


def _check_folder(tracking: TrackingConfig) -> None:
    folder = store_folder(tracking)
    if set("?#%") & set(str(folder)):
        raise UserError(f"`tracking.folder` must not hold ?, # or %, which URIs read otherwise; got {str(folder)!r}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        file, artifacts = database(tracking), folder / "mlartifacts"
        if file.exists() and not file.is_file():
            raise IsADirectoryError(f"{file} is not a file")
        if artifacts.exists() and not artifacts.is_dir():
            raise NotADirectoryError(f"{artifacts} is not a folder")
        if file.exists() and not os.access(file, os.W_OK):
            raise PermissionError(f"{file} is read-only")
    except OSError as error:
        raise UserError(
            f"`tracking.folder` must be a folder that can be written to; got {tracking.folder!r} ({error})."
            " Choose another with tracking.folder=PATH."
        ) from error


def _check_database(tracking: TrackingConfig) -> None:
    file = database(tracking)
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            found = connection.execute(f"{EXPERIMENT}?", (tracking.experiment,)).fetchone()
    except sqlite3.OperationalError:  # another process is making it just now, or is at work in it
        return
    except sqlite3.DatabaseError as error:
        raise UserError(
            f"`tracking.folder` must hold a usable MLflow store, or none; got {str(file.parent)!r},"
            f" where opening {file.name} said: {error}"
        ) from error
    if found is not None:
        _check_experiment(tracking, *found)


def _check_experiment(tracking: TrackingConfig, experiment_id: int | str, stage: str, artifacts: str) -> None:
    if stage != "active":
        raise UserError(
            f"`tracking.experiment` must not be a deleted experiment; got {tracking.experiment!r}."
            f" Restore it (mlflow experiments restore -x {experiment_id}) or choose another name."
        )
    if artifacts.startswith("file:") and artifact_root(tracking) not in (None, artifacts):
        raise UserError(
            f"`tracking.experiment` {tracking.experiment!r} keeps its artifacts in {artifacts},"
            f" as its store was elsewhere then; got {artifact_root(tracking)}. Choose another name for new runs."
        )
