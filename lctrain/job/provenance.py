"""What a run says of where it came from: configuration, machine, versions, commit."""

import json
import os
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lctrain
from lctrain.config import Config
from lctrain.config.schema import DataConfig
from lctrain.data import Splits
from lctrain.job.resume_state import fingerprint
from lctrain.report.settings import format_label
from lctrain.system.machine import describe_machine

CHOICES = "sweep.choices"  # the tag with the overrides that other jobs of the sweep have not
MAX_NAME = 120  # characters
DIGEST_LENGTH = 12  # hexadecimal digits, which MLflow's UI shows beside the name
COMMIT = "mlflow.source.git.commit"  # MLflow's own name, by which its UI shows it


def name_run(config: Config, tags: Mapping[str, str]) -> str:
    """`lc2d-batched`; of a job of a sweep also what else differs from the others: `lc2d-batched, threads=2`."""
    choices = json.loads(tags.get(CHOICES, "{}"))
    varying = [key for key in choices if key not in ("model", "implementation")]
    name = ", ".join([f"{config.model.name}-{config.implementation}", *filter(None, [format_label(choices, varying)])])
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 3]}..."


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


def describe_datasets(data: DataConfig, splits: Splits) -> list[dict[str, str]]:
    """The three splits as MLflow's datasets; the digest is of all labels and some inputs, so that it is cheap."""
    path = getattr(data, "path", None)
    name, kind = data.name, "code"
    source: dict[str, Any] = {"tags": {"mlflow.source.name": f"data={data.name}"}}
    if path is not None:
        name, kind, source = f"{data.name} {Path(path).name}", "local", {"uri": str(Path(path).absolute())}
    datasets = []
    parts = {"training": splits.train, "validation": splits.validation, "testing": splits.test}
    for context, split in parts.items():
        schema = {"features": _describe_tensor(split.inputs), "targets": _describe_tensor(split.labels)}
        described = {"name": name, "digest": fingerprint(split)[:DIGEST_LENGTH], "context": context}
        described |= {"source_type": kind, "source": json.dumps(source)}
        described |= {"schema": json.dumps({"mlflow_tensorspec": schema})}
        datasets.append(described | {"profile": json.dumps({"num_rows": len(split.labels)})})
    return datasets


def _describe_tensor(values: Any) -> str:
    """The sizes and type of a split's rows, as MLflow spells them."""
    spec = {"dtype": str(values.dtype), "shape": [-1, *values.shape[1:]]}
    return json.dumps([{"type": "tensor", "tensor-spec": spec}])


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
