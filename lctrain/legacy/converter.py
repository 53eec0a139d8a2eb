"""TensorFlow's converters, whose text is for their authors: it is kept from the user, and read for what it names."""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

LISTED = re.compile(r"^(?:Custom|Flex|TF Select) ops:\s*(.+)$", re.MULTILINE)  # TF Select ops: Qr, Svd
REFUSED = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")
ANY_FAILURE = re.compile(r"error:.*?'(?:tf|tfl)\.(\w+)' op")
STANDARD = (1, 2)  # descriptors of output and errors


@contextmanager
def captured_output() -> Iterator[Callable[[], str]]:
    """Keeps what the process writes to its output and errors, also from C++; gives a function that reads it."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with tempfile.TemporaryFile() as file:
        saved = {number: os.dup(number) for number in STANDARD if _is_open(number)}
        try:
            for number in saved:
                os.dup2(file.fileno(), number)
            yield lambda: _read(file)
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number, copy in saved.items():
                os.dup2(copy, number)
                os.close(copy)


def describe_failure(text: str) -> str:
    """One sentence on why TensorFlow Lite's converter has failed, from all that it has printed.

    >>> describe_failure("Some ops are not supported\\nFlex ops: FlexQr, FlexSvd\\nDetails: ...")
    'must be made of operations that TensorFlow Lite has, not of Qr, Svd'
    """
    listed = [name.strip() for line in LISTED.findall(text) for name in line.split(",")]
    names = listed or REFUSED.findall(text) or ANY_FAILURE.findall(text)
    plain = dict.fromkeys(name.removeprefix("Flex") for name in names if name)
    if not plain:
        return "must be made of operations that TensorFlow Lite has; its converter names none that it lacks"
    return f"must be made of operations that TensorFlow Lite has, not of {', '.join(plain)}"


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:  # a process that was started without it
        return False
    return True


def _read(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
