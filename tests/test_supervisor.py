"""Supervised jobs: each ends with a record and a run in the right state, however it dies."""

import errno
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from conftest import make_config
from job_processes import TEMPORARY, nothing_is_left  # noqa: F401 - a fixture
from test_memory import real_group, run_inside

from lctrain.config import validate
from lctrain.errors import ConfigError, Problem, UserError
from lctrain.sweep.progress import SweepMonitor
from lctrain.sweep.records import Manifest, Record, Records
from lctrain.sweep.resume import check_resumed, digest
from lctrain.sweep.supervisor import STOPPED, Task, close_lost, supervise
from lctrain.system import fork_client
from lctrain.system.fork_client import keep
from lctrain.system.fork_connection import ForkServer
from lctrain.tracking import start_run, store_uri
from lctrain.tracking.run_owner import describe_owner
from lctrain.tracking.store import load_all_code


def find_nothing():
    return ""


@pytest.fixture(autouse=True, scope="module")
def server():
    """Forks the jobs of all tests here: their own servers would load TensorFlow each."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            fork_client, "origin", ForkServer(f"lctrain-test-{os.getpid()}-jobs", load_all_code, find_nothing)
        )
        with keep(fork_client.origin if fork_client.IS_SUPPORTED else None):
            yield


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    (tmp_path / TEMPORARY).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / TEMPORARY))


def run_job(config, overrides, folder, parent, tags):
    """Does what its only override says, in the middle of a run."""
    with start_run(config.tracking, "child", tags, folder, parent) as run:
        run.log_metrics({"loss": 0.5}, step=0)
        if overrides == ["raise"]:
            raise RuntimeError("went wrong")
        if overrides == ["mistake"]:
            raise ConfigError([Problem("seed", "must be right.")])
        if overrides == ["exit"]:
            os._exit(7)
        if overrides == ["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if overrides == ["grow"]:
            grown = []
            while True:
                grown.append(bytes(2**20) + b"0")
        if overrides == ["sleep"]:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            time.sleep(60)
    return {"test_accuracy": 0.75}


def die_early(config, overrides, folder, parent, tags):
    raise RuntimeError("before any run")


def make_task(folder, action, number=0, **sweep):
    tracking = {"name": "local", "folder": str(folder / "store"), "experiment": "test"}
    (folder / "store").mkdir(exist_ok=True)
    config = validate(make_config(tracking=tracking, sweep=sweep))
    return Task(config, [action], folder / str(number), number, folder, None, {"action": action})


def runs_of(task):
    client = mlflow.MlflowClient(store_uri(task.config.tracking))
    (experiment,) = client.search_experiments(filter_string="name = 'test'")
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])


def test_a_job_that_is_done_has_its_metrics_and_its_log(tmp_path):
    task = make_task(tmp_path, "work", number=3)
    record = supervise(run_job, task)
    assert (record.status, record.exit_code, record.reason) == ("done", 0, "")
    assert record.metrics == {"test_accuracy": 0.75}
    assert Records(tmp_path).read(3) == record
    assert record.log == str(tmp_path / "3" / "job.log")
    (run,) = runs_of(task)
    assert run.info.status == "FINISHED"
    message = {name: run.data.tags[name] for name in ("sweep.job", "sweep.overrides", "sweep.choices", "sweep.status")}
    assert message == {
        "sweep.job": "3",
        "sweep.overrides": "work",
        "sweep.choices": '{"action": "work"}',
        "sweep.status": "done",
    }


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("action", "status", "exit_code", "reason", "state"),
    [
        ("raise", "failed", 1, "went wrong", "FAILED"),
        ("mistake", "failed", 2, "`seed` must be right.", "FAILED"),
        ("exit", "failed", 7, "exited with code 7: ", "FAILED"),
        ("kill", "killed", 1, "killed by SIGKILL (the kernel's usual answer to a lack of memory)", "KILLED"),
    ],
)
def test_a_job_that_dies_is_recorded_with_its_reason(tmp_path, action, status, exit_code, reason, state):
    task = make_task(tmp_path, action)
    record = supervise(run_job, task)
    assert (record.status, record.exit_code, record.reason) == (status, exit_code, reason)
    (run,) = runs_of(task)
    assert (run.info.status, run.data.tags["sweep.status"]) == (state, status)
    assert reason.splitlines()[0] in run.data.tags["error"]
    assert run.data.metrics == {"loss": 0.5}


IN_A_GROUP = """
import sys
from pathlib import Path
from test_supervisor import *

