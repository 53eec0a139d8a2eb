"""A Ray cluster of one machine, on loopback, by `ray start --head`, all its state in a new folder.

`python tests/servers/ray.py COMMAND ...` runs a command beside one, and ends it.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

OBJECT_STORE_BYTES = 80 * 2**20  # Ray takes no less than 75 MB
NUM_CPUS = 2
SECONDS_TO_START = 90
SECONDS_TO_STOP = 20


def why_no_ray() -> str | None:
    """Why no Ray can be started here; None where one can."""
    try:
        version("ray")
    except PackageNotFoundError:
        return "Ray is not installed: pip install 'lctrain[ray]'"
    return None


@contextmanager
def ray() -> Iterator[Mapping[str, str]]:
    """Starts a head node that also runs jobs; ends it, and what it still runs.

    Yields:
        The environment variables under which `ray.init` finds this cluster and is let in.
    """
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="lctrain-ray-", ignore_cleanup_errors=True))
        )
        port = _free_port()
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        environment = {
            "RAY_ADDRESS": f"127.0.0.1:{port}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        log = folder / "ray.log"
        with _head(port, folder, {**os.environ, **environment}, log) as process:
            _wait_for(process, environment, log)
            yield environment


@contextmanager
def _head(port: int, folder: Path, environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen]:
    options = {
        "port": port,
        "node-ip-address": "127.0.0.1",
        "num-cpus": NUM_CPUS,
        "object-store-memory": OBJECT_STORE_BYTES,
        "include-dashboard": "false",
        "temp-dir": folder,
    }
    environment = {key: value for key, value in environment.items() if key != "RAY_ADDRESS"}  # `ray start` wants none
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,  # so that the workers don't start in the folder of the sweep, as on another machine
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """Ends the head node and every process that it started, of whatever session."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in psutil.wait_procs(family, timeout=5)[1]:
        left.kill()


def _wait_for(process: subprocess.Popen, environment: Mapping[str, str], log: Path) -> None:
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", environment["RAY_ADDRESS"]]
    deadline = time.monotonic() + SECONDS_TO_START
    while subprocess.run(command, env={**os.environ, **environment}, capture_output=True).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Ray did not start.\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


if __name__ == "__main__":
    reason = why_no_ray()
    if reason is not None:
        sys.exit(reason)
    with ray() as variables:
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, **variables}).returncode)
