"""Small files in the formats that data sets of one's own, and downloaded ones, are read from."""

import csv
import gzip
import pickle
import struct
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field, TypeAdapter

from lctrain.config.schema import AnyData

SHADES = {"cat": 40, "dog": 200, "eel": 120}  # by class, of its images


def read_data(data):
    """The group `data` of a configuration, validated without the rest."""
    return TypeAdapter(Annotated[AnyData, Field(discriminator="name")]).validate_python(data)


def make_arrays(folder, **arrays):
    """A .npz of 90 arrays of 5x7x2 in three classes, whose values tell the class; `arrays` replace or add some."""
    generator = np.random.default_rng(1)
    labels = np.arange(90) % 3
    inputs = generator.standard_normal((90, 5, 7, 2)) + labels[:, None, None, None]
    path = folder / "my.npz"
    np.savez(path, **({"x": inputs.astype(np.float32), "y": labels} | arrays))
    return path


def make_table(path, columns=None, num_rows=80):
    """A table whose cells tell their row and column; `columns` replace or add some."""
    rows = np.arange(num_rows)
    made = {"height": rows + 0.5, "width": -rows, "kind": [("oak", "elm", "ash")[row % 3] for row in rows]}
    made |= {} if columns is None else columns
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if ".tsv" in path.name else ",")
        writer.writerow(made)
        writer.writerows(zip(*made.values(), strict=True))
    return path


def make_images(folder, num_images=12, classes=SHADES, suffix=".png", size=(9, 6)):
    """A folder of images, 9 wide and 6 high, for each class, each of one shade."""
    for name, shade in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(num_images):
            Image.new("RGB", size, (shade, number, 255 - shade)).save(folder / name / f"{number:03}{suffix}")
    return folder


def make_downloads(folder, num_train=100, num_test=10):
    """Small copies of mnist, fashion_mnist, cifar10 and cifar100, as Keras lays them out; returns their images."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(2)
    numbers = {"train": num_train, "test": num_test}
    small = {part: generator.integers(0, 256, (count, 28, 28), np.uint8) for part, count in numbers.items()}
    ten = {part: (np.arange(count) % 10).astype(np.uint8) for part, count in numbers.items()}
    np.savez(folder / "mnist.npz", **{f"x_{p}": small[p] for p in numbers}, **{f"y_{p}": ten[p] for p in numbers})
    (folder / "fashion-mnist").mkdir()
    for part, prefix in (("train", "train"), ("test", "t10k")):
        write_idx(folder / "fashion-mnist" / f"{prefix}-images-idx3-ubyte.gz", small[part])
        write_idx(folder / "fashion-mnist" / f"{prefix}-labels-idx1-ubyte.gz", ten[part])
    batches = folder / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    pixels = {name: generator.integers(0, 256, (20, 3072), np.uint8) for name in (*CIFAR10, "test_batch")}
    for name, data in pixels.items():
        write_pickle(batches / name, {b"data": data, b"labels": [number % 10 for number in range(20)]})
    hundred = folder / "cifar-100-python-target" / "cifar-100-python"
    for name, count in (("train", 800), ("test", 100)):
        labels = [number % 100 for number in range(count)]
        data = generator.integers(0, 256, (count, 3072), np.uint8)
        write_pickle(hundred / name, {b"data": data, b"fine_labels": labels, b"coarse_labels": [0] * count})
    return small, pixels


CIFAR10 = tuple(f"data_batch_{number}" for number in range(1, 6))


def write_idx(path, array):
    header = struct.pack(f">HBB{array.ndim}i", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def write_pickle(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
