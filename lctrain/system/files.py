"""Files that are there whole or not at all, whatever is killed or loses power."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from lctrain.errors import UserError

PARTIAL = ".partial"  # behind the name of a file that is being written

_shared_temporary: Path | None = None  # where this process has a folder for temporary files of its own


def use_temporary_folder(folder: Path) -> None:
    """Has `tempfile` make all files of this process in a folder which others remove, however this process ends."""
    global _shared_temporary
    _shared_temporary = find_shared_temporary_folder()
    tempfile.tempdir = str(folder)


def find_shared_temporary_folder() -> Path:
    """The machine's folder for temporary files."""
    return _shared_temporary or Path(tempfile.gettempdir())


@contextmanager
def refuse_unwritable(key: str, path: Path, kind: str = "file") -> Iterator[None]:
    """Lets what is written in the block fail as the user's mistake.

    Args:
        key: that names the path on the command line.
        path: where to.
        kind: what it is: file, folder.

    Raises:
        UserError: names the path and the reason; of a name that is too long, the limit.
    """
    try:
        yield
    except OSError as error:
        place = "" if error.filename in (None, str(path)) else f"{error.filename}: "
        limit = f", at most {os.pathconf('/', 'PC_NAME_MAX')} bytes" if error.errno == errno.ENAMETOOLONG else ""
        reason = f"{place}{error.strerror or error}{limit}"
        message = f"must be a {kind} that can be written; got {str(path)!r} ({reason})"
        raise UserError(f"`{key}` {message}. Choose another.") from error


def check_file_to_write(key: str, path: Path) -> None:
    """Refuses a file that could not be written later, for what can be known of that; makes nothing.

    Raises:
        UserError: as `refuse_unwritable`.
    """
    with refuse_unwritable(key, path):
        folder = next(folder for folder in path.absolute().parents if folder.exists())
        if path.is_dir():
            raise _make_error(errno.EISDIR, path)
        if not folder.is_dir():
            raise _make_error(errno.ENOTDIR, folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            is_read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
            raise _make_error(errno.EROFS if is_read_only else errno.EACCES, folder)


def _make_error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replaces a file of JSON, as `write_durably`; several processes may do so at once."""
    import json  # here, since `--help` must be quick

    replace_file(path, json.dumps(content, indent=1).encode() + b"\n", suffix=f".{os.getpid()}{PARTIAL}")


def replace_file(path: Path, data: bytes, suffix: str = PARTIAL, survives_power_loss: bool = True) -> None:
    """Writes bytes as `write_durably` does: a reader sees the old file or the new one, whole."""
    write_durably(path, lambda file: file.write(data), suffix, survives_power_loss)


def write_durably(
    path: Path, write: Callable[[BinaryIO], Any], suffix: str = PARTIAL, survives_power_loss: bool = True
) -> None:
    """Lets a function write a file, which is there whole or not at all, whatever is killed or loses power.

    Args:
        path: of the file; its folder is made where it is missing. A link is followed, and what is no file (a terminal,
            /dev/null) is written to as it is.
        write: writes all of it to what it gets.
        suffix: of the name that the file has until it is whole.
        survives_power_loss: whether the disk has it when this returns; else only a kill does it no harm.

    Raises:
        OSError: what was at the path before is still there.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            write(file)
        return
    partial = path.with_name(path.name + suffix)
    try:
        with partial.open("w+b") as file:
            write(file)
            if survives_power_loss:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    if survives_power_loss:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Forces a folder's entries to the disk, where a folder can be opened (not on Windows)."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
