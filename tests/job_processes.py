"""The processes of sweeps that tests run, and what these leave behind."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from conftest import make_config

from lctrain.config import validate
from lctrain.sweep.supervisor import find_server
from lctrain.system import fork_client

TEMPORARY = "temporary"  # the folder for temporary files, in a sweep's working folder


def start_sweep(folder, *arguments, environment=os.environ, **options):
    """`python -m lctrain ARGUMENTS` in a folder, with its temporary files below that."""
    (folder / TEMPORARY).mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "lctrain", *arguments],
        cwd=folder,
        env={**environment, "TMPDIR": str(folder / TEMPORARY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def find_job(folder, number=None):
    """The process of a job, which writes into the log in its folder, or that below a sweep's working folder."""
    (log,) = folder.glob("job.log" if number is None else f"multirun/*/*/{number}/job.log")
    for process in psutil.process_iter():
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if Path(f"/proc/{process.pid}/fd/1").readlink() == log.resolve():
                return process
    raise AssertionError(f"no process writes into {log}")


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path):
    """Waits after each test until no process, server's socket or temporary file of its sweeps is left."""
    yield
    deadline = time.monotonic() + 20
    while (left := find_left(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, left


def find_left(folder):
    temporary = [str(path) for path in folder.glob(f"{TEMPORARY}/*")]
    return [*find_processes_in(folder), *find_sockets(folder), *temporary]


def find_processes_in(folder):
    """Command lines of the processes that work in a folder or write into a log there."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            places = Path(process.cwd()), Path(f"/proc/{process.pid}/fd/1").readlink()
            if process.pid != os.getpid() and any(place.is_relative_to(folder) for place in places):
                yield process.cmdline()


def find_sockets(folder):
    """The names that servers of sweeps in a folder have taken."""
    config, taken = validate(make_config()), Path("/proc/net/unix")
    if not taken.exists():
        return []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fork_client, "origin", None)  # tests' own, which is none of the sweeps'
        servers = [find_server(config, file.parent) for file in folder.rglob("sweep.json")]
    return [server.name for server in servers if server is not None and f"@{server.name}" in taken.read_text()]
