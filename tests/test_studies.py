"""The studies: their first sweeps are valid but for repeats over seeds, what was found stands in their README."""

import argparse
import importlib
from math import prod
from pathlib import Path

import pytest

from experiments import sweeps
from lctrain.config.schema import LocalTracking
from lctrain.tracking import deliver, start_run

STUDIES = Path(__file__).parents[1] / "experiments"


def check_sweep(folder, run_lctrain, overrides):
    few = [f"seed={one.removeprefix('seed=').split(',')[0]}" if one.startswith("seed=") else one for one in overrides]
    process = run_lctrain(folder, "check", "-m", *few)
    assert process.returncode == 0, process.stderr
    num_jobs = prod(override.count(",") + 1 for override in few)
    assert f"{num_jobs} configurations are valid." in process.stdout


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


@pytest.mark.parametrize("name", ["implementations", "mnist1d", "digits", "initialisation"])
def test_the_readme_of_a_study_has_its_table(name):
    assert (STUDIES / name / "results/table.md").read_text() in (STUDIES / name / "README.md").read_text()


def test_the_table_of_sizes_stands_where_it_is_told():
    table = (STUDIES / "sizing/results/sizing.md").read_text()
    for document in (STUDIES / "sizing/README.md", STUDIES.parent / "docs/scaling.md"):
        assert table in document.read_text()


@pytest.fixture
def make_sweep(tmp_path):
    def make(*ends, command="-m model=lc2d seed=0,1"):
        tracking = LocalTracking(name="local", folder=str(tmp_path), experiment="study")
        tags = {"sweep.jobs": str(len(ends)), "sweep.command": command, "sweep.folder": str(tmp_path / "gone")}
        journals = []
        with start_run(tracking, "sweep", tags, tmp_path / "parent") as parent:
            for number, end in enumerate(ends):
                tags = {"sweep.job": str(number), "sweep.status": end}
                with start_run(tracking, f"job-{number}", tags, tmp_path / str(number), parent.folder) as run:
                    run.log_metrics({"test_accuracy": 0.5})
                journals.append(run.folder)
        assert [deliver(journal, 60) for journal in [parent.folder, *journals]] == [0] * (len(ends) + 1)
        return argparse.Namespace(folder=tmp_path, jobs=1)

    return make


def test_a_sweep_that_is_there_is_not_run_again(make_sweep):
    jobs = sweeps.get_sweep("study", ["model=lc2d", "seed=0,1"], make_sweep("done", "refused"))
    assert [job.tags["sweep.job"] for job in jobs if job.tags["sweep.status"] == "done"] == ["0"]


@pytest.mark.parametrize("overrides", [["model=lc2d", "seed=0"], ["model=lc2d", "seed=0,1,2"], ["model=lc1d"]])
def test_another_sweep_of_the_name_is_refused(overrides, make_sweep):
    with pytest.raises(SystemExit, match="holds another sweep 'study': -m model=lc2d seed=0,1"):
        sweeps.get_sweep("study", overrides, make_sweep("done", "done"))


def test_a_sweep_that_can_not_be_finished_is_told(make_sweep, capfd):
    with pytest.raises(SystemExit, match=r"^2$"):  # that of the sweep, whose folder is gone
        sweeps.get_sweep("study", ["model=lc2d"], make_sweep("done", "failed"))
    assert "sweep.resume" in capfd.readouterr().err
