"""MNIST and Fashion-MNIST."""

import gzip
from pathlib import Path

import numpy as np

from lctrain.config.schema import DownloadedConfig
from lctrain.data.downloaded import Arrays, load_downloaded, refuse_damaged
from lctrain.data.npy import open_npz
from lctrain.data.splits import Loaded

# By split, images and labels of Fashion-MNIST.
IDX_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


def load_mnist(data: DownloadedConfig) -> Loaded:
    """From the .npz that Keras publishes."""
    return load_downloaded(data, _read_npz, "mnist.npz")


def load_fashion_mnist(data: DownloadedConfig) -> Loaded:
    """From four files in MNIST's own format."""
    files = ", ".join(f"fashion-mnist/{name}" for names in IDX_FILES.values() for name in names)
    return load_downloaded(data, _read_idx_files, files)


def _read_npz(folder: Path) -> Arrays | None:
    path = folder / "mnist.npz"
    if not path.exists():
        return None
    with refuse_damaged(path):
        stored = open_npz(path)
        return {part: (stored[f"x_{part}"].read(), stored[f"y_{part}"].read()) for part in ("train", "test")}


def _read_idx_files(folder: Path) -> Arrays | None:
    for place in (folder / "fashion-mnist", folder):
        if all((place / name).exists() for names in IDX_FILES.values() for name in names):
            return {part: (_read_idx(place / x, 3), _read_idx(place / y, 1)) for part, (x, y) in IDX_FILES.items()}
    return None


def _read_idx(path: Path, rank: int) -> np.ndarray:
    """A file in MNIST's own format: two zeros, 8 for uint8, the rank, big-endian sizes, then the bytes."""
    with refuse_damaged(path):
        with gzip.open(path) as file:
            content = file.read()
        if content[:4] != bytes([0, 0, 8, rank]):
            raise ValueError(f"it begins with {content[:4]!r}")
        shape = np.frombuffer(content, ">i4", rank, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
