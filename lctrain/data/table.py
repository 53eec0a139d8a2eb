"""Tables of the user's own: a row is an example, or several in a row are."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lctrain.config.schema import Facts, TableConfig
from lctrain.data import rows
from lctrain.data.checks import (
    ZEROS_AND_ONES,
    as_labels,
    check_class_numbers,
    check_finite,
    check_several_classes,
    format_classes,
    refuse,
)
from lctrain.data.columns import Columns, check_counting, find_columns, find_features
from lctrain.data.frames import format_line, is_text, read_frame, read_names, read_numbers
from lctrain.data.headers import TableFile, is_table, name_separators, open_table
from lctrain.data.rows import Inputs, Rows
from lctrain.data.splits import PART_NAMES, PARTS, Loaded, Split, Unlabelled
from lctrain.data.windows import TRAIN, find_windows, order_splits, view_windows
from lctrain.errors import ConfigError, Problem

if TYPE_CHECKING:
    import pandas

# Of a number while the file is read, and then of its copies.
CELL_BYTES = 16


def inspect_table(data: TableConfig) -> Facts:
    """What the table holds, by its header and the columns whose values must be known."""
    table = open_table(data)
    columns = find_columns(data, table)
    frame = read_frame(table, columns.read)
    check_counting(frame, columns, data, table)
    num_features = len(columns.features) - len(columns.one_hot)
    categories = {name: read_names(frame[name], table, data.categories)[1] for name in columns.one_hot}
    num_features += sum(map(len, categories.values()))
    num_classes, class_names = None, None
    if data.task in ("classification", "binary"):
        values, class_names = _read_classes(frame[columns.targets[0]], table, data.categories)
        if class_names is not None:
            num_classes = len(class_names)
            categories[columns.targets[0]] = class_names
        elif data.task == "classification":
            check_class_numbers(values, table.path, columns.targets[0], lambda index: format_line(table, index[0]))
            num_classes = int(values.max()) + 1
        if num_classes is not None:
            label = num_classes - 1 if class_names is None else class_names[0]
            check_several_classes(num_classes, label, data, table.path, columns.targets[0])
    if data.task in ZEROS_AND_ONES:
        num_classes = len(columns.targets) if data.task == "multilabel" else 2
    own_splits = () if columns.split is None else np.unique(_read_splits(frame[columns.split], table))
    return Facts(
        input_shape=[num_features, 1] if data.window is None else [data.window.length, num_features],
        num_examples=len(frame),
        data_bytes=_count_bytes(len(frame), num_features, len(columns.targets), data),
        own_splits=tuple(PARTS[number] for number in own_splits if number != TRAIN),
        num_classes=num_classes,
        num_targets=len(columns.targets) if data.task == "regression" else 1,
        class_names=class_names,
        is_reshaped=True,
        may_lack_classes=class_names is None,
        notes=_describe(columns, data, table, class_names),
        reading={"features": columns.features, "categories": categories},
    )


def _describe(columns: Columns, data: TableConfig, table: TableFile, class_names: list[str] | None) -> tuple[str, ...]:
    """What was decided about the table that its user may have meant otherwise."""
    notes = []
    usual, used = name_separators(table)
    if data.separator is None and used != usual:
        what = f"its cells are separated by {used}, as its first line shows"
        notes.append(f"{data.path!r}: {what}. To read it otherwise: data.separator={usual}.")
    if columns.left_out:
        named = ["the first, which has no name" if name in table.unnamed else f"`{name}`" for name in columns.left_out]
        what = "columns that number or name the rows are left out"
        fix = "data.features=[...], with them" if data.exclude else "data.exclude=[]"
        notes.append(f"{data.path!r}: {what}: {', '.join(named)}. To have them as features: {fix}.")
    if class_names is not None:
        what = f"the classes of `{columns.targets[0]}` are numbered by name: {format_classes(class_names)}"
        notes.append(f"{data.path!r}: {what}.")
    return tuple(notes)


def _count_bytes(num_rows: int, num_features: int, num_targets: int, data: TableConfig) -> float:
    """Of the table, and of windows that are cut out of it before they are read."""
    table = num_rows * (num_features + num_targets) * CELL_BYTES
    if data.window is None:
        return table
    windows = num_rows // data.window.stride * data.window.length * num_features * 4
    return table + (2 * windows if windows < rows.SMALL_BYTES else 0)


def load_table(data: TableConfig) -> Loaded:
    """The table's columns as arrays, checked cell by cell."""
    table = open_table(data)
    columns = find_columns(data, table)
    frame = read_frame(table, columns.read)
    check_counting(frame, columns, data, table)
    features = _read_features(frame, columns, data, table)
    labels, class_names = _read_targets(frame, columns, data, table)
    splits = None if columns.split is None else _read_splits(frame[columns.split], table)
    if data.window is None:
        features = features.reshape(len(features), *data.input_shape)
        if splits is None:
            return Loaded({"train": Split(features, labels)}, class_names)
        masks = {PARTS[number]: splits == number for number in np.unique(splits)}
        return Loaded({part: Split(features[mask], labels[mask]) for part, mask in masks.items()}, class_names)
    splits = order_splits(len(features), data) if splits is None else splits
    parts = {}
    for part, starts in find_windows(splits, data.window).items():
        ends = starts + data.window.length - 1 + data.window.horizon
        parts[part] = Split(_cut(features, starts, data.window.length, data.input_shape), labels[ends])
    return Loaded(parts, class_names)


