"""The tasks: what each asks of `data`, what a model must give for it, and the loss where none is said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lctrain.config.schema import DataConfig
from lctrain.errors import Problem

NUM_BINARY = 2  # classes of task binary
AUTO = "auto"  # in the place of a value: what the task asks for


@dataclass(frozen=True)
class Task:
    """What a model must give.

    Args:
        gives: the numbers at each target, in words.
        activation: what makes probabilities of scores; None where the model gives plain numbers.
        loss: the class of the loss where none is said.
    """

    gives: str
    activation: str | None
    loss: str


TASKS = {
    "classification": Task("one score per class", "softmax", "SparseCategoricalCrossentropy"),
    "binary": Task("one score", "sigmoid", "BinaryCrossentropy"),
    "multilabel": Task("one score per class", "sigmoid", "BinaryCrossentropy"),
    "regression": Task("one number per target", None, "MeanSquaredError"),
}


def num_outputs(data: DataConfig) -> int | None:
    """Numbers that the model gives at each target."""
    return {"binary": 1, "regression": data.num_targets}.get(data.task, data.num_classes)


def output_shape(data: DataConfig) -> tuple[int | None, ...]:
    """Of the model's only output, the batch, None, first and the channels last whatever the run's `data_format`.

    >>> from lctrain.config.schema import DataConfig
    >>> output_shape(DataConfig(input_shape=[10, 2], task="regression", target_shape=[7], num_targets=3))
    (None, 7, 3)
    """
    return (None, *data.target_shape, num_outputs(data))


def find_problems_in_task(data: Mapping[str, Any]) -> list[Problem]:
    """Whether the classes and targets of `data`, as written, are the task's; the schema tells of wrong types."""
    task, num_classes = data.get("task", "classification"), data.get("num_classes")
    if task not in TASKS or not (num_classes is None or _is_count(num_classes)):
        return []
    problems = []
    if task == "regression" and num_classes is not None:
        expected = "must be null with task regression, which has no classes"
        fix = "Write data.num_classes=null, and data.num_targets where there are several numbers."
        problems.append(Problem("data.num_classes", f"{expected}; got {num_classes}. {fix}"))
    elif task == "binary" and num_classes != NUM_BINARY:
        expected = f"must be {NUM_BINARY} with task binary"
        fix = " Write data.num_classes=2, or use `data.task: classification` or `multilabel`."
        problems.append(Problem("data.num_classes", f"{expected}; got {num_classes}.{fix}"))
    elif task != "regression" and num_classes is None:
        expected = f"must be how many classes there are with task {task}"
        fix = "To predict numbers use `data.task: regression`."
        problems.append(Problem("data.num_classes", f"{expected}; got None. {fix}"))
    num_targets = data.get("num_targets", 1)
    if task != "regression" and isinstance(num_targets, int) and num_targets > 1:
        expected = f"must be left out with task {task}"
        fix = "Use num_classes, or `data.task: regression`."
        problems.append(Problem("data.num_targets", f"{expected}; got {num_targets}. {fix}"))
    return problems


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= NUM_BINARY
