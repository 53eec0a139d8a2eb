"""Runs the reading of a stranger's file in a process of its own, under limits; what comes back is JSON and numbers."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lctrain.errors import UserError
from lctrain.legacy.child import NO_ROOM
from lctrain.legacy.errors import LegacyFileError, UnsafeFileError, from_data
from lctrain.legacy.parsing import RESULT, Request
from lctrain.system.subprocesses import describe_exit, run_module

SECONDS = 20.0  # for any file
BYTES_PER_SECOND = 2**24  # and for each so many bytes one more: disks and these machines are faster
MEMORY = 3 * 2**29  # of address space, for any file
MEMORY_PER_BYTE = 4
# What libraries print of it.
OUT_OF_MEMORY = ("MemoryError", "failed to map segment", "annot allocate memory", "Memory allocation still failed")
FILE_SIZE = 2**20
GROWTH = 64  # of today's arrays over the file


@dataclass(frozen=True)
class ArrayFile:
    """One of today's arrays, in a file of its own, row-major.

    Args:
        path: of the file.
        dtype: of its numbers, in this machine's byte order.
        shape: in numbers.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]

    def read(self) -> np.ndarray:
        """Its numbers."""
        return np.fromfile(self.path, self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Parsed:
    """What the child process found.

    Args:
        result: as `parse` wrote it.
        folder: that holds the arrays, as long as the caller's `with` lasts.
    """

    result: Mapping[str, Any]
    folder: Path

    def arrays(self, layer: str) -> list[ArrayFile]:
        """Today's arrays of a layer."""
        entries = self.result["weights"].get(layer, [])
        return [ArrayFile(self.folder / name, dtype, tuple(shape)) for name, dtype, shape in entries]


@contextmanager
def parse_in_child(request: Request) -> Iterator[Parsed]:
    """What a child process makes of a request; the files that it left are removed at the end.

    Raises:
        UserError: what is wrong with the file, or that the process died over it.
    """
    size = sum(_size(path) for path in (request.path, request.weights) if path is not None)
    limits = {
        "memory": MEMORY + MEMORY_PER_BYTE * size,
        "cpu_seconds": int(SECONDS + size / BYTES_PER_SECOND),
        "file_size": FILE_SIZE * GROWTH + GROWTH * size,
    }
    with tempfile.TemporaryDirectory(prefix="lctrain-import-") as name:
        folder = Path(name)
        content = json.dumps({**asdict(request), "limits": limits})
        try:
            (folder / "request.json").write_text(content, encoding="utf-8")
        except OSError as error:
            raise _no_room(folder) from error
        log = folder / "log"
        timeout = SECONDS + size / BYTES_PER_SECOND
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
        exit_code, timed_out, _ = run_module("lctrain.legacy.child", [folder], log, timeout, quiet)
        if (folder / "error.json").is_file():
            raise from_data(_read(folder / "error.json"))
        if timed_out:
            raise UnsafeFileError(f"{request.path} is damaged or hostile: reading it took longer than {timeout:.0f} s.")
        if exit_code == NO_ROOM:
            raise _no_room(folder)
        if exit_code == 1:
            reason = _last_line(log)
            if any(sign in reason for sign in OUT_OF_MEMORY):
                raise UnsafeFileError(f"{request.path}: reading it takes more memory than its size allows.")
            raise RuntimeError(f"reading {request.path} failed: {reason}")
        if exit_code != 0 or not (folder / RESULT).is_file():
            _, reason = describe_exit(exit_code, log)
            raise LegacyFileError(f"{request.path} is damaged: the process that read it was {reason[:300]}.")
        yield Parsed(_read(folder / RESULT), folder)


def _no_room(folder: Path) -> UserError:
    message = f"the temporary folder {folder.parent} has no room for the model's arrays"
    return UserError(f"{message}. Free some, or set TMPDIR to another folder.")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    return next((line for line in reversed(lines) if line.strip()), "the process ended without a word")


def check_folder(folder: Path) -> None:
    """Refuses what is no empty folder.

    Raises:
        UserError: names it.
    """
    try:
        is_file, holds = folder.exists() and not folder.is_dir(), folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise UserError(f"`out` must be a folder; got {str(folder)[:300]!r} ({error.strerror}).") from error
    if is_file or folder.is_symlink() > folder.exists():
        raise UserError(f"`out` must be a folder; got {str(folder)!r}, which is something else. Choose another name.")
    if holds:
        message = f"got {str(folder)!r}, which holds something. Choose another"
        raise UserError(f"`out` must be a new or empty folder; {message}.")


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path[:300]!r} must be a file that is there: {reason}.") from error
