"""Losses, metrics and learning rate schedules: every one that can be named trains on labels as it wants them."""

import copy

import keras
import numpy as np
import pytest
from conftest import make_config

from lctrain import training
from lctrain.config import validate
from lctrain.config.allowlist import classes
from lctrain.data import load_splits
from lctrain.errors import ConfigError
from lctrain.model.build import build_model, build_optimizer
from lctrain.model.objectives import build_loss, build_metrics

NUM_CLASSES = 4
LABELS = np.array([0, 1, 2, 3, 1, 0])
SCORES = np.random.default_rng(0).dirichlet(np.ones(NUM_CLASSES), 6).astype("float32")
ARGUMENTS = {
    "IoU": {"num_classes": NUM_CLASSES, "target_class_ids": [0, 2]},
    "MeanIoU": {"num_classes": NUM_CLASSES},
    "OneHotIoU": {"num_classes": NUM_CLASSES, "target_class_ids": [0, 2]},
    "OneHotMeanIoU": {"num_classes": NUM_CLASSES},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
SCHEDULES = {
    "CosineDecay": {"initial_learning_rate": 1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 1, "first_decay_steps": 10},
    "ExponentialDecay": {"initial_learning_rate": 1, "decay_steps": 10, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 1, "decay_steps": 10, "decay_rate": 1},
    "PiecewiseConstantDecay": {"boundaries": [5], "values": [1, 0.5]},
    "PolynomialDecay": {"initial_learning_rate": 1, "decay_steps": 10},
}


def configure(optimizer=None, activation="softmax", **changes):
    config = copy.deepcopy(make_config())
    config["model"]["layers"]["head"]["activation"] = activation
    config["training"] = config["training"] | changes
    return validate(config | ({} if optimizer is None else {"optimizer": optimizer}))


def problems_of(**changes):
    with pytest.raises(ConfigError, match=r"`training") as raised:
        configure(**changes)
    return {problem.path: problem.message for problem in raised.value.problems}


@pytest.mark.parametrize("name", sorted(classes("losses")))
def test_every_loss_judges_class_scores(name):
    config = configure(loss=name, metrics={})
    labels = training.encode_labels(LABELS, config)
    value = build_loss(config)(labels, SCORES)
    assert np.isfinite(float(value))


@pytest.mark.parametrize("name", sorted(classes("metrics")))
def test_every_metric_judges_class_scores(name):
    config = configure(metrics={"mine": {"type": name, **ARGUMENTS.get(name, {})}})
    (metric,) = build_metrics(config)
    metric.update_state(training.encode_labels(LABELS, config), SCORES)
    assert metric.name == "mine"
    assert np.isfinite(float(metric.result()))


@pytest.mark.parametrize("name", sorted(classes("optimizers")))
def test_every_optimizer_trains(name):
    config = configure(optimizer={"type": name, "learning_rate": 0.01})
    model = build_model(config)
    training.compile_model(model, config)
    inputs = np.random.default_rng(0).standard_normal((6, 5, 7, 2)).astype("float32")
    before = model.get_weights()
    model.train_on_batch(inputs, LABELS)
    assert any((one != two).any() for one, two in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("name", sorted(classes("schedules")))
def test_every_schedule_sets_the_learning_rate_of_each_step(name):
    spec = {"type": name, **SCHEDULES[name]}
    optimizer = build_optimizer(configure(optimizer={"type": "SGD", "learning_rate": spec}).optimizer)
    expected = getattr(keras.optimizers.schedules, name)(
        **{
            key: [float(number) for number in value] if isinstance(value, list) else float(value)
            for key, value in SCHEDULES[name].items()
        }
    )
    for step in (0, 4, 9):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(float(expected(step)))


def test_by_default_cross_entropy_and_accuracy():
    config = configure(activation=None)
    loss = build_loss(config)
    assert isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    assert loss.from_logits
    (metric,) = build_metrics(config)
    assert isinstance(metric, keras.metrics.SparseCategoricalAccuracy)
    assert training.encode_labels(LABELS, config) is LABELS


def test_the_default_loss_takes_the_labels_that_the_metrics_want():
    config = configure(metrics=["accuracy", "AUC", {"top_k_categorical_accuracy": 2}])
    assert list(config.training.metrics) == ["accuracy", "auc", "top_k_categorical_accuracy"]
    assert config.training.metrics["top_k_categorical_accuracy"] == {"type": "TopKCategoricalAccuracy", "k": 2}
    assert isinstance(build_loss(config), keras.losses.CategoricalCrossentropy)
    assert isinstance(build_metrics(config)[0], keras.metrics.CategoricalAccuracy)
    np.testing.assert_array_equal(training.encode_labels(LABELS, config), np.eye(NUM_CLASSES)[LABELS])


def test_losses_take_their_arguments_in_every_spelling():
    for spelling in (
        {"type": "Huber", "delta": 2},
        {"huber": 2.0},
        {"Huber": {"delta": 2.0}},
        {"type": "huber", "delta": 2.0},
    ):
        config = configure(loss=spelling)
        assert float(build_loss(config)([[5.0]], [[0.0]])) == 2 * (5 - 2 / 2)
    assert configure(loss="mse").training.loss == {"type": "MeanSquaredError"}


def test_the_declared_loss_is_the_one_trained():
    model = copy.deepcopy(make_config()["model"])
    losses = {}
    for loss in (None, "mse", {"type": "CategoricalCrossentropy", "label_smoothing": 0.5}):
        config = make_config(model=model)
        config["training"] |= {
            "loss": loss,
            "metrics": {"accuracy": "accuracy", "top2": {"top_k_categorical_accuracy": 2}},
        }
        config = validate(config)
        training.prepare_process(config)
        built = build_model(config)
        training.compile_model(built, config)
        splits = load_splits(config.data, config.data_format)
        history = training.fit(built, splits, config, [])
        assert set(history) == {f"{prefix}{name}" for prefix in ("", "val_") for name in ("loss", "accuracy", "top2")}
        tested = training.evaluate(built, splits.test, config)
        scores = keras.ops.convert_to_tensor(built.predict(splits.test.inputs, verbose=0))
        labels = np.eye(NUM_CLASSES, dtype="float32")[splits.test.labels]
        assert tested["accuracy"] == pytest.approx(np.mean(np.argmax(scores, -1) == splits.test.labels))
        expected = {
            "None": keras.losses.CategoricalCrossentropy(),
            "mse": keras.losses.MeanSquaredError(),
        }.get(str(loss), keras.losses.CategoricalCrossentropy(label_smoothing=0.5))(labels, scores)
        assert tested["loss"] == pytest.approx(float(expected), rel=1e-4)
        losses[str(loss)] = tested["loss"]
    assert len(set(losses.values())) == 3


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"loss": "categorical_crossentropi"}, "training.loss", "Did you mean `categorical_crossentropy`?"),
        ({"loss": {"type": "CTC"}}, "training.loss.type", "can't be CTC, which compares sequences of labels"),
        ({"loss": 3}, "training.loss", "must be a mapping with `type` and arguments; got 3."),
        ({"loss": {"huber": -1}}, "training.loss.huber", "must be a positive number; got -1."),
        (
            {"metrics": "accuracyy"},
            "training.metrics",
            "must name a Keras metric; got 'accuracyy'. Did you mean `accuracy`?",
        ),
        (
            {"metrics": {"loss": "accuracy"}},
            "training.metrics.loss",
            "must be a name of letters, digits and underscores",
        ),
        ({"metrics": {"top": {"type": "Precision", "topk": 3}}}, "training.metrics.top.topk", "Did you mean `top_k`?"),
        (
            {"loss": "sparse_categorical_crossentropy", "metrics": {"auc": "AUC"}},
            "training.metrics.auc",
            "(AUC) compares scores with one-hot labels, but `training.loss` (SparseCategoricalCrossentropy) with"
            " integer labels. Choose two that agree.",
        ),
        (
            {"loss": "mse", "metrics": {"top": "SparseTopKCategoricalAccuracy"}},
            "training.metrics.top",
            "Use TopKCategoricalAccuracy.",
        ),
    ],
)
def test_what_can_not_judge_is_told(changes, path, message):
    problems = problems_of(**changes)
    assert list(problems) == [path]
    assert message in problems[path]


def test_what_judges_probabilities_refuses_logits():
    config = configure(activation=None, metrics={"precision": "precision"})
    with pytest.raises(ConfigError, match=r"`training.metrics.precision` \(Precision\) judges probabilities"):
        build_metrics(config)


def test_a_schedule_is_checked_with_its_path():
    config = make_config(optimizer={"type": "SGD", "learning_rate": {"type": "CosineDecay", "decay_step": 3}})
    with pytest.raises(ConfigError, match=r"(?s)`optimizer.learning_rate.decay_step` .* Did you mean `decay_steps`\?"):
        validate(config)
