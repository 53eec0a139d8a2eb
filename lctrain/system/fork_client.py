"""Asks a server (fork_server.py) for processes: forks of one that has loaded what jobs need.

Python's own forkserver gives a child no log, session and environment, can't refuse to fork, and takes a child for dead
where only the server has died; so this is a small one that does.
"""

import contextlib
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from lctrain.system import fork_connection
from lctrain.system.fork_connection import NUMBER, Connection, ForkServer, RefusedError, connect, receive

IS_SUPPORTED = sys.platform == "linux"  # elsewhere libraries that were loaded before a fork may fail after it
CHECK_SECONDS = 5.0  # after which a process is checked for its end, where its server tells nothing
TRIES = 2  # to load a server that is killed meanwhile, as the kernel does where memory is short
CONTEXT = "context"  # the file in a request's folder with what the server itself must know of it


class ForkedProcess:
    """A process that a server has forked, to be used as `subprocess.Popen` is.

    Its connection ends with this process, by which it learns that nobody waits for it any more.
    """

    def __init__(self, pid: int, connection: socket.socket):
        self.pid = pid
        self.returncode: int | None = None  # for ever, where the server has died before it
        self._connection = connection
        self._is_over = False
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except OSError:  # it has ended already, or Linux is older than 5.3
            self._handle = None

    def wait(self, timeout: float = threading.TIMEOUT_MAX) -> int | None:
        """Waits for the end; returns the exit code, negative for a signal, or None where nobody knows it.

        Raises:
            subprocess.TimeoutExpired: it has not ended after so many seconds.
        """
        deadline = time.monotonic() + timeout
        while not self._is_over:
            has_ended = self._has_ended()
            seconds = CHECK_SECONDS if has_ended else min(CHECK_SECONDS, max(deadline - time.monotonic(), 0))
            try:
                number = receive(self._connection, seconds)
            except subprocess.TimeoutExpired:
                if not has_ended:
                    if time.monotonic() >= deadline:
                        raise
                    continue
                number = b""  # a server that hangs tells nothing
            self.returncode = NUMBER.unpack(number)[0] if number else None
            self._is_over = True
            self._connection.close()
            if self._handle is not None:
                os.close(self._handle)
        return self.returncode

    def _has_ended(self) -> bool:
        """Whether the process is seen to have ended, whatever its server tells."""
        if self._handle is None:
            return False
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(0))

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


origin: ForkServer | None = None  # that has forked this process
inherited_bytes = 0  # that this process has found taken when it was forked
_connections: dict[str, Connection] = {}
_failures: dict[str, str] = {}  # why servers could not be loaded, by their names
_num_killed: Counter[str] = Counter()  # how often they were killed before they had
_lock = threading.Lock()


def make_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with changes, and its search path for modules."""
    paths = [path or os.getcwd() for path in sys.path]  # as `python -c` has it
    return {**os.environ, **changes, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def fork(server: ForkServer, folder: Path, log: IO[bytes], environment: Mapping[str, str]) -> ForkedProcess:
    """A new process that does what the request in the folder says (child.py), in a session of its own.

    Args:
        server: which is started where it is not there.
        folder: of the request.
        log: a file, for the process's output.
        environment: all of it.

    Raises:
        RefusedError: it must be started in another way.
    """
    if not IS_SUPPORTED:
        raise RefusedError("this system is not Linux")
    (folder / CONTEXT).write_bytes(pickle.dumps((os.getcwd(), dict(environment))))
    with _lock:
        while True:
            process = _ask(server, folder, log, environment)
            if process is not None:
                return process


@contextlib.contextmanager
def keep(server: ForkServer | None) -> Iterator[None]:
    """Lets a server load beside what this process does first; ends it with the block, if nobody else has it open."""
    if server is None or not IS_SUPPORTED or server.name in _connections:
        yield
        return
    with _lock, contextlib.suppress(RefusedError):  # of which the first job tells
        _open(server, make_environment({}))
    try:
        yield
    finally:
        with _lock:
            connection = _connections.pop(server.name, None)
            if connection is not None:
                connection.leave()


def find_shared_bytes(server: ForkServer | None) -> int:
    """Memory that a fork of the server finds taken, and shares with it; in a fork what this has found itself."""
    if server is None:
        return 0
    if server == origin:
        return inherited_bytes
    import psutil

    from lctrain.system.memory import anonymous_bytes

    try:
        with _lock:
            return anonymous_bytes(_open(server, make_environment({})).find_pid())
    except (RefusedError, psutil.Error):
        return 0


def _open(server: ForkServer, environment: Mapping[str, str]) -> Connection:
    """The connection to the server, which is started where it is not there.

    Raises:
        RefusedError: it can't be, now or ever.
    """
    if server.name in _failures:
        raise RefusedError(_failures[server.name])
    if server.name not in _connections:
        try:
            _connections[server.name] = connect(server, environment)
        except RefusedError as refused:
            _failures[server.name] = str(refused)
            raise
    return _connections[server.name]


def _ask(server: ForkServer, folder: Path, log: IO[bytes], environment: Mapping[str, str]) -> ForkedProcess | None:
    """The process; None where the server has died, so that another may be asked.

    Raises:
        RefusedError: the server forks no such process.
    """
    connection = _open(server, environment)
    here, there = socket.socketpair()
    try:
        with there, contextlib.suppress(OSError):
            socket.send_fds(connection.control, [os.fsencode(folder)], [there.fileno(), log.fileno()])
        answer = receive(here, fork_connection.ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        connection.has_hung = True
        answer = b""
    except BaseException:  # an interrupt; a process that was forked meanwhile ends with the connection
        here.close()
        raise
    if not answer:
        here.close()
        _note_death(server.name)
        return None
    connection.has_answered = True
    (pid,) = NUMBER.unpack(answer)
    if pid:
        return ForkedProcess(pid, here)
    with here, here.makefile() as text:
        raise RefusedError(text.read())


def _note_death(name: str) -> None:
    connection = _connections.pop(name)
    code = connection.end()
    if connection.has_hung:
        _failures[name] = f"its server has not answered for {fork_connection.ANSWER_SECONDS:g} s"
    elif code is not None and not connection.has_answered:
        _num_killed[name] += code < 0
        if code >= 0 or _num_killed[name] == TRIES:
            how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
            _failures[name] = f"its server could not be loaded ({how})"
    if name in _failures:
        log = connection.read_log()
        _failures[name] += f":{log}" if log else ""
    connection.leave()
