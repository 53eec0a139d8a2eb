"""Keras models as MLflow models: saved where Keras is, delivered where it need not be."""

import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from lctrain.system.terminal import print_folded
from lctrain.tracking.mlflow_store import MlflowStore
from lctrain.tracking.store import load_mlflow, open_artifacts

NAME = "model"  # of the MLflow model, in `runs:/ID/model`


def save_model(model: Any, folder: Path, requirements: list[str]) -> None:
    """Writes the MLflow model to a new folder; it holds no pickle, and loads after `import lctrain`.

    MLflow would read all files of all that is installed, to warn of requirements that are not: these come from there.
    """
    load_mlflow()
    import mlflow.keras

    environment: Any = import_module("mlflow.utils.environment")
    warn_of_mismatches = environment.warn_dependency_requirement_mismatches
    environment.warn_dependency_requirement_mismatches = lambda _: None
    try:
        mlflow.keras.save_model(model, str(folder), pip_requirements=requirements)
    finally:
        environment.warn_dependency_requirement_mismatches = warn_of_mismatches


def deliver_model(store: MlflowStore, run_id: str, folder: Path) -> None:
    """What `mlflow.keras.log_model` does with a saved model, whose folder, once the store has it, is removed.

    Done again, it goes on with what was begun.

    Args:
        store: of the run.
        run_id: whose model it is.
        folder: of the saved model.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    client, relocation = store.client, store.relocation
    run = client.get_run(run_id)
    resumed = client.search_logged_models([store.experiment_id], filter_string=f"source_run_id = '{run_id}'")
    logged = next((model for model in resumed if model.name == NAME), None)
    if logged is not None and logged.status == "READY" and not folder.exists():
        return
    if not folder.exists():
        message = f"the model is not delivered again: {folder} was removed once a store, now gone, had it"
        print_folded(f"Warning: {message}.", sys.stderr)
        return
    if logged is None:
        logged = client.create_logged_model(store.experiment_id, NAME, source_run_id=run_id, params=run.data.params)
    outputs = run.outputs.model_outputs if run.outputs is not None else []
    if logged.model_id not in [output.model_id for output in outputs]:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    described = Model.load(str(folder))
    location = logged.artifact_location if relocation is None else relocation.apply(logged.artifact_location)
    described.run_id, described.artifact_path = run_id, location
    described.model_uuid = described.model_id = logged.model_id
    described.save(str(folder / "MLmodel"))
    if relocation is None:
        client.log_model_artifacts(logged.model_id, str(folder))
    else:
        open_artifacts(location).log_artifacts(str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    shutil.rmtree(folder, ignore_errors=True)
