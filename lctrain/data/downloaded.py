"""Data sets that Keras downloads, read from the files as they are published."""

import gzip
import importlib
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from lctrain.config.schema import DownloadedConfig
from lctrain.data.checks import as_labels, refuse
from lctrain.data.npy import open_npz
from lctrain.data.pickles import RefusedError, load_arrays_only
from lctrain.data.splits import Loaded, Split
from lctrain.errors import ConfigError, Problem

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]  # by part, images and labels
IDX_FILES = {  # of Fashion-MNIST, by part
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
BATCHES = {  # of CIFAR: the folder of its files, by part these, and what its labels are called in them
    "cifar10": (
        "cifar-10-batches-py",
        {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]},
        b"labels",
    ),
    "cifar100": ("cifar-100-python", {"train": ["train"], "test": ["test"]}, b"fine_labels"),
}
KERAS_FOLDERS = {"cifar10": "cifar-10-batches-py-target", "cifar100": "cifar-100-python-target"}
ARCHIVES = {"cifar10": "cifar-10-python.tar.gz", "cifar100": "cifar-100-python.tar.gz"}
DAMAGED = (OSError, EOFError, ValueError, KeyError, zlib.error, tarfile.TarError, RefusedError)


def load_downloaded(data: DownloadedConfig) -> Loaded:
    """Images, uint8, and their classes, in the two parts that are published.

    Raises:
        ConfigError: the files are not there and can't be downloaded, or are damaged.
    """
    arrays = _find(data, _folders(data))
    if arrays is None:
        if data.folder is not None:
            _refuse_missing(data, "")
        _download(data)
        arrays = _find(data, _folders(data))
    if arrays is None:
        _refuse_missing(data, " It was downloaded, but not to there.")
    return Loaded(arrays)


def _folders(data: DownloadedConfig) -> list[Path]:
    """Where to look: Keras takes the temporary folder where it must not write into the home folder."""
    if data.folder is not None:
        return [Path(data.folder).expanduser()]
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return [home / "datasets", Path(tempfile.gettempdir(), ".keras", "datasets")]


def _find(data: DownloadedConfig, folders: list[Path]) -> dict[str, Split] | None:
    """The parts, from the first folder that has them."""
    for folder in folders:
        arrays = _READERS[data.name](data, folder)
        if arrays is not None:
            return {part: _check(data, folder, *pair) for part, pair in arrays.items()}
    return None


def _check(data: DownloadedConfig, folder: Path, images: np.ndarray, labels: np.ndarray) -> Split:
    shape = tuple(data.input_shape)
    if prod(images.shape[1:]) != prod(shape) or images.dtype != np.uint8 or len(images) != len(labels):
        expected = f"must be uint8 images of {shape}, and a label for each"
        got = f"{images.dtype} of {images.shape} and {len(labels)} labels"
        refuse("data.folder", folder, f"`{data.name}` {expected}; got {got}.")
    return Split(images.reshape(len(images), *shape), as_labels(labels, data, folder, "labels", "data.folder"))


def _download(data: DownloadedConfig) -> None:
    """Lets Keras fill its cache folder."""
    try:
        importlib.import_module(f"keras.datasets.{data.name}").load_data()
    except Exception as error:  # Keras raises what it likes
        reason = str(error).strip().splitlines()
        _refuse_missing(data, f" The download failed: {reason[0] if reason else type(error).__name__}")


def _refuse_missing(data: DownloadedConfig, why: str) -> NoReturn:
    folder = _folders(data)[0]
    files = {
        "mnist": "mnist.npz",
        "fashion_mnist": ", ".join(f"fashion-mnist/{name}" for names in IDX_FILES.values() for name in names),
        **{name: f"{archive}, or the folder {BATCHES[name][0]} from it" for name, archive in ARCHIVES.items()},
    }
    message = f"{str(folder)!r} must hold {files[data.name]} for `{data.name}`.{why}"
    fix = "Without internet, download it elsewhere and put it there, or name its folder: data.folder=FOLDER."
    raise ConfigError([Problem("data.folder", f"{message} {fix}")]) from None


def _read_mnist(data: DownloadedConfig, folder: Path) -> Arrays | None:
    path = folder / "mnist.npz"
    if not path.exists():
        return None
    with _undamaged(path):
        stored = open_npz(path)
        return {part: (stored[f"x_{part}"].read(), stored[f"y_{part}"].read()) for part in ("train", "test")}


def _read_fashion_mnist(data: DownloadedConfig, folder: Path) -> Arrays | None:
    for place in (folder / "fashion-mnist", folder):
        if all((place / name).exists() for names in IDX_FILES.values() for name in names):
            return {part: (_read_idx(place / x, 3), _read_idx(place / y, 1)) for part, (x, y) in IDX_FILES.items()}
    return None


def _read_idx(path: Path, rank: int) -> np.ndarray:
    """A file in MNIST's own format: two zeros, 8 for uint8, the rank, big-endian sizes, then the bytes."""
    with _undamaged(path):
        with gzip.open(path) as file:
            content = file.read()
        if content[:4] != bytes([0, 0, 8, rank]):
            raise ValueError(f"it begins with {content[:4]!r}")
        shape = np.frombuffer(content, ">i4", rank, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _read_cifar(data: DownloadedConfig, folder: Path) -> Arrays | None:
    """The batches as files, or inside of the archive."""
    inner, _, _ = BATCHES[data.name]
    outer = KERAS_FOLDERS[data.name]
    for place in (folder / outer / inner, folder / inner, folder):
        names = [name for names in BATCHES[data.name][1].values() for name in names]
        if all((place / name).is_file() for name in names):
            return _read_batches(data, place, lambda name, place=place: (place / name).open("rb"))
    for path in (folder / ARCHIVES[data.name], folder / f"{outer}_archive"):
        if path.is_file():
            with _undamaged(path), tarfile.open(path) as archive:
                members = {Path(info.name).name: info for info in archive.getmembers() if info.isfile()}
                return _read_batches(data, path, partial(_open_member, archive, members))
    return None


def _open_member(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str) -> BinaryIO:
    return archive.extractfile(members[name])


def _read_batches(data: DownloadedConfig, path: Path, open_batch: Callable[[str], BinaryIO]) -> Arrays:
    _, parts, label_key = BATCHES[data.name]
    arrays = {}
    for part, names in parts.items():
        images, labels = [], []
        for name in names:
            with _undamaged(path / name), open_batch(name) as file:
                batch = load_arrays_only(file)
                images.append(np.asarray(batch[b"data"]).reshape(-1, 3, 32, 32))
                labels.append(np.asarray(batch[label_key]))
        channels_last = np.ascontiguousarray(np.concatenate(images).transpose(0, 2, 3, 1))
        arrays[part] = (channels_last, np.concatenate(labels))
    return arrays


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(replace(problem, path="data.folder") for problem in error.problems) from None
    except DAMAGED as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        refuse("data.folder", path, f"can't be read: {reason}. Remove it, and it is downloaded anew.")


_READERS = {
    "mnist": _read_mnist,
    "fashion_mnist": _read_fashion_mnist,
    "cifar10": _read_cifar,
    "cifar100": _read_cifar,
}
