"""Where a store is, and opening it: the client that speaks to it, and the experiment that collects the runs."""

import logging
import os
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from filelock import FileLock

from lctrain.config.schema import LocalTracking, ServerTracking, TrackingConfig
from lctrain.system.loading import loading

if TYPE_CHECKING:  # they take seconds to load
    from mlflow import MlflowClient
    from psycopg import Connection

LOCK = ".mlflow.lock"  # beside the database, of who makes it
ARTIFACTS = "mlartifacts"  # the folder beside a local store's database
# What MLflow's own UI goes by: it opens such an experiment where its training runs are.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
EXPERIMENT = "lctrain"  # where the configuration names no other
EXPERIMENT_EXISTS = "RESOURCE_ALREADY_EXISTS"
ENVIRONMENT = {  # unless the user has set them
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds; MLflow's own is 120, and seven more attempts
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # what failed is delivered again as a whole
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # what a run logs goes to the store that was named, and nothing anywhere else
}
LOADED_LATE = (  # by MLflow, where it needs them first
    *("alembic.command", "alembic.config", "mlflow.keras", "mlflow.pyfunc", "mlflow.store.tracking.rest_store"),
    *("mlflow.store.tracking.sqlalchemy_store", "sqlalchemy.dialects.sqlite"),
)
SQLITE_JOURNALS = ("-journal", "-wal", "-shm")
POSTGRESQL_OPTIONS = {"connect_timeout": "10", "tcp_user_timeout": "20000"}  # seconds, milliseconds
ADVISORY_LOCK = 0x6C637472  # any number that nobody else takes; this one spells lctr

_opened: dict[Path, list[tuple[int, int] | None]] = {}
"""The files that this process has opened as a store's database, each path's in their order."""


def ui_command(tracking: TrackingConfig) -> str:
    """What shows the store: the one command that opens MLflow's UI on its training runs, or the server's address."""
    if is_http(tracking):
        return tracking.uri
    named = ["tracking=server", f"tracking.uri={tracking.uri}"] if isinstance(tracking, ServerTracking) else []
    named = name_folder(store_folder(tracking)) if isinstance(tracking, LocalTracking) else named
    named += [] if tracking.experiment == EXPERIMENT else [f'tracking.experiment="{tracking.experiment}"']
    return shlex.join(["python", "-m", "lctrain", "ui", *named])


def name_folder(folder: Path) -> list[str]:
    """The override that names the store in a folder; none for that in the working folder."""
    # Hydra takes few letters without quotes.
    return [] if folder == Path.cwd() else [f'tracking.folder="{folder}"']


def restore_command(tracking: TrackingConfig, run_id: str) -> str:
    """What brings a run back that was deleted in MLflow."""
    return f"MLFLOW_TRACKING_URI={shlex.quote(store_uri(tracking))} mlflow runs restore --run-id {run_id}"


def store_uri(tracking: TrackingConfig) -> str:
    """As MLflow takes it."""
    if isinstance(tracking, LocalTracking):
        return f"sqlite:///{database(tracking).as_posix()}"
    if is_http(tracking):
        return tracking.uri.rstrip("/")
    return urlunsplit(urlsplit(tracking.uri)._replace(scheme="postgresql+psycopg"))


def is_http(tracking: TrackingConfig) -> TypeGuard[ServerTracking]:
    return isinstance(tracking, ServerTracking) and tracking.uri.startswith("http")


def store_folder(tracking: LocalTracking) -> Path:
    return Path(tracking.folder).expanduser().resolve()


def database(tracking: LocalTracking) -> Path:
    return store_folder(tracking) / "mlflow.db"


def artifact_root(tracking: TrackingConfig) -> str | None:
    """Where a new experiment keeps its artifacts; None lets the server choose."""
    if isinstance(tracking, LocalTracking):
        return (store_folder(tracking) / ARTIFACTS).as_uri()
    if tracking.artifacts is None or "://" in tracking.artifacts:
        return tracking.artifacts
    return Path(tracking.artifacts).expanduser().resolve().as_uri()


def dump_tracking(tracking: TrackingConfig) -> dict[str, Any]:
    """The settings for another process, which may work in another folder: paths are absolute."""
    fields = tracking.model_dump()
    if isinstance(tracking, LocalTracking):
        fields["folder"] = str(store_folder(tracking))
    elif tracking.artifacts is not None and "://" not in tracking.artifacts:
        fields["artifacts"] = str(Path(tracking.artifacts).expanduser().resolve())
    return fields


def read_tracking(fields: Mapping[str, Any]) -> TrackingConfig:
    """What `dump_tracking` wrote."""
    return LocalTracking(**fields) if fields["name"] == "local" else ServerTracking(**fields)


