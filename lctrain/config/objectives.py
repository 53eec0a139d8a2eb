"""What a loss and metrics compare scores with: labels as integers, or as one-hot rows; all of a job's must agree."""

from collections.abc import Mapping
from typing import Any, Literal

from lctrain.config.allowlist import classes, find_class
from lctrain.config.specs import check_spec
from lctrain.errors import Problem

Encoding = Literal["integers", "one_hot"]
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
OF_PROBABILITIES = {
    *("CategoricalGeneralizedCrossEntropy", "KLDivergence", "Precision", "Recall", "PrecisionAtRecall"),
    *("RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"),
    *("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"),
}


def check_objectives(training: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong in `training.loss` and `training.metrics`, their spelling normalised."""
    problems, wanted = [], {}
    if training.get("loss") is not None:
        problems += check_spec(training["loss"], "training.loss", "losses")
        wanted["training.loss"] = ("losses", training["loss"])
    metrics = training.get("metrics")
    for name, spec in metrics.items() if isinstance(metrics, Mapping) else ():
        path = f"training.metrics.{name}"
        if not isinstance(name, str) or not name.isidentifier() or name in ("loss", "lr", "learning_rate"):
            expected = "must be a name of letters, digits and underscores, other than loss"
            problems.append(Problem(path, f"{expected}; got {name!r}."))
        problems += check_spec(spec, path, "metrics")
        wanted[path] = ("metrics", spec)
    return problems or _check_agreement(wanted)


def check_logits(training: Mapping[str, Any]) -> list[Problem]:
    """What of a validated loss and metrics can't judge a model that gives logits."""
    specs = {} if training["loss"] is None else {"training.loss": training["loss"]}
    specs |= {f"training.metrics.{name}": spec for name, spec in training["metrics"].items()}
    return [refuse_logits(path, spec["type"]) for path, spec in specs.items() if spec["type"] in OF_PROBABILITIES]


def refuse_logits(path: str, class_name: str) -> Problem:
    told = f"({class_name}) judges probabilities, and the model gives logits. Give its last layer"
    return Problem(path, f"{told} `activation: softmax`.")


def label_encoding(training: Mapping[str, Any]) -> Encoding:
    """How the labels are given to the loss and the metrics; as integers where nothing asks for either."""
    specs = [*([] if training["loss"] is None else [training["loss"]]), *training["metrics"].values()]
    return "one_hot" if "one_hot" in [_wants(spec["type"]) for spec in specs] else "integers"


def _wants(class_name: str) -> Encoding | None:
    return None if class_name in EITHER else "integers" if class_name in INTEGERS else "one_hot"


def _check_agreement(wanted: Mapping[str, tuple[str, Mapping[str, Any]]]) -> list[Problem]:
    first_path, first, problems = None, None, []
    for path, (group, spec) in wanted.items():
        name = find_class(group, spec["type"]).name
        if _wants(name) is None:
            continue
        if first is None:
            first_path, first = path, name
        elif _wants(name) != _wants(first):
            told = (
                f"({name}) compares scores with {_in_words(name)}, but `{first_path}` ({first}) with {_in_words(first)}"
            )
            other = name.removeprefix("Sparse") if name.startswith("Sparse") else f"Sparse{name}"
            fix = f" Use {other}." if other in classes(group) else " Choose two that agree."
            problems.append(Problem(path, f"{told}.{fix}"))
    return problems


def _in_words(class_name: str) -> str:
    return "integer labels" if _wants(class_name) == "integers" else "one-hot labels"
