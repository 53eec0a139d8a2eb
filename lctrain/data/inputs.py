"""New examples for a model that was trained, without targets: read as its own data were."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lctrain.config.schema import DATA_SETS, DataConfig
from lctrain.data.arrays import ARRAY_NAMES, LAYOUTS, as_channels_last, has_no_channels, read_inputs
from lctrain.data.checks import refuse
from lctrain.data.dataset_info import import_function
from lctrain.data.npy import StoredArray, open_npy, open_npz
from lctrain.data.rows import select
from lctrain.data.splits import Unlabelled
from lctrain.errors import ConfigError, Problem

ARRAYS = (".npy", ".npz")
LABEL_NAMES = {labels for pairs in ARRAY_NAMES.values() for _, labels in pairs}

# Of several in one file the first is read: those that a model was not trained on come first.
INPUT_NAMES = ("x", "inputs", "x_test", "x_validation", "x_val", "x_train")


def load_inputs(path: Path, data: DataConfig, data_format: str, layout: str | None = None) -> Unlabelled:
    """The examples of a file or folder, with the channels where `data_format` has them.

    Args:
        path: arrays of the input's shape, or what the data set reads itself.
        data: how the model's own data were read, with the columns, categories and layout written out.
        data_format: `channels_last` or `channels_first`.
        layout: where arrays have their channels; None is as `input_shape` fits, else as in the model's own file, else
            as `data_format` says.

    Raises:
        ConfigError: a path of another kind, or what its file holds and the model can't take; each names `data.path`.
    """
    row = DATA_SETS[data.name]
    kinds = f"{row.inputs_kind}, {' or '.join(ARRAYS)}" if row.inputs else " or ".join(ARRAYS)
    if not os.path.exists(path):
        refuse("data.path", path, f"there is no such file or folder. Give {kinds}.")
    examples: Unlabelled | None = None
    if path.suffix in ARRAYS and path.is_file():
        examples = _load_arrays(path, data, data_format, layout)
    elif row.inputs and (path.is_file() or path.is_dir()):
        examples = import_function(row.inputs)(path, data)
    if examples is None:
        got = f"the folder {str(path)!r}" if path.is_dir() else repr(str(path))
        raise ConfigError([Problem("data.path", f"must be {kinds}, for a model of `data={data.name}`; got {got}.")])
    return replace(examples, inputs=select(examples.inputs, None, data_format))


def _load_arrays(path: Path, data: DataConfig, data_format: str, asked: str | None) -> Unlabelled:
    notes: list[str] = []
    if path.suffix == ".npy":
        array = open_npy(path, "inputs")
    else:
        array, notes = _choose_array(open_npz(path), path)
    layout, is_open = _choose_layout(array, data, data_format, asked)
    if is_open:
        other = LAYOUTS[layout == LAYOUTS[0]]
        notes.append(f"{str(path)!r} of {array.shape} is read as {layout}. To read it otherwise: --layout {other}.")
    return Unlabelled(read_inputs(array, data.input_shape, layout), "row", range(array.shape[0]), tuple(notes))


def _choose_array(stored: Mapping[str, StoredArray], path: Path) -> tuple[StoredArray, list[str]]:
    """The inputs among the arrays of a .npz, and a sentence where there are others that may be meant."""
    known = [name for name in INPUT_NAMES if name in stored]
    others = [name for name in stored if name not in LABEL_NAMES] or list(stored)
    if not known and len(others) != 1:
        got = ", ".join(f"`{name}`" for name in others) or "none"
        refuse("data.path", path, f"must hold an array `x`, or one array alone; got {got}.")
    chosen, *left = known or others
    notes = [f"{str(path)!r}: `{chosen}` is read, and not {', '.join(f'`{name}`' for name in left)}."] if left else []
    return stored[chosen], notes


def _choose_layout(array: StoredArray, data: DataConfig, data_format: str, asked: str | None) -> tuple[str, bool]:
    """Where an array has its channels, and whether its user may have meant another way.

    Raises:
        ConfigError: examples of another shape than the model takes.
    """
    shape, stored = data.input_shape, array.shape[1:]
    if has_no_channels(array, data):
        return LAYOUTS[0], False
    fitting = [one for one in LAYOUTS if as_channels_last(stored, one) == shape and asked in (None, one)]
    if not fitting:
        sizes = {"channels_last": shape, "channels_first": [*shape[-1:], *shape[:-1]]}
        expected = f"`{array.name}` must hold numbers of shape (num, {', '.join(map(str, sizes[asked or LAYOUTS[0]]))})"
        other = f" Or (num, {', '.join(map(str, sizes[LAYOUTS[1]]))}), channels_first." if asked is None else ""
        refuse("data.path", array.path, f"{expected}; got {array.dtype} {array.shape}.{other * (len(shape) > 1)}")
    own = getattr(data, "layout", None) or data_format
    return own if own in fitting else fitting[0], len(shape) > 1 and len(fitting) > 1
