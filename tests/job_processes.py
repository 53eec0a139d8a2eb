"""The processes of sweeps that tests run."""

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest


def find_job(folder, number=None):
    """The process of a job, which writes into the log in its folder, or that below a sweep's working folder."""
    (log,) = folder.glob("job.log" if number is None else f"multirun/*/*/{number}/job.log")
    for process in psutil.process_iter():
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if Path(f"/proc/{process.pid}/fd/1").readlink() == log.resolve():
                return process
    raise AssertionError(f"no process writes into {log}")


@pytest.fixture(autouse=True)
def no_process_is_left(tmp_path):
    """Waits after each test for the end of all that works in the test's folder, servers and jobs among them."""
    yield
    deadline = time.monotonic() + 20
    while (left := list(find_processes_in(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def find_processes_in(folder):
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(folder):
                yield process.cmdline()
