"""A folder that one process at a time works in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lctrain.errors import UserError


@contextmanager
def lock_folder(folder: Path, lock_file: Path, what: str, key: str) -> Iterator[None]:
    """Makes a folder this process's own.

    Args:
        folder: of a job or a sweep.
        lock_file: below it; its folder is made where it is missing.
        what: is in the folder, for errors.
        key: that names the folder.

    Raises:
        UserError: another process is at it, or nothing can be written there.
    """
    lock = FileLock(lock_file)
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"The {what} in {str(folder)!r} is running now. Wait for its end, or interrupt it.") from None
    except OSError as error:
        message = f"must be a folder that can be written to; got {str(folder)!r} ({error.strerror or error})"
        raise UserError(f"`{key}` {message}. Choose another with {key}=PATH.") from error
    try:
        yield
    finally:
        lock.release()
