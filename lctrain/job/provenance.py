"""What a run says of where it came from: configuration, machine, versions, commit."""

import os
import subprocess
from importlib.metadata import version

import lctrain
from lctrain.config import Config
from lctrain.system.machine import describe_machine

COMMIT = "mlflow.source.git.commit"  # MLflow's own name, by which its UI shows it


def describe_job(config: Config) -> dict[str, str]:
    """Tags of a run: what it is of, and what it ran on; TensorFlow is loaded by then."""
    import keras
    import tensorflow as tf

    tags = {
        "model": config.model.name,
        "data": config.data.name,
        "implementation": str(config.implementation),
        **describe_machine(),
        "tensorflow_version": tf.__version__,
        "keras_version": keras.__version__,
        "lctrain_version": lctrain.__version__,
        "onednn_opts": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    }
    commit = _git_commit()
    return tags if commit is None else {**tags, COMMIT: commit}


def _git_commit() -> str | None:
    """The commit checked out in the working folder, if that is in a git repository."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def list_requirements() -> list[str]:
    """What loads a logged model again."""
    return [f"{package}=={version(package)}" for package in ("lctrain", "keras", "tensorflow")]
