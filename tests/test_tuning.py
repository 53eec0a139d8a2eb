"""Tuning: what is measured, what is remembered, and what becomes of it."""

import json
import sys

import mlflow
import pytest
from conftest import make_config

from lctrain.benchmark import tuning
from lctrain.benchmark.cache import Measurements, default_file
from lctrain.benchmark.cases import WHOLE_MODEL
from lctrain.benchmark.tuning import needs_tuning, tune
from lctrain.config import validate
from lctrain.errors import UserError
from lctrain.model.build import build_model


def tuned_config(**changes):
    return validate(make_config(**({"implementation": "tuned", "jit_compile": "auto"} | changes)))


def remember(config, file, milliseconds):
    """Fills the file as an earlier run would have: milliseconds by (layer or model, implementation, jit_compile)."""
    measurements = Measurements(file)
    for (name, implementation, flag), seen in milliseconds.items():
        layers = config.model.layers if name == WHOLE_MODEL else [name]
        choices = {layer: implementation for layer in layers if config.model.layers[layer].get("implementation")}
        case = tuning.Case(name, choices, flag, (5, 7, 2) if name != WHOLE_MODEL else ())
        measurements.remember(tuning._what(config, case), seen)


PLAIN = {("lc1", 1, False): 4.0, ("lc1", 2, False): 2.0, ("lc1", 3, False): 3.0, ("lc1", "batched", False): 2.5}
COMPILED = {("lc1", 2, True): 6.0, ("lc1", "batched", True): 1.0}


@pytest.mark.parametrize(("compiled_ms", "chosen"), [(5.0, ("batched", True)), (9.0, (2, False))])
def test_the_model_decides_between_the_best_of_both_flags(compiled_ms, chosen, tmp_path):
    config, file = tuned_config(), tmp_path / "tuned.json"
    remember(
        config, file, PLAIN | COMPILED | {(WHOLE_MODEL, 2, False): 7.0, (WHOLE_MODEL, "batched", True): compiled_ms}
    )
    found = tune(config, file)
    assert (found.config.model.layers["lc1"]["implementation"], found.config.jit_compile) == chosen
    table = found.as_table()
    assert table["layer"] == ["lc1"] * 6 + [WHOLE_MODEL] * 2
    assert table["train_step_ms"] == [4.0, 2.0, 3.0, 2.5, 6.0, 1.0, 7.0, compiled_ms]
    assert table["remembered"] == [True] * 8
    assert build_model(found.config).get_layer("lc1").implementation == chosen[0]


@pytest.mark.parametrize("jit_compile", [True, "auto"])
def test_what_xla_cannot_compile_is_tuned_without_it(jit_compile, tmp_path):
    data = make_config()["data"] | {"augmentation": [{"type": "RandomRotation", "factor": 0.1}]}
    config, file = tuned_config(jit_compile=jit_compile, data=data), tmp_path / "tuned.json"
    remember(config, file, PLAIN | COMPILED)
    found = tune(config, file)
    assert (found.config.model.layers["lc1"]["implementation"], found.config.jit_compile) == (2, False)


def test_a_given_flag_is_kept(tmp_path):
    config, file = tuned_config(jit_compile=False), tmp_path / "tuned.json"
    remember(config, file, PLAIN)
    found = tune(config, file)
    assert (found.config.model.layers["lc1"]["implementation"], found.config.jit_compile) == (2, False)


def test_a_shared_layer_is_measured_once_and_chosen_for_all_its_uses(tmp_path):
    layers = {
        "lc1": {"type": "LocallyConnected2D", "filters": 2, "kernel_size": 3, "padding": "same"},
        "again": {"shares": "lc1"},
        "flatten": {"type": "Flatten"},
        "head": {"type": "Dense", "units": 4, "activation": "softmax"},
    }
    config, file = tuned_config(model={"name": "shared", "layers": layers}, jit_compile=False), tmp_path / "tuned.json"
    remember(config, file, PLAIN)
    found = tune(config, file)
    assert [found.config.model.layers[name]["implementation"] for name in ("lc1", "again")] == [2, 2]
    assert found.as_table()["layer"] == ["lc1"] * 4


