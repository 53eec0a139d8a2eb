"""What a process that runs jobs sets for itself: standard files, TensorFlow's environment, and what SIGTERM does."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from lctrain.system.signals import Terminated


def open_standard_files() -> None:
    """Opens those of the three standard files that were closed, as by `>&-`: else a store would get what is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115 - as long as the process


def prepare_process() -> None:
    """To be called before TensorFlow is loaded, by the main thread."""
    set_environment()
    signal.signal(signal.SIGTERM, _terminate)


def set_environment() -> None:
    """What TensorFlow and Keras read when they are loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
