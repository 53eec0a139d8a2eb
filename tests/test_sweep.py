"""Sweeps as a user meets them: real processes, a real store."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from job_processes import find_job, find_sockets, nothing_is_left, start_sweep  # noqa: F401 - a fixture
from test_memory import real_group, run_inside

from lctrain.sweep.records import Records
from lctrain.tracking import read_journal

FAST = ("training.epochs=2", "data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=200")
START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
FAILING = ("optimizer.clipnorm=1.0", "optimizer.clipvalue=null,0.5")  # both at once only Keras refuses


def read_store(folder):
    """The sweep's own runs and their children, each in the order in which they started."""
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, order_by=["attributes.start_time ASC"])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return parents, [run for run in runs if run not in parents]


def records_of(folder):
    (records,) = folder.glob("multirun/*/*/records")
    return [json.loads((records / f"{number}.json").read_text()) for number in range(len(list(records.iterdir())))]


@pytest.fixture(scope="module")
def failed_sweep(tmp_path_factory, run_lctrain):
    """Two implementations, each once as it should be and once with an optimizer that Keras refuses."""
    folder = tmp_path_factory.mktemp("sweep")
    return folder, run_lctrain(folder, "-m", "implementation=2,batched", *FAILING, *FAST)


def test_every_job_runs_whatever_happens_to_the_others(failed_sweep):
    folder, process = failed_sweep
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    records = records_of(folder)
    assert [record["status"] for record in records] == ["done", "failed", "done", "failed"]
    assert all("clipvalue" in record["reason"] for record in records if record["status"] == "failed")
    assert "[1/4] Job 0: implementation=2" in process.stdout
    assert re.search(r"\[2/4\] Job 1 has failed after \d+ s: .*clipvalue", process.stdout)
    assert re.search(r"\[3/4\] Job 2 is done after .*: test accuracy 0.\d+. 1 left, about ", process.stdout)
    (log,) = (folder / "multirun").glob("*/*/1/job.log")
    assert "Traceback" in log.read_text()


def test_one_parent_holds_all_children_and_the_comparison(failed_sweep):
    folder, _ = failed_sweep
    (parent,), children = read_store(folder)
    assert parent.info.status == "FAILED"
    assert parent.data.tags["sweep.jobs"] == "4"
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    message = [(child.data.tags["sweep.job"], child.data.tags["sweep.status"], child.info.status) for child in children]
    assert message == [
        ("0", "done", "FINISHED"),
        ("1", "failed", "FAILED"),
        ("2", "done", "FINISHED"),
        ("3", "failed", "FAILED"),
    ]
    assert all(child.data.params["data.num_examples"] == "200" for child in children)
    names = [
        f"lc2d-{implementation}, clipvalue={value}" for implementation in ("2", "batched") for value in (None, 0.5)
    ]
    assert [child.info.run_name for child in children] == [name.replace("None", "null") for name in names]
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {
        "sweep.json",
        "report.html",
        "comparison.png",
    }


def test_the_sweeps_own_run_says_what_it_did(failed_sweep):
    folder, process = failed_sweep
    (parent,), children = read_store(folder)
    given = {"implementation": "2,batched", "optimizer.clipvalue": "null,0.5", "training.epochs": "2"}
    assert parent.data.params.items() >= given.items()
    assert not [key for key in parent.data.params if key.startswith("hydra")]
    counts = {name: value for name, value in parent.data.metrics.items() if name.startswith("jobs_")}
    assert counts == {"jobs_done": 2, "jobs_failed": 2, "jobs_refused": 0}
    (best,) = [run for run in children if run.info.run_id == parent.data.tags["sweep.best_run"]]
    assert best.info.status == "FINISHED"
    for name in ("test_accuracy", "train_step_ms"):
        assert parent.data.metrics[f"best_{name}"] == best.data.metrics[name]
    note = parent.data.tags["mlflow.note.content"]
    recommendation = note.splitlines()[0].strip("*")
    assert recommendation.startswith("Use implementation ")
    assert recommendation in " ".join(process.stdout.split())


