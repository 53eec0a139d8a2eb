"""Training: reproducible, the same under every implementation, and left as it was by the measurements."""

import copy
import sys

import keras
import numpy as np
import pytest
from conftest import make_config
from made_trainings import prepare

from lctrain import training
from lctrain.benchmark import timing
from lctrain.config import validate
from lctrain.errors import TrainingFailed
from lctrain.system import memory
from lctrain.system.machine import describe_machine


@pytest.fixture(autouse=True)
def _default_float_type():
    yield
    keras.config.set_floatx("float32")


def train(**changes):
    model, splits, config = prepare(**changes)
    timer = timing.FirstStepTimer()
    logged = []
    callbacks = [timer, training.EpochMetrics(lambda metrics, epoch: logged.append((epoch, metrics)), first=1)]
    history = training.fit(model, splits, config, callbacks)
    return model, splits, config, history, logged, timer


def test_the_same_seed_gives_the_same_numbers():
    first, _, _, history, logged, timer = train()
    again, _, _, history_again, _, _ = train()
    history_other = train(seed=1)[3]
    assert history == history_again
    for one, two in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert history["loss"] != history_other["loss"]
    assert [epoch for epoch, _ in logged] == [1, 2]
    assert logged[1][1] == {name: values[1] for name, values in history.items()}
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert timer.seconds > 0


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_implementations_train_alike(data_format):
    training_config = make_config()["training"] | {"epochs": 5}
    losses = {
        implementation: train(implementation=implementation, data_format=data_format, training=training_config)[3][
            "loss"
        ]
        for implementation in (1, 2, 3, "batched", "auto")
    }
    for implementation, loss in losses.items():
        np.testing.assert_allclose(loss, losses[1], rtol=1e-3, err_msg=str(implementation))


@pytest.mark.parametrize("precision", ["float64", "mixed_float16", "mixed_bfloat16"])
def test_every_precision_trains(precision):
    history = train(precision=precision, training=make_config()["training"] | {"epochs": 6})[3]
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("precision", ["float64", "mixed_bfloat16"])
def test_penalties_train_in_every_precision(precision):
    model = copy.deepcopy(make_config()["model"])
    model["layers"]["lc1"] |= {"kernel_regularizer": "l2", "bias_regularizer": "l1"}
    history = train(precision=precision, model=model)[3]
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize(("precision", "dtype"), [("float64", "float32"), ("float32", "float64")])
@pytest.mark.parametrize("penalty", ["kernel_regularizer", "activity_regularizer"])
def test_penalties_of_layers_of_another_dtype_are_added_up(precision, dtype, penalty):
    model = copy.deepcopy(make_config()["model"])
    model["layers"]["lc1"] |= {"dtype": dtype, penalty: {"l2": 1e3}}
    history = train(precision=precision, model=model)[3]
    assert history["loss"][0] > 10  # which the cross-entropy alone is not


POOLED = {"type": "MaxPooling3D", "pool_size": 2, "padding": "same"}
CONVOLVED = {"type": "Conv2DTranspose", "filters": 3, "kernel_size": 2}


@pytest.mark.parametrize(
    ("spec", "shape", "changes", "fix"),
    [
        (
            CONVOLVED,
            [5, 7, 2],
            {"data_format": "channels_first"},
            "precision=float32, or data_format=channels_last[.]$",
        ),
        (POOLED, [5, 7, 3, 2], {}, "Use precision=float32[.]$"),
    ],
)
def test_an_operation_that_tensorflow_lacks_is_told_with_what_it_has(spec, shape, changes, fix):
    layers = {"odd": spec, "flatten": {"type": "Flatten"}, "head": {"type": "Dense", "units": 4}}
    changes |= {"model": {"name": "odd", "layers": layers}, "data": make_config()["data"] | {"input_shape": shape}}
    config = validate(make_config(precision="float64", **changes))
    message = r"^`model.layers.odd` can't be computed with precision=float64 and data_format=\w+ on this device: .*"
    with pytest.raises(TrainingFailed, match=message + fix), training.explain_missing_operations(config):
        train(precision="float64", **changes)
    assert np.isfinite(train(precision="float32", **changes)[3]["loss"]).all()
    if spec is CONVOLVED:
        assert np.isfinite(train(precision="float64", **changes | {"data_format": "channels_last"})[3]["loss"]).all()


