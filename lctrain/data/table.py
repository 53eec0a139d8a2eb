"""Tables of one's own: a row is an example, or several in a row are."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lctrain.config.schema import TableConfig
from lctrain.data import rows
from lctrain.data.checks import ZEROS_AND_ONES, as_labels, check_class_numbers, check_finite, refuse
from lctrain.data.frames import is_text, read_columns, read_frame, read_names, read_numbers, tell_line
from lctrain.data.rows import Inputs, Rows
from lctrain.data.splits import PARTS, SPELT, Facts, Loaded, Split
from lctrain.data.windows import TRAIN, find_windows, order_splits, view_windows
from lctrain.errors import ConfigError, Problem, suggest

if TYPE_CHECKING:
    import pandas

CELL_BYTES = 16  # of a number while the file is read, and then of its copies


@dataclass(frozen=True)
class _Columns:
    """The columns that are used, all of which the table has."""

    targets: list[str]
    features: list[str]
    one_hot: list[str]
    split: str | None

    @property
    def read(self) -> list[str]:
        return list(dict.fromkeys([*self.features, *self.targets, *([self.split] if self.split else [])]))


def inspect_table(data: TableConfig) -> Facts:
    """What the table holds, by its header and the columns whose values must be known."""
    path = Path(data.path).expanduser()
    columns = _find_columns(data, path)
    wanted = [*columns.targets, *columns.one_hot, *([columns.split] if columns.split else [])]
    frame = read_frame(path, list(dict.fromkeys(wanted)))
    num_features = len(columns.features) - len(columns.one_hot)
    num_features += sum(len(read_names(frame[name], path)[1]) for name in columns.one_hot)
    num_classes, class_names = None, None
    if data.task == "classification":
        values, class_names = _read_classes(frame[columns.targets[0]], path)
        if class_names is None:
            check_class_numbers(values, path, columns.targets[0], lambda index: tell_line(path, index[0]))
        num_classes = int(values.max()) + 1 if class_names is None else len(class_names)
    elif data.task in ZEROS_AND_ONES:
        num_classes = len(columns.targets) if data.task == "multilabel" else 2
    given = () if columns.split is None else np.unique(_read_splits(frame[columns.split], path))
    return Facts(
        input_shape=[num_features, 1] if data.window is None else [data.window.length, num_features],
        num_examples=len(frame),
        given=tuple(PARTS[number] for number in given if number != TRAIN),
        held_bytes=_held_bytes(len(frame), num_features, len(columns.targets), data),
        target_shape=[],
        num_classes=num_classes,
        num_targets=len(columns.targets) if data.task == "regression" else 1,
        class_names=class_names,
        is_reshaped=True,
    )


def _held_bytes(num_rows: int, num_features: int, num_targets: int, data: TableConfig) -> float:
    """Of the table, and of windows that are cut out of it before they are read."""
    table = num_rows * (num_features + num_targets) * CELL_BYTES
    if data.window is None:
        return table
    windows = num_rows // data.window.stride * data.window.length * num_features * 4
    return table + (2 * windows if windows < rows.SMALL_BYTES else 0)


def load_table(data: TableConfig) -> Loaded:
    """The table's columns as arrays, checked cell by cell."""
    path = Path(data.path).expanduser()
    columns = _find_columns(data, path)
    frame = read_frame(path, columns.read)
    features = _read_features(frame, columns, path)
    labels, class_names = _read_targets(frame, columns, data, path)
    splits = None if columns.split is None else _read_splits(frame[columns.split], path)
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
        parts[part] = Split(_cut(features, starts, data), labels[ends])
    return Loaded(parts, class_names)


def _cut(features: np.ndarray, starts: np.ndarray, data: TableConfig) -> Inputs:
    """The windows that begin at these rows; where they are many, each is cut out when it is read."""
    view = view_windows(features, data.window.length)
    windows = Rows(view, data.input_shape, starts)
    num_bytes = len(starts) * prod(data.input_shape) * view.itemsize
    return windows if num_bytes >= rows.SMALL_BYTES else windows[:]


