"""What a data set is made into, and what it is read as before that."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lctrain.data.rows import Inputs

PARTS = ("train", "validation", "test")
SPELT = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}  # as folders and in columns


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
class Splits:
    """What a model is trained on, watched on, and judged on."""

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


@dataclass(frozen=True)
class Facts:
    """What a data set holds, from its headers and labels alone.

    Args:
        input_shape: of one example, channels last.
        num_examples: of all parts together.
        given: the parts other than `train` that it has of its own.
        data_bytes: of memory that its arrays take.
        target_shape: sizes of a target before its classes or numbers.
        num_classes: None where the task has none.
        num_targets: numbers to predict.
        class_names: of the classes, where they have names.
        is_reshaped: whether any shape of as many elements will do as `input_shape`.
        notes: what was decided about the files that their user may have meant otherwise, each a sentence.
        features: of a table, the columns that it is predicted from, in their order.
        categories: of a table, by column the names that stand for numbers, in the order of these.
    """

    input_shape: list[int]
    num_examples: int
    given: tuple[str, ...]
    data_bytes: float
    target_shape: list[int]
    num_classes: int | None = None
    num_targets: int = 1
    class_names: list[str] | None = None
    is_reshaped: bool = False
    notes: tuple[str, ...] = ()
    features: list[str] | None = None
    categories: dict[str, list[str]] = field(default_factory=dict)
