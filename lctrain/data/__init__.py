"""Data sets as fixed, seeded, stratified splits, in memory or on the disk."""

import numpy as np

from lctrain.config.schema import DATA_SETS, DataConfig
from lctrain.data.checks import MissingLabels, check_classes
from lctrain.data.dataset_info import (
    check_feeds,
    complete_from_files,
    complete_layout,
    complete_reading,
    find_facts,
    find_problems_in_data,
    import_function,
)
from lctrain.data.inputs import load_inputs
from lctrain.data.names import find_class_names, find_output_names
from lctrain.data.normalization import fit_normalization
from lctrain.data.rows import Rows, select
from lctrain.data.splits import PARTS, Loaded, Split, Splits, Unlabelled
from lctrain.data.splitting import draw_splits, load_splitting_code
from lctrain.errors import ConfigError

__all__ = [
    "PARTS",
    "MissingLabels",
    "Rows",
    "Split",
    "Splits",
    "Unlabelled",
    "check_feeds",
    "complete_from_files",
    "complete_reading",
    "find_class_names",
    "find_facts",
    "find_output_names",
    "fit_normalization",
    "load_inputs",
    "load_splits",
    "load_splitting_code",
    "load_whole",
]

# Keys that only say which examples are trained on, or which columns a table has besides those that are used.
NOT_OF_WHOLE = ("validation_fraction", "test_fraction", "folds", "train_limit", "split_column", "exclude")


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


def load_whole(data: DataConfig, data_format: str) -> Split:
    """All examples of a data set in the order in which they lie, to evaluate a trained model on.

    Splits that it has of its own follow each other; no other is drawn, and a class may have no example.

    Args:
        data: validated, with the classes and columns of the model.
        data_format: `channels_last` or `channels_first`.

    Raises:
        ConfigError: the files hold what the model can't take.
        UserError: the data set can't be had.
    """
    whole = data.model_copy(update={key: None for key in NOT_OF_WHOLE if key in type(data).model_fields})
    loaded: Loaded = import_function(DATA_SETS[data.name].load)(complete_layout(whole, data_format))
    parts = [loaded.parts[part] for part in PARTS if part in loaded.parts]
    inputs = [select(part.inputs, None, data_format) for part in parts]
    if len(parts) == 1:
        return Split(inputs[0], parts[0].labels)
    return Split(np.concatenate([rows[:] for rows in inputs]), np.concatenate([part.labels for part in parts]))
