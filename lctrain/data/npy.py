"""Arrays in NumPy's files: in memory where they are small, else mapped where they lie. Nothing is ever unpickled."""

import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Literal

import numpy as np

from lctrain.data import rows
from lctrain.data.checks import refuse
from lctrain.data.rows import Inputs, Pages, Rows, move_channels
from lctrain.errors import DoesNotFit

# Bytes of the header of a zip's member, before its name and its extra field.
LOCAL_HEADER = 30

# That are read at once, at least, of an array whose columns lie together.
MIN_ROWS = 1024
UNREADABLE = (ValueError, EOFError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, RuntimeError)


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, known by its header.

    Args:
        path: of the file.
        name: of the array, to tell.
        shape: as stored.
        dtype: as stored.
        is_fortran: whether its columns lie together, not its rows.
        offset: of its first byte in the file; None where it is compressed.
        open: opens the .npy, in its file or inside of the .npz.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool
    offset: int | None
    open: Callable[[], IO[bytes]]

    @property
    def is_mapped(self) -> bool:
        """Whether it stays on the disk."""
        return self.offset is not None and prod(self.shape) * self.dtype.itemsize >= rows.SMALL_BYTES

    def read(self) -> np.ndarray:
        """All of it, in memory.

        Raises:
            DoesNotFit: there is not so much memory.
        """
        try:
            with _readable(self.path), self.open() as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except MemoryError as error:
            size = prod(self.shape) * self.dtype.itemsize / 1e9
            fix = "Save it uncompressed (numpy.savez, or .npy), so that it can stay on the disk."
            message = (
                f"`data.path` {str(self.path)!r}: `{self.name}` takes {size:,.1f} GB, which do not fit into memory"
            )
            raise DoesNotFit(f"{message}. {fix}") from error

    def read_inputs(self, example_shape: list[int], layout: str) -> Inputs:
        """It as float32 or uint8, each row in the given shape, which has the channels last whatever it has itself."""
        if self.dtype.kind not in "biuf":
            refuse("data.path", self.path, f"`{self.name}` must be numbers; got the type {self.dtype}.")
        if self.is_mapped and self.offset is not None:
            order: Literal["F", "C"] = "F" if self.is_fortran else "C"
            mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, order)
            return Rows(_copy_row_by_row(mapped) if self.is_fortran else mapped, example_shape, layout=layout)
        array = self.read()
        # What float32 can't hold becomes inf, which the checks refuse.
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(array, np.uint8 if array.dtype == np.uint8 else np.float32)
        *spatial, channels = example_shape
        if layout == "channels_first":
            return move_channels(array.reshape(len(array), channels, *spatial), "channels_last")
        return array.reshape(len(array), *example_shape)


def open_npy(path: Path, name: str) -> StoredArray:
    """The array of a .npy file.

    Raises:
        ConfigError: the file is missing, truncated, or holds what only unpickling could read.
    """
    with _readable(path):
        with path.open("rb") as file:
            shape, is_fortran, dtype = _read_header(file, path, name)
            offset = file.tell()
        _check_size(path, name, shape, dtype, path.stat().st_size - offset)
    return StoredArray(path, name, shape, dtype, is_fortran, offset, lambda: path.open("rb"))


def open_npz(path: Path) -> dict[str, StoredArray]:
    """The arrays of a .npz file by their names.

    Raises:
        ConfigError: the file is missing, truncated, or holds what only unpickling could read.
    """
    with _readable(path), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        return {info.filename.removesuffix(".npy"): _open_member(archive, info, path) for info in members}


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> StoredArray:
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as file:
        shape, is_fortran, dtype = _read_header(file, path, name)
        header = file.tell()
    _check_size(path, name, shape, dtype, info.file_size - header)
    offset = None
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(info.header_offset)
            local = file.read(LOCAL_HEADER)
        sizes = (int.from_bytes(local[start : start + 2], "little") for start in (26, 28))
        offset = info.header_offset + LOCAL_HEADER + sum(sizes) + header
        _check_size(path, name, shape, dtype, path.stat().st_size - offset)

    def open_again() -> IO[bytes]:
        return zipfile.ZipFile(path).open(info)

    return StoredArray(path, name, shape, dtype, is_fortran, offset, open_again)


def _read_header(file: IO[bytes], path: Path, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(file)
    if dtype.hasobject:
        fix = "Save it as an array of numbers: .astype('float32')."
        refuse("data.path", path, f"`{name}` holds Python objects, which are never unpickled. {fix}")
    if not shape or not shape[0]:
        refuse("data.path", path, f"`{name}` must hold examples along its first axis; got the shape {shape}.")
    return shape, is_fortran, dtype


def _check_size(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype, num_bytes: int) -> None:
    expected = prod(shape) * dtype.itemsize
    if num_bytes < expected:
        message = (
            f"is truncated: `{name}` of the shape {shape} has {expected:,} bytes, of which {max(num_bytes, 0):,} are"
        )
        refuse("data.path", path, f"{message} there. Copy the file anew.")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Refuses a file that NumPy can't read, and says why."""
    try:
        yield
    except FileNotFoundError:
        refuse("data.path", path, "there is no such file.")
    except OSError as error:
        refuse("data.path", path, f"can't be read: {error.strerror or error}.")
    except UNREADABLE as error:
        refuse("data.path", path, f"is truncated, or no file of NumPy's: {str(error).splitlines()[0]}.")


def _copy_row_by_row(mapped: np.memmap) -> np.ndarray:
    """A copy whose rows lie together, some megabytes at a time."""
    copy = rows.make_scratch(mapped.shape, mapped.dtype)
    row_bytes = max(prod(mapped.shape[1:]) * mapped.itemsize, 1)
    step = max(rows.PIECE_BYTES // row_bytes, MIN_ROWS)
    read, written = Pages(mapped), Pages(copy)
    for start in range(0, len(mapped), step):
        copy[start : start + step] = mapped[start : start + step]
        # Each pass touches pages all over the file.
        read.touch(rows.RELEASED_BYTES)
        written.touch(step * row_bytes)
    return copy
