"""Data sets as fixed, seeded, stratified splits, in memory or on the disk."""

from lctrain.config.schema import DATA_SETS, DataConfig
from lctrain.data.checks import check_classes
from lctrain.data.dataset_info import (
    check_feeds,
    complete_from_files,
    complete_layout,
    complete_reading,
    find_facts,
    find_problems_in_data,
    import_function,
)
from lctrain.data.normalization import fit_normalization
from lctrain.data.rows import Rows, select
from lctrain.data.splits import Loaded, Split, Splits
from lctrain.data.splitting import draw_splits, load_splitting_code
from lctrain.errors import ConfigError

__all__ = [
    "Rows",
    "Split",
    "Splits",
    "check_feeds",
    "complete_from_files",
    "complete_reading",
    "find_facts",
    "fit_normalization",
    "load_splits",
    "load_splitting_code",
]


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
    problems = find_problems_in_data(data)
    if problems:
        raise ConfigError(problems)
    loaded: Loaded = import_function(DATA_SETS[data.name].load)(data)
    parts = loaded.parts
    check_classes(parts["train"].labels, data, loaded.class_names, is_limited=False)
    drawn = draw_splits(parts["train"].labels, tuple(parts), data)
    inputs, labels = parts["train"]
    splits = {part: Split(select(inputs, rows, data_format), labels[rows]) for part, rows in drawn.items()}
    check_classes(splits["train"].labels, data, loaded.class_names, is_limited=data.train_limit is not None)
    for part in parts.keys() - drawn.keys():
        splits[part] = Split(select(parts[part].inputs, None, data_format), parts[part].labels)
    return Splits(**splits)