def load_mlflow() -> Any:
    """MLflow, which takes seconds to load, with the timeouts and the silence that a thread beside a training needs."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with loading():
        import mlflow

    for logger in ("mlflow", "alembic", "urllib3"):  # mlflow sets its own levels when it is loaded
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    return mlflow


def load_store_code(tracking: TrackingConfig) -> None:
    """Loads all of MLflow that a store takes, reachable or not; most of it `import mlflow` leaves for later."""
    with loading():
        load_mlflow()
        if is_http(tracking):
            import mlflow.store.tracking.rest_store
        else:
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


def load_all_code() -> None:
    """Loads all of MLflow that runs and their models take, whatever the store."""
    with loading():
        load_mlflow()
        for name in LOADED_LATE:
            import_module(name)


def open_store(tracking: TrackingConfig) -> "tuple[MlflowClient, str]":
    """The client, and the id of the experiment, in a store that is created first where there is none.

    Raises:
        Exception: whatever MLflow, or the database below it, raises where the store can't be opened.
    """
    mlflow = load_mlflow()
    with _lock_store(tracking):
        client = _make_client(mlflow, tracking)
        return client, _find_experiment(mlflow, client, tracking)


def open_client(tracking: TrackingConfig) -> "MlflowClient":
    """The client alone, for a store that is read.

    Raises:
        Exception: as `open_store`.
    """
    mlflow = load_mlflow()
    with _lock_store(tracking):
        return _make_client(mlflow, tracking)


def open_artifacts(location: str) -> Any:
    """MLflow's access to the files at a URI, whatever a store says of it."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(location)


def is_replaced(tracking: TrackingConfig) -> bool:
    """Whether the file of a store that this process has opened was deleted since, or another put in its place."""
    if not isinstance(tracking, LocalTracking):
        return False
    opened = _opened.get(database(tracking), [])
    return bool(opened) and opened[-1] != _identify(database(tracking))


def _make_client(mlflow: Any, tracking: TrackingConfig) -> "MlflowClient":
    if not isinstance(tracking, LocalTracking):
        remote: MlflowClient = mlflow.MlflowClient(_add_timeouts(tracking))
        return remote
    opened = _opened.setdefault(database(tracking), [])
    is_new = not opened or is_replaced(tracking)
    num_before = len(opened) if is_new else len(opened) - 1
    # MLflow keeps what it has opened, by URI, as long as the process lives: a new file takes another spelling
    client: MlflowClient = mlflow.MlflowClient(
        f"sqlite:///{store_folder(tracking).as_posix()}{'/.' * num_before}/mlflow.db"
    )
    if is_new:
        opened.append(_identify(database(tracking)))
    return client


def _identify(file: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def connect(tracking: ServerTracking) -> "Connection[Any]":
    """A connection to a PostgreSQL database.

    Raises:
        ImportError: psycopg is not installed.
        psycopg.Error: the database can't be reached, or has no such user or name.
    """
    import psycopg

    uri = urlunsplit(urlsplit(tracking.uri)._replace(scheme="postgresql"))
    return psycopg.connect(uri, connect_timeout=int(POSTGRESQL_OPTIONS["connect_timeout"]), autocommit=True)


@contextmanager
def _lock_store(tracking: TrackingConfig) -> Iterator[None]:
    """A lock: several who make a fresh store at once would break each other's migrations. A server has made its own."""
    if isinstance(tracking, LocalTracking):
        store_folder(tracking).mkdir(parents=True, exist_ok=True)
        with FileLock(store_folder(tracking) / LOCK):
            if not database(tracking).exists():
                _create_database(database(tracking).resolve())  # which a link may lead to
            yield
    elif is_http(tracking):
        yield
    else:
        with connect(tracking) as connection:  # which frees the lock when it ends, however it ends
            connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
            yield


def _create_database(file: Path) -> None:
    """Lets MLflow make its tables in a file of another name, so that one that is killed meanwhile leaves no half."""
    prefix = f"{file.name}.new"
    # Left of such a one, or of a database that was deleted, whose journal SQLite would replay into a new one.
    for left in file.parent.glob(f"{file.name}*"):
        if left.name.startswith(prefix) or left.name.removeprefix(file.name) in SQLITE_JOURNALS:
            left.unlink()
    new = file.with_name(f"{prefix}-{secrets.token_hex(4)}")  # MLflow keeps what it has opened, by name
    client = load_mlflow().MlflowClient(f"sqlite:///{new.as_posix()}")
    client.search_experiments(max_results=1)
    new.replace(file)


def _add_timeouts(tracking: ServerTracking) -> str:
    """A server's URI, for a database with limits to the time that it may keep silent."""
    uri = store_uri(tracking)
    if is_http(tracking):
        return uri
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(query=urlencode(POSTGRESQL_OPTIONS | dict(parse_qsl(parts.query)))))


def _find_experiment(mlflow: Any, client: "MlflowClient", tracking: TrackingConfig) -> str:
    experiment = client.get_experiment_by_name(tracking.experiment)
    if experiment is None:
        try:
            return client.create_experiment(tracking.experiment, artifact_root(tracking), EXPERIMENT_TAGS)
        except mlflow.MlflowException as error:
            experiment = client.get_experiment_by_name(tracking.experiment)  # another process may have been faster
            if error.error_code != EXPERIMENT_EXISTS or experiment is None:
                raise
    return experiment.experiment_id
