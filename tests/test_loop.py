"""The training loop: what Keras' own does, and resumed anywhere, the same bits."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import make_config
from made_trainings import (
    NUM_BATCHES,
    TRAINING,
    Crash,
    CrashAt,
    EachLoss,
    assert_same_bits,
    fit,
    have_same_bits,
    prepare,
    state_of,
)

from lctrain import training
from lctrain.config.allowlist import classes
from lctrain.config.schema import TrainingConfig
from lctrain.data import Split, Splits
from lctrain.errors import ConfigError
from lctrain.model.build import build_optimizer
from lctrain.training import loop as loop_module
from lctrain.training.setup import evaluation_batches, training_batches
from lctrain.training.variables import is_seed, list_variables, read_variables, write_variables

LAYERS = {
    "lc1": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": [3, 2], "activation": "relu"},
    "normal": {"type": "BatchNormalization"},
    "drop": {"type": "Dropout", "rate": 0.3},
    "flatten": {"type": "Flatten"},
    "head": {"type": "Dense", "units": 4, "activation": "softmax"},
}
MODEL = {"name": "noisy", "layers": LAYERS}
AUGMENTED = make_config()["data"] | {
    "augmentation": [{"type": "RandomFlip"}, {"type": "GaussianNoise", "stddev": 0.1}],
}
SCHEDULE = {"type": "PiecewiseConstantDecay", "boundaries": [4, 11], "values": [0.05, 0.01, 0.002]}
CASES = {
    "noise, averages, schedule, class weights": {
        "model": MODEL,
        "data": AUGMENTED,
        "optimizer": {"type": "SGD", "learning_rate": SCHEDULE, "momentum": 0.9, "use_ema": True, "ema_momentum": 0.8},
        "training": TRAINING | {"epochs": 3, "class_weight": "balanced", "checkpoint": {"every_steps": 2}},
    },
    "a scaled loss, Nadam": {
        "model": MODEL,
        "precision": "mixed_float16",
        "optimizer": {"type": "Nadam", "learning_rate": 0.01},
        "training": TRAINING | {"epochs": 3, "validation_frequency": 2, "checkpoint": {"every_steps": 3}},
    },
    "accumulated gradients": {
        "model": MODEL,
        "optimizer": {"type": "AdamW", "learning_rate": 0.01, "gradient_accumulation_steps": 3, "clipnorm": 1},
        "training": TRAINING | {"epochs": 3, "checkpoint": {"every_steps": 1, "every_epochs": 1}},
    },
    "several steps a call, watched": {
        "model": MODEL,
        "data": AUGMENTED,
        "optimizer": {"type": "Adam", "learning_rate": 0.3},
        "training": TRAINING
        | {
            "epochs": 6,
            "steps_per_execution": 3,
            "early_stopping": {"monitor": "val_accuracy", "patience": 2},
            "reduce_on_plateau": {"monitor": "loss", "patience": 1, "min_delta": 0.5, "factor": 0.5},
            "best": "val_loss",
            "checkpoint": {"every_steps": 2},
        },
    },
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A configuration, and how it ends when nothing happens."""
    return CASES[request.param], fit(**CASES[request.param])


def fit_with_crashes(folder, steps, changes):
    """Trains in one process after the other, each of which, but the last, crashes in its step of that number."""
    losses = {}
    for step in (*steps, None):
        model, splits, config = prepare(**changes)
        seen = EachLoss()
        callbacks = [seen, *([] if step is None else [CrashAt(step)])]
        try:
            history = training.fit(model, splits, config, callbacks, folder)
        except Crash:
            assert step is not None
        else:
            assert step is None, "the training was over before it was to crash"
        again = {number for number, loss in seen.losses.items() if losses.get(number, loss) != loss}
        assert not again, "a step that is done again has another loss"
        losses |= seen.losses
    return model, history, losses


@pytest.mark.parametrize("steps", [(1, 4), (5, 4, 3)], ids=str)
def test_a_crash_changes_no_bit(case, steps, tmp_path):
    changes, (expected, expected_history, expected_losses) = case
    model, history, losses = fit_with_crashes(tmp_path, steps, changes)
    assert losses == expected_losses
    assert history == expected_history
    assert_same_bits(state_of(model), state_of(expected))


def test_a_training_that_is_done_is_not_gone_on_with(case, tmp_path):
    changes, (expected, expected_history, _) = case
    fit(tmp_path, **changes)
    model, history, losses = fit(tmp_path, **changes)
    assert losses == {}
    assert history == expected_history
    assert_same_bits(state_of(model), state_of(expected))


