"""`ui`: MLflow's own UI on the store of this folder, for this machine alone."""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from lctrain.composition.dry_run import compose_dry
from lctrain.composition.hydra_app import MULTIRUN
from lctrain.errors import EXIT_DONE, UserError
from lctrain.system.signals import Terminated
from lctrain.tracking.checks import format_sync_moved_command
from lctrain.tracking.moving import find_relocation
from lctrain.tracking.results import open_existing
from lctrain.tracking.store import is_http, read_tracking, store_uri

LOOPBACK = "127.0.0.1"
SECONDS_TO_START = 120.0
SECONDS_TO_END = 10.0
PORTS = range(1, 2**16)


def run_ui(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Starts MLflow's UI on loopback, prints its address, and serves until it is interrupted.

    What is left of the command line says which store it is: `tracking.folder=PATH`, `tracking=server tracking.uri=URI`.

    Raises:
        UserError: no store, or a port that is taken.
    """
    parser = argparse.ArgumentParser("lctrain ui", add_help=False)
    parser.add_argument("--port")
    options, rest = parser.parse_known_args(list(arguments))
    if any(argument in MULTIRUN for argument in rest):
        raise UserError("`ui` takes no -m: it shows one store.")
    tracking = read_tracking(compose_dry(rest)["tracking"])
    client, experiment_id = open_existing(tracking)
    relocation = find_relocation(tracking, client.get_experiment(experiment_id).artifact_location)
    if relocation is not None:
        message = "The store has been moved or copied, so that MLflow's UI does not find the files of its runs"
        print(f"{message}. Let it find them: {format_sync_moved_command(relocation)}", file=sys.stderr, flush=True)
    if is_http(tracking):
        print(f"The server has a UI of its own: {store_uri(tracking)}")
        return EXIT_DONE
    port = _find_port(options.port)
    with tempfile.TemporaryFile() as log, _serving(store_uri(tracking), port, log) as server:
        address = f"http://{LOOPBACK}:{port}"
        _wait_until_it_answers(server, address, log)
        print(f"{address} shows experiment {tracking.experiment!r} of {_name(tracking)}. Ctrl-C ends it.", flush=True)
        with contextlib.suppress(KeyboardInterrupt, Terminated):
            server.wait()
            raise RuntimeError(f"MLflow's UI ended by itself, with exit code {server.returncode}")
    return EXIT_DONE


def _name(tracking) -> str:
    """The store without what may be secret in its address."""
    return str(Path(tracking.folder).resolve()) if hasattr(tracking, "folder") else tracking.uri


def _find_port(asked: str | None) -> int:
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
        return probe.getsockname()[1]


@contextlib.contextmanager
def _serving(uri: str, port: int, log: BinaryIO) -> Iterator[subprocess.Popen]:
    """MLflow's server, in a process group of its own, which ends with the block."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--workers", "1"]
    command += ["--host", LOOPBACK, "--port", str(port)]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        yield server
    finally:
        _end(server)


def _end(server: subprocess.Popen) -> None:
    """Asks the server and its workers to end, and kills what is left of them."""
    for number, seconds in ((signal.SIGTERM, SECONDS_TO_END), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(seconds)


def _wait_until_it_answers(server: subprocess.Popen, address: str, log: BinaryIO) -> None:
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
