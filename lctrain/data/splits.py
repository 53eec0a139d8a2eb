"""What a data set is made into, and what it is read as before that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lctrain.data.rows import Inputs

PARTS = ("train", "validation", "test")

# What folders, and the cells of a column, may call them.
PART_NAMES = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


class Split(NamedTuple):
    """Examples and their labels.

    Args:
        inputs: `(num_examples, *input_shape)`, in the run's data_format, float32 or uint8: an array, or `Rows` of one
            that stays on the disk.
        labels: in memory, by the task. Classification: int64, `(num_examples, *target_shape)`, from 0 to
            `num_classes - 1`. Others float32: binary `(num_examples, *target_shape, 1)` and multilabel
            `(num_examples, *target_shape, num_classes)`, zeros and ones; regression
            `(num_examples, *target_shape, num_targets)`.
    """

    inputs: Inputs
    labels: np.ndarray


@dataclass(frozen=True)
class Unlabelled:
    """Examples without labels, channels last.

    Args:
        inputs: as those of a `Split`.
        column: what `places` are: `row` or `file`.
        places: where each example is: the number of its row, from 0, or the path of its file.
        notes: how they were read where their user may have meant another way, each a sentence.
    """

    inputs: Inputs
    column: str
    places: Sequence[Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Splits:
    """What a model is trained, validated and tested on."""

    train: Split
    validation: Split
    test: Split


@dataclass(frozen=True)
class Loaded:
    """A data set as it was read, channels last.

    Args:
        parts: by name, `train` and those of `validation` and `test` that the data set has of its own.
        class_names: of the classes, where they have names.
    """

    parts: dict[str, Split]
    class_names: list[str] | None = None
