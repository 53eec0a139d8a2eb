"""Cross-validation: folds as jobs of a sweep, and what they reached together."""

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import mlflow
import pytest
from made_sweeps import make_failure, make_run

from lctrain.report.comparison import compare
from lctrain.report.folds import fold_metrics, format_folds, summarize_folds
from lctrain.report.recommendation import recommend


def make_fold(number, fold, accuracy, **others):
    params = {"data.folds": "3", "data.fold": str(fold)} | others.pop("params", {})
    return make_run(number, ms=2.0, accuracy=accuracy, params=params, **others)


def test_mean_and_deviation_are_those_of_the_folds():
    metrics = fold_metrics(compare([make_fold(i, i, accuracy) for i, accuracy in enumerate((0.9, 0.94, 0.95))]))
    assert metrics["val_accuracy_mean"] == pytest.approx(mean([0.9, 0.94, 0.95]))
    assert metrics["val_accuracy_deviation"] == pytest.approx(stdev([0.9, 0.94, 0.95]))
    assert set(metrics) == {
        f"{split}_{name}_{what}"
        for split in ("val", "test")
        for name in ("accuracy", "loss")
        for what in ("mean", "deviation")
    }


def test_several_settings_are_told_apart():
    children = [
        make_fold(2 * i + j, i, 0.5 + 0.1 * i + 0.2 * j, params={"optimizer.learning_rate": rate})
        for i in range(2)
        for j, rate in enumerate(("0.1", "0.2"))
    ]
    comparison = compare(children)
    assert fold_metrics(comparison) == {}
    table = summarize_folds(comparison)
    rows = {
        (settings, metric): (folds, value)
        for settings, folds, metric, value in zip(
            table["settings"], table["folds"], table["metric"], table["mean"], strict=True
        )
    }
    assert rows["learning_rate=0.1", "test_accuracy"] == (2, pytest.approx(0.55))
    assert rows["learning_rate=0.2", "test_accuracy"] == (2, pytest.approx(0.75))
    assert len(list(format_folds(comparison))) == 2


def test_a_fold_that_failed_is_left_out_and_the_number_told():
    failed = make_failure(2, "2", params={"data.folds": "3", "data.fold": "2"})
    comparison = compare([make_fold(0, 0, 0.9), make_fold(1, 1, 0.8), failed])
    (line,) = format_folds(comparison)
    said = "Over 2 folds (mean ± standard deviation): test accuracy 0.8500 ± 0.0707, "
    assert line.startswith(said)
    assert "a test accuracy of 0.8500 ± 0.0707" in recommend(comparison)  # the same figure, to the same digit


def test_repeats_under_other_seeds_are_no_folds():
    assert summarize_folds(compare([make_run(i, ms=2.0, seed=i) for i in range(3)]))["folds"] == []


def test_a_model_without_local_layers_has_no_implementation_to_tell():
    resolved = {"data.folds": "2", "resolved.device": "cpu"}
    runs = [
        make_run(fold, "auto", ms=2.0, params={**resolved, "data.fold": str(fold)}, choices={"implementation": "auto"})
        for fold in range(2)
    ]
    comparison = compare(runs)
    assert "implementation" not in comparison.swept
    assert "2 runs of lc2d: 2.00 ms per training step" in recommend(comparison)
    local = {"resolved.implementation.lc1": "2"}
    assert "implementation" in compare([replace(run, params=run.params | local) for run in runs]).swept


def test_a_sweep_over_folds_tells_its_own_run(tmp_path, run_lctrain):
    arguments = ["data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=200", "training=fast"]
    process = run_lctrain(tmp_path, "-m", *arguments, "data.folds=2", "data.fold=0,1")
    assert process.returncode == 0, process.stderr
    assert re.search(r"Over 2 folds .*: .*validation loss", process.stdout.replace("\n", " "))
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    (parent,) = [run for run in runs if "sweep.jobs" in run.data.tags]
    values = [run.data.metrics["val_accuracy"] for run in runs if run is not parent]
    assert parent.data.metrics["val_accuracy_mean"] == pytest.approx(mean(values))
    assert parent.data.metrics["val_accuracy_deviation"] == pytest.approx(stdev(values))
    table = json.loads(Path(client.download_artifacts(parent.info.run_id, "folds.json", tmp_path)).read_text())
    assert table["columns"] == ["settings", "folds", "metric", "mean", "deviation"]
