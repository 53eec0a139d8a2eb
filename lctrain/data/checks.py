"""Checks of the numbers of a data set before anything is trained; errors name the file and the place in it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np

from lctrain.config.schema import DataConfig
from lctrain.config.tasks import NUM_BINARY, num_outputs
from lctrain.data.rows import Inputs, iterate_blocks
from lctrain.errors import ConfigError, Problem

Value = TypeVar("Value")

# How the user of a file finds the element at some indices.
Place = Callable[[tuple[int, ...]], str]

# Classes in one sentence.
MAX_LISTED = 10
ZEROS_AND_ONES = ("binary", "multilabel")
NUMBERS = "To predict numbers: data.task=regression."


class MissingLabels(ConfigError):  # noqa: N818 - it says what is so, not that something went wrong
    """A file that has examples and no labels: a trained model can predict for them, and nothing else."""


def refuse(key: str, path: object, message: str) -> NoReturn:
    """Raises what is wrong in a file: `` `data.path` 'my.npz': `y` must ... ``."""
    raise ConfigError([Problem(key, f"{str(path)!r}: {message}")]) from None


def require(value: Value | None, key: str) -> Value:
    """The value of a key that a validated configuration does not leave open here."""
    if value is None:
        raise ValueError(f"`{key}` must be stated, as validation asks; got None.")
    return value


def check_file(path: Path, key: str = "data.path") -> None:
    """Refuses what is no plain file: a folder, or a pipe that would be waited for."""
    if path.exists() and not path.is_file():
        refuse(key, path, "must be a plain file.")


def format_place(index: tuple[int, ...]) -> str:
    """Where in an array an element is, counted from 0.

    >>> format_place((17,)), format_place((17, 3)), format_place((17, 3, 0))
    ('row 17', 'row 17, column 3', 'row 17, column (3, 0)')
    """
    row, *columns = (int(number) for number in index)
    if not columns:
        return f"row {row}"
    return f"row {row}, column {columns[0] if len(columns) == 1 else tuple(columns)}"


def format_classes(names: Sequence[str]) -> str:
    """
    >>> format_classes(["cat", "dog"])
    "0 'cat', 1 'dog'"
    """
    shown = ", ".join(f"{number} {name!r}" for number, name in enumerate(names[:MAX_LISTED]))
    return shown + (f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else "")


def check_finite(values: Inputs, path: object, name: str, key: str = "data.path", place: Place = format_place) -> None:
    """Refuses NaN and infinite values; what float32 can't hold is infinite."""
    if values.dtype.kind not in "fc":
        return
    first, got, count = None, 0.0, 0
    for start, block in iterate_blocks(values):
        is_bad = ~np.isfinite(block)
        if is_bad.any():
            index = np.argwhere(is_bad)[0]
            if first is None:
                got, first = block[tuple(index)], (start + index[0], *index[1:])
            count += int(is_bad.sum())
    if first is not None:
        others = f" ({count:,} such values in all)" if count > 1 else ""
        refuse(key, path, f"`{name}` must be finite; {place(first)} is {got}{others}. Clean it, or leave the row out.")


def check_class_numbers(values: np.ndarray, path: object, name: str, place: Place = format_place) -> None:
    """Refuses what can't be the number of a class, whatever the number of classes."""
    key = "data.path"
    _check_numbers(values, path, name, key)
    check_finite(values, path, name, key, place)
    is_bad = (values < 0) | (values != np.floor(values))
    _refuse_where(is_bad, values, path, name, "whole numbers, the classes from 0 on", key, place, NUMBERS)
    if values.size and values.max() >= values.size:
        expected = f"class numbers below {values.size}, as each class needs an example"
        _refuse_where(values >= values.size, values, path, name, expected, key, place, NUMBERS)


def check_several_classes(num_classes: int, label: object, data: DataConfig, path: object, name: str) -> None:
    """Refuses labels that are all the same, where the configuration does not say how many classes there are."""
    if num_classes < NUM_BINARY and data.num_classes is None:
        fix = "Add examples of another." if isinstance(label, str) else f"Add examples of another. {NUMBERS}"
        refuse("data.path", path, f"`{name}` must hold two classes or more; each of its labels is {label!r}. {fix}")


def has_one_hot_rows(values: np.ndarray, data: DataConfig) -> bool:
    """Whether rows of zeros with a single one say the class, where they are not stated to be as many targets."""
    sizes = list(values.shape[1:])
    if sizes == data.target_shape or values.dtype.kind not in "biuf" or data.task not in ("classification", "binary"):
        return False
    has_columns = sizes[-1:] == [NUM_BINARY] if data.task == "binary" else bool(sizes) and sizes[-1] >= NUM_BINARY
    return has_columns and bool(np.isin(values, (0, 1)).all() and (values.sum(axis=-1) == 1).all())


