"""Which losses and metrics can judge a task, and what to use instead of those that can't."""

from collections.abc import Mapping
from typing import Any

from lctrain.config.tasks import AUTO
from lctrain.errors import Problem

USUAL = {  # metrics that may be `auto`: there where the task is regression, or for accuracy another
    "accuracy": {"type": "Accuracy"},
    "mae": {"type": "MeanAbsoluteError"},
    "r2": {"type": "R2Score"},
}
ONE_OF_SEVERAL = {  # compare scores with one right class of several
    *("CategoricalAccuracy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge", "Circle"),
    *("CategoricalGeneralizedCrossEntropy", "IoU", "KLDivergence", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"),
    *("SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy"),
    "TopKCategoricalAccuracy",
}
ZERO_OR_ONE = {  # compare scores with labels of 0 and 1
    *("AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "BinaryFocalCrossentropy", "Dice", "F1Score"),
    *("FBetaScore", "FalseNegatives", "FalsePositives", "Hinge", "Precision", "PrecisionAtRecall", "Recall"),
    *("RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity", "SquaredHinge", "TrueNegatives"),
    *("TruePositives", "Tversky"),
}
ALONG_OUTPUTS = {"ConcordanceCorrelation", "CosineSimilarity", "PearsonCorrelation"}  # unless `axis` says otherwise
OF_ROWS = {"Circle", "F1Score", "FBetaScore", "R2Score"}  # take one target per example alone
OF_PROBABILITIES = {
    *("CategoricalGeneralizedCrossEntropy", "KLDivergence", "Precision", "Recall", "PrecisionAtRecall"),
    *("RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"),
    *("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"),
}
OF_SIGMOIDS = {"Dice", "F1Score", "FBetaScore", "Poisson", "Tversky"}  # too, where labels are 0 and 1
WITHOUT_CLASSES = {
    "binary": "with task binary there is one score",
    "multilabel": "with task multilabel any of them can be right",
    "regression": "task regression has none",
}


def choose_metrics(training: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The group `training`, its spelling normalised, in which each metric that is `auto` is there where it suits.

    Without `metrics` all of `USUAL` are. What is malformed stays as it is: validation tells.
    """
    metrics, chosen = training.get("metrics", dict.fromkeys(USUAL, AUTO)), {}
    for name, spec in metrics.items() if isinstance(metrics, Mapping) else ():
        if spec != AUTO or name not in USUAL:
            chosen[name] = spec
        elif (name == "accuracy") != (data.get("task") == "regression"):
            suits = find_metric_problem(f"training.metrics.{name}", "metrics", USUAL[name], data) is None
            chosen |= {name: USUAL[name]} if suits else {}
    return {**training, "metrics": chosen if isinstance(metrics, Mapping) else metrics}


def find_metric_problem(path: str, group: str, spec: Mapping[str, Any], data: Mapping[str, Any]) -> Problem | None:
    """What is wrong with one loss or metric under the task.

    Args:
        path: of the spec.
        group: "losses" or "metrics".
        spec: valid by itself.
        data: as written, of a task that there is.
    """
    task, name, reason = data.get("task", "classification"), spec["type"], None
    if task == "regression" and name == "Accuracy":
        message = "(Accuracy) counts right classes, and task regression has none"
        return Problem(path, f"{message}. Write `auto` for it, or a metric such as MeanAbsoluteError.")
    if task != "classification" and name in ONE_OF_SEVERAL:
        reason = f"judges one right class of several, and {WITHOUT_CLASSES[task]}"
    elif task == "regression" and name in ZERO_OR_ONE:
        reason = "judges labels of 0 and 1, and task regression has numbers"
    elif name in OF_ROWS and data.get("target_shape"):
        reason = f"takes one target per example, and `data.target_shape` is {data['target_shape']}"
    elif name in ALONG_OUTPUTS and spec.get("axis", -1) == -1 and _has_one_output(data):
        reason = "compares the outputs of an example with each other, and there is one"
    elif name == "PearsonCorrelation" and task == "multilabel" and spec.get("axis", -1) == -1:
        reason = "has no value where all labels of an example are alike"
    return None if reason is None else Problem(path, f"({name}) {reason}. Use {_instead(task, group, name)}.")


def is_for_probabilities(class_name: str, task: str) -> bool:
    """Whether a loss or metric makes no sense of logits and can't be told of them."""
    return class_name in OF_PROBABILITIES or (class_name in OF_SIGMOIDS and task in ("binary", "multilabel"))


def _has_one_output(data: Mapping[str, Any]) -> bool:
    task = data.get("task", "classification")
    return bool(task == "binary" or (task == "regression" and data.get("num_targets", 1) == 1))


def _instead(task: str, group: str, class_name: str) -> str:
    if task == "regression":
        return "MeanSquaredError" if group == "losses" else "MeanAbsoluteError"
    if task == "classification":
        return "SparseCategoricalCrossentropy" if group == "losses" else "CategoricalAccuracy"
    is_score = group == "metrics" and not class_name.endswith("Crossentropy")
    near = {"CategoricalFocalCrossentropy": "BinaryFocalCrossentropy", "CategoricalHinge": "Hinge"}
    return near.get(class_name, "BinaryAccuracy" if is_score else "BinaryCrossentropy")
