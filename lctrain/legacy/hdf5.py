"""The only reader of HDF5 files from strangers: numbers and texts out of one file, and nothing that leads elsewhere.

Everything in the file is checked before any of it is read. It is meant for a process that may be killed
(lctrain.legacy.sandbox): damaged files make the HDF5 library itself hang or crash.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t, h5z

from lctrain.legacy.errors import LegacyFileError, UnsafeFileError, describe

MAX_OBJECTS = 20_000
MAX_DEPTH = 24
MAX_BYTES = 2**36  # declared by all of a file
MAX_RATIO = 20  # of what is declared to what is stored, where it is compressed
MAX_TEXT = 2**24
# Bytes, the unit in which file systems count what a file takes.
BLOCK = 512
FILTERS = {h5z.FILTER_DEFLATE: "gzip", h5z.FILTER_SHUFFLE: "shuffle", h5z.FILTER_FLETCHER32: "fletcher32"}
LINKS = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "an external link"}
NO_NUMBERS = {
    **{h5t.STRING: "texts", h5t.OPAQUE: "opaque bytes", h5t.COMPOUND: "compounds", h5t.REFERENCE: "references"},
    **{h5t.ENUM: "enumerated values", h5t.VLEN: "lists of any length", h5t.ARRAY: "arrays", h5t.BITFIELD: "bits"},
    h5t.TIME: "times",
}


@dataclass(frozen=True)
class StoredArray:
    """An array in a file that has been checked, and not been read.

    Args:
        path: of the dataset.
        shape: as declared, which is no more than what is stored.
        dataset: h5py's handle.
    """

    path: str
    shape: tuple[int, ...]
    dataset: h5py.Dataset = field(repr=False)

    def read(self) -> np.ndarray:
        """All of it, in this machine's byte order.

        Raises:
            LegacyFileError: where it can't be read.
        """
        try:
            array = self.dataset[()]
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise LegacyFileError(f"`{self.path}` can't be read: {_first_line(error)}") from error
        return np.asarray(array, array.dtype.newbyteorder("="))


class StoredFile:
    """An HDF5 file of which every object is known.

    Args:
        path: of the file.

    Raises:
        UnsafeFileError: what no file of weights needs, with the place.
        LegacyFileError: where the file is damaged.
    """

    def __init__(self, path: Path):
        self.path, status = path, path.stat()
        self.size = status.st_size
        on_disk = getattr(status, "st_blocks", self.size) * BLOCK
        if self.size > MAX_RATIO * on_disk + MAX_TEXT:
            message = f"has holes: {self.size:,} bytes, of which {on_disk:,} were ever written and are stored"
            raise UnsafeFileError(f"{path} {message}.")
        self.groups: dict[str, h5g.GroupID] = {}
        self.arrays: dict[str, StoredArray] = {}
        try:
            self.file = h5py.File(path, "r")
            self._walk()
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LegacyFileError(f"{path} is damaged: {_first_line(error)}") from error

    def _walk(self) -> None:
        """Walks all hard links, breadth first, refusing every other kind before anything behind it is opened."""
        seen, num_objects, num_bytes = set(), 0, 0
        waiting = [("", self.file["/"].id, 0)]
        while waiting:
            path, group, depth = waiting.pop()
            self.groups[path or "/"] = group
            seen.add(_address(group))
            if num_objects + group.get_num_objs() > MAX_OBJECTS:
                raise UnsafeFileError(
                    f"the file must hold at most {MAX_OBJECTS:,} objects; `{path or '/'}` exceeds it."
                )
            for name in list(group):
                where = f"{path}/{name.decode('utf-8', 'backslashreplace')}"
                num_objects += 1
                kind = group.links.get_info(name).type
                if kind != h5l.TYPE_HARD:
                    raise UnsafeFileError(f"`{where}` must not be {LINKS.get(kind, 'a link of an unknown kind')}.")
                if depth + 1 > MAX_DEPTH:
                    raise UnsafeFileError(f"`{where[:200]}` must be at most {MAX_DEPTH} groups deep.")
                item = h5o.open(group, name)
                if _address(item) in seen:
                    message = "must not be a second link to an object, or a cycle of groups"
                    raise UnsafeFileError(f"`{where}` {message}.")
                seen.add(_address(item))
                if isinstance(item, h5g.GroupID):
                    waiting.append((where, item, depth + 1))
                elif isinstance(item, h5d.DatasetID):
                    num_bytes += self._check_array(where, item)
                else:
                    raise UnsafeFileError(f"`{where}` must be a group or an array of numbers; it is a named type.")
            if num_bytes > MAX_BYTES:
                raise UnsafeFileError(f"the file must declare at most {MAX_BYTES:,} bytes; `{path}` exceeds it.")

    def _check_array(self, path: str, item: h5d.DatasetID) -> int:
        """Checks a dataset and adds it to the arrays; the bytes that it declares."""
        made = item.get_create_plist()
        if made.get_layout() == h5d.VIRTUAL:
            raise UnsafeFileError(f"`{path}` must not be a virtual dataset, which is made of other files.")
        if made.get_external_count() > 0:
            raise UnsafeFileError(f"`{path}` must not have external storage, which is in other files.")
        filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
        unknown = [number for number in filters if number not in FILTERS]
        if unknown:
            known = ", ".join(FILTERS.values())
            raise UnsafeFileError(f"`{path}` must have no filter but {known}; got filter number {unknown[0]}.")
        number = item.get_type()
        if number.get_class() not in (h5t.INTEGER, h5t.FLOAT) or number.get_size() > 8:
            got = NO_NUMBERS.get(number.get_class(), f"numbers of {number.get_size()} bytes")
            raise UnsafeFileError(f"`{path}` must hold non-complex numbers of at most 8 bytes; got {got}, non-numeric.")
        space = item.get_space()
        if space.get_simple_extent_type() == h5s.NULL:
            raise UnsafeFileError(f"`{path}` must hold numbers; it is empty.")
        shape = space.get_simple_extent_dims()
        declared, stored = prod(shape) * number.get_size(), item.get_storage_size()
        if stored > self.size:
            raise UnsafeFileError(f"`{path}` declares {stored:,} stored bytes; the file has {self.size:,}.")
        if declared > stored * (MAX_RATIO if h5z.FILTER_DEFLATE in filters else 1):
            message = f"declares a size of {shape}, {declared:,} bytes; {stored:,} are stored"
            raise UnsafeFileError(
                f"`{path}` {message}. Arrays must be whole, and compressed {MAX_RATIO} times at most."
            )
        if declared > MAX_BYTES:
            raise UnsafeFileError(f"`{path}` declares {declared:,} bytes; {MAX_BYTES:,} are the most.")
        self.arrays[path] = StoredArray(path, shape, h5py.Dataset(item))
        return int(declared)

    def attribute_names(self, path: str) -> list[str]:
        """The names of a group's attributes."""
        group = self.groups[path]
        try:
            number = h5a.get_num_attrs(group)
            if number > MAX_OBJECTS:
                raise UnsafeFileError(f"`{path}` must have at most {MAX_OBJECTS:,} attributes; got {number:,}.")
            found = [h5a.open(group, index=i).name for i in range(number)]
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise LegacyFileError(f"the attributes of `{path}` can't be read: {_first_line(error)}") from error
        return [name.decode("utf-8", "backslashreplace") for name in found]

    def has_attribute(self, path: str, name: str) -> bool:
        """Whether a group has an attribute, whole or in parts."""
        group = self.groups[path]
        return any(h5a.exists(group, one.encode()) for one in (name, f"{name}0"))

    def text(self, path: str, name: str) -> str | None:
        """An attribute that is one text, or None where there is none of this name.

        Raises:
            LegacyFileError: where it is anything else.
        """
        texts = self._texts(path, name)
        if texts is None:
            return None
        if len(texts) != 1:
            raise LegacyFileError(f"attribute `{name}` of `{path}` must be one text; got {len(texts)}.")
        return texts[0]

    def names(self, path: str, name: str) -> list[str]:
        """An attribute that is a list of texts; Keras splits long ones into `NAME0`, `NAME1`, and so on.

        Raises:
            LegacyFileError: where there is none.
        """
        whole = self._texts(path, name)
        if whole is not None:
            return whole
        parts = []
        for part in _read_until_none(lambda i: self._texts(path, f"{name}{i}")):
            parts += part
            if len(parts) > MAX_OBJECTS:
                raise UnsafeFileError(f"attribute `{name}` of `{path}` must hold at most {MAX_OBJECTS:,} names.")
        if not parts:
            raise LegacyFileError(f"{self.path}: `{path}` has no attribute `{name}`, which Keras 1 and 2 write.")
        return parts

    def array_at(self, group: str, name: str) -> StoredArray:
        """The array of this name below a group.

        Raises:
            LegacyFileError: where there is none.
        """
        path = f"{group.rstrip('/')}/{name}"
        if path not in self.arrays:
            raise LegacyFileError(f"`{group}` must hold the array {describe(name)}, which it lists; there is none.")
        return self.arrays[path]

    def _texts(self, path: str, name: str) -> list[str] | None:
        group = self.groups[path]
        try:
            if not h5a.exists(group, name.encode()):
                return None
            attribute = h5a.open(group, name.encode())
            kind, space = attribute.get_type(), attribute.get_space()
            count = space.get_simple_extent_npoints()
            if count == 0:
                return []  # which Keras writes as an empty list of numbers
            is_text = kind.get_class() == h5t.STRING
            is_large = count > MAX_OBJECTS or (
                is_text and not kind.is_variable_str() and count * kind.get_size() > MAX_TEXT
            )
            if not is_text or is_large:
                got = "too many" if is_text else "other values"
                raise UnsafeFileError(f"attribute `{name}` of `{path}` must hold texts, 16 MiB at most; got {got}.")
            value = h5py.Group(group).attrs[name]
            texts = [_as_text(text) for text in np.asarray(value, object).reshape(-1)]
        except (OSError, RuntimeError, TypeError, KeyError, ValueError) as error:
            raise LegacyFileError(f"attribute `{name}` of `{path}` can't be read: {_first_line(error)}") from error
        if sum(map(len, texts)) > MAX_TEXT:
            raise UnsafeFileError(f"attribute `{name}` of `{path}` must hold at most 16 MiB.")
        return texts


def _read_until_none(read: Callable[[int], list[str] | None]) -> Iterator[list[str]]:
    for i in range(MAX_OBJECTS):
        part = read(i)
        if part is None:
            return
        yield part


def _as_text(value: object) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _address(item: h5g.GroupID | h5d.DatasetID) -> tuple[int, int]:
    info = h5o.get_info(item)
    return info.fileno, info.addr


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
