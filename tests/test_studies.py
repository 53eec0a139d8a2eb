"""The studies' sweeps are valid: each of their jobs, but for repeats over seeds."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # which holds experiments/
from experiments import sweeps


def check_sweep(folder, run_lctrain, overrides):
    few = [f"seed={one.removeprefix('seed=').split(',')[0]}" if one.startswith("seed=") else one for one in overrides]
    process = run_lctrain(folder, "check", "-m", *few)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize("name", ["implementations", "digits"])
def test_the_sweep_of_a_study_is_valid(name, tmp_path, run_lctrain):
    check_sweep(tmp_path, run_lctrain, importlib.import_module(f"experiments.{name}.study").SWEEP)


def test_the_sweeps_of_mnist1d_are_valid(tmp_path, run_lctrain):
    study = importlib.import_module("experiments.mnist1d.study")
    models = ",".join([*study.PUBLISHED, *study.NEW])
    check_sweep(tmp_path, run_lctrain, [*study.SWEEP, f"model={models}"])


def test_the_sweep_over_depths_is_valid(tmp_path, run_lctrain):
    study = importlib.import_module("experiments.initialisation.study")
    for depth in study.DEPTHS:
        study.write_model(depth, tmp_path / "configs/model")
    check_sweep(tmp_path, run_lctrain, study.make_sweep(tmp_path / "configs"))


def test_results_are_summed_up():
    summary = sweeps.summarize([0.5, 0.7])
    assert summary["mean"] == pytest.approx(0.6)
    assert sweeps.tell_percent(summary) == "60.0 ± 14.1"
    assert sweeps.write_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
