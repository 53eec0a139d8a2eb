"""CIFAR-10 and CIFAR-100."""

import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from lctrain.config.schema import DownloadedConfig
from lctrain.data.downloaded import Arrays, load_downloaded, refuse_damaged
from lctrain.data.pickles import load_arrays_only
from lctrain.data.splits import Loaded


@dataclass(frozen=True)
class CifarFiles:
    """How one of the two is published.

    Args:
        archive: the file that is downloaded.
        folder: of the files in it; Keras unpacks it into a folder of this name with `-target` behind it.
        splits: by split, the files.
        label_key: what the labels are called in them.
    """

    archive: str
    folder: str
    splits: Mapping[str, Sequence[str]]
    label_key: bytes


CIFAR10 = CifarFiles(
    archive="cifar-10-python.tar.gz",
    folder="cifar-10-batches-py",
    splits={"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]},
    label_key=b"labels",
)
CIFAR100 = CifarFiles(
    archive="cifar-100-python.tar.gz",
    folder="cifar-100-python",
    splits={"train": ["train"], "test": ["test"]},
    label_key=b"fine_labels",
)


def load_cifar10(data: DownloadedConfig) -> Loaded:
    """In ten classes."""
    return _load(data, CIFAR10)


def load_cifar100(data: DownloadedConfig) -> Loaded:
    """In a hundred classes."""
    return _load(data, CIFAR100)


def _load(data: DownloadedConfig, files: CifarFiles) -> Loaded:
    return load_downloaded(data, partial(_read, files), f"{files.archive}, or the folder {files.folder} from it")


def _read(files: CifarFiles, folder: Path) -> Arrays | None:
    """The batches as files, or inside of the archive."""
    unpacked = f"{files.folder}-target"
    for place in (folder / unpacked / files.folder, folder / files.folder, folder):
        if all((place / name).is_file() for names in files.splits.values() for name in names):
            return _read_batches(files, place, partial(_open, place))
    for path in (folder / files.archive, folder / f"{unpacked}_archive"):
        if path.is_file():
            with refuse_damaged(path), tarfile.open(path) as archive:
                members = {Path(info.name).name: info for info in archive.getmembers() if info.isfile()}
                return _read_batches(files, path, partial(_open_member, archive, members))
    return None


def _open(folder: Path, name: str) -> IO[bytes]:
    return (folder / name).open("rb")


def _open_member(archive: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], name: str) -> IO[bytes]:
    opened = archive.extractfile(members[name])
    if opened is None:
        raise ValueError(f"{name} is no plain file")
    return opened


def _read_batches(files: CifarFiles, path: Path, open_batch: Callable[[str], IO[bytes]]) -> Arrays:
    arrays = {}
    for part, names in files.splits.items():
        images, labels = [], []
        for name in names:
            with refuse_damaged(path / name), open_batch(name) as file:
                batch = load_arrays_only(file)
                images.append(np.asarray(batch[b"data"]).reshape(-1, 3, 32, 32))
                labels.append(np.asarray(batch[files.label_key]))
        channels_last = np.ascontiguousarray(np.concatenate(images).transpose(0, 2, 3, 1))
        arrays[part] = (channels_last, np.concatenate(labels))
    return arrays