fork_client.origin = ForkServer(f"lctrain-test-{os.getpid()}-group", load_all_code, find_nothing)
with keep(fork_client.origin):
    for number, action in enumerate(["grow", "work"]):
        print(supervise(run_job, make_task(Path(sys.argv[1]), action, number)))
    assert fork_client._connections[fork_client.origin.name].process.poll() is None
"""


@pytest.mark.skipif(not fork_client.IS_SUPPORTED, reason="only Linux has control groups")
def test_a_job_that_takes_too_much_of_its_control_group_is_killed_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with real_group(limit=25 * 10**8) as group:
        process = run_inside(group, ["-c", IN_A_GROUP, tmp_path], tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr
    killed, done = Records(tmp_path).read_all()
    assert (killed.status, killed.exit_code, done.status) == ("killed", 1, "done")
    assert killed.reason == "killed by SIGKILL (the kernel's usual answer to a lack of memory)"
    assert [run.info.status for run in runs_of(make_task(tmp_path, "work"))] == ["KILLED", "FINISHED"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_job_that_takes_too_long_is_ended(tmp_path):
    task = make_task(tmp_path, "sleep", job_timeout=8)
    record = supervise(run_job, task)
    assert (record.status, record.exit_code, record.reason) == ("timed_out", 1, "ran longer than 8 s")
    (run,) = runs_of(task)
    assert (run.info.status, run.data.tags["sweep.status"]) == ("KILLED", "timed_out")


def test_a_job_that_dies_before_its_run_has_one_all_the_same(tmp_path):
    task = make_task(tmp_path, "any")
    record = supervise(die_early, task)
    assert (record.status, record.reason) == ("failed", "before any run")
    (run,) = runs_of(task)
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "before any run"
    assert run.data.params["model.name"] == "small"


def test_a_job_that_would_not_fit_is_not_started(tmp_path):
    task = make_task(tmp_path, "work")
    data = task.config.data.model_copy(update={"num_examples": 2**30})
    task = Task(task.config.model_copy(update={"data": data}), ["work"], task.folder, 0, tmp_path, None, {})
    record = supervise(run_job, task)
    assert (record.status, record.exit_code) == ("refused", 3)
    assert "does not fit into memory" in record.reason
    assert not (tmp_path / "0" / "job.log").exists()
    (run,) = runs_of(task)
    assert (run.info.status, run.data.tags["sweep.status"]) == ("FAILED", "refused")


def test_without_isolation_the_job_runs_here(tmp_path):
    task = make_task(tmp_path, "raise", isolate=False)
    record = supervise(run_job, task)
    assert (record.status, record.reason, record.log) == ("failed", "went wrong", None)
    (run,) = runs_of(task)
    assert json.loads(run.data.tags["lctrain.owner"])["pid"] == str(os.getpid())


def test_what_is_done_is_not_done_again_and_what_failed_is(tmp_path):
    first = supervise(run_job, make_task(tmp_path, "work", number=0))
    assert supervise(run_job, make_task(tmp_path, "raise", number=0)) == first
    assert supervise(run_job, make_task(tmp_path, "raise", number=1)).attempt == 1
    again = supervise(run_job, make_task(tmp_path, "work", number=1))
    assert (again.status, again.attempt) == ("done", 2)
    assert {path.name for path in (tmp_path / "1").glob("*.log")} == {"job.log", "job.2.log"}
    states = [(run.data.tags["sweep.job"], run.info.status) for run in runs_of(make_task(tmp_path, "work"))]
    assert states == [("0", "FINISHED"), ("1", "FAILED"), ("1", "FINISHED")]


def test_under_stop_no_job_starts_after_a_failure(tmp_path):
    supervise(run_job, make_task(tmp_path, "raise", number=0, on_error="stop"))
    record = supervise(run_job, make_task(tmp_path, "work", number=1, on_error="stop"))
    assert (record.status, record.exit_code) == ("skipped", None)
    assert (tmp_path / STOPPED).exists()
    assert len(runs_of(make_task(tmp_path, "work"))) == 1


def test_a_record_whose_watcher_died_is_closed(tmp_path):
    task = make_task(tmp_path, "work")
    dead = describe_owner() | {"born": "0"}
    with start_run(task.config.tracking, "child", task.tags, task.folder) as run:
        pass
    lost = Record(0, ["work"], "running", str(task.folder), 0.0, dead)
    closed = close_lost(lost)
    assert (closed.status, closed.reason, closed.journal) == (
        "killed",
        "the process that watched it has died",
        str(run.folder),
    )
    alive = Record(0, ["work"], "running", str(task.folder), 0.0, describe_owner())
    assert close_lost(alive) == alive


def test_a_damaged_record_is_told_and_its_job_counts_as_never_started(tmp_path):
    records = Records(tmp_path)
    records.write(Record(0, [], "done", "", 0.0))
    for text in ("", '{"number": 0, "nonsense": 1}'):
        (tmp_path / "records" / "0.json").write_text(text)
        with pytest.warns(UserWarning, match="0.json is damaged: its job counts as one that was never started"):
            assert records.read(0) is None


def test_a_record_without_room_is_kept_in_memory_and_written_later(tmp_path, monkeypatch, capsys):
    def fail(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    record = Record(4, ["seed=1"], "done", "", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr("lctrain.sweep.records.write_json", fail)
        Records(tmp_path).write(record)
    assert "4.json can't be written: No space left on device." in capsys.readouterr().err
    assert Records(tmp_path).read_all() == [Records(tmp_path).read(4)] == [record]
    Records(tmp_path).write(record)
    assert (tmp_path / "records" / "4.json").exists()


def test_a_changed_configuration_is_not_resumed(tmp_path):
    config = validate(make_config())
    then = Manifest(["-m"], [["seed=0"], ["seed=1"]], 2, "/a", [digest(config), digest(config)], "/a/tracking")
    check_resumed(then, then, tmp_path)
    same = config.model_copy(update={"sweep": config.sweep.model_copy(update={"on_error": "stop"})})
    check_resumed(then, replace(then, digests=[digest(same), digest(config)]), tmp_path)
    changed = replace(then, digests=[digest(config), digest(validate(make_config(seed=7)))])
    with pytest.raises(UserError, match=r"files have changed, and with them the configuration of job 1[.] Start a new"):
        check_resumed(then, changed, tmp_path)
    with pytest.raises(UserError, match="its command line now means other jobs"):
        check_resumed(then, replace(then, jobs=[["seed=1"], ["seed=0"]]), tmp_path)


def test_a_damaged_or_missing_manifest_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"sweep\.json"):
        Manifest.read(tmp_path)
    (tmp_path / "sweep.json").write_text('{"arguments": []')
    with pytest.raises(ValueError, match="delimiter"):
        Manifest.read(tmp_path)
    (tmp_path / "sweep.json").write_text('{"arguments": [], "jobs": [[1]], "num_jobs": 1, "working_folder": "/a"}')
    with pytest.raises(ValueError, match="something else than text"):
        Manifest.read(tmp_path)
    manifest = Manifest(["-m", "seed=0,1"], [["seed=0"], ["seed=1"]], 2, "/a", ["1", "2"], "/a/tracking")
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest


def test_progress_tells_what_is_new_and_how_long_the_rest_takes(tmp_path):
    message, clock = [], [100.0]
    records = Records(tmp_path)
    records.write(Record(0, ["seed=0"], "done", "", 0.0))
    progress = SweepMonitor(records, 4, message.append, ["data=digits"], lambda: clock[0])
    assert message == ["1 of 4 jobs are done already."]
    records.write(Record(1, ["data=digits", "seed=1"], "running", "", 0.0, warning="The job may not fit."))
    progress.print_news()
    progress.print_news()
    assert message[1:] == ["[2/4] Job 1: seed=1", "Warning: The job may not fit."]
    records.write(Record(1, ["seed=1"], "done", "", 0.0, seconds=30.0, metrics={"test_loss": 1.0, "test_auc": 0.5}))
    clock[0] = 140.0
    progress.print_news()
    assert message[3:] == ["[2/4] Job 1 is done after 30 s: test auc 0.5000. 2 left, about 1 min 20 s."]
    records.write(Record(2, ["seed=2"], "failed", "", 0.0, reason="one\ntwo", seconds=1.0))
    records.write(Record(3, ["seed=3"], "skipped", "", 0.0, reason="not started"))
    progress.print_news()
    assert message[4:] == [
        "[3/4] Job 2 has failed after 1 s: one. 1 left, about 20 s.",
        "[4/4] Job 3 was skipped: not started.",
    ]
