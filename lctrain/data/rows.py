"""Rows of arrays that need not fit into memory, read as they are needed."""

import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from lctrain.errors import UserError

# Smaller arrays are held in memory, others stay on the disk.
SMALL_BYTES = 256 * 2**20

# Mapped pages are given back after so many bytes.
RELEASED_BYTES = 128 * 2**20

# Read at once; rows at least so many, as far as they fit into that.
PIECE_BYTES = 16 * 2**20
MIN_PIECE = 32

# Linux may map so much around each byte that is touched: a huge page, where the file has such.
FAULT_BYTES = 2 * 2**20


class Pages:
    """Gives the pages of a memory map back to the system after every 128 MB; else they count as this process's memory.

    Args:
        array: the map, a view of it, or an array in memory, of which nothing is given back.
    """

    def __init__(self, array: np.ndarray):
        self._map = getattr(array, "_mmap", None) if hasattr(mmap, "MADV_DONTNEED") else None
        self._touched = 0
        self._lock = threading.Lock()

    def touch(self, num_bytes: int) -> None:
        """Says that so many bytes more were read or written."""
        if self._map is None:
            return
        with self._lock:
            self._touched += num_bytes
            if self._touched < RELEASED_BYTES:
                return
            self._touched = 0
        # What was written stays in the file.
        self._map.madvise(mmap.MADV_DONTNEED)


class Rows:
    """Rows of an array, in an order of their own, that are read when they are asked for; threads may share one.

    Args:
        array: `(num_rows, ...)`, of numbers: a memory map, or a view of an array.
        example_shape: what each row is reshaped to, channels last; None keeps its shape.
        indices: the rows, in their order; None is all.
        layout: where the array itself has the channels.

    Reading gives uint8 where the array is of that type, else float32.

    >>> rows = Rows(np.arange(12).reshape(4, 3), [3, 1])
    >>> rows.shape, rows.take(np.array([2, 0]), "channels_first").shape
    ((4, 3, 1), (2, 1, 3))
    """

    def __init__(
        self,
        array: np.ndarray,
        example_shape: Any = None,
        indices: np.ndarray | None = None,
        layout: str = "channels_last",
    ):
        self._pages = Pages(array)
        self._array = np.asarray(array)
        self._indices = np.arange(len(array)) if indices is None else indices
        self._example_shape = tuple(array.shape[1:] if example_shape is None else example_shape)
        self._is_stored_first = layout == "channels_first"
        self._is_channels_first = False
        self._row_bytes = max(prod(array.shape[1:]) * array.itemsize, 1)
        self.dtype = np.dtype(np.uint8 if array.dtype == np.uint8 else np.float32)

    def take(self, indices: np.ndarray | None, data_format: str) -> "Rows":
        """Some of these rows, or with None all, that give their pages back together with these."""
        selected = object.__new__(Rows)
        selected.__dict__.update(self.__dict__)
        selected._indices = self._indices if indices is None else self._indices[indices]
        selected._is_channels_first = data_format == "channels_first"
        return selected

    @property
    def shape(self) -> tuple[int, ...]:
        *spatial, channels = self._example_shape
        return (len(self), *((channels, *spatial) if self._is_channels_first else self._example_shape))

    @property
    def ndim(self) -> int:
        return 1 + len(self._example_shape)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, indices: slice | np.ndarray) -> np.ndarray:
        if not isinstance(indices, slice) and (isinstance(indices, tuple) or np.ndim(indices) != 1):
            raise TypeError(f"rows are asked for by a slice or by an array of their numbers; got {indices!r}.")
        chosen = self._indices[indices]
        read = np.empty((len(chosen), *self._array.shape[1:]), self.dtype)
        is_run = bool((np.diff(chosen) == 1).all())
        touched = self._row_bytes if is_run else self._row_bytes + FAULT_BYTES
        step = max(PIECE_BYTES // touched, min(MIN_PIECE, PIECE_BYTES // self._row_bytes), 1)
        # What float32 can't hold becomes inf, which the checks refuse.
        with np.errstate(over="ignore"):
            for start in range(0, len(chosen), step):
                piece = chosen[start : start + step]
                read[start : start + step] = self._array[slice(piece[0], piece[-1] + 1) if is_run else piece]
                self._pages.touch(len(piece) * touched)
        *spatial, channels = self._example_shape
        stored = (channels, *spatial) if self._is_stored_first else self._example_shape
        read = read.reshape(len(chosen), *stored)
        if self._is_stored_first == self._is_channels_first:
            return read
        return move_channels(read, "channels_first" if self._is_channels_first else "channels_last")


Inputs = np.ndarray | Rows


def iterate_blocks(inputs: Inputs) -> Iterator[tuple[int, np.ndarray]]:
    """All rows in their order, some megabytes at a time, each time with the number of the first."""
    step = max(PIECE_BYTES // max(prod(inputs.shape[1:]) * inputs.dtype.itemsize, 1), 1)
    for start in range(0, len(inputs), step):
        yield start, inputs[start : start + step]


def select(inputs: Inputs, indices: np.ndarray | None, data_format: str) -> Inputs:
    """Rows by their numbers, or with None all, with the channels where `data_format` has them."""
    if isinstance(inputs, Rows):
        return inputs.take(indices, data_format)
    chosen = inputs if indices is None else inputs[indices]
    return move_channels(chosen, "channels_first") if data_format == "channels_first" else chosen


def move_channels(inputs: np.ndarray, to: str) -> np.ndarray:
    """The examples with their channels at the other end.

    >>> move_channels(np.zeros((9, 1, 5, 7)), "channels_last").shape
    (9, 5, 7, 1)
    """
    return np.ascontiguousarray(np.moveaxis(inputs, *((-1, 1) if to == "channels_first" else (1, -1))))


def make_scratch(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array to fill: in memory where it is small, else in a temporary file without a name, which ends with it.

    Raises:
        UserError: the temporary folder has no room for it.
    """
    num_bytes = prod(shape) * np.dtype(dtype).itemsize
    if num_bytes < SMALL_BYTES:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        try:
            if hasattr(os, "posix_fallocate"):
                # A disk that fills up only when it is written to would end the process.
                os.posix_fallocate(file.fileno(), 0, num_bytes)
        except OSError as error:
            where = f"the temporary folder {tempfile.gettempdir()!r}"
            fix = "Free some of it, or name another folder in the environment variable TMPDIR."
            raise UserError(f"{where} has no room for {num_bytes / 1e9:.1f} GB: {error.strerror}. {fix}") from None
        return np.memmap(file, dtype, "r+" if hasattr(os, "posix_fallocate") else "w+", shape=shape)
