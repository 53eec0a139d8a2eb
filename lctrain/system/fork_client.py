"""Asks a server (fork_server.py) for processes: forks of one that has loaded what jobs need.

Python's own forkserver gives a child no log, session and environment, can't refuse to fork, and takes a child for dead
where only the server has died; so this is a small one that does. Whoever comes first starts the server, under a name
that the kernel forgets together with it: nothing is left behind, whoever is killed.
"""

import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

IS_SUPPORTED = sys.platform == "linux"  # elsewhere libraries that were loaded before a fork may fail after it
NUMBER = struct.Struct("!i")  # what a server answers: a process's id, or 0 and why there is none; later its exit code
CREDENTIALS = struct.Struct("3i")  # a peer's process, user and group
POLL_SECONDS = 0.5  # an interrupt of Ray's wakes no wait
ANSWER_SECONDS = 300.0  # in which a server must have loaded; one that hangs is ended, and says where it hung
END_SECONDS = 5.0  # in which a server that nobody has open is gone
CONNECT_SECONDS = 10.0  # in which a name is taken or given back
RUN_MODULE = ("-P", "-m")  # with the search path that it is given, and no other folder in front
LAST_LINES = 30  # of a server's output
CONTEXT = "context"  # the file in a request's folder with what the server itself must know of it


class RefusedError(Exception):
    """There is no server, or it forks no such process, for the reason that the text gives."""


@dataclass(frozen=True)
class ForkServer:
    """A server that processes of one user on this machine share.

    Args:
        name: by which they find it.
        load: called first; it loads what jobs need, and runs nothing of it. Importable by its name.
        find_refusal: called before each fork: why a child would be no fresh start, or an empty text. Importable too.
    """

    name: str
    load: Callable[[], object]
    find_refusal: Callable[[], str]


class ForkedProcess:
    """A process that a server has forked, to be used as `subprocess.Popen` is.

    Its connection ends with this process, by which it learns that nobody waits for it any more.
    """

    def __init__(self, pid: int, connection: socket.socket):
        self.pid = pid
        self.returncode: int | None = None  # for ever, where the server has died before it
        self._connection = connection
        self._is_over = False

    def wait(self, timeout: float = threading.TIMEOUT_MAX) -> int | None:
        """Waits for the end; returns the exit code, negative for a signal, or None where nobody knows it.

        Raises:
            subprocess.TimeoutExpired: it has not ended after so many seconds.
        """
        if not self._is_over:
            number = _receive(self._connection, timeout)
            self.returncode = NUMBER.unpack(number)[0] if number else None
            self._is_over = True
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


@dataclass
class _Connection:
    """To a server; with the process and its output where this one has started it."""

    control: socket.socket
    process: "subprocess.Popen[bytes] | None" = None
    log: IO[bytes] | None = None
    has_answered: bool = False
    has_hung: bool = False


origin: ForkServer | None = None  # that has forked this process
_connections: dict[str, _Connection] = {}
_failures: dict[str, str] = {}  # why servers could not be loaded, by their names
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
        while server.name not in _failures:
            process = _ask(server, folder, log, environment)
            if process is not None:
                return process
    raise RefusedError(_failures[server.name])


@contextlib.contextmanager
def keep(server: ForkServer | None) -> Iterator[None]:
    """Lets a server load beside what this process does first; ends it with the block, if nobody else has it open."""
    if server is None or not IS_SUPPORTED or server.name in _connections:
        yield
        return
    with _lock, contextlib.suppress(RefusedError):  # of which the first job tells
        _connections[server.name] = _connect(server, make_environment({}))
    try:
        yield
    finally:
        with _lock:
            _disconnect(server.name)


def _ask(server: ForkServer, folder: Path, log: IO[bytes], environment: Mapping[str, str]) -> ForkedProcess | None:
    """The process; None where the server has died, so that another may be asked.

    Raises:
        RefusedError: the server forks no such process.
    """
    if server.name not in _connections:
        _connections[server.name] = _connect(server, environment)
    connection = _connections[server.name]
    here, there = socket.socketpair()
    try:
        with there, contextlib.suppress(OSError):
            socket.send_fds(connection.control, [os.fsencode(folder)], [there.fileno(), log.fileno()])
        answer = _receive(here, ANSWER_SECONDS)
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


def _receive(connection: socket.socket, timeout: float) -> bytes:
    """The next number; nothing where the other side is gone.

    Raises:
        subprocess.TimeoutExpired: nothing has come for so many seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        connection.settimeout(max(min(POLL_SECONDS, deadline - time.monotonic()), 1e-3))
        try:
            return connection.recv(NUMBER.size)
        except ConnectionResetError:
            return b""
        except TimeoutError:
            if time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired("the forked process", timeout) from None
        finally:
            connection.settimeout(None)


def _connect(server: ForkServer, environment: Mapping[str, str]) -> _Connection:
    """To the server; starts it where its name is free.

    Raises:
        RefusedError: the name can't be used.
    """
    address, deadline = f"\0{server.name}", time.monotonic() + CONNECT_SECONDS
    while time.monotonic() < deadline:
        listener, control = (socket.socket(socket.AF_UNIX) for _ in range(2))
        try:
            listener.bind(address)  # which only one can
        except OSError:
            listener.close()
        else:
            listener.listen()
            control.close()
            return _start(server, listener, environment)
        try:
            control.connect(address)
        except OSError:  # it begins to listen, or has just ended
            control.close()
            time.sleep(0.05)
            continue
        credentials = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        if CREDENTIALS.unpack(credentials)[1] == os.getuid():
            return _Connection(control)
        control.close()
        raise RefusedError("another user has taken its server's name")
    raise RefusedError("its server's name is neither free nor answers")


def _start(server: ForkServer, listener: socket.socket, environment: Mapping[str, str]) -> _Connection:
    here, there = socket.socketpair()
    functions = [f"{function.__module__}:{function.__qualname__}" for function in (server.load, server.find_refusal)]
    log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the server
    with listener, there:
        handles = listener.fileno(), there.fileno()
        process = subprocess.Popen(
            [sys.executable, *RUN_MODULE, "lctrain.system.fork_server", server.name, *functions, *map(str, handles)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=handles,
            start_new_session=True,  # so that an interrupt of the terminal's reaches no more than this process
        )
    return _Connection(here, process, log)


def _note_death(name: str) -> None:
    connection = _connections[name]
    process, log = connection.process, connection.log
    if connection.has_hung:
        _failures[name] = f"its server has not answered for {ANSWER_SECONDS:g} s"
        if process is not None:
            process.send_signal(signal.SIGABRT)  # on which it writes down where it hangs
    elif process is not None and not connection.has_answered:
        _failures[name] = "its server could not be loaded"
    if name in _failures and process is not None and log is not None:
        process.wait()
        log.seek(0)
        lines = log.read().decode(errors="replace").splitlines()
        _failures[name] = "\n".join([f"{_failures[name]}:", *lines[-LAST_LINES:]])
    _disconnect(name)


def _disconnect(name: str) -> None:
    """Leaves a server; it ends when the last one has left it."""
    connection = _connections.pop(name, None)
    if connection is None:
        return
    connection.control.close()
    if connection.process is not None:
        if not connection.has_answered:  # it may still load for long, for nobody
            connection.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            connection.process.wait(END_SECONDS)
    if connection.log is not None:
        connection.log.close()
