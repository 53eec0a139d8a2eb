"""How much memory the import of a large model takes, in processes of their own."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

PARENT = """
import sys
import keras
import lctrain.layers
from lctrain import legacy
import lctrain.legacy.loading

def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

keras.layers.Dense(2)(keras.Input((3,)))
baseline = peak()
imported = legacy.import_model(sys.argv[1], sys.argv[2])
print(imported.model.count_params(), peak() - baseline)
"""
CHILD = """
import sys
from pathlib import Path
from lctrain.legacy.parsing import Request, parse

def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

baseline = peak()
parse(Request(sys.argv[1]), Path(sys.argv[2]))
print(peak() - baseline)
"""


def write_model(path, size, channels, filters):
    """A Sequential of locally connected layers as Keras 2.2.4 wrote it; its number of parameters."""
    layers, arrays = [], {}
    for i, number in enumerate(filters):
        name, positions = f"lc{i}", size - 2
        config = {"name": name, "trainable": True, "filters": number, "kernel_size": [3, 3], "strides": [1, 1]}
        config |= {"padding": "valid", "data_format": "channels_last", "activation": "relu", "use_bias": True}
        config |= {"batch_input_shape": [None, size, size, channels]} if i == 0 else {}
        layers.append({"class_name": "LocallyConnected2D", "config": config})
        shapes = (positions**2, 9 * channels, number), (positions, positions, number)
        arrays[name] = dict(zip(("kernel:0", "bias:0"), shapes, strict=True))
        size, channels = positions, number
    with h5py.File(path, "w") as file:
        file.attrs.update({"keras_version": b"2.2.4", "backend": b"tensorflow"})
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": layers}})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in arrays]
        for name, shapes in arrays.items():
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [f"{name}/{key}".encode() for key in shapes]
            for key, shape in shapes.items():
                inner.create_dataset(f"{name}/{key}", data=np.random.default_rng(0).random(shape, np.float32))
    return sum(int(np.prod(shape)) for shapes in arrays.values() for shape in shapes.values())


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("size", "channels", "filters"), [(61, 37, [64]), (66, 16, [24, 24, 24, 24])], ids=["one array", "four layers"]
)
def test_a_model_of_300_mb_takes_less_than_three_times_its_size(size, channels, filters, tmp_path):
    path = tmp_path / "old.h5"
    number = write_model(path, size, channels, filters)
    stored = path.stat().st_size
    assert stored > 250e6
    parameters, parent = map(int, run(PARENT, path, tmp_path / "new")[-2:])
    (tmp_path / "parsed").mkdir()
    (child,) = map(int, run(CHILD, path, tmp_path / "parsed"))
    print(
        f"{stored / 1e6:.0f} MB: {parent / stored:.2f} times its size, the process that reads it {child / stored:.2f}"
    )
    assert parameters == number
    assert parent < 3 * stored
    assert child < 3 * stored
