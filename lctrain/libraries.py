"""Loading TensorFlow without its start-up chatter."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

CHATTER = re.compile(
    rb"I\d{4} "  # informational lines of TensorFlow's C++ log
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions"
    rb"|E\d{4} .*cuInit: .*(no CUDA|UNKNOWN ERROR \(303\))"  # no graphics card, on a machine without one
)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Leaves out of standard error the lines that TensorFlow's C++ code writes on every start; all others come through.

    TF_CPP_MIN_LOG_LEVEL does not reach them: they are written before the log is set up.
    """
    sys.stderr.flush()
    standard_error = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(standard_error, 2)
            os.close(standard_error)
            captured.seek(0)
            for line in captured:
                if line.strip() and not CHATTER.match(line):
                    os.write(2, line)


def load_libraries() -> None:
    """Loads what takes seconds, in one place, so that what follows measures the job alone."""
    with without_chatter():
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")  # the cpu is the only device so far; this also starts the runtime
        tf.config.list_logical_devices()

        import lctrain.report
        import lctrain.training  # noqa: F401