def test_a_resumed_sweep_runs_what_is_not_done(failed_sweep, run_lctrain, tmp_path):
    folder, _ = failed_sweep
    (sweep,) = folder.glob("multirun/*/*")
    process = run_lctrain(folder, f"sweep.resume={sweep.relative_to(folder)}")
    assert process.returncode == 1
    assert "2 of 4 jobs are done already." in process.stdout
    assert [record["attempt"] for record in records_of(folder)] == [1, 2, 1, 2]
    (parent,), children = read_store(folder)
    assert (parent.info.status, len(children)) == ("FAILED", 4)  # a job that is run again goes on with its run
    for arguments, message in [
        ([f"sweep.resume={sweep}", "seed=1"], "takes no other settings than those of `sweep` and of the launcher"),
        (["sweep.resume=/etc/passwd"], "must be the folder of a sweep, such as multirun/DATE/TIME; got '/etc/passwd'"),
        (
            ["-m", "seed=1", f"hydra.sweep.dir={sweep}"],
            "must not hold a sweep already; got .* go on with it: sweep.resume=",
        ),
        (["sweep.resume=nowhere"], "must be the folder of a sweep, such as multirun/DATE/TIME; got '.*nowhere'"),
    ]:
        process = run_lctrain(folder, *arguments)
        assert process.returncode == 2
        assert re.search(message, process.stderr)
    moved = sweep.rename(sweep.with_name("moved"))
    process = run_lctrain(folder, f"sweep.resume={moved}")
    assert (process.returncode, "2 of 4 jobs are done already." in process.stdout) == (1, True)  # it goes on there
    assert [record["attempt"] for record in records_of(folder)] == [1, 3, 1, 3]
    assert all(Path(record["folder"]).parent == moved for record in records_of(folder))
    assert len(read_store(folder)[1]) == 4
    moved.rename(sweep)
    process = run_lctrain(tmp_path, f"sweep.resume={sweep}")
    assert (process.returncode, f"cd {folder}" in process.stderr) == (2, True)


def test_all_jobs_are_validated_before_the_first_starts(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "-m", "model.layers.lc1.kernel_size=2,9,3", *FAST)
    assert process.returncode == 2
    assert process.stderr.startswith("Error in job 1: `model.layers.lc1.kernel_size` must not exceed")
    assert process.stderr.endswith("Nothing was run: all jobs must be valid before the first starts.\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("tracking.folder=a,b", "`tracking` must be the same for all jobs of a sweep"),
        ("sweep.on_error=stop,continue", "`sweep` must be the same for all jobs of a sweep"),
        ("sweep.objective=val_los", "`sweep.objective` must be a metric .* got 'val_los'. Did you mean `val_loss`?"),
        ("sweep.job_timeout=0", "`sweep.job_timeout` must be .* got 0"),
        ("sweep.jobtimeout=3", "`sweep.jobtimeout` is not a known key. Did you mean `sweep.job_timeout`?"),
        ("hydra.sweep.subdir=same", "`hydra.sweep.subdir` must differ from job to job; got 'same' for 0 and 1. Put"),
    ],
)
def test_mistakes_in_a_sweeps_settings(tmp_path, run_lctrain, argument, message):
    process = run_lctrain(tmp_path, "-m", "seed=0,1", argument)
    assert process.returncode == 2
    assert re.search(message, process.stderr), process.stderr
    assert not (tmp_path / "mlflow.db").exists()