def test_the_seeds_belong_to_the_state(tmp_path, monkeypatch):
    changes = CASES["noise, averages, schedule, class weights"]
    expected = fit(**changes)

    def write_others(variables, arrays):
        seeds = {id(one): one.numpy() for one in variables if is_seed(one)}
        assert len(seeds) == 3
        write_variables(variables, arrays)
        for one in variables:
            one.assign(seeds.get(id(one), one))

    monkeypatch.setattr(loop_module, "write_variables", write_others)
    model, history, _ = fit_with_crashes(tmp_path, (), changes)
    assert_same_bits(state_of(model), state_of(expected[0]))  # where nothing crashes nothing is restored
    with pytest.raises(AssertionError, match="a step that is done again has another loss"):
        fit_with_crashes(tmp_path / "other", (4,), changes)
    model, splits, config = prepare(**changes)
    history = training.fit(model, splits, config, (), tmp_path / "other")
    assert history != expected[1]
    assert not have_same_bits(state_of(model), state_of(expected[0]))


@pytest.mark.parametrize("is_scaled", [False, True], ids=["plain", "scaled loss"])
@pytest.mark.parametrize("name", sorted(classes("optimizers")))
def test_an_optimizer_goes_on_from_its_variables(name, is_scaled):
    """Without a graph: what an optimizer keeps in no variable would be missed."""

    def make():
        optimizer = build_optimizer({"type": name, "learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.9})
        inputs = keras.Input((2,))
        model = keras.Model(inputs, keras.layers.Dense(3, kernel_initializer="ones")(inputs))
        model.compile(keras.optimizers.LossScaleOptimizer(optimizer) if is_scaled else optimizer)
        model.optimizer.build(model.trainable_variables)
        return model, list_variables(model)

    def step(model, number):
        numbers = np.random.default_rng(number)
        values = [keras.ops.convert_to_tensor(numbers.normal(size=one.shape)) for one in model.trainable_variables]
        model.optimizer.apply([keras.ops.cast(one, "float32") for one in values], model.trainable_variables)

    (one, variables), (other, other_variables) = make(), make()
    for number in range(3):
        step(one, number)
    write_variables(other_variables, read_variables(variables))
    for number in range(3, 6):
        step(one, number)
        step(other, number)
    assert_same_bits(read_variables(other_variables), read_variables(variables))


def fit_by_keras(model, dataset, splits, config, **options):
    validation = evaluation_batches(splits.validation, config).whole()
    return model.fit(dataset, validation_data=validation, shuffle=False, verbose=0, **options).history


@pytest.mark.parametrize("frequency", [1, 2])
def test_it_trains_as_keras_does(frequency):
    changes = {
        "model": MODEL,
        "optimizer": {"type": "SGD", "learning_rate": 0.05, "momentum": 0.9, "use_ema": True, "ema_momentum": 0.5},
        "training": TRAINING | {"class_weight": {1: 2.5}, "validation_frequency": frequency},
    }
    model, history, _ = fit(**changes)
    other, splits, config = prepare(**changes)
    dataset = training_batches(splits.train, config).stream(num_epochs=2)
    options = {"epochs": 2, "steps_per_epoch": NUM_BATCHES, "validation_freq": frequency}
    expected = fit_by_keras(other, dataset, splits, config, **options)
    assert history == expected
    assert len(history["val_loss"]) == 2 // frequency
    assert_same_bits(dict(enumerate(model.get_weights())), dict(enumerate(other.get_weights())))


def test_it_takes_several_steps_a_call_as_keras_does():
    changes = {"model": MODEL, "training": TRAINING | {"steps_per_execution": 3}}
    model, history, losses = fit(**changes)
    other, splits, config = prepare(**changes)
    batches, expected = training_batches(splits.train, config), {}
    for epoch in range(2):
        dataset = batches.stream(epoch).apply(tf.data.experimental.assert_cardinality(NUM_BATCHES))
        for name, values in fit_by_keras(other, dataset, splits, config).items():
            expected.setdefault(name, []).extend(values)
    assert history == expected
    assert_same_bits(dict(enumerate(model.get_weights())), dict(enumerate(other.get_weights())))
    assert list(losses) == [3, 5, 8, 10]
    single, single_history, _ = fit(model=MODEL)
    np.testing.assert_allclose(single_history["loss"], history["loss"], rtol=1e-6)
    np.testing.assert_allclose(single.get_weights()[0], model.get_weights()[0], rtol=1e-5, atol=1e-6)


def test_the_last_epoch_is_always_validated():
    history = fit(training=TRAINING | {"epochs": 3, "validation_frequency": 2})[1]
    assert (len(history["loss"]), len(history["val_loss"])) == (3, 2)


def test_step_losses_come_as_often_as_asked_for():
    logged = {}
    for steps_per_execution, every in ((1, 2), (3, 2), (3, 4), (3, 1)):
        steps = logged.setdefault((steps_per_execution, every), [])
        callback = training.StepLosses(lambda _, step, steps=steps: steps.append(step), every)
        fit(None, [callback], training=TRAINING | {"steps_per_execution": steps_per_execution})
    assert logged == {(1, 2): [2, 4, 6, 8, 10], (3, 2): [3, 5, 8, 10], (3, 4): [5, 8], (3, 1): [3, 5, 8, 10]}


def test_a_model_can_ask_to_stop():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    history = fit(None, [Stop()], training=TRAINING | {"epochs": 4})[1]
    assert len(history["loss"]) == 2


LARGE = {  # so large that operations are cut up between threads
    "data": make_config()["data"] | {"input_shape": [16, 16, 3], "num_examples": 160},
    "training": TRAINING | {"batch_size": 32, "epochs": 1},
}


@pytest.mark.parametrize(
    ("implementation", "others"),
    [
        (1, {}),
        (2, {}),
        (3, {}),
        ("batched", {}),
        ("batched", {"jit_compile": True}),
        ("batched", {"precision": "mixed_bfloat16"}),
        (3, {"precision": "mixed_bfloat16"}),
    ],
)
def test_the_same_twice_is_the_same_to_the_bit(implementation, others):
    layers = {"first": LAYERS["lc1"] | {"filters": 8}} | LAYERS
    changes = LARGE | {"model": {"name": "large", "layers": layers}, "implementation": implementation} | others
    (one, history, losses), (two, history_again, losses_again) = fit(**changes), fit(**changes)
    assert (losses, history) == (losses_again, history_again)
    assert all(math.isfinite(loss) for loss in history["loss"])
    assert_same_bits(state_of(one), state_of(two))


def weighted_loss(model, inputs, labels, weights):
    outputs = model.predict(inputs, verbose=0)
    if outputs.shape[-1] == 1:
        chosen = np.where(labels[:, 0] == 1, outputs[:, 0], 1 - outputs[:, 0])
    else:
        chosen = outputs[np.arange(len(labels)), labels]
    return np.mean(-np.log(chosen) * weights)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0, 2: 3.5}])