def as_labels(
    values: np.ndarray, data: DataConfig, path: object, name: str, key: str = "data.path", place: Place = format_place
) -> np.ndarray:
    """Labels or targets in the form of a `Split`, from the numbers of a file.

    Args:
        values: `(num, *target_shape)`, and a last axis of classes or numbers by the task, which may be missing where
            it would be 1.
        data: with the task, and the sizes and classes that it states.
        path: of the file, to tell.
        name: of the array or column in it, to tell.
        key: of the configuration, that names the file.
        place: tells where an element is.

    Raises:
        ConfigError: names the first value that is not finite, no whole number or out of range, or the wrong shape.
    """
    _check_numbers(values, path, name, key)
    shape = find_shape(values.shape, data, path, name, key)
    if data.task == "regression":
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        check_finite(values, path, name, key, place)
        return values.reshape(shape)
    check_finite(values, path, name, key, place)
    highest = 1 if data.task in ZEROS_AND_ONES else require(data.num_classes, "data.num_classes") - 1
    expected = "0 or 1" if highest == 1 else f"whole numbers from 0 to {highest}, one for each of `data.num_classes`"
    is_bad = (values < 0) | (values > highest) | (values != np.floor(values))
    _refuse_where(is_bad, values, path, name, expected, key, place)
    return values.astype(np.int64 if data.task == "classification" else np.float32).reshape(shape)


def check_classes(labels: np.ndarray, data: DataConfig, class_names: list[str] | None, is_limited: bool) -> None:
    """Refuses a training split in which a class has no example.

    Args:
        labels: as a `Split` has them.
        data: with the task and its classes.
        class_names: of the classes, where they have names.
        is_limited: whether a limit on the training split may be why.
    """
    if data.task == "regression":
        return
    if data.task == "multilabel":
        counts = labels.reshape(-1, labels.shape[-1]).sum(axis=0)
    else:
        counts = np.bincount(labels.ravel().astype(np.int64), minlength=data.num_classes or 2)
    empty = [str(number) for number in np.flatnonzero(counts == 0)]
    if not empty:
        return
    if class_names is not None:
        empty = [f"{number} ({class_names[int(number)]!r})" for number in empty]
    classes = f"class {empty[0]} has" if len(empty) == 1 else f"classes {', '.join(empty[:MAX_LISTED])} have"
    more = f" (and {len(empty) - MAX_LISTED} more)" if len(empty) > MAX_LISTED else ""
    fix = "Add examples, or number the classes from 0 without gaps."
    if is_limited:
        fix = f"Raise `data.train_limit`, which is {data.train_limit}, or add examples."
    raise ConfigError([Problem("data", f"must hold every class to train on; {classes} no example{more}. {fix}")])


def _check_numbers(values: np.ndarray, path: object, name: str, key: str) -> None:
    if values.dtype.kind not in "biuf":
        is_text = values.dtype.kind in "US"
        got = f"texts such as {str(values.flat[0])!r}" if is_text else f"the type {values.dtype}"
        fix = f" Number its classes: numpy.unique({name}, return_inverse=True)[1]." if is_text else ""
        refuse(key, path, f"`{name}` must be numbers; got {got}.{fix}")


def find_shape(
    stored: tuple[int, ...], data: DataConfig, path: object, name: str, key: str = "data.path"
) -> tuple[int, ...]:
    """The shape that a `Split` has of labels or targets of a stored shape.

    Raises:
        ConfigError: they are no such labels.
    """
    last = () if data.task == "classification" else (require(num_outputs(data), "data.num_classes"),)
    sizes = (*data.target_shape, *last)
    got = stored[1:]
    allowed = [sizes, (*sizes, 1)] if data.task == "classification" else [sizes]
    allowed += [sizes[:-1]] if sizes[-1:] == (1,) and data.task in ("binary", "regression") else []
    if got in allowed:
        return (stored[0], *sizes)
    meanings = {
        "classification": "the number of a class, or its one-hot row, for each of `data.target_shape`",
        "binary": "0 or 1 for each of `data.target_shape`",
        "multilabel": "`data.target_shape` and `data.num_classes`",
        "regression": "`data.target_shape` and `data.num_targets`",
    }
    expected = f"must have the shape {(stored[0], *sizes)}: {meanings[data.task]}"
    return refuse(key, path, f"`{name}` {expected}; got {stored}.")


def _refuse_where(
    is_bad: np.ndarray,
    values: np.ndarray,
    path: object,
    name: str,
    expected: str,
    key: str,
    place: Place,
    fix: str = "",
) -> None:
    if is_bad.any():
        first = tuple(np.argwhere(is_bad)[0])
        count = int(is_bad.sum())
        others = f" ({count:,} such values in all)" if count > 1 else ""
        message = f"`{name}` must be {expected}; {place(first)} is {values[first]}{others}. {fix}"
        refuse(key, path, message.rstrip())