def load_table_inputs(path: Path, data: TableConfig) -> Unlabelled | None:
    """The examples of another table than the one that a model was trained on; None where the path is no table.

    Args:
        path: of the table, which has the features, and may have other columns.
        data: how the model's own table was read.

    Raises:
        ConfigError: a column that is missing, or a cell that can't be read as in the model's own table.
    """
    if not is_table(path) or not path.is_file():
        return None
    data = data.model_copy(update={"path": str(path)})
    table = open_table(data)
    columns = find_features(data, table)
    features = _read_features(read_frame(table, columns.read), columns, data, table)
    if data.window is None:
        return Unlabelled(features.reshape(len(features), *data.input_shape), "row", range(len(features)))
    length = data.window.length
    if len(features) < length:
        refuse("data.path", path, f"must have {length} rows or more, as long as a window; got {len(features)}.")
    starts = np.arange(0, len(features) - length + 1, data.window.stride)
    return Unlabelled(_cut(features, starts, length, data.input_shape), "row", (starts + length - 1).tolist())


def _cut(features: np.ndarray, starts: np.ndarray, length: int, input_shape: list[int]) -> Inputs:
    """The windows that begin at these rows; where they are many, each is cut out when it is read."""
    view = view_windows(features, length)
    windows = Rows(view, input_shape, starts)
    num_bytes = len(starts) * prod(input_shape) * view.itemsize
    return windows if num_bytes >= rows.SMALL_BYTES else windows[:]


def _read_features(frame: "pandas.DataFrame", columns: Columns, data: TableConfig, table: TableFile) -> np.ndarray:
    """`(num_rows, features)`, float32; a one-hot column becomes one for each of its names."""
    parts = []
    for name in columns.features:
        if name in columns.one_hot:
            numbers, names = read_names(frame[name], table, data.categories)
            parts.append(np.eye(len(names), dtype=np.float32)[numbers])
            continue
        values = read_numbers(frame[name], table)
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        check_finite(values, table.path, name, place=lambda index: format_line(table, index[0]))
        parts.append(values[:, None])
    features = np.concatenate(parts, axis=1)
    expected = prod(data.input_shape) // (1 if data.window is None else data.window.length)
    if features.shape[1] != expected:
        message = f"must give {expected} numbers for each row, as the model takes; got {features.shape[1]}"
        raise ConfigError([Problem("data.features", f"{message}, with those of `data.one_hot`.")])
    return features


def _read_targets(
    frame: "pandas.DataFrame", columns: Columns, data: TableConfig, table: TableFile
) -> tuple[np.ndarray, list[str] | None]:
    if data.task in ("classification", "binary"):
        (name,) = columns.targets
        values, class_names = _read_classes(frame[name], table, data.categories)
        if data.task == "binary" and class_names is not None and len(class_names) > 2:
            message = f"`{name}` must have two values with task binary; got {len(class_names)}: {class_names[:5]}."
            refuse("data.path", table.path, message)
    else:
        name, class_names = ", ".join(columns.targets), None
        values = np.stack([read_numbers(frame[target], table) for target in columns.targets], axis=1)

    def place(index: tuple[int, ...]) -> str:
        column = columns.targets[int(index[1]) if len(index) > 1 else 0]
        return f"{format_line(table, index[0])}, column {column!r}"

    return as_labels(values, data, table.path, name, place=place), class_names


def _read_classes(
    column: "pandas.Series", table: TableFile, categories: Mapping[str, list[str]]
) -> tuple[np.ndarray, list[str] | None]:
    """Numbers as they are; texts, and what has categories, as their numbers, and the texts in that order."""
    if is_text(column) or column.name in categories:
        return read_names(column, table, categories)
    return read_numbers(column, table), None


def _read_splits(column: "pandas.Series", table: TableFile) -> np.ndarray:
    """For each row the number of its split in `PARTS`."""
    numbers, names = read_names(column, table, {})
    for number, name in enumerate(names):
        if name not in PART_NAMES:
            where = format_line(table, int(np.flatnonzero(numbers == number)[0]))
            message = f"must say train, validation or test; {where} has {name!r}."
            refuse("data.path", table.path, f"column {column.name!r} {message}")
    if "train" not in names:
        refuse("data.path", table.path, f"column {column.name!r} must say train of some rows; got {names}.")
    splits: np.ndarray = np.array([PARTS.index(PART_NAMES[name]) for name in names])[numbers]
    return splits
