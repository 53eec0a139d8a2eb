"""`report` and what it reads: sweeps in a real SQLite store, written by MLflow's own client."""

import json
import math
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from made_sweeps import START, log_sweep, make_failure, make_parent, make_run
from mlflow.entities import Metric, Param, RunTag

from lctrain.config.schema import LocalTracking
from lctrain.errors import UserError
from lctrain.report.comparison import compare
from lctrain.report.sweep import build_report
from lctrain.tracking import read_journal, read_sweep, store_uri
from lctrain.tracking.run_result import RunResult

CHILDREN = [
    make_run(0, "1", ms=20.0, memory=420.0),
    make_failure(1, "2", "timed_out", "exceeded 60 s"),
    make_run(1, "2", ms=7.2, attempt=90),
    make_failure(2, "3", "refused", "needs 4.1 GB"),
    make_run(3, "batched", ms=2.0, metrics={"val_loss": [2.0, math.nan, 0.5]}),
    make_run(4, "batched", ms=1.0, params={"precision": "mixed_float16"}, metrics={"test_loss": math.inf}),
]


def write_run(client, experiment_id, run, parent_id=None):
    """A made run, as the store shall hold it; returns its id there."""
    tags = run.tags | {"mlflow.runName": run.name} | ({} if parent_id is None else {"mlflow.parentRunId": parent_id})
    created = client.create_run(experiment_id, start_time=run.start, tags=tags)
    run_id = created.info.run_id
    metrics = [Metric(name, p.value, p.timestamp, p.step) for name, points in run.metrics.items() for p in points]
    client.log_batch(run_id, metrics, [Param(*pair) for pair in run.params.items()], [RunTag("late", "yes")])
    if run.status != "RUNNING":
        client.set_terminated(run_id, run.status, run.end)
    return run_id


def local(folder, experiment="lctrain"):
    return LocalTracking(name="local", folder=str(folder), experiment=experiment)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The store's tracking, and the ids of its two sweeps, the older first."""
    tracking = local(tmp_path_factory.mktemp("team") / "store")
    Path(tracking.folder).mkdir()
    client = mlflow.MlflowClient(store_uri(tracking))
    experiment_id = client.create_experiment("lctrain")
    client.create_experiment("others")
    older = write_run(client, experiment_id, replace(make_parent(6), name="older"))
    write_run(client, experiment_id, make_run(0, "2", ms=5.0), older)
    parent = replace(make_parent(5), name="newer", start=START + 5000)
    newer = write_run(client, experiment_id, parent)
    for child in CHILDREN:
        write_run(client, experiment_id, child, newer)
    write_run(client, experiment_id, replace(make_run(None, ms=3.0), start=START + 9000))  # of no sweep
    return tracking, older, newer


def test_a_sweep_is_read_back_as_it_was(store):
    tracking, _, newer = store
    parent, children = read_sweep(tracking)
    assert (parent.run_id, parent.name, parent.status, parent.seconds) == (newer, "newer", "FINISHED", 90.0)
    assert parent.tags["sweep.jobs"] == "5"
    assert len(children) == len(CHILDREN)
    by_start = {child.start: child for child in children}
    for made in CHILDREN:
        read = next(run for run in children if (run.start, run.name) == (made.start, made.name))
        assert isinstance(read, RunResult)
        assert (read.status, read.end, read.params) == (made.status, made.end, made.params)
        assert made.tags.items() <= read.tags.items()
    assert [point.value for point in by_start[START + 3000].history("val_loss")][::2] == [2.0, 0.5]
    assert math.isnan(by_start[START + 3000].history("val_loss")[1].value)
    assert [point.step for point in by_start[START].history("val_loss")] == [1, 2, 3]


def test_the_store_and_the_runs_themselves_compare_alike(store):
    from_store = compare(read_sweep(store[0])[1]).as_table()
    by_hand = compare(CHILDREN).as_table()
    assert {**from_store, "run_id": None} == {**by_hand, "run_id": None}
    assert from_store["status"] == ["done", "done", "refused", "done", "done"]
    assert from_store["reason"][4] == "diverged: test_loss is inf"


def test_journals_and_the_store_compare_alike(tmp_path):
    tracking = local(tmp_path / "store")
    _, *journals = log_sweep(tracking, tmp_path)
    parent, children = read_sweep(tracking)
    by_journal = [read_journal(journal) for journal in journals]
    assert compare(children).as_table() == compare(by_journal).as_table()
    assert [run.history("val_loss") for run in children] == [run.history("val_loss") for run in by_journal]
    assert build_report(parent, children).html == build_report(parent, by_journal).html


def test_a_sweep_is_named_by_its_id_its_first_letters_or_a_job(store):
    tracking, older, newer = store
    _, (child,) = read_sweep(tracking, older)
    assert child.metrics["train_step_ms"][0].value == 5.0
    assert read_sweep(tracking, older[:7])[0].run_id == older
    assert read_sweep(tracking, child.run_id)[0].run_id == older
    assert read_sweep(tracking, newer)[0].run_id == newer


def test_an_id_that_is_none_names_those_there_are(store):
    tracking, older, newer = store
    wrong = "0" * 32
    message = (
        rf"`--sweep` must be .*; got '{wrong}', which is none\. The latest are: {newer[:8]} \(newer, .*\); {older[:8]} "
    )
    with pytest.raises(UserError, match=message):
        read_sweep(tracking, wrong)


