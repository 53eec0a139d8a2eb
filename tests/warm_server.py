"""A process that has loaded what jobs need, and forks itself for each command line that tests run.

Loading takes most of the time of a short job. Nothing of TensorFlow's is run here, and no thread of Python's lives, so
that a child is as good as a new process. `conftest.run_lctrain` asks for the children; `python warm_server.py SOCKET`
starts this.
"""

import atexit
import contextlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from importlib import import_module

LEFT_OUT = ("lctrain.__main__", "lctrain.legacy.child")  # to import these is to run them
OTHERS = ("mlflow", "mlflow.tracking.client", "matplotlib.figure", "sqlalchemy.dialects.sqlite", "pandas")


def preload():
    """Loads Keras, TensorFlow, MLflow and all of lctrain.

    Raises:
        RuntimeError: a thread was started, which a child would lack.
    """
    import lctrain

    for module in pkgutil.walk_packages(lctrain.__path__, "lctrain."):
        if module.name not in LEFT_OUT:
            import_module(module.name)
    for name in OTHERS:
        import_module(name)
    # Those of OpenBLAS and jemalloc are not among these; they care for forks themselves.
    if threading.active_count() != 1:
        raise RuntimeError(f"after loading live the threads {threading.enumerate()}; one is expected")


def become(request):
    """The command line of a request, as all that this process does from now on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, (place, flags) in enumerate(
        ((os.devnull, os.O_RDONLY), (request["stdout"], os.O_WRONLY), (request["stderr"], os.O_WRONLY))
    ):
        os.dup2(os.open(place, flags), number)
    sys.argv = ["lctrain", *request["arguments"]]
    code = 1
    try:
        runpy.run_module("lctrain", run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve(path):
    """Forks for each connection; answers with the child's process id, and when it has ended with its exit code."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    woken, waker = socket.socketpair()
    for end in (woken, waker):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    print("ready", flush=True)
    connections = {}
    while True:
        ready, _, _ = select.select([listener, woken, sys.stdin], [], [])
        if sys.stdin in ready:
            return  # the one who asks has ended
        if woken in ready:
            woken.recv(4096)
        while connections:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                break
            with connections.pop(child) as connection, contextlib.suppress(OSError):
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        if listener in ready:
            connection, _ = listener.accept()
            request = json.loads(connection.makefile().readline())
            child = os.fork()
            if not child:
                for one in (connection, listener, woken, waker, *connections.values()):
                    one.close()
                become(request)
            connections[child] = connection
            connection.sendall(f"{child}\n".encode())


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file, which a command line does not see
    preload()
    serve(sys.argv[1])
