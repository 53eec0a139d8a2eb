"""Arrays of the user's own: a .npz with inputs and labels, or a .npy of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lctrain.config.schema import ArraysConfig, DataConfig, Facts
from lctrain.data.checks import (
    MissingLabels,
    as_labels,
    check_class_numbers,
    check_file,
    check_finite,
    check_several_classes,
    find_shape,
    format_place,
    has_one_hot_rows,
    refuse,
)
from lctrain.data.npy import StoredArray, open_npy, open_npz
from lctrain.data.rows import Inputs
from lctrain.data.splits import Loaded, Split
from lctrain.errors import ConfigError, Problem, suggest, suggest_near

LAYOUTS = ("channels_last", "channels_first")

# By split, what its inputs and labels may be called.
ARRAY_NAMES = {
    "train": (("x", "y"), ("inputs", "labels"), ("x_train", "y_train")),
    "validation": (("x_validation", "y_validation"), ("x_val", "y_val")),
    "test": (("x_test", "y_test"),),
}


@dataclass(frozen=True)
class _Pair:
    inputs: StoredArray
    labels: StoredArray


def inspect_arrays(data: ArraysConfig) -> Facts:
    """What the file holds, by its headers, and by its labels where they are class numbers."""
    pairs, unused = _open(data)
    inputs, labels = pairs["train"].inputs, pairs["train"].labels
    layout = find_layout(inputs.shape[1:], data.input_shape, "channels_last") if data.layout is None else data.layout
    sizes = list(labels.shape[1:])
    is_one_hot = len(sizes) > 0 and has_one_hot_rows(labels.read(), data)
    target_shape, num_classes, num_targets = sizes, 2 if data.task == "binary" else None, 1
    if data.task == "multilabel":
        if sizes[-1:] in ([], [1]) or sizes == data.target_shape:
            message = (
                f"must have a column of 0 and 1 for each class; got {labels.shape}. For one label: data.task=binary."
            )
            refuse("data.path", labels.path, f"`{labels.name}` {message}")
        target_shape, num_classes = sizes[:-1], sizes[-1]
    elif data.task == "regression" and sizes != data.target_shape:
        target_shape, num_targets = sizes[:-1], sizes[-1] if sizes else 1
    elif data.task != "regression" and (is_one_hot or sizes[-1:] == [1]):
        target_shape = sizes[:-1]
    if data.task == "classification":
        num_classes = sizes[-1] if is_one_hot else _count_classes(pairs, data)
    notes = [f"{data.path!r}: {note}" for note in (*_describe(pairs["train"], data, layout, is_one_hot), *unused)]
    return Facts(
        input_shape=as_channels_last(inputs.shape[1:], "channels_last" if has_no_channels(inputs, data) else layout),
        num_examples=sum(pair.inputs.shape[0] for pair in pairs.values()),
        data_bytes=sum(_count_bytes(pair.inputs) for pair in pairs.values()),
        own_splits=tuple(part for part in pairs if part != "train"),
        target_shape=target_shape,
        num_classes=num_classes,
        num_targets=num_targets,
        may_lack_channels=True,
        may_lack_classes=True,
        problems=tuple(_find_problems_in_shapes(pairs, data)),
        notes=tuple(notes),
    )


def load_arrays(data: ArraysConfig) -> Loaded:
    """The arrays, checked value by value."""
    return Loaded({part: _load(pair, data) for part, pair in _open(data, needs_train=False)[0].items()})


def choose_layout(data: ArraysConfig, data_format: str, is_shape_open: bool = False) -> ArraysConfig:
    """The configuration that says where its file has the channels.

    Args:
        data: which may say it already.
        data_format: the run's, which decides where the file may have them at either end.
        is_shape_open: whether `input_shape` says nothing.
    """
    if data.layout is not None:
        return data
    shape = next(iter(_open(data, needs_train=False)[0].values())).inputs.shape[1:]
    return data.model_copy(
        update={"layout": find_layout(shape, None if is_shape_open else data.input_shape, data_format)}
    )


def find_layout(stored: Sequence[int], stated: Sequence[int] | None, data_format: str) -> str:
    """Where arrays have their channels: where the stated shape has as many, else where `data_format` has them.

    >>> find_layout([1, 10, 14], None, "channels_first"), find_layout([5, 7, 2], [5, 7, 2], "channels_first")
    ('channels_first', 'channels_last')
    """
    other = "channels_last" if data_format == "channels_first" else "channels_first"
    if stated is None or as_channels_last(stored, data_format) == list(stated):
        return data_format
    return other if as_channels_last(stored, other) == list(stated) else data_format


def as_channels_last(stored: Sequence[int], layout: str) -> list[int]:
    """The shape of an example, channels last, from that in a file.

    >>> as_channels_last([2, 5, 7], "channels_first")
    [5, 7, 2]
    """
    return [*stored[1:], *stored[:1]] if layout == "channels_first" else list(stored)


def _describe(pair: _Pair, data: ArraysConfig, layout: str, is_one_hot: bool) -> Iterator[str]:
    """How arrays are read whose axes may be meant otherwise."""
    x, y = pair.inputs, pair.labels
    if len(x.shape) > 2 and not has_no_channels(x, data):
        *spatial, channels = as_channels_last(x.shape[1:], layout)
        other = "channels_last" if layout == "channels_first" else "channels_first"
        positions = f"{'x'.join(map(str, spatial))} positions of {channels} channel{'s' * (channels > 1)}"
        yield f"`{x.name}` of {x.shape} is read as {layout}, {positions}. To read it otherwise: data.layout={other}."
    if is_one_hot:
        what = f"is read as one-hot rows of {y.shape[-1]} classes"
        sizes = ",".join(map(str, y.shape[1:]))
        yield f"`{y.name}` of {y.shape} {what}. If they are targets: data.target_shape=[{sizes}]."
    elif data.target_shape or data.num_targets > 1:
        each = f" of {data.num_targets} number{'s' * (data.num_targets > 1)}" if data.task == "regression" else ""
        yield f"`{y.name}` of {y.shape} is read as targets of the shape {data.target_shape}{each}.{_suggest(y, data)}"


def _suggest(labels: StoredArray, data: DataConfig) -> str:
    """How targets of the same task are read otherwise: the last axis as a position, or as numbers of one target."""
    *outer, last = sizes = list(labels.shape[1:])
    if data.task != "regression" or last == 1:
        return ""
    shape, num_targets = (outer, last) if sizes == data.target_shape else (sizes, 1)
    written = ",".join(map(str, shape))
    return f" To read it otherwise: data.target_shape=[{written}] data.num_targets={num_targets}"


def has_no_channels(inputs: StoredArray, data: DataConfig) -> bool:
    """Whether the examples have no axis of channels in the file, of which they are stated to have one."""
    return [*inputs.shape[1:], 1] == data.input_shape


def _count_classes(pairs: Mapping[str, _Pair], data: ArraysConfig) -> int:
    numbers = [pair.labels.read() for pair in pairs.values()]
    for pair, values in zip(pairs.values(), numbers, strict=True):
        check_class_numbers(values, pair.labels.path, pair.labels.name)
    highest, labels = int(max(values.max() for values in numbers)), pairs["train"].labels
    check_several_classes(highest + 1, highest, data, labels.path, labels.name)
    return highest + 1


def _count_bytes(stored: StoredArray) -> float:
    """As read, as converted, and as split, of which two are there at a time."""
    if stored.is_mapped:
        return 0
    itemsize = 1 if stored.dtype == np.uint8 else 4
    return float(np.prod(stored.shape, dtype=float)) * (max(stored.dtype.itemsize, itemsize) + itemsize)


def _find_problems_in_shapes(pairs: Mapping[str, _Pair], data: ArraysConfig) -> Iterator[Problem]:
    """Labels of another shape than `target_shape` and the task ask for, where the configuration is complete."""
    if data.task == "multilabel" and data.num_classes is None:
        return
    for labels in (pair.labels for pair in pairs.values()):
        has_classes = len(labels.shape) == len(data.target_shape) + 2 and has_one_hot_rows(labels.read(), data)
        try:
            find_shape(labels.shape[:-1] if has_classes else labels.shape, data, labels.path, labels.name)
        except ConfigError as error:
            yield from error.problems


def _load(pair: _Pair, data: ArraysConfig) -> Split:
    shape = list(pair.inputs.shape[1:])
    layout = "channels_last" if data.layout is None else data.layout
    if has_no_channels(pair.inputs, data):
        layout = "channels_last"
    elif as_channels_last(shape, layout) != data.input_shape:
        message = (
            f"`{pair.inputs.name}` must hold arrays of `data.input_shape`, {data.input_shape}, {layout}; got {shape}."
        )
        refuse("data.path", pair.inputs.path, message)
    values = pair.labels.read()
    if values.ndim == len(data.target_shape) + 2 and has_one_hot_rows(values, data):
        values = values.argmax(axis=-1)
    labels = as_labels(values, data, pair.labels.path, pair.labels.name)
    return Split(read_inputs(pair.inputs, data.input_shape, layout), labels)


def read_inputs(stored: StoredArray, input_shape: list[int], layout: str) -> Inputs:
    """An array of examples, channels last, checked value by value."""
    inputs = stored.read_inputs(input_shape, layout)
    place = format_place if layout == "channels_last" else _format_place_channels_first
    check_finite(inputs, stored.path, stored.name, place=place)
    return inputs


def _format_place_channels_first(index: tuple[int, ...]) -> str:
    """Where in the file an element is that has its channel last here."""
    row, *spatial, channel = index
    return format_place((row, channel, *spatial))


def _open(data: ArraysConfig, needs_train: bool = True) -> tuple[dict[str, _Pair], list[str]]:
    """The arrays of each part, by their headers; and sentences on others that the file has."""
    unused: list[str] = []
    path = Path(data.path).expanduser()
    check_file(path)
    if data.targets is not None:
        check_file(Path(data.targets).expanduser(), "data.targets")
    if path.suffix == ".npz":
        if data.targets is not None:
            fix = "Put the labels into the .npz, or name a .npy as `data.path`."
            raise ConfigError([Problem("data.targets", f"must be null with a .npz; got {data.targets!r}. {fix}")])
        stored = open_npz(path)
        pairs = _pair(stored, path, needs_train)
        names = set(stored) - {array.name for pair in pairs.values() for array in (pair.inputs, pair.labels)}
        free = [name for part, named in ARRAY_NAMES.items() if part not in pairs for pair in named for name in pair]
        hints = {name: suggest_near(name, free) for name in sorted(names)}
        unused = [f"`{name}` is not used.{hint}" for name, hint in hints.items() if hint]
        others = [name for name, hint in hints.items() if not hint]
        unused += [f"its other arrays are not used: {', '.join(others)}."] if others else []
    elif path.suffix == ".npy":
        if data.targets is None:
            fix = "data.targets=FILE.npy"
            raise MissingLabels([Problem("data.targets", f"must name the .npy of labels for {data.path!r}: {fix}")])
        pairs = {"train": _Pair(open_npy(path, "inputs"), open_npy(Path(data.targets).expanduser(), "targets"))}
    else:
        raise ConfigError([Problem("data.path", f"must be a .npz or .npy file; got {data.path!r}.")])
    for pair in pairs.values():
        x, y = pair.inputs, pair.labels
        if x.shape[0] != y.shape[0]:
            message = f"`{x.name}` and `{y.name}` must have as many rows; got {x.shape[0]:,} and {y.shape[0]:,}."
            refuse("data.path", path, message)
        if len(x.shape) < 2:
            refuse("data.path", x.path, f"`{x.name}` must hold arrays along its rows; got {x.shape}.")
    return pairs, unused


def _pair(stored: Mapping[str, StoredArray], path: Path, needs_train: bool) -> dict[str, _Pair]:
    pairs = {}
    for part, pairs_of_names in ARRAY_NAMES.items():
        found = [names for names in pairs_of_names if any(name in stored for name in names)]
        if len(found) > 1:
            message = " and ".join(f"`{names[0]}`, `{names[1]}`" for names in found)
            refuse("data.path", path, f"must hold one pair of arrays to {part} on; got {message}.")
        for inputs, labels in found:
            if inputs not in stored:
                refuse("data.path", path, f"has no `{inputs}`. {_format_names(inputs, stored)}")
            if labels not in stored:
                message = f"{str(path)!r}: has no `{labels}`. {_format_names(labels, stored)}"
                raise MissingLabels([Problem("data.path", message)])
            pairs[part] = _Pair(stored[inputs], stored[labels])
    if "train" not in pairs and (needs_train or not pairs):
        fix = "Name its arrays `x` and `y`, or `x_train` and `y_train`."
        refuse("data.path", path, f"has no `x`. {_format_names('x', stored)} {fix}")
    return pairs


def _format_names(name: str, stored: Mapping[str, StoredArray]) -> str:
    known = {one for pairs in ARRAY_NAMES.values() for names in pairs for one in names}
    others = [other for other in stored if other not in known]
    if others:
        return suggest(name, others)
    return f"Its arrays are: {', '.join(stored)}." if stored else "It holds no arrays."
