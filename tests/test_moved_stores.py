"""Stores whose folder was moved or copied, with the jobs beside them; real SQLite stores and real files."""

import shutil
import sqlite3
from pathlib import Path

import keras
import mlflow
import pytest
import yaml

from lctrain.config.schema import LocalTracking
from lctrain.errors import UserError
from lctrain.job.resume_state import ResumeState
from lctrain.sweep.records import Manifest, Record, Records
from lctrain.sweep.resume import read_manifest
from lctrain.tracking import check_writable, deliver, fetch_run, start_run, store_uri, tag_run
from lctrain.tracking.rewriting import find_moved_uris, rewrite_uris


def at(folder):
    return LocalTracking(name="local", folder=str(folder), experiment="test")


def train(project, name="1", **changes):
    """A job as it is logged, with a real model; its run."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    with start_run(at(project), f"job-{name}", {}, project / "outputs" / name, **changes) as run:
        run.log_text(yaml.safe_dump({"seed": 7}), "config/config.yaml")
        assert run.log_model(model, ["keras"])
    return run


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def moved(tmp_path):
    """A project that was moved after a run, where it is now, where it was, and the run's id."""
    old, new = tmp_path / "my näme", tmp_path / "far" / "pröject 2"
    new.parent.mkdir()
    run = train(old)
    old.rename(new)
    return new, old, run.run_id


def test_a_run_of_a_store_that_was_moved_is_fetched_from_beside_it(moved, tmp_path):
    new, old, run_id = moved
    (tmp_path / "out").mkdir()
    fetched = fetch_run(at(new), run_id[:8], tmp_path / "out")
    assert fetched.config == {"seed": 7}
    assert keras.models.load_model(fetched.model_file).output_shape == (None, 3)
    assert not old.exists()


def test_new_runs_of_a_moved_store_stay_beside_it(moved, tmp_path, capfd):
    new, old, _ = moved
    check_writable(at(new))
    assert "has been moved or copied" in capfd.readouterr().err
    run = train(new, "2")
    assert not old.exists()
    assert f"{run.run_id}/artifacts/config/config.yaml" in files_in(new / "mlartifacts")
    (tmp_path / "out").mkdir()
    assert fetch_run(at(new), run.run_id, tmp_path / "out").config == {"seed": 7}


def test_a_copy_never_writes_into_the_original(tmp_path):
    old, new = tmp_path / "one", tmp_path / "two"
    first = train(old)
    shutil.copytree(old, new)
    before = files_in(old)
    database = (old / "mlflow.db").read_bytes()
    second = train(new, "2")
    tag_run(new / "outputs" / "1" / "tracking", {"more": "yes"})
    assert deliver(new / "outputs" / "1" / "tracking", 0) == 0
    assert files_in(old) == before
    assert (old / "mlflow.db").read_bytes() == database
    client = mlflow.MlflowClient(store_uri(at(new)))
    assert client.get_run(first.run_id).data.tags["more"] == "yes"
    assert f"{second.run_id}/artifacts/config/config.yaml" in files_in(new / "mlartifacts")


def test_what_a_moved_job_left_is_delivered_to_the_store_that_moved_with_it(moved):
    new, old, run_id = moved
    journal = new / "outputs" / "1" / "tracking"
    tag_run(journal, {"more": "yes"})
    assert deliver(journal, 0) == 0
    assert mlflow.MlflowClient(store_uri(at(new))).get_run(run_id).data.tags["more"] == "yes"
    assert not old.exists()


def test_a_job_s_folder_that_was_moved_alone_keeps_its_store(tmp_path):
    run = train(tmp_path / "project")
    (tmp_path / "project" / "outputs" / "1").rename(tmp_path / "elsewhere")
    tag_run(tmp_path / "elsewhere" / "tracking", {"more": "yes"})
    assert deliver(tmp_path / "elsewhere" / "tracking", 0) == 0
    client = mlflow.MlflowClient(store_uri(at(tmp_path / "project")))
    assert client.get_run(run.run_id).data.tags["more"] == "yes"


def download(folder, run_id, tmp_path):
    """As MLflow itself finds artifacts."""
    client = mlflow.MlflowClient(f"sqlite:///{folder}/./mlflow.db")
    return Path(client.download_artifacts(run_id, "config/config.yaml")).read_text()


