"""What is known of each job of a sweep, as files in the sweep's folder: found again whatever machine ran the job."""

import json
import sys
import warnings
from collections.abc import Callable, Container
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from lctrain.system.files import write_json
from lctrain.system.terminal import print_folded

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

    _unwritten: ClassVar[dict[Path, Record]] = {}  # by this process, for want of room

    def write(self, record: Record) -> None:
        """Writes a record, or, where there is no room, tells so and keeps it in this process's memory."""
        file = self._file(record.number)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_json(file, asdict(record))
            self._unwritten.pop(file, None)
        except OSError as error:
            self._unwritten[file] = record
            print_folded(f"Warning: {file} can't be written: {error.strerror}.", sys.stderr)

    def read(self, number: int) -> Record | None:
        """What is known of a job; None if it has not been started, or if its record is damaged, which is told."""
        file = self._file(number)
        if file in self._unwritten:
            return self._unwritten[file]
        try:
            return Record(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            warnings.warn(f"{file} is damaged: its job counts as one that was never started.", stacklevel=2)
            return None

    def read_all(self, but: Container[int] = ()) -> list[Record]:
        """Of all jobs that were started, in their order, but for those numbers."""
        if not self._folder.is_dir():
            return []
        numbers = sorted({int(path.stem) for path in [*self._folder.glob("*.json"), *self._kept_here()]})
        return [record for number in numbers if number not in but and (record := self.read(number)) is not None]

    def move(self, locate: Callable[[Path], Path]) -> None:
        """Rewrites the paths in all records.

        Args:
            locate: says where a path leads to now.
        """
        for record in self.read_all():
            log, journal = (path and str(locate(Path(path))) for path in (record.log, record.journal))
            moved = replace(record, folder=str(locate(Path(record.folder))), log=log, journal=journal)
            if moved != record:
                self.write(moved)

    def _kept_here(self) -> list[Path]:
        return [file for file in self._unwritten if file.parent == self._folder]

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.json"


@dataclass(frozen=True)
class Manifest:
    """What a sweep was asked to do, enough to go on with it.

    Args:
        arguments: the command line behind the verb.
        jobs: the overrides of each job; None where a sweeper chooses them as it goes.
        digests: of each job's configuration, by which a changed file is noticed.
        num_jobs: how many there are to be.
        working_folder: that the command was given in, from which relative paths count.
        journal: the folder of the sweep's own run's journal.
    """

    arguments: list[str]
    jobs: list[list[str]] | None
    num_jobs: int
    working_folder: str
    digests: list[str] | None = None
    journal: str | None = None

    def write(self, folder: Path) -> None:
        write_json(folder / MANIFEST, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Raises OSError where there is none, ValueError or TypeError where it is no manifest."""
        manifest = cls(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        texts = [*manifest.arguments, *(text for job in manifest.jobs or [] for text in job), *(manifest.digests or [])]
        if not all(isinstance(text, str) for text in [*texts, manifest.working_folder, manifest.journal]):
            raise ValueError("it holds something else than text where text belongs")
        return manifest
