"""The layers under Keras' other backends, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("backend", [pytest.param("jax", marks=pytest.mark.slow), "torch"])
def test_layers_compute_learn_and_refuse_under_another_backend(backend, tmp_path):
    pytest.importorskip(backend)
    paths = os.pathsep.join([str(FOLDER), str(FOLDER.parent)])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths}
    command = [sys.executable, str(FOLDER / "backends.py"), str(tmp_path)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.endswith(f"{backend} ok\n")
