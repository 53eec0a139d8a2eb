"""What a process that runs jobs sets for itself: TensorFlow's environment, and what SIGTERM does."""

import os
import signal
from types import FrameType
from typing import NoReturn

from lctrain.system.signals import Terminated


def prepare_process() -> None:
    """To be called before TensorFlow is loaded, by the main thread."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads these when it is loaded
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
