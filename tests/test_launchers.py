"""Sweeps under other launchers than Hydra's own, each against the real thing; and what of their settings is taken."""

import json
import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from shutil import which

import mlflow
import psutil
import pytest
import yaml
from job_processes import find_job, find_sockets, nothing_is_left, start_sweep  # noqa: F401 - a fixture
from servers.ray import ray, why_no_ray
from servers.slurm import slurm, why_no_slurm

from lctrain.composition import launchers
from lctrain.composition.overrides import check_arguments, leave_keys_to_validation
from lctrain.errors import UserError
from lctrain.system import fork_client


def needs(group, name, why_no_server=lambda: None):
    """A mark that skips, with the reason, what needs an extra or a server that is not here."""
    is_installed = launchers.PLUGINS[group][name].is_installed
    reason = why_no_server() if is_installed else f"{name} is not installed: pip install 'lctrain[{name}]'"
    return pytest.mark.skipif(reason is not None, reason=str(reason))


def why_no_sbatch():
    return None if which("sbatch") else "SLURM is not installed: no sbatch"


@pytest.fixture
def all_installed(monkeypatch):
    monkeypatch.setattr(launchers, "find_spec", lambda _: True)
    monkeypatch.setattr(launchers, "which", lambda program: f"/usr/bin/{program}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra/launcher=submitit_slurm"], "Use slurm, which is that and waits even for jobs that SLURM has killed."),
        (["hydra/launcher=ray_aws"], "Use ray: ray_aws starts machines by shell commands."),
        (["hydra/launcher=slrum"], "Did you mean `slurm`?"),
        (["hydra/launcher=joblib,ray"], "`hydra/launcher` must be one of basic, joblib, slurm, ray; got 'joblib,ray'"),
        (["~hydra/launcher"], "`hydra/launcher` must be one of basic, joblib, slurm, ray; got None"),
        (["hydra/launcher@hydra.callbacks=slurm"], "`hydra/launcher@hydra.callbacks` is not taken"),
        (["hydra/launcher=slurm", "hydra.launcher.setup=[rm -rf x]"], "`hydra.launcher.setup` is not taken: it would"),
        (["+hydra.launcher.additional_parameters.wrap=rm"], "is not taken: it would run commands of a shell"),
        (["hydra/launcher=slurm", "hydra.launcher.partition=a\nrm"], "`hydra.launcher.partition` must be a name"),
        (["hydra/launcher=slurm", "hydra.launcher.account=${oc.env:HOME}"], "`hydra.launcher.account` must be a name"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=1,2"], "`hydra.launcher.n_jobs` must be a whole number"),
        (["hydra.launcher.n_jobs=2"], "`hydra.launcher.n_jobs` belongs to hydra/launcher=joblib; the command line has"),
        (["hydra/launcher=joblib", "hydra.launcher.njobs=2"], "Did you mean `hydra.launcher.n_jobs`?"),
        (
            ["hydra/launcher=joblib", "hydra.launcher.temp_folder=/tmp"],
            "of Hydra's settings those alone that run no code",
        ),
        (["hydra/sweeper=optuna", "hydra.sweeper.storage=sqlite:///x.db"], "`hydra.sweeper.storage` must be null; got"),
        (["hydra/sweeper=optuna", "+hydra.sweeper.custom_search_space=os.mkdir"], "that run no code"),
        (["hydra/sweeper=optuna", "hydra.sweeper.direction=down"], "must be minimize or maximize; got 'down'"),
        (["hydra/sweeper/sampler=grid"], "`hydra/sweeper/sampler` must be one of tpe, random, grid"),
        (["hydra/sweeper=optuna", "hydra/sweeper/sampler=gird"], "`hydra/sweeper/sampler` must be one of tpe, random"),
    ],
)
def test_a_setting_that_runs_code_or_is_not_there_is_refused_by_name(all_installed, arguments, message):
    with pytest.raises(UserError, match="`") as raised:
        check_arguments(["-m", *arguments])
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("group", "name", "key", "value", "expected"),
    [
        ("launcher", "joblib", "n_jobs", "0", "a whole number from 1, or -1 for one per core"),
        ("launcher", "joblib", "n_jobs", "-2", "a whole number from 1, or -1 for one per core"),
        ("launcher", "slurm", "mem_gb", "0", "a whole number from 1"),
        ("launcher", "slurm", "timeout_min", "-5", "a whole number from 1"),
        ("launcher", "slurm", "gpus_per_node", "-1", "a whole number from 0"),
        ("launcher", "ray", "ray.remote.num_cpus", "-1", "a number from 0"),
        ("launcher", "ray", "ray.remote.num_gpus", "-5e-1", "a number from 0"),
        ("sweeper", "optuna", "n_trials", "0", "a whole number from 1"),
        ("sweeper", "optuna", "n_trials", "null", "a whole number from 1"),
        ("sweeper", "optuna", "n_jobs", "-1", "a whole number from 1"),
        ("sweeper", "optuna", "max_failure_rate", "1.5", "a number from 0 to 1"),
        ("sweeper", "basic", "max_batch_size", "0", "a whole number from 1"),
    ],
)
def test_a_number_out_of_its_limits_is_refused(all_installed, group, name, key, value, expected):
    message = f"`hydra.{group}.{key}` must be {expected}; got {value!r}."
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        check_arguments(["-m", f"hydra/{group}={name}", f"hydra.{group}.{key}={value}"])