def test_the_supervisor_loads_no_tensorflow(tmp_path, run_python):
    out = run_python(
        f"""
import sys
from lctrain.cli import main
print(main(["-m", "implementation=2", *{FAST!r}]))
print(sorted({{"tensorflow", "keras", "sklearn", "jax", "torch"}} & set(sys.modules)))
""",
        tmp_path,
    )
    assert out.splitlines()[-2:] == ["0", "[]"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_killed_job_and_an_interrupt_leave_everything_in_order(tmp_path, run_lctrain):
    sweep = start_sweep(tmp_path, "-m", "training.epochs=100000,1,200000", *FAST[1:])
    try:
        wait_for_epoch(tmp_path, 0)
        find_job(tmp_path, 0).kill()
        wait_for_epoch(tmp_path, 2)
        assert find_sockets(tmp_path)
        find_job(tmp_path, 2).parent().kill()  # the server, without which the job goes on
        sweep.send_signal(signal.SIGINT)
        output, errors = sweep.communicate(timeout=120)
    finally:
        sweep.kill()
    assert sweep.returncode == 130, errors
    assert "Traceback" not in errors
    (folder,) = tmp_path.glob("multirun/*/*")
    assert f"What is not done is run by: python -m lctrain sweep.resume={folder}\n" in output
    statuses = [(record["status"], record["exit_code"]) for record in records_of(tmp_path)]
    assert statuses == [("killed", 1), ("done", 0), ("interrupted", 130)]
    (parent,), children = read_store(tmp_path)
    assert [run.info.status for run in (parent, *children)] == ["KILLED", "KILLED", "FINISHED", "KILLED"]
    assert all("loss" in child.data.metrics for child in children)
    assert {child.data.tags["sweep.start_method"] for child in children} == {START_METHOD}


def test_a_killed_job_goes_on_where_it_was_when_its_sweep_is_resumed(tmp_path, run_lctrain):
    settings = ["training.epochs=400,1", "training.checkpoint.every_steps=3", *FAST[1:]]
    sweep = start_sweep(tmp_path, "-m", *settings)
    try:
        wait_for_epoch(tmp_path, 0)
        job = find_job(tmp_path, 0)
        job.parent().kill()  # the server; the next job has another
        job.kill()
        output, errors = sweep.communicate(timeout=240)
        assert sweep.returncode == 1, (output, errors)
    finally:
        sweep.kill()
    assert [record["status"] for record in records_of(tmp_path)] == ["killed", "done"]
    (folder,) = tmp_path.glob("multirun/*/*")
    process = run_lctrain(tmp_path, f"sweep.resume={folder}")
    assert process.returncode == 0, process.stderr
    (log,) = folder.glob("0/job.2.log")
    assert re.search(r"Going on from step \d+, in epoch \d+ of 400\.", log.read_text())
    (parent,), children = read_store(tmp_path)
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 3
    counts = {name: value for name, value in parent.data.metrics.items() if name.startswith("jobs_")}
    assert counts == {"jobs_done": 2, "jobs_failed": 0, "jobs_refused": 0, "jobs_killed": 0}
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    for name in ("loss", "val_loss"):
        history = client.get_metric_history(children[0].info.run_id, name)
        assert sorted(point.step for point in history) == list(range(1, 401))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_store_that_is_away_and_a_termination_lose_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        uri = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    away = ["tracking=server", f"tracking.uri={uri}", "tracking.patience=1"]
    sweep = start_sweep(tmp_path, "-m", "training.epochs=1,100000", *FAST[1:], *away)
    try:
        wait_for_epoch(tmp_path, 1)
        sweep.terminate()
        _, errors = sweep.communicate(timeout=120)
    finally:
        sweep.kill()
    assert sweep.returncode == 143, errors
    assert "Traceback" not in errors
    assert "Warning: not all that 2 of 2 jobs logged has reached the store." in " ".join(errors.split())
    statuses = [(record["status"], record["exit_code"]) for record in records_of(tmp_path)]
    assert statuses == [("done", 0), ("interrupted", 143)]
    runs = [read_journal(Path(record["journal"])) for record in records_of(tmp_path)]
    assert [(run.status, run.tags["sweep.start_method"]) for run in runs] == [
        ("FINISHED", START_METHOD),
        ("KILLED", START_METHOD),
    ]
    assert all("loss" in run.metrics for run in runs)


def test_a_full_disk_fails_jobs_which_go_on_when_there_is_room(tmp_path, mount_small_disk):
    disk = mount_small_disk("200k")  # which takes all of a job but its model
    sweep = start_sweep(tmp_path, "-m", "seed=0,1", *FAST, f"hydra.sweep.dir={disk}/sweep")
    output, errors = sweep.communicate(timeout=240)
    assert sweep.returncode == 1, errors
    assert "Traceback" not in errors
    assert "[1/2] Job 0 has failed" in output
    assert "there is no room for the trained model" in output
    assert re.search(r"\[2/2\] Job 1 has failed after \d.* s: .*(no room|No space left on device)", output)
    subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
    resumed = start_sweep(tmp_path, f"sweep.resume={disk}/sweep")
    output, errors = resumed.communicate(timeout=240)
    assert resumed.returncode == 0, errors
    records = Records(disk / "sweep").read_all()
    assert [(record.status, record.attempt) for record in records] == [("done", 2)] * 2
    runs = [read_journal(Path(str(record.journal))) for record in records]
    assert [(run.status, run.tags["sweep.start_method"]) for run in runs] == [("FINISHED", START_METHOD)] * 2


def wait_for_epoch(folder, number):
    """Until a job is in the middle of its training."""
    for _ in range(1200):
        logs = list(folder.glob(f"multirun/*/*/{number}/job.log"))
        if logs and "Epoch 3/" in logs[0].read_text():
            return
        time.sleep(0.1)
    raise AssertionError(f"job {number} did not train")


def test_a_job_that_does_not_fit_is_refused_and_the_others_run(tmp_path):
    """The dense matrices of docs2d on 16x32 pixels are 2.6 GB; weights, Adam and the libraries 1.4 GB."""
    command = ["-m", "lctrain", "-m", "model=docs2d", "implementation=2,batched", *FAST, "data.input_shape=[16,32,3]"]
    with real_group(limit=3 * 10**9) as group:
        process = run_inside(group, command, tmp_path)
    assert process.returncode == 1, process.stderr
    refused, done = records_of(tmp_path)
    assert (refused["status"], refused["exit_code"], refused["log"], done["status"]) == ("refused", 3, None, "done")
    assert "With these implementations it fits: batched (1.4 GB), 1 (" in refused["reason"]
    (parent,), children = read_store(tmp_path)
    assert [run.info.status for run in (parent, *children)] == ["FAILED", "FAILED", "FINISHED"]
    assert children[0].data.tags["sweep.status"] == "refused"
