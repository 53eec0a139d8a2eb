"""Whether TensorFlow computes here: small trials in processes of their own, whose death or silence is told.

One process goes through all trials, since TensorFlow takes some ten seconds to load. It writes down what it begins and
what came of it; where it dies or hangs, that is told of the trial it was at, and another process goes on after it.
"""

import json
import signal
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from lctrain.implementations import IMPLEMENTATIONS
from lctrain.system.subprocesses import Outcome, run_in_process

LOADING = "TensorFlow"  # the first trial, without which there are no others
UNTRIED = "the rest"
COMPILED = "batched"  # the implementation that XLA and the reduced precisions are tried with
PRECISIONS = ("mixed_bfloat16", "mixed_float16")
LOADING_SECONDS, TRIAL_SECONDS, ALL_SECONDS = 90.0, 30.0, 180.0
MAX_REASON = 300  # characters
MAX_ERROR, MAX_ERROR_MIXED = (
    0.01,
    0.1,
)  # relative to the largest value; TF32, which GPUs use, has 10 bits, bfloat16 has 7
ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}


@dataclass(frozen=True)
class Trial:
    """What came of one thing that was tried.

    Args:
        name: what was tried, and on which device.
        status: "done"; "failed", with an exception; "died", and its process with it; "silent", for too long; or
            "untried".
        detail: what was found, or went wrong.
    """

    name: str
    status: Literal["done", "failed", "died", "silent", "untried"]
    detail: str


class Notes:
    """What the process that tries things writes down for the one that waits for it, a line of JSON each.

    Args:
        file: is added to.
        known: names of trials that are left out.
    """

    def __init__(self, file: Path, known: Collection[str]):
        self._file, self._known = file, known

    def attempt(
        self, name: str, function: Callable[[], str], seconds: float = TRIAL_SECONDS, again: bool = False
    ) -> None:
        """Calls `function`, which returns what it found; SIGALRM ends the process when that takes too long.

        Args:
            name: of the trial.
            function: raises an exception where something is wrong.
            seconds: that it may take; where there is no SIGALRM (Windows) only all trials together are limited.
            again: whether it is called even where its outcome is known, since the trials after it need it.
        """
        if name in self._known and not again:
            return
        self._write(name, "begun", f"{seconds:g}")
        _set_alarm(seconds)
        try:
            entry = "done", function()
        except Exception as error:  # of whatever kind: that is what is asked
            entry = "failed", _shorten(f"{type(error).__name__}: {error}")
        _set_alarm(0)
        self._write(name, *entry)
        if again and entry[0] == "failed":
            raise SystemExit(1)

    def _write(self, name: str, status: str, detail: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, status, detail]) + "\n")


def run_trials(
    function: Callable[[Path, Collection[str]], None] | None = None, seconds: float = ALL_SECONDS
) -> list[Trial]:
    """Tries everything, in as many processes as it takes.

    Args:
        function: called in a new process with the file for its notes and the names of trials to leave out; stands at
            the top of its module. None is `try_computations`.
        seconds: after which no more is tried.

    Returns:
        The trials in their order; after the last one that of the rest, where that could not be tried.
    """
    deadline = time.monotonic() + seconds
    trials: dict[str, Trial] = {}
    with tempfile.TemporaryDirectory(prefix="lctrain-doctor-") as folder:
        while True:
            file = Path(folder, f"notes-{len(trials)}")
            left = max(deadline - time.monotonic(), 0.0)
            run = partial(run_in_process, function or try_computations, file, set(trials))
            outcome = run(timeout=left, environment=ENVIRONMENT)
            entries = _read(file)
            found = {name: _read_trial(name, *entry, outcome) for name, entry in entries.items() if name not in trials}
            trials |= found
            loaded = trials.get(LOADING)
            if outcome.status == "done" or (loaded is not None and loaded.status != "done"):
                break
            if time.monotonic() >= deadline or all(trial.status in ("done", "failed") for trial in found.values()):
                trials[UNTRIED] = Trial(UNTRIED, "untried", _shorten(outcome.reason))
                break
    return list(trials.values())