def test_layers_that_are_wrapped_go_by_their_sizes():
    wrapped = {"type": "LocallyConnected1D", "filters": 3, "kernel_size": 2}
    layers = {
        "local": {"type": "TimeDistributed", "layer": wrapped},
        "flatten": {"type": "Flatten"},
        "head": {"type": "Dense", "units": 4, "activation": "softmax"},
    }
    config = tuned_config(model={"name": "wrapped", "layers": layers})
    assert config.model.layers["local"]["layer"]["implementation"] == "auto"
    assert not needs_tuning(config)
    assert config.jit_compile is False


def test_what_is_measured_is_remembered_for_the_same_sizes_alone(tmp_path):
    config, file = tuned_config(jit_compile=False), tmp_path / "folder" / "tuned.json"
    first, second = tune(config, file), tune(config, file)
    assert first.as_table()["implementation"] == ["1", "2", "3", "batched"]
    assert all(milliseconds > 0 for milliseconds in first.as_table()["train_step_ms"])
    assert (first.as_table()["remembered"], second.as_table()["remembered"]) == ([False] * 4, [True] * 4)
    assert second.as_table()["train_step_ms"] == first.as_table()["train_step_ms"]
    assert second.config == first.config
    case = tuning.Case("lc1", {"lc1": 2}, False, (5, 7, 2))
    measurements = Measurements(file)
    assert measurements.recall(tuning._what(config, case)) is not None
    for changes in ({"precision": "float64"}, {"training": config.training.model_dump() | {"batch_size": 17}}):
        assert measurements.recall(tuning._what(tuned_config(**changes), case)) is None


def test_a_batch_that_fits_into_no_memory_is_told(tmp_path):
    config = tuned_config(training={"name": "test", "epochs": 1, "batch_size": 2**31 - 1, "progress": "none"})
    with pytest.raises(UserError, match=r"`implementation` tuned found nothing that could be measured: needs \d+"):
        tune(config, tmp_path / "tuned.json")


def test_a_damaged_file_is_told_and_begun_anew(tmp_path):
    file = tmp_path / "tuned.json"
    measurements = Measurements(file)
    measurements.remember({"size": 3}, 1.5)
    assert (measurements.recall({"size": 3}), measurements.recall({"size": 4})) == (1.5, None)
    for text in ("{", "[]", '{"key": 3}'):
        file.write_text(text)
        with pytest.warns(UserWarning, match=r"tuned\.json is damaged"):
            assert measurements.recall({"size": 3}) is None
    with pytest.warns(UserWarning, match="damaged"):
        measurements.remember({"size": 4}, 2.5)
    assert [entry["what"] for entry in json.loads(file.read_text()).values()] == [{"size": 4}]


def test_a_file_that_can_not_be_written_is_told_and_nothing_is_lost(tmp_path):
    (tmp_path / "no_folder").write_text("")
    (tmp_path / "folder.json").mkdir()
    for file in (tmp_path / "no_folder" / "tuned.json", tmp_path / "folder.json"):
        measurements = Measurements(file)
        with pytest.warns(UserWarning, match=f"{file.name} can't be written, so nothing is remembered"):
            measurements.remember({"size": 3}, 1.5)
        assert measurements.recall({"size": 3}) is None


def test_the_command_logs_what_was_asked_for_and_what_it_became(tmp_path, run_lctrain, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    finished = run_lctrain(tmp_path, "implementation=tuned", "training=fast", "training.epochs=1")
    assert finished.returncode == 0, finished.stderr
    (run,) = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").search_runs(["1"])
    params = run.data.params
    assert (params["implementation"], params["jit_compile"]) == ("tuned", "auto")
    assert params["resolved.jit_compile"] in ("true", "false")
    assert {params[f"resolved.implementation.{layer}"] for layer in ("lc1", "lc2")} <= {"1", "2", "3", "batched"}
    assert run.data.metrics["tuning_seconds"] > 0
    assert len(json.loads((tmp_path / "cache" / "lctrain" / "tuned.json").read_text())) >= 8


@pytest.mark.skipif(sys.platform != "linux", reason="each system has its own folder for caches")
def test_the_cache_is_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert default_file() == tmp_path / ".cache" / "lctrain" / "tuned.json"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert default_file() == tmp_path / "elsewhere" / "lctrain" / "tuned.json"
