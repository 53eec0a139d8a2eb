"""Windows over the rows of a table. None crosses from one split into another."""

import numpy as np

from lctrain.config.schema import DataConfig, WindowConfig
from lctrain.data.splits import PARTS
from lctrain.errors import ConfigError, Problem

TRAIN, VALIDATION, TEST = range(3)


def order_splits(num_rows: int, data: DataConfig) -> np.ndarray:
    """For each row the number of its split in `PARTS`: train, validation and test follow each other.

    With folds, all before the test rows is cut into as many runs, of which one is the validation split. A split without
    a fraction gets no rows.
    """
    fractions = (data.validation_fraction, data.test_fraction)
    num_validation, num_test = (0 if fraction is None else round(num_rows * fraction) for fraction in fractions)
    test_start = num_rows - num_test
    splits = np.full(num_rows, TRAIN)
    splits[test_start:] = TEST
    if data.folds is None:
        splits[test_start - num_validation : test_start] = VALIDATION
    else:
        splits[np.array_split(np.arange(test_start), data.folds)[data.fold]] = VALIDATION
    return splits


def find_windows(splits: np.ndarray, window: WindowConfig) -> dict[str, np.ndarray]:
    """By the name of the split, the first rows of its windows.

    Args:
        splits: for each row the number of its split in `PARTS`.
        window: its length and stride; the row of the target, `horizon` behind the last, is of the same run of rows too.

    Raises:
        ConfigError: names a split that has rows, but no run of them that is long enough.

    >>> find_windows(np.array([0, 0, 0, 0, 1, 1, 1, 2, 2]), WindowConfig(length=2, stride=2))
    {'train': array([0, 2]), 'validation': array([4]), 'test': array([7])}
    """
    needed = window.length + window.horizon
    bounds = np.flatnonzero(np.diff(splits)) + 1
    starts: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    for first, end in zip([0, *bounds], [*bounds, len(splits)], strict=True):
        starts[PARTS[splits[first]]].append(np.arange(first, end - needed + 1, window.stride))
    found = {part: np.concatenate(runs) for part, runs in starts.items() if runs}
    for part, rows in found.items():
        if not len(rows):
            expected = f"and `horizon` must leave a window in each split: {needed} rows in a row are needed"
            got = f"{part} has none of that length"
            raise ConfigError([Problem("data.window.length", f"{expected}; {got}. Shorten it, or add rows.")])
    return found


def view_windows(rows: np.ndarray, length: int) -> np.ndarray:
    """`(num_rows - length + 1, length, features)`, a view of `(num_rows, features)`."""
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(rows, length, axis=0), -1, 1)
