"""Loads what jobs need, and forks itself for each of them: `python -m lctrain.system.fork_server`.

What is forked is as good as a new process: one thread of Python's runs here and none of a library that does not care
for forks itself, so that no lock is held; of the environment nothing differs that libraries read when they are loaded.
Where that is not so, the process is refused.
"""

import atexit
import contextlib
import faulthandler
import gc
import math
import os
import pickle
import select
import shutil
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import NoReturn

from lctrain.system import child, fork_client, memory
from lctrain.system.fork_client import CONTEXT
from lctrain.system.fork_connection import CREDENTIALS, NUMBER, ForkServer
from lctrain.system.loading import claim_process
from lctrain.system.signals import leave, leave_at_once

READ_LATE = {  # variables that are not read before a child has them
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"),  # but where the first device is used
    *("COLUMNS", "LINES", "HYDRA_FULL_ERROR", "PYTEST_CURRENT_TEST", "RAY_JOB_ID"),
}
FORK_SAFE_THREADS = {"jemalloc_bg_thd"}  # which its library stops and starts around a fork
THREADS = Path("/proc/self/task")
MESSAGE_BYTES = 4096  # of the path of a request's folder
OOM_SCORE = Path("/proc/self/oom_score_adj")
MOST_OOM_SCORE = 1000  # thousandths of the memory there is


class Server:
    """The process that forks.

    Args:
        described: what it loads and checks.
        listener: to which further processes connect.
        control: the connection to the one that has started it.
        environment: that it was born with.
    """

    def __init__(
        self, described: ForkServer, listener: socket.socket, control: socket.socket, environment: Mapping[str, str]
    ):
        self._described, self._listener, self._environment = described, listener, environment
        self._controls = {control}
        self._jobs: dict[int, socket.socket] = {}
        self._more_oom_score = 0
        self._woken, self._waker = socket.socketpair()

    def run(self) -> None:
        """Forks until nobody has the server open any more; what it has forked goes on."""
        self._more_oom_score = find_more_oom_score()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        while self._controls:
            ready, _, _ = select.select([self._listener, self._woken, *self._controls], [], [])
            if self._woken in ready:
                self._woken.recv(MESSAGE_BYTES)
                self._report_ended()
            if self._listener in ready:
                self._accept()
            for control in self._controls.intersection(ready):
                self._answer(control)

    def _accept(self) -> None:
        control, _ = self._listener.accept()
        credentials = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        if CREDENTIALS.unpack(credentials)[1] != os.getuid():
            control.close()
            return
        with contextlib.suppress(OSError):  # who is gone already is read as such
            control.sendall(NUMBER.pack(os.getpid()))
        self._controls.add(control)

    def _report_ended(self) -> None:
        while self._jobs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._jobs.pop(pid) as connection, contextlib.suppress(OSError):  # nobody waits for it any more
                connection.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))

    def _answer(self, control: socket.socket) -> None:
        try:
            folder, handles, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 2, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            folder = b""
        if not folder:
            self._controls.remove(control)
            control.close()
            return
        connection, log = socket.socket(fileno=handles[0]), handles[1]
        try:
            working_folder, environment = pickle.loads(Path(os.fsdecode(folder), CONTEXT).read_bytes())
            refusal = self._find_refusal(environment)
            pid = 0 if refusal else os.fork()
        except OSError as error:
            refusal = str(error)
        if not refusal:
            if pid == 0:
                self._become(Path(os.fsdecode(folder)), connection, log, working_folder, environment)
            self._jobs[pid] = connection
        os.close(log)
        with contextlib.suppress(OSError):  # nobody waits for it any more
            connection.sendall(NUMBER.pack(0) + refusal.encode() if refusal else NUMBER.pack(pid))
        if refusal:
            connection.close()

    def _find_refusal(self, environment: Mapping[str, str]) -> str:
        """Why a fork would not be as good as a new process; empty where it is."""
        names = {name for name, value in environment.items() ^ self._environment.items()}
        # What libraries have set while they were loaded they find set as they would set it.
        changed = {name for name in names - READ_LATE if environment.get(name) != os.environ.get(name)}
        if changed:
            return f"the environment differs from its server's in {', '.join(sorted(changed))}"
        threads = find_threads()
        if threads:
            return f"its server has the threads {', '.join(threads)}"
        return self._described.find_refusal()

    def _become(
        self,
        folder: Path,
        connection: socket.socket,
        log: int,
        working_folder: str,
        environment: Mapping[str, str],
    ) -> NoReturn:
        """What a request asks for, as all that this process does from now on."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (self._listener, self._woken, self._waker, *self._controls, *self._jobs.values()):
                other.close()
            os.setsid()
            for source, target in ((connection.fileno(), 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            connection.close()
            os.close(log)
            os.chdir(working_folder)
            _take_over(environment)
            with contextlib.suppress(OSError):  # where it may not be written, the kernel may choose the server
                OOM_SCORE.write_text(str(min(int(OOM_SCORE.read_text()) + self._more_oom_score, MOST_OOM_SCORE)))
            fork_client.origin, fork_client.inherited_bytes = self._described, memory.anonymous_bytes(os.getpid())
            atexit.unregister(shutil.rmtree)  # of folders that are the server's
            child.serve(folder)
            leave(0)
        except SystemExit as error:
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
            leave(error.code if isinstance(error.code, int) else int(error.code is not None))
        except BaseException:
            traceback.print_exc()
            leave_at_once(1)


def _take_over(environment: Mapping[str, str]) -> None:
    """Gives a fork what a new process has of its own: variables that are read late, and random states."""
    for name in READ_LATE:
        if name in environment:
            os.environ[name] = environment[name]
        else:
            os.environ.pop(name, None)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()  # Python's own does so by itself


def find_more_oom_score() -> int:
    """By how much a job must count as larger than it is when the kernel looks for what to kill.

    It has not the pages of files that its server has. To kill the server would free nothing that jobs still share.
    """
    return math.ceil(MOST_OOM_SCORE * memory.file_bytes() / memory.find_total()) + 1


def find_threads() -> list[str]:
    """The names of threads that a fork of this process would lack, and whose locks it might find held."""
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    names = {(task / "comm").read_text().strip() for task in THREADS.iterdir() if task.name != str(os.getpid())}
    return sorted({*others, *names - FORK_SAFE_THREADS})


def main() -> None:
    faulthandler.enable()
    name, load, find_refusal, *handles = sys.argv[1:]
    listener, control = (socket.socket(fileno=int(handle)) for handle in handles)
    environment = dict(os.environ)
    described = ForkServer(name, resolve_name(load), resolve_name(find_refusal))
    server = Server(described, listener, control, environment)
    claim_process()
    described.load()
    sys.stdout.flush()  # else each child would write it once more
    gc.collect()
    gc.freeze()  # so that collections in children touch, and so copy, nothing of what is loaded
    with contextlib.suppress(OSError):  # where they can't be seen, a job's peak counts what it maps anew
        memory.note_file_pages()
    # OpenBLAS ends its threads before a fork and starts them where they are used again: from here on there are none.
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    server.run()
    leave(0)


if __name__ == "__main__":
    main()
