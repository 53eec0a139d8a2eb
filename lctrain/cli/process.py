"""What a process that runs jobs sets for itself: TensorFlow's environment, and how it ends on a signal."""

import logging
import os
import signal
import sys
from typing import NoReturn

from lctrain.errors import EXIT_TERMINATED


class Terminated(SystemExit):
    """SIGTERM, as an exception: what is open is closed on its way up."""


def prepare_process() -> None:
    """To be called before TensorFlow is loaded, by the main thread."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads these when it is loaded
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    signal.signal(signal.SIGTERM, _terminate)


def leave_at_once(exit_code: int) -> NoReturn:
    """Ends the process without Python's own clean-up, during which busy threads of TensorFlow may abort it."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _terminate(signal_number, frame):
    raise Terminated(EXIT_TERMINATED)
