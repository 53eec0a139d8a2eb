"""The journal of a run: a file that only grows, in the job's folder, and the files that the run logged beside it.

Each line is a JSON object with its `kind`, the `time` when it was logged, in milliseconds since the epoch, and what
belongs to the kind: `run` (the first line), `params`, `tags`, `metrics`, `datasets`, `artifact`, `model`, `end`, and
`resumed` where a run goes on that had ended.

A line is handed to the kernel by one write and not forced to the disk: it survives the death of the process, SIGKILL
included, though not a loss of power; to wait for the disk at each line could slow a training. The end is forced.
"""

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from lctrain.system.files import replace_file

JOURNAL = "tracking"  # the folder's name inside the job's; of later attempts in the same folder tracking.2, ...
FILE = "journal.jsonl"
ARTIFACTS = "artifacts"


class Entry(NamedTuple):
    """One line."""

    fields: dict[str, Any]
    end: int
    """Where the line ends in the file, in bytes."""


def make_journal(folder: Path) -> "Journal":
    """A new journal in the job's folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / (JOURNAL if number == 1 else f"{JOURNAL}.{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return Journal(path)


def find_journals(folder: Path) -> list[Path]:
    """The journals in a folder and below it, those nearer to it first, so that a sweep's comes before its jobs'."""
    found = (path.parent for path in Path(folder).rglob(f"{JOURNAL}*/{FILE}"))
    return sorted(found, key=lambda path: (len(path.parts), path))


class Journal:
    """A journal to write to and to read; by one process at a time, whose threads may do so together.

    A disk without room stops nobody: what can't be written stays in memory, is read from there, and is tried again with
    each new line.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder).absolute()
        self._path = self.folder / FILE
        self._guard = threading.RLock()
        self._unwritten: list[bytes] = []
        self._unwritten_files: dict[str, bytes] = {}
        whole = self._path.read_bytes() if self._path.exists() else b""
        self._size = whole.rfind(b"\n") + 1  # a line without its end was torn by a death; the next takes its place

    def append(self, kind: str, **fields: Any) -> None:
        line = json.dumps({"kind": kind, "time": time.time_ns() // 1_000_000, **fields}).encode() + b"\n"
        with self._guard:
            self._unwritten.append(line)
            self._write(must_last=kind == "end")

    def add_file(self, path: str, data: bytes) -> None:
        """Keeps a file and notes it; one of the same path is replaced."""
        with self._guard:
            self._unwritten_files[path] = data
            self.append("artifact", path=path)

    def entries(self, offset: int = 0, most: int | None = None) -> list[Entry]:
        """The whole lines from a byte on; what is no JSON, as a loss of power may leave it, has the kind `spoilt`.

        Args:
            offset: 0, or where a line ends.
            most: bytes of lines to be content with, at least one line; None for all.
        """
        data = self._read(offset, most)
        found = []
        for line in data.splitlines(keepends=True):
            offset += len(line)
            try:
                fields = json.loads(line)
            except ValueError:
                fields = {"kind": "spoilt"}
            found.append(Entry(fields, offset))
        return found

    def read_run(self) -> dict[str, Any]:
        """The first line, which describes the run."""
        return self.entries(0, most=1)[0].fields

    def count(self, offset: int) -> int:
        """How many lines there are from a byte on."""
        return self._read(offset).count(b"\n")

    def _read(self, offset: int, most: int | None = None) -> bytes:
        with self._guard:
            size = self._size
            unwritten = b"".join(self._unwritten)
        length = max(size - offset, 0)
        data = b""
        if length:
            with self._path.open("rb") as file:
                file.seek(offset)
                data = file.read(length if most is None else min(most, length))
                if len(data) < length:
                    whole = data.rfind(b"\n") + 1
                    return data[:whole] if whole else data + file.readline()
        return data + unwritten[max(offset - size, 0) :]

    @property
    def size(self) -> int:
        """Bytes, with those that are still to be written."""
        with self._guard:
            return self._size + sum(map(len, self._unwritten))

    @contextmanager
    def open_file(self, path: str) -> Iterator[Path]:
        """Where a file that was added lies, or where it lies meanwhile, if the disk had no room."""
        with self._guard:
            data = self._unwritten_files.get(path)
        if data is None:
            file = self.folder / ARTIFACTS / path
            if not file.resolve().is_relative_to(self.folder.resolve()):  # a journal may be a stranger's
                raise ValueError(f"{path} does not lie in the journal's folder")
            yield file
            return
        with tempfile.TemporaryDirectory(prefix="lctrain-") as folder:
            meanwhile = Path(folder, Path(path).name)
            meanwhile.write_bytes(data)
            yield meanwhile

    @property
    def is_whole(self) -> bool:
        """Whether all of it is on the disk."""
        with self._guard:
            return not self._unwritten and not self._unwritten_files

    def _write(self, must_last: bool) -> None:
        with suppress(OSError):  # kept for the next time
            lines = b"".join(self._unwritten)
            with self._path.open("r+b" if self._path.exists() else "w+b", buffering=0) as file:
                file.truncate(self._size)  # a part of a line, where the disk was full
                file.seek(self._size)
                if file.write(lines) < len(lines):
                    raise OSError("no room for all")
                if must_last:
                    os.fsync(file.fileno())
            self._size += len(lines)
            self._unwritten.clear()
        with suppress(OSError):
            for path in list(self._unwritten_files):
                replace_file(self.folder / ARTIFACTS / path, self._unwritten_files[path], survives_power_loss=False)
                del self._unwritten_files[path]
