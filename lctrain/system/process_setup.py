"""What a process that runs jobs sets for itself: TensorFlow's environment, and what SIGTERM does."""

import os
import signal
from types import FrameType
from typing import NoReturn

from lctrain.system.signals import Terminated


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
