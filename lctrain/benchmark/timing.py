"""Measured time and memory of a model on this machine."""

import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lctrain.cost import MEBIBYTE
from lctrain.system.memory import begin_measuring, peak_memory_bytes

MIN_STEPS, MAX_STEPS, MAX_SECONDS = 5, 50, 5.0
COMPARED_SECONDS = 0.5  # for at least so long a job's training steps are timed: medians of a tenth are twice as noisy


class FirstStepTimer(keras.callbacks.Callback):
    """Seconds of the first call of a fit's training function, tracing (and compilation) included.

    That is one step, or as many as `steps_per_execution` says.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds: float | None = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.seconds is None:
            self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.seconds is None:
            self.seconds = time.perf_counter() - self._start


def measure_steps(
    model: keras.Model, batch: tuple[np.ndarray, ...], check: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Times steady steps of a compiled model on one batch; its variables and its optimizer's are left as they were.

    Args:
        model: compiled, and fitted for one step at least, so that its train function is traced.
        batch: inputs, `(batch, *input_shape)`, labels, `(batch, ...)`, and maybe weights.
        check: called before each step; may raise.

    Returns:
        Milliseconds of each training step, `train_step`, and of each inference, `inference`; where a call takes several
        steps (`steps_per_execution`), its share for each.
    """
    variables = [*model.variables, *model.optimizer.variables]
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    distribute = model.distribute_strategy.experimental_distribute_dataset
    batches = iter(distribute(tf.data.Dataset.from_tensors(batch).repeat()))
    one_batch = [next(iter(distribute(tf.data.Dataset.from_tensors(batch[:1]))))]
    model.make_train_function()  # these make the functions that fit and predict call, where there are none yet
    model.make_predict_function()

    def train() -> None:
        check()
        model.train_function(batches)

    def infer() -> None:
        check()
        model.predict_function(one_batch)

    calls = _time_steps(train, COMPARED_SECONDS)
    steps = [milliseconds / model.steps_per_execution for milliseconds in calls]  # the batches never end
    milliseconds = {"train_step": steps, "inference": _time_steps(infer)}
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    model.reset_metrics()
    return milliseconds


def measure_layer(
    layer: keras.layers.Layer, input_shape: tuple[int, ...], batch_size: int, jit_compile: bool
) -> dict[str, float]:
    """Times one layer by itself, on random inputs.

    Args:
        layer: not yet built.
        input_shape: without the batch.
        batch_size: examples of a step.
        jit_compile: whether XLA compiles the step.

    Returns:
        The figures of a bench case; a training step is the forward pass and the gradients by inputs and weights.
    """
    inputs = tf.random.stateless_normal((batch_size, *input_shape), seed=(0, 0))
    inputs = tf.cast(inputs, layer.compute_dtype)
    memory_before = begin_measuring()
    start = time.perf_counter()
    layer.build((None, *input_shape))
    build_seconds = time.perf_counter() - start

    @tf.function(jit_compile=jit_compile)
    def forward() -> Any:
        return layer(inputs)

    @tf.function(jit_compile=jit_compile)
    def train_step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        sources = [inputs, *(variable.value for variable in layer.trainable_variables)]
        return outputs, tape.gradient(outputs, sources)

    start = time.perf_counter()
    train_step()
    tf.test.experimental.sync_devices()
    first_step_seconds = time.perf_counter() - start
    steps = _time_steps(train_step)
    peak = peak_memory_bytes()
    return bench_figures(layer, build_seconds, first_step_seconds, steps, _time_steps(forward), peak - memory_before)


def bench_figures(
    built: Any,
    build_seconds: float,
    first_step_seconds: float,
    steps: list[float],
    forward: list[float],
    peak_bytes: int,
) -> dict[str, float]:
    """What a bench tells of a built layer or model: seconds, milliseconds per step, mebibytes."""
    return {
        "parameters": built.count_params(),
        "build_seconds": build_seconds,
        "first_step_seconds": first_step_seconds,
        "forward_ms": median(forward),
        "train_step_ms": median(steps),
        "train_step_ms_p10": quantiles(steps, n=10)[0],
        "train_step_ms_p90": quantiles(steps, n=10)[-1],
        "peak_memory_mb": peak_bytes / MEBIBYTE,
    }


def step_metrics(milliseconds: dict[str, list[float]], batch_size: int) -> dict[str, float]:
    """The metrics that a run logs of what `measure_steps` saw."""
    train_step_ms = median(milliseconds["train_step"])
    return {
        "train_step_ms": train_step_ms,
        "train_step_ms_p90": quantiles(milliseconds["train_step"], n=10)[-1],
        "inference_ms": median(milliseconds["inference"]),
        "examples_per_second": batch_size / train_step_ms * 1e3,
    }


def _time_steps(step: Callable[[], object], min_seconds: float = 0.0) -> list[float]:
    """Milliseconds of each steady step.

    There are at least `MIN_STEPS`, then up to `MAX_STEPS`, or more where these take less than `min_seconds`; they end
    after `MAX_SECONDS`.
    """
    for _ in range(2):  # tracing, then buffers that grow
        step()
        tf.test.experimental.sync_devices()
    milliseconds: list[float] = []
    total = 0.0
    while len(milliseconds) < MIN_STEPS or (
        total < MAX_SECONDS * 1e3 and (len(milliseconds) < MAX_STEPS or total < min_seconds * 1e3)
    ):
        start = time.perf_counter()
        step()
        tf.test.experimental.sync_devices()
        milliseconds.append((time.perf_counter() - start) * 1e3)
        total += milliseconds[-1]
    return milliseconds
