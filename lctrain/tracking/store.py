"""Where a store is, and opening it: the client that speaks to it, and the experiment that collects the runs."""

import logging
import os
import shlex
from pathlib import Path

from filelock import FileLock

from lctrain.config.schema import TrackingConfig

EXPERIMENT_EXISTS = "RESOURCE_ALREADY_EXISTS"
ENVIRONMENT = {  # unless the user has set them
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds; MLflow's own is 120, and seven more attempts
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the journal is delivered again as a whole
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a run's data goes to the store that was named, and nowhere else
}


def ui_command(tracking: TrackingConfig) -> str:
    """The one command that opens MLflow's UI on the store."""
    return f"mlflow ui --backend-store-uri {shlex.quote(store_uri(tracking))}"


def store_uri(tracking: TrackingConfig) -> str:
    return f"sqlite:///{database(tracking).as_posix()}"


def store_folder(tracking: TrackingConfig) -> Path:
    return Path(tracking.folder).expanduser().resolve()


def database(tracking: TrackingConfig) -> Path:
    return store_folder(tracking) / "mlflow.db"


def artifact_root(tracking: TrackingConfig) -> str | None:
    """Where a new experiment keeps its artifacts; None lets the server choose."""
    return (store_folder(tracking) / "mlartifacts").as_uri()


def load_mlflow():
    """MLflow, which takes seconds to load, told to be patient and quiet as befits a thread beside a training."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    for logger in ("mlflow", "alembic", "urllib3"):  # mlflow sets its own levels when it is loaded
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    return mlflow


def open_store(tracking: TrackingConfig):
    """The client, and the id of the experiment, in a store that is created first where there is none.

    The first contact holds a lock, as several at once would break each other's migrations.

    Raises:
        Exception: whatever MLflow, or the database below it, raises where the store can't be opened.
    """
    mlflow = load_mlflow()
    store_folder(tracking).mkdir(parents=True, exist_ok=True)
    with FileLock(store_folder(tracking) / ".mlflow.lock"):
        client = mlflow.MlflowClient(store_uri(tracking))
        return client, _find_experiment(mlflow, client, tracking)


def _find_experiment(mlflow, client, tracking: TrackingConfig) -> str:
    experiment = client.get_experiment_by_name(tracking.experiment)
    if experiment is not None:
        return experiment.experiment_id
    try:
        return client.create_experiment(tracking.experiment, artifact_location=artifact_root(tracking))
    except mlflow.MlflowException as error:
        if error.error_code != EXPERIMENT_EXISTS:
            raise
        return client.get_experiment_by_name(tracking.experiment).experiment_id  # another process was faster
