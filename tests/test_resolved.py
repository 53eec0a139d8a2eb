"""What a run logs as resolved is what really ran; read back from a real store, or from the compiled model."""

import keras
import mlflow
import numpy as np
import pytest
from conftest import make_config, make_graph
from tensorflow.python.framework import config as tf_config

from lctrain import training
from lctrain.benchmark import timing
from lctrain.config import validate
from lctrain.config.compilable import find_not_compilable
from lctrain.model.build import build_model, find_implementations

SHIFT = {"type": "RandomTranslation", "height_factor": 0.1, "width_factor": 0.2}
SMALL = ["data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=120", "training.epochs=1"]


def read_runs(folder):
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return client.search_runs([client.get_experiment_by_name("lctrain").experiment_id])


def test_a_sweep_over_jit_compile_tells_where_keras_has_switched_xla_off(tmp_path, run_lctrain):
    augmentation = "data.augmentation=[{type: RandomTranslation, height_factor: 0.1, width_factor: 0.2}]"
    process = run_lctrain(tmp_path, "-m", "jit_compile=true,false", "sweep.isolate=false", augmentation, *SMALL)
    assert process.returncode == 0, process.stderr
    jobs = {run.data.params["jit_compile"]: run for run in read_runs(tmp_path) if "sweep.job" in run.data.tags}
    for run in jobs.values():
        assert run.data.params["resolved.jit_compile"] == "false"
        assert run.data.params["resolved.deterministic"] == "true"
        assert run.data.params["resolved.device"] == "cpu"
    why = "it can't compile `data_augmentation_0` (RandomTranslation)"
    assert why in jobs["true"].data.tags["jit_compile_warning"]
    assert "jit_compile_warning" not in jobs["false"].data.tags
    assert why in process.stderr
    message = " ".join(process.stdout.split())
    assert "jit_compile true was asked for in job 0, and false is what ran: they are compared as that" in message
    assert "2 runs of" in message  # repeats of each other, none the faster


def test_what_xla_compiles_is_logged_as_that(tmp_path, run_lctrain):
    flip = "data.augmentation=[{type: RandomFlip}]"
    process = run_lctrain(tmp_path, "jit_compile=true", "training.steps_per_execution=3", flip, *SMALL)
    assert process.returncode == 0, process.stderr
    (run,) = read_runs(tmp_path)
    assert (run.data.params["resolved.jit_compile"], run.data.params["resolved.deterministic"]) == ("true", "true")
    assert "XLA compiles nothing" not in process.stderr


@pytest.mark.parametrize(("augmentation", "is_compiled"), [([SHIFT], False), ([{"type": "RandomFlip"}], True)])
def test_a_model_that_xla_cannot_compile_is_deterministic_as_one_that_it_must_not(augmentation, is_compiled):
    data = make_config()["data"] | {"augmentation": augmentation}
    config = validate(make_config(data=data, jit_compile=True))
    training.prepare_process(config)
    model = build_model(config)
    training.compile_model(model, config)
    assert bool(model.jit_compile) is is_compiled
    assert tf_config.is_op_determinism_enabled() is not is_compiled
    assert training.is_deterministic(model)
    found = [] if is_compiled else ["`data.augmentation.0` (RandomTranslation)"]
    assert find_not_compilable(config) == found
    assert training.find_not_compilable(model) == [name.replace(".", "_") for name in found]


def test_layers_that_xla_cannot_compile_are_found_where_they_are_wrapped():
    layers = {
        "steps": {"type": "TimeDistributed", "layer": {"type": "RandomZoom", "height_factor": 0.1}},
        "flatten": {"type": "Flatten"},
        "head": {"type": "Dense", "units": 4, "activation": "softmax"},
    }
    data = make_config()["data"] | {"input_shape": [3, 5, 7, 2]}
    config = validate(make_config(model={"name": "wrapped", "layers": layers}, data=data))
    assert find_not_compilable(config) == ["`model.layers.steps` (RandomZoom)"]


def test_the_implementation_of_a_wrapped_layer_is_told_too():
    model = build_model(validate(make_graph()), must_fit_task=False)
    assert find_implementations(model) == {"local": "2", "steps_layer": "3"}


@pytest.mark.parametrize("steps", [1, 3])
def test_a_step_s_time_is_that_of_one_step_however_many_a_call_takes(monkeypatch, steps):
    config = validate(make_config(training=make_config()["training"] | {"steps_per_execution": steps}))
    training.prepare_process(config)
    model = build_model(config)
    training.compile_model(model, config)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(model.optimizer.iterations))  # a second a step
    generator = np.random.default_rng(0)
    batch = generator.standard_normal((16, 5, 7, 2), dtype=np.float32), generator.integers(4, size=16)
    model.train_on_batch(*batch)
    measured = timing.step_metrics(timing.measure_steps(model, batch), 16)
    assert measured["train_step_ms"] == pytest.approx(1000)
    assert measured["examples_per_second"] == pytest.approx(16)
    assert keras.ops.convert_to_numpy(model.optimizer.iterations) == 1  # as it was
