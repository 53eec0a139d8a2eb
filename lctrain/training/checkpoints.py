"""Checkpoints on disk: a few files of arrays, of which the newest that is whole counts, whatever was killed when.

A checkpoint is a .npz (which `numpy.load` reads) with a member `meta.json` beside the arrays. It is written to a
temporary file, forced to the disk, renamed, and the folder forced to the disk too: a reader finds the file whole or not
at all. When it is read, the checksum of every member is compared.
"""

import io
import json
import lzma
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lctrain.system.files import PARTIAL, write_durably
from lctrain.system.terminal import print_folded

META = "meta.json"
SUFFIX = ".npz"
BFLOAT16 = "bfloat16"  # which NumPy can't name in a file: stored as 16-bit integers
NOT_AS_WRITTEN = (  # what zipfile, NumPy and json say of it; a flipped bit may even name a compression
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, KeyError, NotImplementedError, RuntimeError),
)


class DamagedCheckpointError(Exception):
    """A file that is not what was written."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a training goes on from.

    Args:
        arrays: the values of variables, by name.
        meta: what else there is, as JSON holds it.
        path: where it was read from; None before it is written.
    """

    arrays: Mapping[str, np.ndarray]
    meta: Mapping[str, Any]
    path: Path | None = None


class Checkpoints:
    """The checkpoints of one training, in a folder of their own.

    Args:
        folder: made where it is missing.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, keep: int):
        self._folder = folder
        self._keep = keep
        self._damaged: list[Path] = []

    def clean(self) -> None:
        """Removes what a process that was killed in the midst of writing left."""
        for partial in self._folder.glob(f"*{PARTIAL}"):
            partial.unlink(missing_ok=True)

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes the next one and removes those that are too old.

        Raises:
            OSError: no room on the disk, or no right to write; what was there is still there.
        """
        numbers = [int(path.name.split("-")[0]) for path in self._files()]
        path = self._folder / f"{max(numbers, default=0) + 1:08d}-step-{checkpoint.meta['step']}{SUFFIX}"
        write_checkpoint(path, checkpoint)
        files = [file for file in self._files() if file not in self._damaged]  # which do not count as kept
        for old in (*self._damaged, *files[: -self._keep]):
            old.unlink(missing_ok=True)
        self._damaged.clear()
        return path

    def read_newest(self, find_problem: Callable[[Checkpoint], str | None] = lambda _: None) -> Checkpoint | None:
        """The newest one that is whole and has no problem; others are reported. None where there is none.

        Args:
            find_problem: says why a whole one can't be used, as the rest of a sentence about it; None where it can.
        """
        self._damaged.clear()
        files = self._files()
        for path in reversed(files):
            try:
                checkpoint = read_checkpoint(path)
            except (DamagedCheckpointError, OSError) as error:
                self._damaged.append(path)
                problem: str | None = f"is damaged ({error})"
            else:
                problem = find_problem(checkpoint)
                if problem is None:
                    return checkpoint
            is_oldest = path is files[0]
            instead = "no other is left, training begins anew" if is_oldest else "the one before it is taken"
            print_folded(f"Warning: the checkpoint {path} {problem}; {instead}.", sys.stderr)
        return None

    def _files(self) -> list[Path]:
        """From the oldest to the newest."""
        return sorted(self._folder.glob(f"*-step-*{SUFFIX}"))


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes it whole or not at all, and only returns once it would survive a loss of power.

    Raises:
        OSError: what was at the path before is still there.
    """
    write_durably(path, lambda file: _write(file, checkpoint))


def read_checkpoint(path: Path) -> Checkpoint:
    """What was written, once every checksum is found right.

    Raises:
        DamagedCheckpointError: says what is wrong.
        OSError: it can't be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            data = {name: archive.read(name) for name in archive.namelist()}  # which compares checksums
        meta = json.loads(data.pop(META))
        arrays = {name.removesuffix(".npy"): _read_array(content) for name, content in data.items()}
        stored = meta.pop("arrays")
        if list(arrays) != list(stored):
            raise DamagedCheckpointError("arrays are missing")
        return Checkpoint({name: _as_stored(arrays[name], stored[name]) for name in arrays}, meta, path)
    except NOT_AS_WRITTEN as error:
        raise DamagedCheckpointError(str(error) or type(error).__name__) from error


def _write(file: BinaryIO, checkpoint: Checkpoint) -> None:
    dtypes = {name: str(array.dtype) for name, array in checkpoint.arrays.items()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.writestr(META, json.dumps({**checkpoint.meta, "arrays": dtypes}))
        for name, array in checkpoint.arrays.items():
            if dtypes[name] == BFLOAT16:
                array = array.view(np.uint16)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _read_array(content: bytes) -> np.ndarray:
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def _as_stored(array: np.ndarray, dtype: str) -> np.ndarray:
    if dtype != BFLOAT16:
        return array
    import ml_dtypes  # which comes with TensorFlow

    return array.view(ml_dtypes.bfloat16)