def test_a_run_that_is_no_sweep(store):
    tracking = store[0]
    client = mlflow.MlflowClient(store_uri(tracking))
    (alone,) = client.search_runs(["1"], f"attributes.start_time = {START + 9000}")
    with pytest.raises(UserError, match=r"which is the id of a run that is no sweep\. The latest are"):
        read_sweep(tracking, alone.info.run_id)


def test_stores_without_what_was_asked_for(store, tmp_path):
    tracking = store[0]
    with pytest.raises(UserError, match=r"`tracking.folder` must hold an MLflow store; got '.*nowhere'"):
        read_sweep(local(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(UserError, match=r"There is no sweep in experiment 'others'"):
        read_sweep(local(tracking.folder, "others"))
    with pytest.raises(UserError, match=r"`tracking.experiment` must be .*; got 'lctrian'\. It has: .*lctrain"):
        read_sweep(local(tracking.folder, "lctrian"))
    (tmp_path / "mlflow.db").write_text("no database at all, but long enough to be looked at" * 9)
    with pytest.raises(UserError, match=r"`tracking`: the MLflow store sqlite:.* can't be read: "):
        read_sweep(local(tmp_path))


def test_a_sweep_that_still_runs(store, tmp_path):
    tracking = local(tmp_path)
    client = mlflow.MlflowClient(store_uri(tracking))
    experiment_id = client.create_experiment("lctrain")
    running = write_run(client, experiment_id, make_parent(4, "RUNNING"))
    write_run(client, experiment_id, make_run(0, "1", ms=9.0), running)
    write_run(client, experiment_id, make_run(1, "2", status="RUNNING"), running)
    report = build_report(*read_sweep(tracking))
    assert report.notes == ("The sweep is still running: 1 of 4 jobs have ended so far.",)


def test_the_verb_writes_and_tells(store, tmp_path, run_lctrain):
    tracking, _, newer = store
    done = run_lctrain(tmp_path, "report", f"tracking.folder={tracking.folder}")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / f"report-{newer[:8]}"
    assert sorted(path.name for path in folder.iterdir()) == ["comparison.png", "report.html", "sweep.json"]
    table = json.loads((folder / "sweep.json").read_text())
    assert [dict(zip(table["columns"], row, strict=True))["train_step_ms"] for row in table["data"]] == [
        20,
        7.2,
        None,
        2,
        1,
    ]
    assert "Use implementation batched: 2.00 ms" in (folder / "report.html").read_text(encoding="utf-8")
    assert "Use implementation batched: 2.00 ms" in done.stdout
    assert "timed_out" not in done.stdout  # that job was run anew
    assert f"Written: {folder.name}/report.html" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_the_verb_takes_a_sweep_and_a_folder(store, tmp_path, run_lctrain):
    tracking, older, _ = store
    arguments = ["report", "--out", "deep/er", "--sweep", older[:8], f"tracking.folder={tracking.folder}"]
    done = run_lctrain(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "5 of 6 jobs were not started." in done.stdout
    assert (tmp_path / "deep" / "er" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report"], "Error: `tracking.folder` must hold an MLflow store; got '.'"),
        (["report", "-m"], "Error: `report` takes no -m"),
        (
            ["report", "tracking.fodler=x"],
            "Error: `tracking.fodler` is not a known key. Did you mean `tracking.folder`?",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path, run_lctrain, arguments, message):
    done = run_lctrain(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_cannot_be_written_to(store, tmp_path, run_lctrain):
    (tmp_path / "taken").write_text("")
    (tmp_path / "below" / "report.html").mkdir(parents=True)
    for out, reason in (("taken", "File exists"), ("below", "below/report.html: Is a directory")):
        done = run_lctrain(tmp_path, "report", "--out", out, f"tracking.folder={store[0].folder}")
        assert done.returncode == 2
        message = f"`--out` must be a folder that can be written; got {out!r} ({reason})"
        assert message in done.stderr


def test_reporting_loads_no_tensorflow(store, tmp_path, run_python):
    code = f"""
import sys
from lctrain.cli import main
assert main(["report", "tracking.folder={store[0].folder}", "--out", "here"]) == 0
print(sorted({{"tensorflow", "keras"}} & set(sys.modules)))
"""
    assert run_python(code, tmp_path).splitlines()[-1] == "[]"


def test_jobs_that_were_deleted_are_told_as_that(tmp_path, run_lctrain):
    tracking = local(tmp_path)
    client = mlflow.MlflowClient(store_uri(tracking))
    experiment_id = client.create_experiment("lctrain")
    parent = write_run(client, experiment_id, make_parent(8))
    runs = [make_run(number, "12"[number % 2], ms=3.0 + number, seed=number) for number in range(7)]
    jobs = [write_run(client, experiment_id, run, parent) for run in runs]
    for number in (2, 5):
        client.delete_run(jobs[number])
    process = run_lctrain(tmp_path, "report")
    assert process.returncode == 0, process.stderr
    message = " ".join(process.stdout.split())
    assert "2 of 8 jobs were deleted in MLflow (job 2, 5) and left out." in message
    assert "1 of 8 jobs were not started." in message
    client.delete_run(parent)
    for sweep in (parent, jobs[0]):
        process = run_lctrain(tmp_path, "report", "--sweep", sweep)
        assert (process.returncode, "was deleted in MLflow. Restore it: " in process.stderr) == (2, True)
        assert f"--run-id {parent}" in process.stderr