def test_slurm_without_its_command_is_refused(monkeypatch, all_installed):
    monkeypatch.setattr(launchers, "which", lambda _: None)
    with pytest.raises(UserError, match="`hydra/launcher=slurm` needs the command `sbatch`, which is not found"):
        check_arguments(["-m", "hydra/launcher=slurm"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=-1"],
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=12", "hydra.launcher.verbose=0"],
        ["hydra/launcher=slurm", "hydra.launcher.timeout_min=1", "hydra.launcher.max_num_timeout=0"],
        ["hydra/sweeper=optuna", "hydra.sweeper.max_failure_rate=1.0"],
        ["hydra/launcher=slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gres=gpu:a100:2"],
        ["hydra/launcher=slurm", "hydra.launcher.timeout_min=90", "hydra.launcher.mem_gb=null"],
        [
            "hydra/launcher=ray",
            "hydra.launcher.ray.init.address=ray://head:10001",
            "hydra.launcher.ray.remote.num_gpus=0.5",
        ],
        ["hydra/launcher=ray", "+hydra.launcher.ray.init.object_store_memory=null"],
        [
            "hydra/sweeper=optuna",
            "hydra/sweeper/sampler=random",
            "hydra.sweeper.sampler.seed=3",
            "hydra.sweeper.storage=null",
        ],
        ["hydra/launcher=basic", "hydra.sweeper.max_batch_size=2"],
    ],
)
def test_what_runs_no_code_is_taken(all_installed, arguments):
    check_arguments(["-m", *arguments])


def test_a_key_is_set_whether_the_launcher_names_it_or_not():
    assert leave_keys_to_validation("+hydra.launcher.ray.init.num_cpus=3") == "++hydra.launcher.ray.init.num_cpus=3"
    assert leave_keys_to_validation("hydra.sweeper.n_trials=3") == "++hydra.sweeper.n_trials=3"
    assert leave_keys_to_validation("hydra/sweeper=optuna") == "hydra/sweeper=optuna_study"


@pytest.mark.parametrize(
    ("group", "name"), [("launcher", "joblib"), ("launcher", "slurm"), ("launcher", "ray"), ("sweeper", "optuna")]
)
def test_a_launcher_that_is_not_installed_names_the_extra(monkeypatch, group, name):
    monkeypatch.setattr(launchers, "find_spec", lambda _: None)
    with pytest.raises(
        UserError, match=rf"`hydra/{group}={name}` needs the extra `{name}`: pip install 'lctrain\[{name}\]'"
    ):
        check_arguments(["-m", f"hydra/{group}={name}"])


