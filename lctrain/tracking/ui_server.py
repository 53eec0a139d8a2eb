"""MLflow's own UI as a process of its own, for this machine alone."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import BinaryIO

from lctrain.errors import UserError

LOOPBACK = "127.0.0.1"
SECONDS_TO_START = 120.0
SECONDS_TO_END = 10.0
PORTS = range(1, 2**16)


def choose_port(asked: str | None) -> int:
    """The port asked for, or one that is free.

    Raises:
        UserError: one that is none, or taken.
    """
    if asked is not None and (not asked.isdecimal() or int(asked) not in PORTS):
        raise UserError(f"`--port` must be a number from 1 to 65535; got {asked!r}. Leave it out for one that is free.")
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, 0 if asked is None else int(asked)))
        except OSError as error:
            message = f"must be free on {LOOPBACK}; {asked} is not ({error.strerror})"
            raise UserError(f"`--port` {message}. Leave it out for one that is free.") from error
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve_ui(uri: str, port: int, log: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
    """MLflow's server, in a process group of its own, which ends with the block."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--workers", "1"]
    command += ["--host", LOOPBACK, "--port", str(port)]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        yield server
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Asks the server and its workers to end, and kills what is left of them."""
    for number, seconds in ((signal.SIGTERM, SECONDS_TO_END), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(seconds)


def wait_for_ui(server: subprocess.Popen[bytes], address: str, log: BinaryIO) -> None:
    """Raises a RuntimeError with the server's last line where it ends or does not answer in time."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
            return
        time.sleep(0.2)
    if server.poll() is None:
        raise RuntimeError(f"MLflow's UI did not answer at {address} within {SECONDS_TO_START:.0f} s")
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines() or ["it says nothing"]
    raise RuntimeError(f"MLflow's UI could not be started: {lines[-1]}")
