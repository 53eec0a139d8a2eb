"""Data sets that Keras downloads, read from the files as they are published."""

import importlib
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import NoReturn

import numpy as np

from lctrain.config.schema import DownloadedConfig
from lctrain.data.checks import as_labels, refuse
from lctrain.data.pickles import RefusedError
from lctrain.data.splits import Loaded, Split
from lctrain.errors import ConfigError, Problem
from lctrain.system.files import find_shared_temporary_folder

DAMAGED = (OSError, EOFError, ValueError, KeyError, zlib.error, tarfile.TarError, RefusedError)

# By split, images and labels.
Arrays = dict[str, tuple[np.ndarray, np.ndarray]]


def load_downloaded(data: DownloadedConfig, read: Callable[[Path], Arrays | None], files: str) -> Loaded:
    """Images, uint8, and their classes, in the two splits that are published.

    Args:
        data: validated.
        read: reads the files in a folder; None where they are not there.
        files: what these are, for an error.

    Raises:
        ConfigError: the files are not there and can't be downloaded, or are damaged.
    """
    loaded = _find(data, read)
    if loaded is None:
        if data.folder is not None:
            _refuse_missing(data, files, "")
        _download(data, files)
        loaded = _find(data, read)
    if loaded is None:
        _refuse_missing(data, files, " It was downloaded, but not to there.")
    return Loaded(loaded)


@contextmanager
def refuse_damaged(path: Path) -> Iterator[None]:
    """Refuses a file that can't be read as what it is published as."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(problem._replace(path="data.folder") for problem in error.problems) from None
    except DAMAGED as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        refuse("data.folder", path, f"can't be read: {reason}. Remove it, and it is downloaded anew.")


def _list_folders(data: DownloadedConfig) -> list[Path]:
    """Where the files may lie. Keras takes the temporary folder where it must not write into the home folder."""
    if data.folder is not None:
        return [Path(data.folder).expanduser()]
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return [home / "datasets", find_shared_temporary_folder() / ".keras" / "datasets"]


def _find(data: DownloadedConfig, read: Callable[[Path], Arrays | None]) -> dict[str, Split] | None:
    """The splits, from the first folder that has them."""
    for folder in _list_folders(data):
        arrays = read(folder)
        if arrays is not None:
            return {part: _convert(data, folder, *pair) for part, pair in arrays.items()}
    return None


def _convert(data: DownloadedConfig, folder: Path, images: np.ndarray, labels: np.ndarray) -> Split:
    shape = tuple(data.input_shape)
    if prod(images.shape[1:]) != prod(shape) or images.dtype != np.uint8 or len(images) != len(labels):
        expected = f"must be uint8 images of {shape}, and a label for each"
        got = f"{images.dtype} of {images.shape} and {len(labels)} labels"
        refuse("data.folder", folder, f"`{data.name}` {expected}; got {got}.")
    return Split(images.reshape(len(images), *shape), as_labels(labels, data, folder, "labels", "data.folder"))


def _download(data: DownloadedConfig, files: str) -> None:
    """Lets Keras fill its cache folder."""
    try:
        importlib.import_module(f"keras.datasets.{data.name}").load_data()
    except Exception as error:
        # Keras documents no kinds of errors here.
        reason = str(error).strip().splitlines()
        _refuse_missing(data, files, f" The download failed: {reason[0] if reason else type(error).__name__}")


def _refuse_missing(data: DownloadedConfig, files: str, why: str) -> NoReturn:
    message = f"{str(_list_folders(data)[0])!r} must hold {files} for `{data.name}`.{why}"
    fix = "Without internet, download it elsewhere and put it there, or name its folder: data.folder=FOLDER."
    raise ConfigError([Problem("data.folder", f"{message} {fix}")]) from None