def test_a_launcher_without_a_sweep_is_refused(all_installed):
    with pytest.raises(UserError, match=r"`hydra/launcher=joblib` counts for a sweep alone\. Add -m"):
        check_arguments(["hydra/launcher=joblib"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra/launcher=slrum"], "Error: `hydra/launcher` must be one of basic, joblib, slurm, ray; got 'slrum'."),
        (["hydra/launcher=slurm", "hydra.launcher.setup=[x]"], "Error: `hydra.launcher.setup` is not taken: it would"),
        (
            ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=x"],
            "Error: `hydra.sweeper.n_trials` must be a whole number",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["train", "check"])
@needs("hydra/launcher", "slurm", why_no_sbatch)
@needs("hydra/sweeper", "optuna")
def test_mistakes_are_told_before_anything_is_composed(tmp_path, run_lctrain, verb, arguments, message):
    process = run_lctrain(tmp_path, verb, "-m", *arguments, "seed=0,1", timeout=60)
    assert (process.returncode, process.stderr[: len(message)]) == (2, message)


@needs("hydra/launcher", "slurm", why_no_sbatch)
def test_a_sweep_for_a_cluster_is_checked_here(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "check", "-m", "hydra/launcher=slurm", "seed=0,1", timeout=60)
    assert (process.returncode, process.stderr) == (0, "")
    assert "2 configurations are valid" in process.stdout
    assert not list(tmp_path.iterdir())


TINY = ("data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=200")
ENDLESS = 100_000  # epochs


SERVERS = {"slurm": slurm, "ray": ray}


@pytest.fixture(
    params=[
        pytest.param("joblib", marks=needs("hydra/launcher", "joblib")),
        pytest.param("slurm", marks=needs("hydra/launcher", "slurm", why_no_slurm)),
        pytest.param("ray", marks=needs("hydra/launcher", "ray", why_no_ray)),
    ]
)
def launcher(request):
    """A launcher's name and the environment in which it finds its servers, which run meanwhile."""
    with ExitStack() as stack:
        variables = stack.enter_context(SERVERS[request.param]()) if request.param in SERVERS else {}
        yield request.param, {**os.environ, **variables}


def test_every_job_is_recorded_whatever_becomes_of_the_others(tmp_path, launcher):
    name, environment = launcher
    jobs = [
        "optimizer.clipnorm=1.0",
        "optimizer.clipvalue=null,0.5",
        f"training.epochs=2,{ENDLESS}",
    ]  # Keras takes no two
    extras = ["hydra.launcher.n_jobs=2"] if name == "joblib" else []
    has_server = fork_client.IS_SUPPORTED and name != "slurm"  # whose jobs may not live in other allocations
    with start_sweep(tmp_path, "-m", f"hydra/launcher={name}", *extras, *jobs, *TINY, environment=environment) as sweep:
        try:
            record = wait_for_epoch(tmp_path, 1)
            assert bool(find_sockets(tmp_path)) == has_server
            end_job(name, record, environment)
            out, errors = sweep.communicate(timeout=180)
        finally:
            sweep.kill()
    records = records_in(tmp_path)
    assert [record["status"] for record in records] == ["done", STATUS_OF_ENDED[name], "failed", "failed"], errors
    assert "clipvalue" in records[3]["reason"]
    assert sweep.returncode == 1, errors
    assert "Traceback" not in errors
    parent, children = read_store(tmp_path)
    assert parent.info.status == "FAILED"
    assert [run.info.status for run in children] == ["FINISHED", "KILLED", "FAILED", "FAILED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    method = "forkserver" if has_server else "spawn"
    assert {run.data.tags["sweep.start_method"] for run in children} == {method}
    assert "Job 3 has failed after" in out


STATUS_OF_ENDED = {"joblib": "killed", "slurm": "interrupted", "ray": "killed"}


def end_job(name, record, environment):
    """Ends a job as happens: its process killed, its place in the queue cancelled, its worker killed."""
    metric_monitor = psutil.Process(int(record["owner"]["pid"]))
    training = find_job(Path(record["folder"]))
    if name == "joblib":
        training.kill()
    elif name == "slurm":
        variables = metric_monitor.environ()
        job = f"{variables['SLURM_ARRAY_JOB_ID']}_{variables['SLURM_ARRAY_TASK_ID']}"
        subprocess.run(["scancel", job], env=environment, check=True)
    else:
        metric_monitor.kill()
    psutil.wait_procs([training], timeout=60)
    assert not training.is_running()


def wait_for_epoch(folder, number):
    """The record of a job, once that is in the middle of its training."""
    for _ in range(1200):
        logs = list(folder.glob(f"multirun/*/*/{number}/job.log"))
        if logs and "Epoch 3/" in logs[0].read_text():
            return records_in(folder)[number]
        time.sleep(0.1)
    raise AssertionError(f"job {number} did not train")


def records_in(folder):
    files = folder.glob("multirun/*/*/records/*.json")
    return [json.loads(file.read_text()) for file in sorted(files, key=lambda file: int(file.stem))]


def read_store(folder):
    """The only sweep's own run, and its children by their numbers."""
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    return parent, sorted(children, key=lambda run: int(run.data.tags["sweep.job"]))


@pytest.mark.parametrize(("number", "is_for_all"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
@needs("hydra/launcher", "joblib")
def test_an_interrupt_lets_joblibs_workers_end_their_jobs(tmp_path, number, is_for_all):
    extras = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"training.epochs={ENDLESS}", "seed=0,1,2,3,4"]
    with start_sweep(tmp_path, "-m", *extras, *TINY, start_new_session=True) as sweep:
        try:
            for job in (0, 1):
                wait_for_epoch(tmp_path, job)
            if is_for_all:
                os.killpg(sweep.pid, number)  # as a terminal does
            else:
                sweep.send_signal(number)
            out, errors = sweep.communicate(timeout=90)
        finally:
            sweep.kill()
    assert [record["status"] for record in records_in(tmp_path)] == ["interrupted"] * 2, errors
    assert "3 of 5 jobs were not started." in out
    assert "resource_tracker" not in errors
    assert "Traceback" not in errors
    assert sweep.returncode == 128 + number
    parent, children = read_store(tmp_path)
    assert [run.info.status for run in (parent, *children)] == ["KILLED"] * 3


SEARCH = ["-m", "hydra/sweeper=optuna"]
RATES = "optimizer.learning_rate=tag(log,interval(1e-4,1e-1))"


@needs("hydra/sweeper", "optuna")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=0,1"], "`sweep.objective` must name the metric that the sweeper looks at; try val_loss."),
        (["seed=0,1", "sweep.objective=val_los"], "`sweep.objective` must be a metric that every job reaches"),
        (["sweep.objective=val_loss"], "`hydra/sweeper` has nothing to search."),
        (["sweep.objective=val_loss", "model=glob(*)"], "`model` glob(*) can't be searched. List the choices: A,B,C."),
    ],
)
@pytest.mark.parametrize("verb", ["train", "check"])
def test_a_search_that_can_not_be_run_is_refused_by_check_too(tmp_path, run_lctrain, verb, arguments, message):
    process = run_lctrain(tmp_path, verb, *SEARCH, *arguments)
    assert process.returncode == 2
    assert message in process.stderr
    assert list(tmp_path.iterdir()) == []


@needs("hydra/sweeper", "optuna")
def test_check_and_show_take_the_ends_of_intervals(tmp_path, run_lctrain):
    arguments = [*SEARCH, RATES, "model.layers.lc1.filters=8,16,32", "sweep.objective=val_loss"]
    checked = run_lctrain(tmp_path, "check", *arguments)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "5 configurations are valid.\n", "")
    shown = run_lctrain(tmp_path, "show", *arguments)
    assert (shown.returncode, shown.stdout.count("parameters, "), shown.stderr) == (0, 5, "")
    wrong = run_lctrain(tmp_path, "check", *SEARCH, "model.layers.lc1.filters=range(0,3)", "sweep.objective=val_loss")
    assert wrong.returncode == 2
    assert "`model.layers.lc1.filters` must be a positive integer; got 0." in wrong.stderr


@needs("hydra/sweeper", "optuna")
def test_trials_that_fail_do_not_end_a_study(tmp_path, run_lctrain):
    study = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=0"]
    searched = ["optimizer.clipvalue=0.5", "optimizer.clipnorm=null,1.0"]
    extras = ["hydra.sweeper.n_trials=3", "sweep.objective=val_loss", "training.epochs=2"]
    process = run_lctrain(tmp_path, "-m", *study, *extras, *searched, *TINY)
    assert process.returncode == 1, process.stderr
    assert "Traceback" not in process.stderr
    records = records_in(tmp_path)
    assert [record["status"] for record in records] == ["failed", "done", "failed"]
    (result,) = tmp_path.glob("multirun/*/*/optimization_results.yaml")
    value = records[1]["metrics"]["val_loss"]
    best = {"name": "optuna", "best_params": {"optimizer.clipnorm": "null"}, "best_value": value}
    assert yaml.safe_load(result.read_text()) == best
    assert f"Best trial: optimizer.clipnorm=null, with {value:g}." in process.stdout
    parent, children = read_store(tmp_path)
    assert parent.info.status == "FAILED"
    assert [run.info.status for run in children] == ["FAILED", "FINISHED", "FAILED"]


@needs("hydra/launcher", "joblib")
def test_joblibs_workers_and_their_jobs_end_with_a_sweep_that_is_killed(tmp_path):
    extras = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"training.epochs={ENDLESS}", "seed=0,1,2,3,4"]
    with start_sweep(tmp_path, "-m", *extras, *TINY) as sweep:
        try:
            for job in (0, 1):
                wait_for_epoch(tmp_path, job)
            others = psutil.Process(sweep.pid).children(recursive=True)
            others += [find_job(Path(record["folder"])) for record in records_in(tmp_path)]
        finally:
            sweep.kill()
        _, alive = psutil.wait_procs(others, timeout=60)
        assert not alive
        _, errors = sweep.communicate()
    assert "Traceback" not in errors
    assert [record["status"] for record in records_in(tmp_path)] == ["interrupted"] * 2
