"""Runs one function in a fresh process: with limits and a timeout, and it says how the process died."""

import contextlib
import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lctrain.system.files import replace_file

LOG_LINES_IN_REASON = 3
PARENT_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        status: "done", "raised" (an exception), "exited" (left with an exit code of its own), "killed" (by a signal)
            or "timed_out".
        reason: one or a few lines that say what happened; empty if done.
        value: what the function returned, if done.
        error: the exception, if raised and picklable.
        exit_code: the process's; negative for a signal.
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
) -> Outcome:
    """Calls `function(*arguments)` in a new Python process and waits for it.

    The function is named by its module and name there, so it must stand at the top of an importable module; arguments
    and return value are pickled. The process imports that module and nothing before it. If this process dies, that one
    is asked to end too (SIGTERM; POSIX).

    Args:
        function: what to call.
        arguments: its arguments.
        timeout: seconds after which the process and its children are ended.
        memory_limit: bytes of address space (RLIMIT_AS); needs POSIX.
        environment: variables to set besides the ones of this process.
        log_file: where the process's output goes; None keeps its tail for the reason and drops the rest.
        grace: seconds from SIGTERM to SIGKILL when it is ended, by the timeout or an interrupt; 0 kills at once.

    Returns:
        The outcome; a job that fails in whatever way does not raise here.
    """
    with tempfile.TemporaryDirectory(prefix="lctrain-job-") as folder:
        request, result = Path(folder, "request"), Path(folder, "result")
        what = function.__module__, function.__qualname__, arguments
        request.write_bytes(pickle.dumps((*what, memory_limit, os.getpid())))
        log = Path(log_file or Path(folder, "log"))
        exit_code, timed_out, seconds = run_module(
            "lctrain.system.subprocesses", [request, result], log, timeout, environment, grace
        )
        if timed_out:
            return Outcome("timed_out", f"ran longer than {timeout:g} s", seconds, exit_code=exit_code)
        if exit_code != 0 or not result.exists():
            return Outcome(*describe_exit(exit_code, log), seconds, exit_code=exit_code)
        status, payload = pickle.loads(result.read_bytes())  # written by our own process, into a folder of ours
        if status == "done":
            return Outcome("done", "", seconds, value=payload, exit_code=0)
        return Outcome("raised", payload["reason"], seconds, error=payload["error"], exit_code=0)


def run_module(
    module: str,
    arguments: Sequence[str | Path],
    log: Path,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    grace: float = 0.0,
) -> tuple[int, bool, float]:
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
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {}), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # so that its children can be killed with it
        )
        timed_out = _wait(process, timeout, grace)
    return process.returncode, timed_out, time.monotonic() - started


def _wait(process: subprocess.Popen[bytes], timeout: float | None, grace: float) -> bool:
    """Waits for the process's end; whether it had to be ended because it took too long."""
    try:
        process.wait(threading.TIMEOUT_MAX if timeout is None else timeout)  # Ray's interrupt wakes no wait without end
    except subprocess.TimeoutExpired:
        _end(process, grace)
        return True
    except BaseException:  # an interrupt of ours must not leave the job running
        _end(process, grace)
        raise
    return False


def _end(process: subprocess.Popen[bytes], grace: float) -> None:
    """Asks the process to end, if it has any grace, and kills what is left of it and its children."""
    try:
        if grace > 0:
            process.terminate()
            process.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    finally:  # a second interrupt cuts the grace short
        _kill_tree(process)


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def describe_exit(exit_code: int, log: Path) -> tuple[Literal["exited", "killed"], str]:
    """Status and reason of a process that left no result."""
    if exit_code >= 0:
        tail = " ".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_IN_REASON:])
        return "exited", f"exited with code {exit_code}: {tail}"
    name = signal.Signals(-exit_code).name
    hint = " (the kernel's usual answer to a lack of memory)" if name == "SIGKILL" else ""
    return "killed", f"killed by {name}{hint}"


def _serve(request: Path, result: Path) -> None:
    """The new process's side."""
    module, name, arguments, memory_limit, parent = pickle.loads(request.read_bytes())
    if hasattr(os, "getppid"):
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    if memory_limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    try:
        function = getattr(importlib.import_module(module), name)
        answer = ("done", function(*arguments))
        data = pickle.dumps(answer)
    except Exception as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        data = pickle.dumps(("raised", {"reason": reason, "error": _picklable(error)}))
    replace_file(result, data, survives_power_loss=False)


def _end_with_parent(parent: int) -> None:
    """A job outlives the process that waits for it by a second or two: nobody would know of it."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _picklable(error: Exception) -> Exception | None:
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))
    except Exception:  # exceptions pickle in any way their authors chose; the reason is told without them
        return None
    return copy


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Path(sys.argv[2]))
