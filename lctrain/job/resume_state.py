"""Jobs that were not finished: what their folders say of them, and which of them a command line goes on with."""

import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from lctrain.config import Config
from lctrain.config.schema import ModelConfig
from lctrain.data import Split
from lctrain.errors import UserError
from lctrain.system.files import write_json
from lctrain.system.folder_lock import lock_folder
from lctrain.system.machine import available_cores, cpu_model
from lctrain.system.terminal import print_folded
from lctrain.tracking import find_original, read_journal

STATES = "checkpoints"  # the folder's name inside the job's
FILE = "job.json"
LOCK = ".lock"
NOT_COMPUTED = {  # keys that change nothing of what a job computes
    "tracking": True,
    "sweep": True,
    "resume": True,
    "training": {"name", "progress", "checkpoint", "tensorboard", "profile", "log_every_steps", "kernels"},
}
SAMPLED_ROWS = 64


@dataclass(frozen=True)
class ResumeState:
    """A job as its folder tells of it, until it is done.

    Args:
        digest: of all that changes what it computes.
        journal: the folder of its run's journal.
        overrides: the command line's, as the user wrote them.
        model: the groups and keys of its configuration that measuring may have changed.
        jit_compile: likewise.
        environment: versions and the machine.
        data: a fingerprint of its splits.
    """

    digest: str
    journal: str
    overrides: list[str]
    model: dict[str, Any]
    jit_compile: bool | Literal["auto"]
    environment: dict[str, str]
    data: str

    @classmethod
    def read(cls, folder: Path) -> "ResumeState":
        """What a job's folder says.

        Raises:
            OSError: it says nothing.
            ValueError: what it says is damaged.
        """
        content = json.loads((folder / STATES / FILE).read_bytes())
        if not isinstance(content, dict) or set(content) != {field.name for field in fields(cls)}:
            raise ValueError("not all that belongs there")
        journal = Path(folder).absolute() / Path(content["journal"]).name  # the folder may have been moved, or copied
        return cls(**content | {"journal": str(journal)})

    def write(self, folder: Path) -> None:
        """Without room on the disk it is not written, which is told: the job can't be resumed then."""
        try:
            write_json(folder / STATES / FILE, asdict(self))
        except OSError as error:
            message = (
                f"the job can't be resumed, as {folder / STATES} has no room for {FILE} ({error.strerror or error})"
            )
            print_folded(f"Warning: {message}.", sys.stderr)

    def resolve(self, config: Config) -> Config:
        """The configuration with what measuring decided when the job was started."""
        model = ModelConfig.model_validate(self.model)
        return config.model_copy(update={"model": model, "jit_compile": self.jit_compile})

    def find_journal(self) -> Path | None:
        """The folder of its run's journal; None, which is told, where that is gone or damaged."""
        try:
            read_journal(Path(self.journal))
            original = find_original(Path(self.journal))
            if original is None:
                return Path(self.journal)
            message = (
                f"the job is a copy of the one in {original.parent}, whose run it leaves alone; it goes on as a new run"
            )
        except (OSError, ValueError) as error:
            message = f"the journal of the job's run can't be read ({error}); the job goes on as a new run"
        print_folded(f"Warning: {message}.", sys.stderr)
        return None


def digest(config: Config, without: Any = NOT_COMPUTED) -> str:
    """Of what a configuration says, by default of all that changes what a training computes.

    Args:
        config: validated.
        without: what is left out, as pydantic's `exclude` takes it.
    """
    content = config.model_dump(exclude=without)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def read_unfinished(folder: Path) -> ResumeState | None:
    """What a folder says of a job; None where it says nothing.

    Raises:
        UserError: a file that is damaged.
    """
    try:
        return ResumeState.read(folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        fix = "Start the job anew, without `resume`."
        raise UserError(
            f"The job in {str(folder)!r} can't be resumed: its {FILE} is damaged ({error}). {fix}"
        ) from error


def lock(folder: Path) -> AbstractContextManager[None]:
    """Keeps others from going on with a job while this process does.

    Raises:
        UserError: another process is at it, or nothing can be written there.
    """
    return lock_folder(folder, folder / STATES / LOCK, "job", "hydra.run.dir")


def is_locked(folder: Path) -> bool:
    """Whether a process is at a job."""
    try:
        with lock(folder):
            return False
    except UserError:
        return True


def forget(folder: Path) -> None:
    """Removes what a job would go on from; what says that it is not done goes first."""
    (folder / STATES / FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / STATES, ignore_errors=True)


def list_unfinished(root: Path) -> list[Path]:
    """Folders of jobs below a folder that say that they are not done, the newest first."""
    found = [path.parent.parent for path in root.rglob(f"{STATES}/{FILE}")]
    return sorted(found, key=lambda folder: (folder / STATES / FILE).stat().st_mtime, reverse=True)


def fingerprint(*splits: Split) -> str:
    """Of data: shapes, all labels, and some inputs."""
    import numpy as np

    hashed = hashlib.sha256()
    for split in splits:
        rows = range(0, len(split.labels), max(len(split.labels) // SAMPLED_ROWS, 1))
        hashed.update(f"{tuple(split.inputs.shape)} {split.inputs.dtype}".encode())
        hashed.update(split.labels.tobytes())
        hashed.update(split.inputs[np.array(rows)].tobytes())
    return hashed.hexdigest()[:32]


def describe_environment() -> dict[str, str]:
    """What the last bits of a training may depend on, beside its configuration."""
    packages = {name: version(name) for name in ("tensorflow", "keras", "numpy", "lctrain")}
    return packages | {
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "cores": str(available_cores()),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    }


def format_differences(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """A warning where a job goes on elsewhere than it began; empty where nothing differs.

    >>> format_differences({"keras": "3.15.1", "cores": "2"}, {"keras": "3.16.0", "cores": "2"})
    'Warning: the job goes on with keras 3.16.0 (before: 3.15.1), so that its last bits may differ.'
    """
    differing = [f"{name} {now[name]} (before: {then.get(name)})" for name in now if now[name] != then.get(name)]
    if not differing:
        return ""
    return f"Warning: the job goes on with {', '.join(differing)}, so that its last bits may differ."
