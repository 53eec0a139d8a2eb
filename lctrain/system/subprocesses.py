"""Runs one function in a process of its own: with limits and a timeout, and it says how the process died."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from lctrain.system.child import REQUEST, RESULT
from lctrain.system.fork_client import ForkedProcess, fork, make_environment
from lctrain.system.fork_connection import RUN_MODULE, ForkServer, RefusedError

LOG_LINES_IN_REASON = 3

Process = subprocess.Popen[bytes] | ForkedProcess


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        status: "done", "raised" (an exception), "exited" (left with an exit code of its own), "killed" (by a signal)
            or "timed_out".
        reason: one or a few lines that say what happened; empty if done.
        value: what the function returned, if done.
        error: the exception, if raised and picklable.
        exit_code: the process's; negative for a signal; None where nobody knows it.
        seconds: how long the process lived.
    """

    status: Literal["done", "raised", "exited", "killed", "timed_out"]
    reason: str
    seconds: float
    value: Any = None
    error: Exception | None = None
    exit_code: int | None = None


def run_in_process(
    function: Callable[..., Any],
    *arguments: Any,
    timeout: float | None = None,
    memory_limit: int | None = None,
    environment: Mapping[str, str] | None = None,
    log_file: Path | None = None,
    grace: float = 0.0,
    server: ForkServer | None = None,
) -> Outcome:
    """Calls `function(*arguments)` in a new Python process and waits for it.

    The function is named by its module and name there, so it must stand at the top of an importable module; arguments
    and return value are pickled. The process imports that module and nothing before it, unless a server forks it, which
    has loaded all that it needs. If this process dies, that one is asked to end too (SIGTERM).

    Args:
        function: what to call.
        arguments: its arguments.
        timeout: seconds after which the process and its children are ended.
        memory_limit: bytes of address space (RLIMIT_AS); needs POSIX.
        environment: variables to set besides the ones of this process.
        log_file: where the process's output goes; None keeps its tail for the reason and drops the rest.
        grace: seconds from SIGTERM to SIGKILL when it is ended, by the timeout or an interrupt; 0 kills at once.
        server: asked for the process first; where it refuses, the log says why, and the process is started afresh.

    Returns:
        The outcome; a job that fails in whatever way does not raise here.
    """
    # What has left the session of the job may go on writing there.
    with tempfile.TemporaryDirectory(prefix="lctrain-job-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        what = function.__module__, function.__qualname__, arguments
        (folder / REQUEST).write_bytes(pickle.dumps((*what, memory_limit)))
        log = Path(log_file or folder / "log")
        variables = make_environment(environment or {})
        with log.open("wb", buffering=0) as output:
            process = _start(folder, output, variables, None if memory_limit is not None else server)
            exit_code, timed_out, seconds = _wait(process, timeout, grace)
        if timed_out:
            return Outcome("timed_out", f"ran longer than {timeout:g} s", seconds, exit_code=exit_code)
        if exit_code or not (folder / RESULT).exists():
            return Outcome(*describe_exit(exit_code, log), seconds, exit_code=exit_code)
        status, payload = pickle.loads((folder / RESULT).read_bytes())  # by our own process, in a folder of ours
        if status == "done":
            return Outcome("done", "", seconds, value=payload, exit_code=0)
        return Outcome("raised", payload["reason"], seconds, error=payload["error"], exit_code=0)


def _start(folder: Path, output: IO[bytes], environment: Mapping[str, str], server: ForkServer | None) -> Process:
    """The process that does what the request in the folder says: forked, where there is a server that does so."""
    if server is not None:
        try:
            return fork(server, folder, output, environment)
        except RefusedError as refused:
            output.write(f"The process is started afresh: {refused}\n".encode())
    return _start_module("lctrain.system.child", [folder], output, environment)


def run_module(
    module: str,
    arguments: Sequence[str | Path],
    log: Path,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    grace: float = 0.0,
) -> tuple[int | None, bool, float]:
    """Runs `python -m MODULE ARGUMENTS` and waits for it; its children end with it.

    Args:
        module: which must be importable here.
        arguments: of the command line.
        log: the file that its output goes to.
        timeout: seconds after which it is ended.
        environment: variables to set besides the ones of this process.
        grace: seconds from SIGTERM to SIGKILL when it is ended, by the timeout or an interrupt; 0 kills at once.

    Returns:
        Its exit code, negative for a signal; whether it was ended for the timeout; and how long it lived, in seconds.
    """
    with log.open("wb") as output:
        return _wait(_start_module(module, arguments, output, make_environment(environment or {})), timeout, grace)


def _start_module(
    module: str, arguments: Sequence[str | Path], output: IO[bytes], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """`python -m MODULE ARGUMENTS`, whose standard input ends with this process."""
    return subprocess.Popen(
        [sys.executable, *RUN_MODULE, module, *arguments],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,  # so that its children can be killed with it
    )


def _wait(process: Process, timeout: float | None, grace: float) -> tuple[int | None, bool, float]:
    """Waits for the process's end, after which none of its children is left, and ends it where it takes too long.

    Returns:
        As `run_module`.
    """
    started, timed_out = time.monotonic(), False
    try:
        process.wait(threading.TIMEOUT_MAX if timeout is None else timeout)  # Ray's interrupt wakes no wait without end
    except subprocess.TimeoutExpired:
        timed_out = True
        _ask_to_end(process, grace)
    except BaseException:  # an interrupt of ours must not leave the job running
        _ask_to_end(process, grace)
        raise
    finally:  # a second interrupt cuts the grace short
        _kill_tree(process)
        if isinstance(process, subprocess.Popen) and process.stdin is not None:
            process.stdin.close()
    return process.returncode, timed_out, time.monotonic() - started


def _ask_to_end(process: Process, grace: float) -> None:
    if grace > 0:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)


def _kill_tree(process: Process) -> None:
    """Kills what is left of a process and its children."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:  # all of them have ended, or a fork has no session of its own yet
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
    else:
        process.send_signal(signal.SIGTERM)  # which kills, on Windows
    process.wait()


def describe_exit(exit_code: int | None, log: Path) -> tuple[Literal["exited", "killed"], str]:
    """Status and reason of a process that left no result."""
    if exit_code is None:
        return "killed", "ended without a result, and the server that had forked it tells nothing: it has died or hangs"
    if exit_code >= 0:
        tail = " ".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_IN_REASON:])
        return "exited", f"exited with code {exit_code}: {tail}"
    name = signal.Signals(-exit_code).name
    hint = " (the kernel's usual answer to a lack of memory)" if name == "SIGKILL" else ""
    return "killed", f"killed by {name}{hint}"
