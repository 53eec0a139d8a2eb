"""One contender on one workload, in a process of its own, which does what it is told over a pipe."""

import multiprocessing
import os
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from contenders import prepare
from workloads import Workload, draw_inputs

from lctrain.devices.runtime import without_startup_messages
from lctrain.system import memory

WARM_UP_STEPS = 2
OOM_SCORE = Path("/proc/self/oom_score_adj")


def serve(connection: Connection, contender: str, workload: Workload) -> None:
    """The process: loads the framework, then answers "build" and "measure" until "stop"."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if OOM_SCORE.exists():
        OOM_SCORE.write_text("1000")  # should memory run out, the kernel shall end this process and no other
    with without_startup_messages():
        build = prepare(contender, workload)
    inputs, upstream = draw_inputs(workload)
    connection.send({})
    step = None
    while (order := connection.recv())[0] != "stop":
        if order[0] == "build":
            step, answer = _build(build, inputs, upstream)
        else:
            answer = {"milliseconds": _measure(step, seconds=order[1])}
        connection.send(answer)


def _build(build, inputs, upstream):
    before = memory.resident_memory_bytes()
    started = time.perf_counter()
    step = build(inputs, upstream)
    build_seconds = time.perf_counter() - started
    memory.reset_peak_memory()  # what drawing the weights took for a while is not the step's
    built = time.perf_counter()
    step()
    first_step_seconds = time.perf_counter() - built
    for _ in range(WARM_UP_STEPS):
        step()
    peak = memory.peak_memory_bytes() - before
    return step, {
        "build_seconds": build_seconds,
        "first_step_seconds": first_step_seconds,
        "peak_memory_bytes": peak,
    }


def _measure(step, seconds: float) -> list[float]:
    """Milliseconds of each step, for some seconds and one step at least."""
    milliseconds = []
    end = time.perf_counter() + seconds
    while not milliseconds or time.perf_counter() < end:
        started = time.perf_counter()
        step()
        milliseconds.append((time.perf_counter() - started) * 1e3)
    return milliseconds


@dataclass
class Worker:
    """This side of such a process.

    Args:
        contender: its name.
        workload: what it computes.
        rounds: the median milliseconds of a step, one per call of `measure`.
    """

    contender: str
    workload: Workload
    rounds: list[float] = field(default_factory=list)

    def __post_init__(self):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self.contender, self.workload), daemon=True)
        self._process.start()
        theirs.close()

    def wait_until_loaded(self, timeout: float) -> None:
        self._receive(timeout)

    def build(self, timeout: float) -> dict[str, float]:
        """Seconds of building and of the first step, and the bytes that they and the next steps took at most."""
        self._connection.send(("build",))
        return self._receive(timeout)

    def measure(self, seconds: float, timeout: float) -> None:
        self._connection.send(("measure", seconds))
        self.rounds.append(median(self._receive(timeout)["milliseconds"]))

    def stop(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.join()

    def _receive(self, timeout: float) -> dict:
        """The answer to the last order.

        Raises:
            TimeoutError: none came in time.
            EOFError: the process died.
        """
        if not self._connection.poll(timeout):
            raise TimeoutError(f"took longer than {timeout:.0f} s")
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            self._process.join()
            raise EOFError(f"died with exit code {self._process.exitcode}") from error
