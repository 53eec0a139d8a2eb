"""Arrays of one's own: a .npz with inputs and labels, or a .npy of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lctrain.config.schema import ArraysConfig
from lctrain.data.checks import as_labels, check_class_numbers, check_file, check_finite, refuse
from lctrain.data.npy import StoredArray, open_npy, open_npz
from lctrain.data.splits import Facts, Loaded, Split
from lctrain.errors import ConfigError, Problem, suggest

SPELT = {  # by part, how its inputs and labels may be called
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
    pairs = _open(data)
    inputs, labels = pairs["train"].inputs, pairs["train"].labels
    if len(inputs.shape) < 2:
        refuse("data.path", inputs.path, f"`{inputs.name}` must hold arrays along its rows; got {inputs.shape}.")
    sizes = list(labels.shape[1:])
    target_shape, num_classes, num_targets = sizes, 2 if data.task == "binary" else None, 1
    if data.task == "multilabel":
        target_shape, num_classes = sizes[:-1], sizes[-1] if sizes else None
    elif data.task == "regression":
        target_shape, num_targets = sizes[:-1], sizes[-1] if sizes else 1
    elif sizes[-1:] == [1]:
        target_shape = sizes[:-1]
    if data.task == "classification":
        numbers = [pair.labels.read() for pair in pairs.values()]
        for pair, values in zip(pairs.values(), numbers, strict=True):
            check_class_numbers(values, pair.labels.path, pair.labels.name)
        num_classes = int(max(values.max() for values in numbers)) + 1
    return Facts(
        input_shape=list(inputs.shape[1:]),
        num_examples=sum(pair.inputs.shape[0] for pair in pairs.values()),
        given=tuple(part for part in pairs if part != "train"),
        held_bytes=sum(_held_bytes(pair.inputs) for pair in pairs.values()),
        target_shape=target_shape,
        num_classes=num_classes,
        num_targets=num_targets,
    )


def load_arrays(data: ArraysConfig) -> Loaded:
    """The arrays, checked value by value."""
    return Loaded({part: _load(pair, data) for part, pair in _open(data).items()})


def _held_bytes(stored: StoredArray) -> float:
    """As read, as converted, and as split, of which two are there at a time."""
    if stored.is_mapped:
        return 0
    itemsize = 1 if stored.dtype == np.uint8 else 4
    return float(np.prod(stored.shape, dtype=float)) * (max(stored.dtype.itemsize, itemsize) + itemsize)


def _load(pair: _Pair, data: ArraysConfig) -> Split:
    shape = list(pair.inputs.shape[1:])
    if shape != data.input_shape and [*shape, 1] != data.input_shape:
        told = f"`{pair.inputs.name}` must hold arrays of `data.input_shape`, {data.input_shape}; got {shape}."
        refuse("data.path", pair.inputs.path, told)
    labels = as_labels(pair.labels.read(), data, pair.labels.path, pair.labels.name)
    inputs = pair.inputs.read_inputs(data.input_shape)
    check_finite(inputs, pair.inputs.path, pair.inputs.name)
    return Split(inputs, labels)


def _open(data: ArraysConfig) -> dict[str, _Pair]:
    """The arrays of each part, by their headers."""
    path = Path(data.path).expanduser()
    check_file(path)
    if data.targets is not None:
        check_file(Path(data.targets).expanduser(), "data.targets")
    if path.suffix == ".npz":
        if data.targets is not None:
            fix = "Put the labels into the .npz, or name a .npy as `data.path`."
            raise ConfigError([Problem("data.targets", f"must be null with a .npz; got {data.targets!r}. {fix}")])
        pairs = _pair(open_npz(path), path)
    elif path.suffix == ".npy":
        if data.targets is None:
            fix = "data.targets=FILE.npy"
            raise ConfigError([Problem("data.targets", f"must name the .npy of labels for {data.path!r}: {fix}")])
        pairs = {"train": _Pair(open_npy(path, "inputs"), open_npy(Path(data.targets).expanduser(), "targets"))}
    else:
        raise ConfigError([Problem("data.path", f"must be a .npz or .npy file; got {data.path!r}.")])
    for pair in pairs.values():
        x, y = pair.inputs, pair.labels
        if x.shape[0] != y.shape[0]:
            told = f"`{x.name}` and `{y.name}` must have as many rows; got {x.shape[0]:,} and {y.shape[0]:,}."
            refuse("data.path", path, told)
    return pairs


def _pair(stored: Mapping[str, StoredArray], path: Path) -> dict[str, _Pair]:
    pairs = {}
    for part, spelt in SPELT.items():
        found = [names for names in spelt if any(name in stored for name in names)]
        if len(found) > 1:
            told = " and ".join(f"`{names[0]}`, `{names[1]}`" for names in found)
            refuse("data.path", path, f"must hold one pair of arrays to {part} on; got {told}.")
        for names in found:
            for name in names:
                if name not in stored:
                    refuse("data.path", path, f"has no `{name}`. {_tell_names(name, stored)}")
            pairs[part] = _Pair(*(stored[name] for name in names))
    if "train" not in pairs:
        fix = "Name its arrays `x` and `y`, or `x_train` and `y_train`."
        refuse("data.path", path, f"has no `x`. {_tell_names('x', stored)} {fix}")
    return pairs


def _tell_names(name: str, stored: Mapping[str, StoredArray]) -> str:
    known = {spelt for pairs in SPELT.values() for names in pairs for spelt in names}
    others = [other for other in stored if other not in known]
    return suggest(name, others or stored) if stored else "It holds no arrays."
