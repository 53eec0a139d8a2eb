"""`mlflow server` on loopback, over any database and a folder of artifacts; it can be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS_TO_START = 120


class MlflowServer:
    """A server at one address, whose process comes and goes."""

    def __init__(self, database: str, artifacts: Path, log: Path):
        self._database = database.replace("postgresql://", "postgresql+psycopg://")
        self._artifacts = artifacts
        self._log = log
        self._process: subprocess.Popen | None = None
        self.port = _free_port()
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", self._database, "--workers", "1"]
        command += ["--artifacts-destination", self._artifacts.as_uri()]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True, cwd=self._log.parent
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mlflow server did not start.\n{self._log.read_text()[-4000:]}")
            time.sleep(0.2)

    def kill(self) -> None:
        """As a crash would: the server and its workers, at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stall(self) -> None:
        """From now on it takes connections and never answers."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as response:
                return response.status == 200
        except (OSError, urllib.error.URLError):
            return False


@contextmanager
def mlflow_server(database: str, folder: Path) -> Iterator[MlflowServer]:
    """Starts a server whose artifacts and log lie in a folder; kills it at the end."""
    server = MlflowServer(database, folder / "artifacts", folder / "server.log")
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