@pytest.mark.parametrize("precision", ["float64", "mixed_float16", "mixed_bfloat16"])
def test_low_rank_layers_train_channels_first_in_every_precision(precision):
    layers = {
        "low": {"type": "LowRankLocallyConnected2D", "filters": 3, "kernel_size": [3, 2], "rank": 2},
        "again": {"type": "LowRankLocallyConnected2D", "filters": 2, "kernel_size": 2},
        "flatten": {"type": "Flatten"},
        "head": {"type": "Dense", "units": 4, "activation": "softmax"},
    }
    history = train(precision=precision, data_format="channels_first", model={"name": "low", "layers": layers})[3]
    assert np.isfinite(history["loss"]).all()


def test_logits_train_like_probabilities():
    losses = []
    for activation in ("softmax", None):
        model = copy.deepcopy(make_config()["model"])
        model["layers"]["head"]["activation"] = activation
        losses.append(train(model=model)[3]["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_a_graph_with_branches_and_a_schedule_trains():
    layers = {
        "left": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": 2},
        "right": {"type": "Conv2D", "filters": 3, "kernel_size": 2, "inputs": "input"},
        "sum": {"type": "Add", "inputs": ["left", "right"]},
        "flatten": "Flatten",
        "head": {"type": "Dense", "units": 4, "activation": "softmax"},
    }
    schedule = {"type": "PiecewiseConstantDecay", "boundaries": [5], "values": [0.05, 0]}
    model, _, _, history, *_ = train(
        model={"name": "graph", "layers": layers},
        optimizer={"type": "sgd", "learning_rate": schedule},
        training=make_config()["training"] | {"epochs": 4},
    )
    assert history["loss"][1] < history["loss"][0]
    assert history["val_loss"][2] == pytest.approx(history["val_loss"][3], rel=1e-6)  # the rate is 0 from step 5 on
    assert float(model.optimizer.learning_rate) == 0


def test_compiled_training_gives_the_same_losses():
    losses = [train(implementation="batched", jit_compile=compiled)[3]["loss"] for compiled in (False, True)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_measuring_leaves_the_model_as_it_was():
    model, splits, config, *_ = train()
    before = [np.asarray(variable) for variable in (*model.variables, *model.optimizer.variables)]
    measured = timing.step_metrics(
        timing.measure_steps(model, (splits.train.inputs[:16], splits.train.labels[:16])), batch_size=16
    )
    after = [np.asarray(variable) for variable in (*model.variables, *model.optimizer.variables)]
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)
    assert set(measured) == {"train_step_ms", "train_step_ms_p90", "inference_ms", "examples_per_second"}
    assert 0 < measured["train_step_ms"] <= measured["train_step_ms_p90"]
    assert measured["examples_per_second"] == pytest.approx(16 / measured["train_step_ms"] * 1e3)
    tested = training.evaluate(model, splits.test, config)
    assert set(tested) == {"loss", "accuracy"}


def test_peak_memory_sees_an_allocation():
    memory.reset_peak_memory()
    before = memory.peak_memory_bytes()
    block = np.ones(max(0, before - memory.resident_memory_bytes()) + 2**26, dtype=np.uint8)
    assert memory.peak_memory_bytes() >= before + 2**25
    if sys.platform == "linux":
        assert before <= memory.resident_memory_bytes() + 2**20
    assert block[-1] == 1
    assert memory.resident_memory_bytes() > block.nbytes


def test_the_processor_has_a_name():
    assert describe_machine()["cpu_model"]