def test_classes_weigh_what_they_shall(class_weight):
    frozen = {"type": "SGD", "learning_rate": 1e-30}
    changes = {"optimizer": frozen, "training": TRAINING | {"epochs": 1, "class_weight": class_weight}}
    model, splits, config = prepare(**changes)
    kept = np.flatnonzero((splits.train.labels != 1) | (np.arange(len(splits.train.labels)) % 3 == 0))
    train = Split(splits.train.inputs[kept], splits.train.labels[kept])  # classes of different sizes
    counts = np.bincount(train.labels, minlength=4)
    assert counts[1] < counts.min(initial=99, where=np.arange(4) != 1)
    by_class = len(train.labels) / (4 * counts) if class_weight == "balanced" else np.array([0, 1, 3.5, 1])
    history = training.fit(model, Splits(train, splits.validation, splits.test), config)
    expected = weighted_loss(model, *train, by_class[train.labels])
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert history["loss"][0] != pytest.approx(weighted_loss(model, *train, np.ones(len(train.labels))), rel=1e-3)
    plain = weighted_loss(model, *splits.validation, np.ones(len(splits.validation.labels)))
    assert history["val_loss"][0] == pytest.approx(plain, rel=1e-5)  # validation counts all alike


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0}])
def test_a_regression_has_no_classes_to_weigh(class_weight):
    config = TrainingConfig(**TRAINING | {"class_weight": class_weight})
    with pytest.raises(ConfigError, match=r"`training.class_weight` must be null with task regression.*; got "):
        training.weigh_examples(np.ones((5, 2), np.float32), config, None)


def test_classes_of_task_binary_weigh_too():
    head = {"type": "Dense", "units": 1, "activation": "sigmoid"}
    changes = {
        "model": {"name": "binary", "layers": {"flatten": "Flatten", "head": head}},
        "data": make_config()["data"] | {"task": "binary", "num_classes": 2},
        "optimizer": {"type": "SGD", "learning_rate": 1e-30},
        "training": TRAINING | {"epochs": 1, "class_weight": {1: 4}},
    }
    model, splits, config = prepare(**changes)
    assert splits.train.labels.shape == (72, 1)
    history = training.fit(model, splits, config)
    weights = np.where(splits.train.labels[:, 0] == 1, 4, 1)
    assert history["loss"][0] == pytest.approx(weighted_loss(model, *splits.train, weights), rel=1e-5)


def test_a_class_that_there_is_not_is_refused():
    with pytest.raises(Exception, match=r"`training.class_weight` must name classes from 0 to 3; got 4."):
        fit(training=TRAINING | {"class_weight": {0: 2, 4: 1}})
