"""What can't be for a task is refused with its path, why, and what to use instead."""

import pytest
from conftest import make_config
from test_tasks import ACTIVATIONS, LOCAL, NUM_CLASSES, TARGETS, configure

from lctrain.config import validate
from lctrain.errors import ConfigError
from lctrain.model.build import build_model
from lctrain.model.objectives import build_metrics
from lctrain.model.summary import summarize


def problems_of(*arguments, look=summarize, **changes):
    with pytest.raises(ConfigError, match="`") as raised:
        look(configure(*arguments, **changes))
    return {problem.path: problem.message for problem in raised.value.problems}


@pytest.mark.parametrize("look", [summarize, build_model])
@pytest.mark.parametrize(
    ("layers", "path", "message"),
    [
        ({"head": LOCAL | {"filters": NUM_CLASSES}}, "head", "end with `type: Permute`, `dims: [2, 1]`"),
        ({"head": LOCAL | {"filters": TARGETS}}, "head", "got (None, 6, 6). "),
        (
            {"lc1": LOCAL | {"filters": NUM_CLASSES}, "moved": {"type": "Permute", "dims": [2, 1]}, "head": "Softmax"},
            "head.axis",
            "must be -1, along which the classes lie; got 1. Write `axis: -1`.",
        ),
    ],
)
def test_channels_first_outputs_are_told_where_their_channels_are(look, layers, path, message):
    num_classes = TARGETS if layers["head"] == LOCAL | {"filters": TARGETS} else NUM_CLASSES  # of one size: not seen
    found = problems_of(
        "classification",
        True,
        look=look,
        layers=layers,
        data={"num_classes": num_classes},
        data_format="channels_first",
    )
    assert list(found) == [f"model.layers.{path}"]
    assert message in found[f"model.layers.{path}"]


@pytest.mark.parametrize("look", [summarize, build_model])
@pytest.mark.parametrize(
    ("task", "is_sequence", "head", "message"),
    [
        (
            "binary",
            False,
            {"units": 2},
            r"must give one score, an output of shape (None, 1); got (None, 2). To let it follow",
        ),
        ("multilabel", False, {"units": 3}, "must give one score per class, an output of shape (None, 4); got (None,"),
        ("regression", False, {"units": 2}, "`model.layers.head.units=auto model.layers.head.activation=auto`."),
        ("regression", False, {"units": 2}, "must give one number per target, an output of shape (None, 3); got (No"),
        ("classification", True, {"units": 3}, "for each position of `data.target_shape`, an output of shape (None, 6"),
        (
            "classification",
            True,
            {"units": 3},
            "follow the task: `model.layers.head.units=auto model.layers.head.activation=auto`.",
        ),
        ("binary", False, {"units": 1, "activation": "softmax"}, "(activation: sigmoid) or logits"),
        ("multilabel", False, {"units": 4, "activation": "tanh"}, "got activation 'tanh'"),
        ("classification", True, {"units": 4, "activation": "sigmoid"}, "(activation: softmax) or logits"),
    ],
)
def test_heads_that_do_not_fit_the_task_are_told(look, task, is_sequence, head, message):
    layers = {"lc1": LOCAL, **({} if is_sequence else {"flatten": "Flatten"}), "head": {"type": "Dense", **head}}
    found = problems_of(task, is_sequence, look=look, layers=layers)
    assert list(found) == ["model.layers.head"]
    assert message in found["model.layers.head"]


@pytest.mark.parametrize(
    ("task", "training", "path", "message"),
    [
        ("regression", {"metrics": {"accuracy": "accuracy"}}, "metrics.accuracy", "Write `auto` for it, or"),
        ("regression", {"metrics": {"a": "BinaryAccuracy"}}, "metrics.a", "labels of 0 and 1, .* MeanAbsoluteError"),
        ("regression", {"metrics": ["TopKCategoricalAccuracy"]}, "metrics.0", "and task regression has none. Use Mean"),
        ("regression", {"loss": "SparseCategoricalCrossentropy"}, "loss", "one right class of several, .* MeanSquared"),
        ("regression", {"loss": "binary_crossentropy"}, "loss", "labels of 0 and 1, .* Use MeanSquaredError"),
        ("binary", {"loss": "CategoricalCrossentropy"}, "loss", "there is one score. Use BinaryCrossentropy"),
        ("binary", {"loss": "CosineSimilarity"}, "loss", "with each other, and there is one. Use BinaryCross"),
        ("binary", {"metrics": {"a": "SparseCategoricalAccuracy"}}, "metrics.a", "Use BinaryAccuracy."),
        ("binary", {"metrics": {"a": "MeanIoU"}}, "metrics.a", "has no `num_classes`"),
        ("multilabel", {"loss": "CategoricalFocalCrossentropy"}, "loss", "any of them can .* BinaryFocalCrossentropy"),
        ("multilabel", {"metrics": {"a": "CategoricalCrossentropy"}}, "metrics.a", "Use BinaryCrossentropy"),
        ("multilabel", {"metrics": {"a": "CategoricalHinge"}}, "metrics.a", "Use Hinge"),
        ("multilabel", {"metrics": {"a": "PearsonCorrelation"}}, "metrics.a", "labels of an example are alike"),
        (
            "binary",
            {"metrics": {"a": "Precision"}},
            "metrics.a",
            "gives logits. Give its last .* `activation: sigmoid`",
        ),
        ("multilabel", {"loss": "Dice"}, "loss", r"\(Dice\) judges probabilities, .* `activation: sigmoid`"),
    ],
)
def test_what_can_not_judge_a_task_is_refused(task, training, path, message):
    with pytest.raises(ConfigError, match=rf"(?s)^`training\.{path}` .*{message}"):
        summarize(configure(task, training=training))


