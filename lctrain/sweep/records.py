"""What is known of each job of a sweep, as files in the sweep's folder: found again whatever machine ran the job."""

import json
import os
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["running", "done", "failed", "killed", "timed_out", "refused", "interrupted", "skipped"]
RECORDS = "records"  # the folder, in the sweep's
MANIFEST = "sweep.json"


@dataclass(frozen=True)
class Record:
    """How one job of a sweep stands.

    Args:
        number: its place among the jobs, from 0.
        overrides: those that made it, as the user wrote them.
        status: "running"; "done"; "failed" (an error, or an exit of its own); "killed" (by a signal); "timed_out";
            "refused" (it would not fit into memory); "interrupted" (with the sweep); "skipped" (after another failed).
        folder: where its files are.
        started: seconds since the epoch.
        owner: the process that watches it.
        warning: what was told before it started; empty if nothing was.
        reason: one or a few lines on what went wrong; empty if nothing did.
        exit_code: what a command that ran this job alone would exit with; None while it runs, and where it was skipped.
        seconds: that it took.
        log: the file that holds its output; None where it had none.
        journal: the folder of its run's journal; None where it had no run.
        metrics: that it reached, if done.
        attempt: 1, and one more each time that a resumed sweep starts it anew.
    """

    number: int
    overrides: list[str]
    status: Status
    folder: str
    started: float
    owner: dict[str, str] = field(default_factory=dict)
    warning: str = ""
    reason: str = ""
    exit_code: int | None = None
    seconds: float = 0.0
    log: str | None = None
    journal: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    attempt: int = 1

    @property
    def has_ended(self) -> bool:
        return self.status != "running"

    @property
    def has_failed(self) -> bool:
        return self.status not in ("running", "done")


class Records:
    """The records of a sweep.

    Args:
        folder: the sweep's, on a file system that all its machines share.
    """

    def __init__(self, folder: Path):
        self._folder = folder / RECORDS

    def write(self, record: Record) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._file(record.number), asdict(record))

    def read(self, number: int) -> Record | None:
        """What is known of a job; None if it has not been started."""
        try:
            return Record(**json.loads(self._file(number).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def read_all(self, but: Container[int] = ()) -> list[Record]:
        """Of all jobs that were started, in their order, but for those numbers."""
        if not self._folder.is_dir():
            return []
        numbers = sorted(int(path.stem) for path in self._folder.glob("*.json"))
        return [record for number in numbers if number not in but and (record := self.read(number)) is not None]

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.json"


@dataclass(frozen=True)
class Manifest:
    """What a sweep was asked to do, enough to go on with it.

    Args:
        arguments: the command line behind the verb.
        jobs: the overrides of each job; None where a sweeper chooses them as it goes.
        num_jobs: how many there are to be.
        working_folder: that the command was given in, from which relative paths count.
        journal: the folder of the sweep's own run's journal.
    """

    arguments: list[str]
    jobs: list[list[str]] | None
    num_jobs: int
    working_folder: str
    journal: str | None = None

    def write(self, folder: Path) -> None:
        write_json(folder / MANIFEST, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Raises FileNotFoundError where there is none, ValueError or TypeError where it is no manifest."""
        return cls(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replaces a file at once, so that whoever reads it sees the old content or the new."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