def test_sync_moved_lets_mlflow_itself_find_all(moved, tmp_path, run_lctrain):
    new, old, run_id = moved
    second = train(new, "2")
    with pytest.raises(Exception, match="config"):
        download(new, run_id, tmp_path)
    arguments = ["sync", "--moved", f'tracking.folder="{new}"']
    process = run_lctrain(tmp_path, *arguments)
    assert process.returncode == 2
    assert "there is no terminal to ask on: add --yes" in process.stderr
    assert not (new / "mlflow.db.before-move").exists()
    process = run_lctrain(new, "sync", "--moved", "--yes")
    assert (process.returncode, (new / "mlflow.db.before-move").is_file()) == (0, True)
    assert f"{old.as_uri()}/mlartifacts -> {new.as_uri()}/mlartifacts" in process.stdout
    assert "5 places of experiments, runs and models" in process.stdout
    for one in (run_id, second.run_id):
        assert yaml.safe_load(download(new, one, tmp_path)) == {"seed": 7}
    with sqlite3.connect(new / "mlflow.db") as connection:
        models = connection.execute("SELECT artifact_location FROM logged_models").fetchall()
    assert all(location.startswith(f"{new.as_uri()}/mlartifacts/models/") for (location,) in models)
    process = run_lctrain(tmp_path, *arguments)
    assert (process.returncode, process.stdout.split(":")[0]) == (0, "Nothing to do")
    assert not old.exists()


def test_sync_moved_refuses_what_seems_to_be_a_copy(tmp_path, run_lctrain):
    old, new = tmp_path / "one", tmp_path / "two"
    run = train(old)
    shutil.copytree(old, new)
    process = run_lctrain(new, "sync", "--moved", "--yes")
    assert process.returncode == 2
    assert "one/mlartifacts still exists and holds files" in process.stderr
    assert run_lctrain(new, "sync", "--moved", "--yes", "--force").returncode == 0
    assert yaml.safe_load(download(new, run.run_id, tmp_path)) == {"seed": 7}
    assert yaml.safe_load(download(old, run.run_id, tmp_path)) == {"seed": 7}
    with sqlite3.connect(old / "mlflow.db") as connection:
        uris = connection.execute("SELECT artifact_uri FROM runs").fetchall()
    assert uris == [(f"{old.as_uri()}/mlartifacts/{run.run_id}/artifacts",)]


def test_only_what_is_of_the_store_s_old_place_is_rewritten(moved):
    new, old, _ = moved
    elsewhere = f"{old.as_uri()}/mlartifacts-of-another/1"
    with sqlite3.connect(new / "mlflow.db") as connection:
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)"
            " VALUES (99, 'other', ?, 'active')",
            (elsewhere,),
        )
    found = find_moved_uris(at(new))
    assert (found.old, found.num_uris) == ((f"{old.as_uri()}/mlartifacts",), 3)
    assert rewrite_uris(at(new), found) == 3
    with sqlite3.connect(new / "mlflow.db") as connection:
        stored = dict(connection.execute("SELECT name, artifact_location FROM experiments").fetchall())
    assert (stored["other"], stored["test"]) == (elsewhere, f"{new.as_uri()}/mlartifacts")


def test_a_store_reached_by_another_name_has_not_moved(tmp_path, capfd):
    train(tmp_path / "project")
    (tmp_path / "link").symlink_to(tmp_path / "project")
    check_writable(at(tmp_path / "link"))
    assert capfd.readouterr().err == ""


def note_unfinished(project):
    run = train(project)
    known = "0f", str(run.folder), [], {}, False, {}, "data"
    ResumeState(*known).write(project / "outputs" / "1")


def test_an_unfinished_job_of_a_moved_project_goes_on_with_its_own_journal(tmp_path, capfd):
    old, new = tmp_path / "one", tmp_path / "two"
    note_unfinished(old)
    shutil.copytree(old, new)
    assert ResumeState.read(new / "outputs" / "1").find_journal() == new / "outputs" / "1" / "tracking"
    shutil.copytree(new / "outputs" / "1", new / "outputs" / "2")
    assert ResumeState.read(new / "outputs" / "2").find_journal() is None  # else two jobs would have one run
    assert "the job is a copy of the one in" in capfd.readouterr().err


def test_a_sweep_of_a_moved_project_is_resumed_there(tmp_path, monkeypatch):
    old, new = tmp_path / "one", tmp_path / "two"
    folder = old / "multirun" / "1"
    with (
        start_run(at(old), "sweep", {"sweep.jobs": "1"}, folder) as sweep,
        start_run(at(old), "job", {}, folder / "0", sweep.folder) as job,
    ):
        pass
    Manifest(["-m", "seed=3"], [["seed=3"]], 1, str(old), ["0f"], str(sweep.folder)).write(folder)
    Records(folder).write(Record(0, ["seed=3"], "failed", str(folder / "0"), 0.0, journal=str(job.folder)))
    shutil.copytree(old, new)
    monkeypatch.chdir(new)
    there = new / "multirun" / "1"
    manifest = read_manifest(there)
    assert (manifest.working_folder, manifest.journal) == (str(new), str(there / "tracking"))
    Records(there).move(lambda path: there / path.relative_to(folder))
    record = Records(there).read(0)
    assert (record.folder, record.journal) == (str(there / "0"), str(there / "0" / "tracking"))
    assert Records(folder).read(0).folder == str(folder / "0")
    shutil.copytree(folder, old / "multirun" / "2")
    with pytest.raises(UserError, match=r"is a copy of .*multirun/1, and its runs in the store are those of that one"):
        read_manifest(old / "multirun" / "2")