@pytest.mark.parametrize(
    ("task", "training"),
    [
        ("regression", {"metrics": {"r2": "R2Score"}}),
        ("multilabel", {"metrics": {"f1": "F1Score"}}),
        ("classification", {"loss": "Circle", "metrics": {}}),
    ],
)
def test_what_takes_rows_alone_is_refused_for_sequences(task, training):
    summarize(configure(task, activation=ACTIVATIONS[task], training=training))
    with pytest.raises(ConfigError, match=r"takes one target per example, and `data.target_shape` is \[6\]. Use "):
        configure(task, True, ACTIVATIONS[task], training)


def test_judges_of_probabilities_are_refused_when_they_are_built_too():
    config = configure("binary", training={"metrics": {"recall": "Recall"}})
    with pytest.raises(ConfigError, match=r"`training.metrics.recall` \(Recall\) judges .* `activation: sigmoid`"):
        build_metrics(config)


@pytest.mark.parametrize(
    ("task", "changes", "path", "message"),
    [
        ("classification", {"num_classes": None}, "data.num_classes", "with task classification; got None"),
        ("multilabel", {"num_classes": None}, "data.num_classes", "with task multilabel; got None"),
        (
            "binary",
            {"num_classes": 3},
            "data.num_classes",
            "must be 2 with task binary; got 3. Write data.num_classes=2",
        ),
        ("binary", {"num_classes": None}, "data.num_classes", "must be 2 with task binary; got None."),
        ("regression", {"num_classes": 10}, "data.num_classes", "must be null with task regression, .* got 10"),
        ("multilabel", {"num_targets": 3}, "data.num_targets", "must be left out with task multilabel; got 3"),
        ("regression", {"target_shape": [0]}, "data.target_shape.0", "greater than 0; got 0"),
        ("regression", {"num_targets": 0}, "data.num_targets", "greater than 0; got 0"),
    ],
)
def test_classes_and_targets_must_be_the_tasks(task, changes, path, message):
    layers = {"flatten": "Flatten", "head": {"type": "Dense", "units": 4}}
    with pytest.raises(ConfigError, match=f"^`{path}` .*{message}"):
        configure(task, data=changes, layers=layers, training={"metrics": {}})


def test_a_reference_to_classes_that_there_are_not_says_what_to_use():
    layers = {"flatten": "Flatten", "head": {"type": "Dense", "units": "${data.num_classes}"}}
    with pytest.raises(
        ConfigError,
        match=r"^`model.layers.head.units` .* `model.layers.head.units=auto model.layers.head.activation=auto`\.$",
    ):
        configure("regression", layers=layers)
    with pytest.raises(ConfigError, match=r"`model.layers.head.units` .*`data.num_classes` is null. Give it"):
        configure("classification", layers=layers, data={"num_classes": None})


def test_metrics_that_are_left_out_are_those_of_the_task():
    config = make_config()
    assert "metrics" not in config["training"]
    assert list(validate(config).training.metrics) == ["accuracy"]
    config["data"] |= {"task": "regression", "num_classes": None, "num_targets": 4}
    assert list(validate(config).training.metrics) == ["mae", "r2"]


def test_a_softmax_over_other_axes_than_the_classes_is_told():
    mixed = {"lc1": LOCAL, "flatten": "Flatten", "head": {"type": "Dense", "units": 24, "activation": "softmax"}}
    mixed["end"] = {"type": "Reshape", "target_shape": [TARGETS, NUM_CLASSES]}
    found = problems_of("classification", True, layers=mixed)
    assert "moves classes that the softmax of `model.layers.head` has compared" in found["model.layers.end"]
