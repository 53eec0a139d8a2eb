"""Losses and weights that become inf or nan: when, and where that came from."""

import copy
import re

import numpy as np
import pytest
from conftest import make_config
from made_trainings import NUM_BATCHES, TRAINING, fit, prepare

from lctrain import training
from lctrain.data import Split, Splits
from lctrain.errors import TrainingFailed
from lctrain.training.batches import epoch_order
from lctrain.training.checkpoints import Checkpoints

OVERFLOWING = {"type": "SGD", "learning_rate": 3e38}
REGRESSION = {
    "model": {"name": "linear", "layers": {"flatten": "Flatten", "head": {"type": "Dense", "units": 1}}},
    "data": make_config()["data"] | {"task": "regression", "num_classes": None},
    "training": TRAINING | {"metrics": {}},
}


def two_layers(**changes):
    """A model of two locally connected layers, the second of which gets other arguments."""
    model = copy.deepcopy(make_config()["model"])
    first = model["layers"].pop("lc1")
    return model | {"layers": {"lc1": first, "lc2": {**first, **changes}, **model["layers"]}}


def fit_changed(change, folder=None, **changes):
    """Trains after `change(inputs, labels)` of the training split has been at its arrays."""
    model, splits, config = prepare(**changes)
    inputs, labels = splits.train.inputs.copy(), splits.train.labels.copy()
    change(inputs, labels)
    return training.fit(model, Splits(Split(inputs, labels), splits.validation, splits.test), config, (), folder)


def test_an_output_that_is_infinite_is_found_in_its_layer():
    wild = {"activation": "exponential", "kernel_initializer": {"type": "RandomNormal", "stddev": 500.0}}
    message = (
        r"in epoch 1, step 1 of 5 \(step 1 in all\): the first values that are not finite are the output of `lc2`\."
    )
    with pytest.raises(TrainingFailed, match=f"^the loss became (nan|inf) {message} Lower `optimizer.learning_rate`"):
        fit(model=two_layers(**wild))


@pytest.mark.parametrize(("values", "what"), [("inputs", "inputs"), ("labels", "targets")])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_bad_example_is_found_in_its_batch(values, what, value):
    row = 17
    batch = int(np.flatnonzero(epoch_order(0, 0, 72) == row)[0]) // 16
    assert batch > 0

    def spoil(inputs, labels):
        {"inputs": inputs, "labels": labels}[values][row, ..., 0] = value

    message = rf"in epoch 1, step {batch + 1} of 5 .* are the batch's own {what}\."
    with pytest.raises(TrainingFailed, match=message):
        fit_changed(spoil, **REGRESSION, optimizer={"type": "SGD", "learning_rate": 1e-3})


def make_gradients_infinite(inputs, labels):
    """Sums of squares stay below 3.4e38, and their gradients by the weights do not."""
    inputs[:], labels[:] = 1e21, 1e18


def test_a_gradient_that_is_infinite_is_found_though_the_loss_was_none():
    changes = copy.deepcopy(REGRESSION)
    changes["model"]["layers"]["head"]["kernel_initializer"] = "zeros"
    message = r"in epoch 1, step 2 of 5 \(step 2 in all\): .* are the gradient of `head`, in the step before\."
    with pytest.raises(TrainingFailed, match=message):
        fit_changed(make_gradients_infinite, **changes)


def make_gradients_large(inputs, labels):
    inputs *= 1e4


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_an_update_that_overflows_is_found_in_the_weights(steps_per_execution):
    when = {1: r"step 2 of 5 \(step 2 in all\)", 3: r"steps 1 to 3 of 5 \(steps 1 to 3 in all\)"}[steps_per_execution]
    where = {1: "", 3: r" \(step 2 in all\)"}[steps_per_execution]
    changes = TRAINING | {"steps_per_execution": steps_per_execution}
    message = rf"in epoch 1, {when}: .* are the weights of `(lc1|head)`, after the step before{where}\."
    with pytest.raises(TrainingFailed, match=message):
        fit_changed(make_gradients_large, optimizer=OVERFLOWING, training=changes)


def test_what_only_the_last_step_spoils_is_told_too():
    message = r"^the last step left weights that are inf or nan: .* are the weights of `(lc1|head)`, after the step"
    with pytest.raises(TrainingFailed, match=message):
        fit_changed(make_gradients_large, optimizer=OVERFLOWING, training=TRAINING | {"epochs": 1, "limit_batches": 1})


def grow_until_it_bursts(**changes):
    """Each step makes the weights some hundred times as large: the loss is infinite after a few epochs or steps."""
    config = REGRESSION | {"optimizer": {"type": "SGD", "learning_rate": 0.55}}
    return config | {"training": config["training"] | {"epochs": 30} | changes}


def test_a_late_failure_names_its_epoch_and_step(tmp_path):
    changes = grow_until_it_bursts(checkpoint={"every_steps": 4})
    message = r"in epoch (\d+), step (\d) of 5 \(step (\d+) in all\)"
    with pytest.raises(TrainingFailed, match=message) as raised:
        fit(**changes)
    epoch, batch, step = map(int, re.search(message, str(raised.value)).groups())
    assert step == (epoch - 1) * NUM_BATCHES + batch > 4
    with pytest.raises(TrainingFailed, match=r"epoch") as from_a_checkpoint:
        fit(tmp_path, **changes)
    assert str(from_a_checkpoint.value) == str(raised.value)


def test_the_last_good_checkpoint_stays(tmp_path):
    changes = {"optimizer": OVERFLOWING, "training": TRAINING | {"checkpoint": {"every_steps": 1}}}
    for _ in range(2):  # and a resumed training comes to the same
        with pytest.raises(TrainingFailed, match=r"step 2 of 5 .* are the weights of"):
            fit_changed(make_gradients_large, tmp_path, **changes)
        checkpoint = Checkpoints(tmp_path, keep=2).read_newest()
        assert checkpoint.meta["step"] == 0
        assert all(np.isfinite(array).all() for array in checkpoint.arrays.values())


def test_it_may_go_on(tmp_path):
    changes = {"optimizer": OVERFLOWING, "training": TRAINING | {"stop_on_nan": False}}
    history = fit_changed(make_gradients_large, tmp_path, **changes)
    assert len(history["loss"]) == 2
    assert np.isnan(history["loss"]).all()
    assert Checkpoints(tmp_path, keep=2).read_newest().meta["step"] == 2 * NUM_BATCHES


def test_a_scaled_loss_that_overflows_is_none_of_it(capsys):
    model, splits, config = prepare(precision="mixed_float16", optimizer={"type": "SGD", "learning_rate": 1e-6})
    inputs = splits.train.inputs * 300
    history = training.fit(model, Splits(Split(inputs, splits.train.labels), splits.validation, splits.test), config)
    assert np.isfinite(history["loss"]).all()
    assert float(model.optimizer.dynamic_scale) < 2**15  # so there were gradients that were not finite
