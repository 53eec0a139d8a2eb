"""The handwritten digits that come with scikit-learn."""

import numpy as np

from lctrain.config.schema import DataConfig
from lctrain.data.splits import Loaded, Split


def load_digits(data: DataConfig) -> Loaded:
    """Images of 8x8 pixels from 0 to 1."""
    return _load((8, 8, 1))


def load_digits_rows(data: DataConfig) -> Loaded:
    """The same, each as one sequence of pixels."""
    return _load((64, 1))


def _load(shape: tuple[int, ...]) -> Loaded:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32).reshape(-1, *shape)
    return Loaded({"train": Split(images, digits.target.astype(np.int64))})
