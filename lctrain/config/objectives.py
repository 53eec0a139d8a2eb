"""What a loss and metrics compare outputs with: labels as given, as integers, or as one-hot rows; all must agree."""

from collections.abc import Mapping
from typing import Any, Literal

from lctrain.config.allowlist import classes, require_class
from lctrain.config.specs import find_problems_in_spec
from lctrain.config.task_metrics import USUAL, find_metric_problem, is_for_probabilities
from lctrain.config.tasks import AUTO, TASKS
from lctrain.errors import Problem

Encoding = Literal["integers", "one_hot", "as_given"]
INTEGERS = (
    *(
        "CategoricalGeneralizedCrossEntropy",
        "Circle",
        "IoU",
        "MeanIoU",
        "SparseCategoricalAccuracy",
        "SparseCategoricalCrossentropy",
    ),
    "SparseTopKCategoricalAccuracy",
)
EITHER = ("Accuracy",)  # which here, as in Keras' own `metrics=["accuracy"]`, is the share of right classes


def find_problems_in_objectives(training: Mapping[str, Any], data: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong in `training.loss` and `training.metrics`, their spelling normalised, under the task."""
    problems, wanted = [], {}
    if training.get("loss") is not None:
        problems += find_problems_in_spec(training["loss"], "training.loss", "losses")
        wanted["training.loss"] = ("losses", training["loss"])
    metrics = training["metrics"]
    for name, spec in metrics.items() if isinstance(metrics, Mapping) else ():
        path = f"training.metrics.{name}"
        if not isinstance(name, str) or not name.isidentifier() or name in ("loss", "lr", "learning_rate"):
            expected = "must be a name of letters, digits and underscores, other than loss"
            problems.append(Problem(path, f"{expected}; got {name!r}."))
        if spec == AUTO:
            expected = f"can be auto for {', '.join(USUAL)} alone, the task's usual metrics"
            problems.append(Problem(path, f"{expected}. Name a class of Keras."))
        else:
            problems += find_problems_in_spec(spec, path, "metrics")
        wanted[path] = ("metrics", spec)
    task = data.get("task", "classification")
    if problems or task not in TASKS:
        return problems
    found = [find_metric_problem(path, group, spec, data) for path, (group, spec) in wanted.items()]
    problems = [problem for problem in found if problem is not None]
    return problems or (_find_disagreements(wanted) if task == "classification" else [])


def find_problems_of_logits(training: Mapping[str, Any], task: str) -> list[Problem]:
    """What of a validated loss and metrics can't judge a model that gives logits."""
    specs = {} if training["loss"] is None else {"training.loss": training["loss"]}
    specs |= {f"training.metrics.{name}": spec for name, spec in training["metrics"].items()}
    return [
        refuse_logits(path, spec["type"], task)
        for path, spec in specs.items()
        if is_for_probabilities(spec["type"], task)
    ]


def refuse_logits(path: str, class_name: str, task: str) -> Problem:
    message = f"({class_name}) judges probabilities, and the model gives logits. Give its last layer"
    return Problem(path, f"{message} `activation: {TASKS[task].activation}`.")


def label_encoding(training: Mapping[str, Any], task: str) -> Encoding:
    """How the labels are given to the loss and the metrics.

    Integer labels, which task classification has, stay so where nothing asks for one-hot rows.
    """
    if task != "classification":
        return "as_given"
    specs = [*([] if training["loss"] is None else [training["loss"]]), *training["metrics"].values()]
    return "one_hot" if "one_hot" in [_wants(spec["type"]) for spec in specs] else "integers"


def _wants(class_name: str) -> Encoding | None:
    return None if class_name in EITHER else "integers" if class_name in INTEGERS else "one_hot"


def _find_disagreements(wanted: Mapping[str, tuple[str, Mapping[str, Any]]]) -> list[Problem]:
    first_path, first, problems = None, None, []
    for path, (group, spec) in wanted.items():
        name = require_class(group, spec["type"]).name
        if _wants(name) is None:
            continue
        if first is None:
            first_path, first = path, name
        elif _wants(name) != _wants(first):
            message = (
                f"({name}) compares scores with {_in_words(name)}, but `{first_path}` ({first}) with {_in_words(first)}"
            )
            other = name.removeprefix("Sparse") if name.startswith("Sparse") else f"Sparse{name}"
            fix = f" Use {other}." if other in classes(group) else " Choose two that agree."
            problems.append(Problem(path, f"{message}.{fix}"))
    return problems


def _in_words(class_name: str) -> str:
    return "integer labels" if _wants(class_name) == "integers" else "one-hot labels"
