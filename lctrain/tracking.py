"""Runs in an MLflow store; the only user of mlflow."""

import json
import logging
import os
import shlex
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from lctrain.config.schema import TrackingConfig
from lctrain.errors import UserError

MAX_PARAMS_PER_CALL = 100  # MLflow's own limit


class Run:
    """One run of a store, open; every method writes to the store at once."""

    def __init__(self, mlflow, run_id: str):
        self._mlflow = mlflow
        self.run_id = run_id

    def log_params(self, config: Mapping[str, Any]) -> None:
        """Every scalar (and list of scalars) of a nested configuration, under its dotted path, as JSON spells it."""
        params = list(flatten(config).items())
        for start in range(0, len(params), MAX_PARAMS_PER_CALL):
            self._mlflow.log_params(dict(params[start : start + MAX_PARAMS_PER_CALL]))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._mlflow.log_metrics({name: float(value) for name, value in metrics.items()}, step=step)

    def log_text(self, text: str, path: str) -> None:
        self._mlflow.log_text(text, path)

    def log_table(self, table: Mapping[str, list], path: str) -> None:
        """A table, one list per column, as JSON that MLflow's UI shows."""
        self._mlflow.log_table(dict(table), path)

    def log_figure(self, figure, path: str) -> None:
        self._mlflow.log_figure(figure, path)

    def log_model(self, model, pip_requirements: list[str]) -> None:
        """The Keras model as the MLflow model `model`; it holds no pickle, and loads after `import lctrain`."""
        import mlflow.keras  # which loads Keras, and with it TensorFlow

        mlflow.keras.log_model(model, name="model", pip_requirements=pip_requirements)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted paths and values as text.

    >>> flatten({"seed": 0, "model": {"name": "lc2d", "kernel_size": [3, 2]}})
    {'seed': '0', 'model.name': 'lc2d', 'model.kernel_size': '[3, 2]'}
    """
    flat = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def check_writable(tracking: TrackingConfig) -> None:
    """Makes the store's folder and writes into it once, before anything slow starts.

    Raises:
        UserError: where that can't be done.
    """
    folder = _folder(tracking)
    if set("?#%") & set(str(folder)):
        raise UserError(f"`tracking.folder` must not hold ?, # or %, which URIs read otherwise; got {str(folder)!r}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        database, artifacts = _database(folder), folder / "mlartifacts"
        if database.exists() and not database.is_file():
            raise IsADirectoryError(f"{database} is not a file")
        if artifacts.exists() and not artifacts.is_dir():
            raise NotADirectoryError(f"{artifacts} is not a folder")
        if database.exists() and not os.access(database, os.W_OK):
            raise PermissionError(f"{database} is read-only")
    except OSError as error:
        raise UserError(
            f"`tracking.folder` must be a folder that can be written to; got {tracking.folder!r} ({error})."
            " Choose another with tracking.folder=PATH."
        ) from error


def ui_command(tracking: TrackingConfig) -> str:
    """The one command that opens MLflow's UI on the store."""
    return f"mlflow ui --backend-store-uri {shlex.quote(store_uri(tracking))}"


def store_uri(tracking: TrackingConfig) -> str:
    return f"sqlite:///{_database(_folder(tracking)).as_posix()}"


@contextmanager
def start_run(tracking: TrackingConfig, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """A new run, which ends as the block does: FINISHED, FAILED with the error as a tag, or KILLED by a signal.

    Raises:
        UserError: where the store can't be opened.
    """
    import mlflow

    for logger in ("mlflow", "alembic"):  # mlflow sets its own levels when it is loaded
        logging.getLogger(logger).setLevel(logging.ERROR)
    experiment_id = _open_store(mlflow, tracking)
    try:
        run = mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=dict(tags))
        yield Run(mlflow, run.info.run_id)
    except BaseException as error:
        with _signals_wait():
            _end_badly(mlflow, error)
        raise
    mlflow.end_run("FINISHED")


def _end_badly(mlflow, error: BaseException) -> None:
    """Ends the open run, if there is one, by the kind of error; a tag that can't be written does not keep it open."""
    if mlflow.active_run() is None:
        return
    try:
        mlflow.set_tag("error", f"{type(error).__name__}: {error}"[:5000])
    finally:
        mlflow.end_run("KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED")


@contextmanager
def _signals_wait() -> Iterator[None]:
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


def _open_store(mlflow, tracking: TrackingConfig) -> str:
    """The experiment's id, in a store that is created first where there is none."""
    folder = _folder(tracking)
    artifacts = (folder / "mlartifacts").as_uri()
    with FileLock(folder / ".mlflow.lock"):  # several first contacts at once would break each other's migrations
        try:
            mlflow.set_tracking_uri(store_uri(tracking))
            client = mlflow.MlflowClient()
            experiment = client.get_experiment_by_name(tracking.experiment)
            if experiment is None:
                return client.create_experiment(tracking.experiment, artifact_location=artifacts)
        except Exception as error:
            raise UserError(
                f"`tracking.folder` must hold a usable MLflow store, or none; got {str(folder)!r},"
                f" where opening {_database(folder).name} said: {str(error).splitlines()[0]}"
            ) from error
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f"`tracking.experiment` must not be a deleted experiment; got {tracking.experiment!r}."
            f" Restore it (mlflow experiments restore -x {experiment.experiment_id}) or choose another name."
        )
    if experiment.artifact_location.startswith("file:") and experiment.artifact_location != artifacts:
        raise UserError(
            f"`tracking.experiment` {tracking.experiment!r} keeps its artifacts in {experiment.artifact_location},"
            f" as its store was elsewhere then; got folder {str(folder)!r}. Choose another name for new runs."
        )
    return experiment.experiment_id


def _folder(tracking: TrackingConfig) -> Path:
    return Path(tracking.folder).expanduser().resolve()


def _database(folder: Path) -> Path:
    return folder / "mlflow.db"
