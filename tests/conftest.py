"""What several test files share."""

import os
import shutil
import signal
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import pytest
import warm_start
from forked_files import FileRunner

from lctrain.devices.runtime import find_started
from lctrain.system.fork_client import keep
from lctrain.system.fork_connection import ForkServer
from lctrain.system.subprocesses import run_in_process

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # so that what tests start can be interrupted


WARM_SERVER = ForkServer(f"lctrain-tests-{os.getpid()}", warm_start.load, find_started)


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(FileRunner(config, WARM_SERVER))


@pytest.fixture(scope="session")
def warm_server():
    """What forks the command lines of a session, and what these start."""
    with keep(WARM_SERVER):
        yield WARM_SERVER


@pytest.fixture(scope="session")
def run_lctrain(warm_server, tmp_path_factory):
    """Runs `python -m lctrain ARGUMENTS` in a folder; returns the finished process with its text.

    It is a fork of the warm server, or where the environment asks for it, a new process.
    """

    def run(folder, *arguments, timeout=240, environment=None):
        outputs = [tmp_path_factory.mktemp("run") / name for name in ("stdout", "stderr")]
        command = ["python", "-m", "lctrain", *map(str, arguments)]
        request = warm_start.run, folder, command[3:], *outputs
        outcome = run_in_process(*request, timeout=timeout, environment=environment, server=warm_server, grace=1)
        if outcome.status == "timed_out":
            raise subprocess.TimeoutExpired(command, timeout)
        if outcome.status == "raised":  # what a real command line would end with
            raise outcome.error or RuntimeError(outcome.reason)
        return subprocess.CompletedProcess(command, outcome.exit_code, *(path.read_text() for path in outputs))

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