def _find_columns(data: TableConfig, path: Path) -> _Columns:
    """The columns that the configuration names, where the table has them.

    Raises:
        ConfigError: names each column that there is not, or that is used twice.
    """
    known = read_columns(path)
    targets = [data.target] if isinstance(data.target, str) else data.target
    split = [] if data.split_column is None else [data.split_column]
    features = data.features
    if features is None:
        features = [name for name in known if name not in (*targets, *split)]
    groups = {"target": targets, "features": features, "one_hot": data.one_hot, "split_column": split}
    problems = [
        Problem(f"data.{key}", f"must be a column of {data.path!r}; got {name!r}. {suggest(name, known)}")
        for key, names in groups.items()
        for name in names
        if name not in known
    ]
    if not problems:
        problems = _check_roles(data, targets, features)
    if problems:
        raise ConfigError(problems)
    return _Columns(targets, features, data.one_hot, data.split_column)


def _check_roles(data: TableConfig, targets: Sequence[str], features: Sequence[str]) -> list[Problem]:
    """Columns whose parts do not go together."""
    problems = []
    is_forecast = data.window is not None and data.window.horizon > 0  # from the target's own past
    for name in () if is_forecast else sorted(set(targets) & set(features)):
        problems.append(
            Problem("data.features", f"must not hold the target, from which it would be read; got {name!r}.")
        )
    if data.split_column is not None and data.split_column in (*targets, *features):
        told = f"must be neither target nor feature; got {data.split_column!r}."
        problems.append(Problem("data.split_column", told))
    for name in data.one_hot:
        if name not in features:
            problems.append(Problem("data.one_hot", f"must name columns of `data.features`; got {name!r}."))
    if not features:
        problems.append(Problem("data.features", f"must not be empty: {data.path!r} has no column besides the target."))
    if data.task in ("classification", "binary") and len(targets) > 1:
        expected = f"must be one column with task {data.task}"
        problems.append(Problem("data.target", f"{expected}; got {targets}. Several are for multilabel or regression."))
    return problems


def _read_features(frame: "pandas.DataFrame", columns: _Columns, path: Path) -> np.ndarray:
    """`(num_rows, features)`, float32; a one-hot column becomes one for each of its names."""
    parts = []
    for name in columns.features:
        if name in columns.one_hot:
            numbers, names = read_names(frame[name], path)
            parts.append(np.eye(len(names), dtype=np.float32)[numbers])
            continue
        values = read_numbers(frame[name], path)
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        check_finite(values, path, name, place=lambda index: tell_line(path, index[0]))
        parts.append(values[:, None])
    return np.concatenate(parts, axis=1)


def _read_targets(
    frame: "pandas.DataFrame", columns: _Columns, data: TableConfig, path: Path
) -> tuple[np.ndarray, list[str] | None]:
    if data.task in ("classification", "binary"):
        (name,) = columns.targets
        values, class_names = _read_classes(frame[name], path)
        if data.task == "binary" and class_names is not None and len(class_names) > 2:
            told = f"`{name}` must have two values with task binary; got {len(class_names)}: {class_names[:5]}."
            refuse("data.path", path, told)
    else:
        name, class_names = ", ".join(columns.targets), None
        values = np.stack([read_numbers(frame[target], path) for target in columns.targets], axis=1)

    def place(index: tuple[int, ...]) -> str:
        column = columns.targets[int(index[1]) if len(index) > 1 else 0]
        return f"{tell_line(path, index[0])}, column {column!r}"

    return as_labels(values, data, path, name, place=place), class_names


def _read_classes(column: "pandas.Series", path: Path) -> tuple[np.ndarray, list[str] | None]:
    """Numbers as they are; texts as their numbers in alphabetical order, and the texts."""
    if is_text(column):
        return read_names(column, path)
    return read_numbers(column, path), None


def _read_splits(column: "pandas.Series", path: Path) -> np.ndarray:
    """For each row the number of its split in `PARTS`."""
    numbers, names = read_names(column, path)
    for number, name in enumerate(names):
        if name not in SPELT:
            where = tell_line(path, int(np.flatnonzero(numbers == number)[0]))
            told = f"must say train, validation or test; {where} has {name!r}."
            refuse("data.path", path, f"column {column.name!r} {told}")
    if "train" not in names:
        refuse("data.path", path, f"column {column.name!r} must say train of some rows; got {names}.")
    return np.array([PARTS.index(SPELT[name]) for name in names])[numbers]
