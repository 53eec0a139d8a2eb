"""What several test files share."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import pytest

READ_LATE = {"PYTEST_CURRENT_TEST", "PWD", "OLDPWD", "COLUMNS", "LINES"}  # by what is started, not by what it loads

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # so that what tests start can be interrupted


class WarmServer:
    """Runs command lines in children of a process that has loaded all that they need (warm_server.py)."""

    def __init__(self, folder):
        self.folder, self.environment = folder, dict(os.environ)
        command = [sys.executable, Path(__file__).with_name("warm_server.py"), folder / "socket"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout.readline() == b"ready\n", (folder / "log").read_text()

    def suits(self):
        """Whether the environment is what it was, but for variables that are read when they are needed."""
        changed = {name for name, _ in self.environment.items() ^ os.environ.items()}
        return changed <= READ_LATE

    def run(self, folder, arguments, timeout):
        with tempfile.TemporaryDirectory(dir=self.folder) as place, socket.socket(socket.AF_UNIX) as connection:
            outputs = {name: f"{place}/{name}" for name in ("stdout", "stderr")}
            for path in outputs.values():
                Path(path).touch()
            connection.settimeout(timeout)
            answers = self.start(connection, folder, arguments, outputs)
            child = int(answers.readline())
            try:
                code = int(answers.readline())
            except TimeoutError:
                os.killpg(child, signal.SIGKILL)
                raise subprocess.TimeoutExpired(arguments, timeout) from None
            texts = {name: Path(path).read_text() for name, path in outputs.items()}
        return subprocess.CompletedProcess(["python", "-m", "lctrain", *arguments], code, **texts)

    def start(self, connection, folder, arguments, outputs, **variables):
        """Gives what answers with the child's process id, and with its exit code once it has ended.

        `outputs` are the files, or terminals, that it opens, `variables` those of the environment that it reads late.
        """
        environment = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
        request = {"folder": str(folder), "arguments": [*map(str, arguments)], "environment": environment}
        connection.connect(str(self.folder / "socket"))
        connection.sendall(json.dumps(request | outputs).encode() + b"\n")
        return connection.makefile()

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def warm_server(tmp_path_factory):
    """Gives the one warm server of the session, which is started when it is first asked for."""
    started = []

    def give():
        if not started:
            started.append(WarmServer(tmp_path_factory.mktemp("warm")))
        return started[0]

    yield give
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def run_lctrain(warm_server):
    """Runs `python -m lctrain ARGUMENTS` in a folder; returns the finished process with its text.

    It is a child of the warm server, or where the environment asks for it, a new process.
    """

    def run(folder, *arguments, timeout=240):
        if hasattr(os, "fork") and warm_server().suits():
            return warm_server().run(folder, arguments, timeout)
        command = [sys.executable, "-m", "lctrain", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)

    return run


@pytest.fixture
def mount_small_disk(tmp_path):
    """Makes a file system with room for so much ("64k"); its folder."""
    folder = tmp_path / "small"

    def mount(size):
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a small file system takes mount, and the right to use it")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(autouse=True, scope="module")
def leave_tensorflow_as_found():
    """Lets no module leave TensorFlow deterministic to the next one of its process."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()


@pytest.fixture(autouse=True)
def keep_captured_output_open():
    """Lets absl, which TensorFlow logs by, write to the process's own standard error.

    Hydra closes all log handlers that it finds, and absl's closes its stream with it, unless that is `sys.stderr` of
    then: what pytest captures by, where a test has another one.
    """
    if "absl.logging" in sys.modules:
        from absl.logging import get_absl_handler

        get_absl_handler().python_handler.setStream(sys.__stderr__)


@pytest.fixture(scope="session")
def run_python():
    """Runs a piece of Python in a new process; fails with its error output if it fails."""

    def run(code, folder=None, timeout=240):
        command = [sys.executable, "-c", code]
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


def make_graph(**changes):
    """A valid configuration of a graph: two inputs, a shared layer, a wrapper, merges, two outputs, short forms."""
    local = {"type": "layer_locally_connected_1d", "filters": 3, "kernel_size": 2, "padding": "same"}
    frame = {"type": "LocallyConnected1D", "filters": 2, "kernel_size": 3, "implementation": 3}
    model = {
        "name": "graph",
        "inputs": {"left": [11, 3], "frames": [5, 7, 2]},
        "layers": {
            "local": {**local, "inputs": "left", "kernel_regularizer": {"l2": 1e-4}},
            "again": {"shares": "local"},
            "sum": {"type": "Add", "inputs": ["local", "again"]},
            "steps": {"type": "TimeDistributed", "layer": frame, "inputs": "frames"},
            "flat": "Flatten",
            "pooled": {"type": "GlobalMaxPool1D", "inputs": "sum"},
            "both": {"type": "Concatenate", "inputs": ["flat", "pooled"]},
            "head": {"type": "Dense", "units": 4, "activation": "softmax"},
            "drop": {"type": "Dropout", "rate": 0.1, "after": "flat"},
        },
        "outputs": ["head", "sum"],
    }
    return make_config(model=model, **changes)


def make_config(**changes):
    """A small, valid configuration as plain mappings; `changes` replace whole top-level keys."""
    config = {
        "model": {
            "name": "small",
            "layers": {
                "lc1": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": [3, 2], "activation": "relu"},
                "flatten": {"type": "Flatten"},
                "head": {"type": "Dense", "units": 4, "activation": "softmax"},
            },
        },
        "data": {
            "name": "synthetic",
            "input_shape": [5, 7, 2],
            "num_classes": 4,
            "num_examples": 120,
            "validation_fraction": 0.2,
            "test_fraction": 0.2,
            "split_seed": 0,
        },
        "optimizer": {"type": "Adam", "learning_rate": 0.01},
        "training": {"name": "test", "epochs": 2, "batch_size": 16, "progress": "none"},
        "device": {"name": "cpu"},
        "tracking": {"name": "local", "folder": ".", "experiment": "test"},
        "implementation": "auto",
        "data_format": "channels_last",
        "precision": "float32",
        "jit_compile": False,
        "seed": 0,
    }
    return config | changes
