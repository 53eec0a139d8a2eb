"""A PostgreSQL database on loopback, all its state in a new folder; as root it runs as the user `postgres`.

`python tests/servers/postgresql.py COMMAND ...` runs a command beside one, its URI in LCTRAIN_POSTGRESQL, and ends it.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")
DATABASE = "runs"
USER = "lctrain"
SECONDS_TO_START = 60
SECONDS_TO_STOP = 30


def why_no_postgresql() -> str | None:
    """Why no PostgreSQL can be started here; None where one can."""
    if _programs() is None:
        return "PostgreSQL is not installed: .ci/install-servers"
    if find_spec("psycopg") is None:
        return "psycopg is not installed: pip install 'lctrain[postgres]'"
    if os.geteuid() == 0 and _unprivileged() is None:
        return "PostgreSQL refuses to run as root, and there is no user `postgres`"
    return None


@contextmanager
def postgresql() -> Iterator[str]:
    """Starts a database, fresh; ends it.

    Yields:
        Its URI, which needs no password.
    """
    with tempfile.TemporaryDirectory(prefix="lctrain-postgresql-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), _free_port()
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        data = folder / "data"
        setup = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={USER}"]
        _run(["initdb", f"--pgdata={data}", *setup], folder)
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
        settings = [argument for key, value in options.items() for argument in ("-c", f"{key}={value}")]
        with (folder / "log").open("wb") as log:
            command = [_programs() / "postgres", "-D", data, *settings]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, user=_unprivileged())
        try:
            uri = f"postgresql://{USER}@127.0.0.1:{port}"
            _make_database(process, uri, folder / "log")
            yield f"{uri}/{DATABASE}"
        finally:
            _end(process)


def _make_database(process: subprocess.Popen, uri: str, log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            with psycopg.connect(f"{uri}/postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start.\n{log.read_text()[-4000:]}") from error
            time.sleep(0.1)


def _end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)  # its "fast" end: clients are sent away
    try:
        process.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _run(command: list, folder: Path) -> None:
    command = [_programs() / command[0], *command[1:]]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, user=_unprivileged())
    if finished.returncode != 0:
        raise RuntimeError(f"{command[0]} failed.\n{finished.stderr}")


def _programs() -> Path | None:
    """The folder of the newest PostgreSQL: Debian keeps them out of the path."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).parent
    folders = [path.parent for path in DEBIAN.glob("*/bin/initdb")]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def _unprivileged() -> int | None:
    """The user to run as; None for this one, or where root finds no other."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_uid
    except KeyError:
        return None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


if __name__ == "__main__":
    reason = why_no_postgresql()
    if reason is not None:
        sys.exit(reason)
    with postgresql() as address:
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, "LCTRAIN_POSTGRESQL": address}).returncode)
