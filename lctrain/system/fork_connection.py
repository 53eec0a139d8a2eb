"""Finds a server (fork_server.py) by its name, or starts it.

Whoever comes first starts it, under a name that the kernel forgets together with it: nothing is left behind, whoever is
killed.
"""

import contextlib
import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

NUMBER = struct.Struct("!i")  # what a server answers: a process's id, or 0 and why there is none; later its exit code
CREDENTIALS = struct.Struct("3i")  # a peer's process, user and group
POLL_SECONDS = 0.5  # an interrupt of Ray's wakes no wait
ANSWER_SECONDS = 300.0  # in which a server must have loaded; one that hangs is ended, and says where it hung
END_SECONDS = 5.0  # in which a server that nobody has open is gone
CONNECT_SECONDS = 10.0  # in which a name is taken or given back
RUN_MODULE = ("-P", "-m")  # with the search path that it is given, and no other folder in front
LAST_LINES = 30  # of a server's output


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


@dataclass
class Connection:
    """To a server; with the process and its output where this one has started it."""

    control: socket.socket
    process: "subprocess.Popen[bytes] | None" = None
    log: IO[bytes] | None = None
    has_answered: bool = False
    has_hung: bool = False
    pid: int | None = None

    def find_pid(self) -> int:
        """The server's, which tells it to those who have not started it.

        Raises:
            RefusedError: it has died.
        """
        if self.process is not None:
            return self.process.pid
        if self.pid is None:
            try:
                answer = receive(self.control, ANSWER_SECONDS)
            except subprocess.TimeoutExpired:
                answer = b""
            if not answer:
                raise RefusedError("its server does not answer")
            (self.pid,) = NUMBER.unpack(answer)
        return self.pid

    def end(self) -> int | None:
        """Ends a server that this process has started and that is of no use any more; its exit code."""
        if self.process is None:
            return None
        if self.has_hung:
            self.process.send_signal(signal.SIGABRT)  # on which it writes down where it hangs
        try:
            return self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def read_log(self) -> str:
        """The last lines that the server has written, each behind a line break; empty where it is another's."""
        if self.log is None:
            return ""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").splitlines()
        return "".join(f"\n{line}" for line in lines[-LAST_LINES:])

    def leave(self) -> None:
        """Leaves the server; it ends when the last one has left it."""
        self.control.close()
        if self.process is not None:
            if not self.has_answered:  # it may still load for long, for nobody
                self.process.kill()
            self.end()
        if self.log is not None:
            self.log.close()


def receive(connection: socket.socket, timeout: float) -> bytes:
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


def connect(server: ForkServer, environment: Mapping[str, str]) -> Connection:
    """To the server; starts it where its name is free.

    Raises:
        RefusedError: the name can't be used.
    """
    address, deadline = f"\0{server.name}", time.monotonic() + CONNECT_SECONDS
    while time.monotonic() < deadline:
        listener, control = (socket.socket(socket.AF_UNIX) for _ in range(2))
        try:
            listener.bind(address)  # which only one can
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                control.close()
                raise RefusedError(f"its server can't have a name ({error.strerror})") from error
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
            return Connection(control)
        control.close()
        raise RefusedError("another user has taken its server's name")
    raise RefusedError("its server's name is neither free nor answers")


def _start(server: ForkServer, listener: socket.socket, environment: Mapping[str, str]) -> Connection:
    """Starts the server, with the name that has been taken for it.

    Raises:
        RefusedError: there is no room for one more process, or file.
    """
    here, there = socket.socketpair()
    functions = [f"{function.__module__}:{function.__qualname__}" for function in (server.load, server.find_refusal)]
    handles = listener.fileno(), there.fileno()
    command = [sys.executable, *RUN_MODULE, "lctrain.system.fork_server", server.name, *functions, *map(str, handles)]
    with listener, there, contextlib.ExitStack() as opened:
        opened.enter_context(here)
        try:
            log = opened.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=handles,
                start_new_session=True,  # so that an interrupt of the terminal's reaches no more than this process
            )
        except OSError as error:
            raise RefusedError(f"its server can't be started ({error.strerror})") from error
        opened.pop_all()
    return Connection(here, process, log)
