"""Overrides reach everything: keys, layers, groups, experiments, sweeps; and the shell completes them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import yaml

FAST = (
    "training=fast",
    "training.progress=none",
    "data=synthetic",
    "data.input_shape=[5,7,2]",
    "data.num_examples=120",
)
SCRIPT = Path(sys.executable).parent / "lctrain"


def runs_in(folder):
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, order_by=["attributes.start_time ASC"])


def compose(folder, run_lctrain, *arguments):
    process = run_lctrain(folder, *arguments, "--cfg", "job", timeout=30)
    assert process.returncode == 0, process.stderr
    return yaml.safe_load(process.stdout)


def test_a_sweep_over_a_layers_argument_with_layers_added_and_removed(tmp_path, run_lctrain):
    process = run_lctrain(
        tmp_path,
        "-m",
        "model.layers.lc1.filters=3,4",
        "+model.layers.extra={type: Dropout, rate: 0.2, after: lc1}",
        "~model.layers.dropout",
        "optimizer=adamw",
        "optimizer.learning_rate=3e-4",
        "training.loss=mse",
        "+training.metrics.top2={type: TopKCategoricalAccuracy, k: 2}",
        "hydra.verbose=true",
        *FAST,
    )
    assert process.returncode == 0, process.stderr
    assert "Installed Hydra Plugins" in process.stdout
    runs = [run for run in runs_in(tmp_path) if "mlflow.parentRunId" in run.data.tags]
    assert [run.data.params["model.layers.lc1.filters"] for run in runs] == ["3", "4"]
    for run in runs:
        params = run.data.params
        assert params["optimizer.type"] == "AdamW"
        assert json.loads(params["optimizer.learning_rate"]) == 3e-4
        assert params["training.loss.type"] == "MeanSquaredError"
        assert json.loads(params["model.layers.extra.inputs"]) == ["lc1"]
        assert json.loads(params["model.layers.lc2.inputs"]) == ["extra"]
        assert "model.layers.dropout.rate" not in params
        assert {"test_top2", "val_top2", "test_accuracy", "test_loss"} <= set(run.data.metrics)
        assert run.data.metrics["test_loss"] < 0.5


def test_a_model_that_the_data_can_not_feed_is_told_before_tensorflow_is_loaded(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "model.outputs=[head,flatten]", timeout=20)
    assert process.returncode == 2
    assert "`model.outputs` must be one layer to be trained on `digits`" in process.stderr


@pytest.mark.parametrize("arguments", [("optimizer=sgd", "experiment=smooth_cosine"), ("experiment=smooth_cosine",)])
def test_an_experiment_picks_groups_and_keys(tmp_path, run_lctrain, arguments):
    config = compose(tmp_path, run_lctrain, *arguments, "training.epochs=3")
    assert config["training"]["epochs"] == 3
    assert config["training"]["loss"]["label_smoothing"] == 0.1
    assert config["optimizer"]["type"] == ("SGD" if len(arguments) == 2 else "AdamW")


def test_an_experiment_of_ones_own(tmp_path, run_lctrain):
    folder = tmp_path / "configs" / "experiment"
    folder.mkdir(parents=True)
    text = "defaults: [override /model: lc1d]\nimplementation: 3\nmodel: {layers: {lc1: {filters: 5}}}\n"
    (folder / "mine.yaml").write_text("# @package _global_\n" + text)
    config = compose(tmp_path, run_lctrain, "--config-dir", "configs", "experiment=mine")
    assert (config["implementation"], config["data"]["name"]) == (3, "digits_rows")
    assert config["model"]["layers"]["lc1"]["filters"] == 5


def test_a_deletion_of_nothing_names_the_nearest_key(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "-m", "~model.layers.dropuot", "model=lc2d,lc1d", timeout=30)
    assert process.returncode == 2
    message = "Error: `~model.layers.dropuot`: there is no such key to delete. Did you mean `model.layers.dropout`?\n"
    assert process.stderr == message


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("word", "completions"),
    [
        ("model=lc", ["model=lc1d", "model=lc1d_columns", "model=lc2d"]),
        ("experiment=sm", ["experiment=smooth_cosine"]),
        ("model.layers.lc1.ker", ["model.layers.lc1.kernel_size="]),
    ],
)
def test_the_shell_completes_groups_choices_and_keys(tmp_path, word, completions):
    code = f"""
eval "$(lctrain -sc install=bash)"
COMP_LINE="lctrain {word}" COMP_WORDS=(lctrain "{word}") COMP_CWORD=1
hydra_bash_completion
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    path = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "--norc", "-c", code]
    environment = {**os.environ, "PATH": path}
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert finished.stdout.split() == completions, finished.stderr
