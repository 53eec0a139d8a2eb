"""Data sets as fixed, seeded, stratified splits, in memory or on the disk."""

from collections.abc import Callable
from typing import Any

from lctrain.config.schema import DataConfig
from lctrain.data.arrays import load_arrays
from lctrain.data.checks import check_classes
from lctrain.data.dataset_info import (
    BUILTIN_INFO,
    check_feeds,
    check_statement,
    complete_layout,
    complete_statement,
    count_examples,
    data_bytes,
    state_reading,
)
from lctrain.data.downloaded import load_downloaded
from lctrain.data.images import load_images
from lctrain.data.made import load_digits, load_digits_rows, make_mnist1d, make_synthetic
from lctrain.data.normalization import fit_normalization
from lctrain.data.rows import Rows, select
from lctrain.data.splits import Loaded, Split, Splits
from lctrain.data.splitting import draw_splits
from lctrain.data.table import load_table
from lctrain.errors import ConfigError

__all__ = [
    "BUILTIN_INFO",
    "LOADERS",
    "Rows",
    "Split",
    "Splits",
    "check_feeds",
    "complete_statement",
    "count_examples",
    "data_bytes",
    "fit_normalization",
    "load_splits",
    "state_reading",
]

LOADERS: dict[str, Callable[[Any], Loaded]] = {
    "digits": load_digits,
    "digits_rows": load_digits_rows,
    "synthetic": make_synthetic,
    "mnist1d": make_mnist1d,
    "mnist": load_downloaded,
    "fashion_mnist": load_downloaded,
    "cifar10": load_downloaded,
    "cifar100": load_downloaded,
    "arrays": load_arrays,
    "table": load_table,
    "images": load_images,
}


def load_splits(data: DataConfig, data_format: str) -> Splits:
    """The splits of a data set, with the channels where `data_format` has them.

    Args:
        data: validated.
        data_format: `channels_last` or `channels_first`.

    Raises:
        ConfigError: the configuration states other shapes or classes than the data has, the files hold what can't be
            trained on, or a split would be too small to hold every class.
        UserError: the data set can't be had.
    """
    data = complete_layout(data, data_format)
    problems = check_statement(data)
    if problems:
        raise ConfigError(problems)
    loaded = LOADERS[data.name](data)
    parts = loaded.parts
    check_classes(parts["train"].labels, data, loaded.class_names, is_limited=False)
    drawn = draw_splits(parts["train"].labels, tuple(parts), data)
    inputs, labels = parts["train"]
    splits = {part: Split(select(inputs, rows, data_format), labels[rows]) for part, rows in drawn.items()}
    check_classes(splits["train"].labels, data, loaded.class_names, is_limited=data.train_limit is not None)
    for part in parts.keys() - drawn.keys():
        splits[part] = Split(select(parts[part].inputs, None, data_format), parts[part].labels)
    return Splits(**splits)