def _read(file: Path) -> Mapping[str, tuple[Any, str]]:
    """By trial, what was last written of it; a line that its writer's death cut short is passed over."""
    entries = {}
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []:
        if line.endswith("\n"):
            name, status, detail = json.loads(line)
            entries[name] = status, detail
    return entries


def _read_trial(name: str, status: Any, detail: str, outcome: Outcome) -> Trial:
    if status != "begun":
        return Trial(name, status, detail)
    if hasattr(signal, "SIGALRM") and outcome.exit_code == -signal.SIGALRM:
        return Trial(name, "silent", f"gave no answer within {detail} s")
    if outcome.status == "timed_out":
        return Trial(name, "silent", f"gave no answer; all trials together {outcome.reason}")
    return Trial(
        name,
        "died",
        f"its process was {outcome.reason}"
        if outcome.status == "killed"
        else _shorten(f"its process {outcome.reason}"),
    )


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_REASON else f"{line[: MAX_REASON - 3]}..."


def _set_alarm(seconds: float) -> None:
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process even where C code holds Python's lock
        signal.setitimer(signal.ITIMER_REAL, seconds)


def try_computations(file: Path, known: Collection[str]) -> None:
    """The new process's side: loads TensorFlow, then computes on each device it finds."""
    notes = Notes(file, known)
    notes.attempt(LOADING, _load, LOADING_SECONDS, again=True)
    import tensorflow as tf

    for found in [*tf.config.list_logical_devices("CPU"), *tf.config.list_logical_devices("GPU")]:
        device = found.name.removeprefix("/device:")
        for name in IMPLEMENTATIONS:
            notes.attempt(f"implementation {name} on {device}", partial(_compute, device, name))
        notes.attempt(f"XLA on {device}", partial(_compute, device, COMPILED, jit_compile=True))
        for precision in PRECISIONS:
            notes.attempt(f"{precision} on {device}", partial(_compute, device, COMPILED, precision))


def _load() -> str:
    import keras
    import tensorflow as tf

    import lctrain.layers  # noqa: F401

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)  # others may be using it
    devices = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    return f"{tf.__version__} with Keras {keras.__version__} sees {', '.join(devices)}"


def _compute(device: str, implementation: object, precision: str = "float32", jit_compile: bool = False) -> str:
    """One forward and one backward pass of a small locally connected layer, compared with NumPy's."""
    import numpy as np
    import tensorflow as tf

    from lctrain.layers import LocallyConnected2D

    values = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")
    windows = np.lib.stride_tricks.sliding_window_view(values, (3, 2), axis=(1, 2))  # (2, 3, 6, 3, 3, 2)
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(2, 18, 18)  # (batch, positions, taps * channels)
    with tf.device(device):
        layer: Any = LocallyConnected2D(4, (3, 2), implementation=implementation, dtype=precision)
        layer.build((None, *values.shape[1:]))
        inputs = tf.cast(tf.constant(values), layer.compute_dtype)

    @tf.function(jit_compile=jit_compile)
    def step() -> Any:
        with tf.device(device), tf.GradientTape() as tape:
            outputs = layer(inputs)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32))
        return outputs, tape.gradient(loss, layer.kernel.value)

    with tf.device(device):
        outputs, gradient = step()
    if not outputs.device.endswith(device):
        raise RuntimeError(f"it was computed on {outputs.device}")
    kernel = layer.kernel.numpy()  # (positions, taps * channels, filters)
    of_kernel = np.broadcast_to(patches.sum(axis=0)[..., None], kernel.shape)
    limit = MAX_ERROR if precision == "float32" else MAX_ERROR_MIXED
    _compare("outputs", outputs, np.einsum("bok,okf->bof", patches, kernel), limit)
    _compare("gradients", gradient, of_kernel, limit)
    return "forward and backward pass are right"


def _compare(what: str, found: Any, expected: Any, limit: float) -> None:
    import numpy as np

    found = np.asarray(found, dtype="float32").reshape(expected.shape)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    if not error <= limit:  # nor is NaN
        raise ArithmeticError(f"{what} are wrong by {error:.2g} of the largest value")
