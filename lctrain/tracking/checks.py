"""What a look at a store shows of a user's mistakes, before anything slow starts; it takes no MLflow."""

import base64
import json
import os
import shlex
import sqlite3
import sys
import tempfile
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from lctrain.config.schema import LocalTracking, ServerTracking, TrackingConfig
from lctrain.errors import UserError
from lctrain.system.terminal import print_folded
from lctrain.tracking.moving import Relocation, find_relocation
from lctrain.tracking.store import (
    ARTIFACTS,
    artifact_root,
    connect,
    database,
    is_http,
    name_folder,
    store_folder,
    store_uri,
)

EXPERIMENT = "SELECT experiment_id, lifecycle_stage, artifact_location FROM experiments WHERE name = "
HTTP_TIMEOUT = 5  # seconds
HTTP_UNKNOWN = "RESOURCE_DOES_NOT_EXIST"  # what MLflow answers where there is no such experiment yet
NOT_INSTALLED = "`tracking.uri` postgresql:// takes psycopg, which is not installed: pip install 'lctrain[postgres]'"


def check_writable(tracking: TrackingConfig) -> None:
    """Refuses a store that no run could be logged into; makes the folder of one that is to be.

    A server that can't be reached is no mistake: what is logged meanwhile is delivered later.

    Raises:
        UserError: what is wrong with it.
    """
    if isinstance(tracking, LocalTracking):
        _check_folder(tracking)
        _check_database(tracking)
    elif is_http(tracking):
        _check_server(tracking)
    else:
        _check_artifacts(tracking)
        _check_postgresql(tracking)


def format_sync_moved_command(relocation: Relocation) -> str:
    """What lets MLflow's own UI find the artifacts of a store that has moved."""
    return shlex.join(["python", "-m", "lctrain", "sync", "--moved", *name_folder(relocation.folder)])


def _check_folder(tracking: LocalTracking) -> None:
    folder = store_folder(tracking)
    if set("?#%") & set(str(folder)):
        raise UserError(f"`tracking.folder` must not hold ?, # or %, which URIs read otherwise; got {str(folder)!r}.")
    try:
        _write_into(folder)
        file, artifacts = database(tracking), folder / ARTIFACTS
        for place in (file, artifacts):
            if place.is_symlink() and not place.exists():
                raise FileNotFoundError(f"{place} is a link to {os.readlink(place)}, which is not there")
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


def _write_into(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _check_database(tracking: LocalTracking) -> None:
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


def _check_artifacts(tracking: ServerTracking) -> None:
    root = artifact_root(tracking)
    if root is None or not root.startswith("file:"):
        return
    try:
        _write_into(Path(unquote(urlsplit(root).path)))
    except OSError as error:
        raise UserError(
            f"`tracking.artifacts` must be a folder that can be written to; got {tracking.artifacts!r} ({error})."
        ) from error


def _check_postgresql(tracking: ServerTracking) -> None:
    try:
        import psycopg
    except ImportError as error:
        raise UserError(NOT_INSTALLED) from error
    try:
        with connect(tracking) as connection:
            found = connection.execute(f"{EXPERIMENT}%s", (tracking.experiment,)).fetchone()
    except psycopg.errors.UndefinedTable:  # a fresh one
        return
    except psycopg.OperationalError as error:
        if any(word in str(error) for word in ("authentication", "does not exist", "no password")):
            reason = str(error).strip().splitlines()[-1]
            raise UserError(f"`tracking.uri` must name a database that lets you in; {reason}") from error
        return
    if found is not None:
        _check_experiment(tracking, *found)


def _check_server(tracking: ServerTracking) -> None:
    name = quote(tracking.experiment, safe="")
    path = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}"
    request = urllib.request.Request(store_uri(tracking) + path, headers=_credentials())
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT) as response:
            found = json.load(response)["experiment"]
    except urllib.error.HTTPError as error:
        _check_answer(tracking, error)
    except OSError:  # nobody listens, or answers in time
        return
    except (ValueError, KeyError, TypeError) as error:
        raise _not_mlflow(tracking, "an answer that MLflow does not give") from error
    else:
        _check_experiment(tracking, found["experiment_id"], found["lifecycle_stage"], "")


def _check_answer(tracking: ServerTracking, error: urllib.error.HTTPError) -> None:
    if error.code >= 500:
        return  # as good as unreachable
    try:
        is_unknown = json.loads(error.read()).get("error_code") == HTTP_UNKNOWN
    except (ValueError, AttributeError):
        is_unknown = False
    if error.code == 404 and is_unknown:
        return
    if error.code in (401, 403):
        fix = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        raise UserError(f"`tracking.uri` {tracking.uri} does not let you in ({error.code} {error.reason}). {fix}")
    raise _not_mlflow(tracking, f"{error.code} {error.reason}")


def _not_mlflow(tracking: ServerTracking, got: str) -> UserError:
    return UserError(f"`tracking.uri` must be the address of an MLflow server; {tracking.uri} gave {got}.")


def _credentials() -> dict[str, str]:
    """What MLflow's own client sends."""
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _check_experiment(tracking: TrackingConfig, experiment_id: int | str, stage: str, artifacts: str) -> None:
    if stage != "active":
        raise UserError(
            f"`tracking.experiment` must not be a deleted experiment; got {tracking.experiment!r}."
            f" Restore it (mlflow experiments restore -x {experiment_id}) or choose another name."
        )
    relocation = find_relocation(tracking, artifacts)
    if relocation is not None:
        message = (
            f"this store was made in {relocation.old} and has been moved or copied. Its artifacts are looked for, and"
        )
        message += (
            f" kept, in {relocation.new}; MLflow's own UI finds them after: {format_sync_moved_command(relocation)}"
        )
        print_folded(f"Warning: {message}", sys.stderr)
        return
    if artifacts.startswith("file:") and artifact_root(tracking) not in (None, artifacts):
        raise UserError(
            f"`tracking.experiment` {tracking.experiment!r} keeps its artifacts in {artifacts},"
            f" as its store was elsewhere then; got {artifact_root(tracking)}. Choose another name for new runs."
        )
