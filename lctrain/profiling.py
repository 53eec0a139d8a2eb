"""Measured time and memory of a model on this machine."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import keras
import numpy as np
import psutil
import tensorflow as tf

PROC_STATUS = Path("/proc/self/status")
MIN_STEPS, MAX_STEPS, MAX_SECONDS = 5, 50, 5.0


class FirstStepTimer(keras.callbacks.Callback):
    """Seconds of the first training step of a fit, tracing (and compilation) included."""

    def __init__(self):
        super().__init__()
        self.seconds: float | None = None

    def on_train_batch_begin(self, batch, logs=None):
        if self.seconds is None:
            self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        if self.seconds is None:
            self.seconds = time.perf_counter() - self._start


def measure_steps(model: keras.Model, inputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Times steady steps of a compiled model on one batch; its variables and its optimizer's are left as they were.

    Args:
        model: compiled, and fitted for one step at least, so that its train function is traced.
        inputs: one batch, `(batch, *input_shape)`.
        labels: `(batch,)`.

    Returns:
        `train_step_ms`, `train_step_ms_p90`, `inference_ms` (medians and 90th percentile, milliseconds per step) and
        `examples_per_second` (of training).
    """
    variables = [*model.variables, *model.optimizer.variables]
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    batches = iter(tf.data.Dataset.from_tensors((inputs, labels)).repeat())
    one_batch = [(tf.constant(inputs),)]
    model.make_train_function()  # these make the functions that fit and predict call, where there are none yet
    model.make_predict_function()
    train_ms = _time_steps(lambda: model.train_function(batches))
    inference_ms = _time_steps(lambda: model.predict_function(one_batch))
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    model.reset_metrics()
    return {
        "train_step_ms": median(train_ms),
        "train_step_ms_p90": quantiles(train_ms, n=10)[-1],
        "inference_ms": median(inference_ms),
        "examples_per_second": len(inputs) / median(train_ms) * 1e3,
    }


def _time_steps(step: Callable[[], object]) -> list[float]:
    """Milliseconds of each steady step: at least `MIN_STEPS`, at most `MAX_STEPS` or `MAX_SECONDS`."""
    for _ in range(2):  # tracing, then buffers that grow
        tf.nest.map_structure(np.asarray, step())
    milliseconds: list[float] = []
    while len(milliseconds) < MIN_STEPS or (len(milliseconds) < MAX_STEPS and sum(milliseconds) < MAX_SECONDS * 1e3):
        start = time.perf_counter()
        tf.nest.map_structure(np.asarray, step())  # a value on the host means that the step is over
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return milliseconds


def resident_memory_bytes() -> int:
    """The memory that this process has resident now."""
    return psutil.Process().memory_info().rss


def reset_peak_memory() -> None:
    """Lets `peak_memory_bytes` begin anew, where the system can (Linux); elsewhere it spans the process's life."""
    if PROC_STATUS.exists():
        (PROC_STATUS.parent / "clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """The most memory that this process had resident since `reset_peak_memory`, or ever."""
    if PROC_STATUS.exists():
        (peak,) = (line for line in PROC_STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def cpu_model() -> str:
    """The processor's name, as the system tells it."""
    import platform

    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
