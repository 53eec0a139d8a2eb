"""Tracking: what is logged is read back from a real store."""

import json
import shlex
import shutil
import time
from pathlib import Path

import mlflow
import numpy as np
import pytest
from conftest import make_config
from made_files import make_arrays, read_data
from mlflow.data.schema import TensorDatasetSchema

from lctrain.composition.dry_run import compose_dry
from lctrain.config import validate
from lctrain.config.schema import LocalTracking, ServerTracking
from lctrain.data import load_splits
from lctrain.errors import UserError
from lctrain.job.provenance import describe_datasets
from lctrain.tracking import (
    check_writable,
    deliver,
    read_journal,
    start_run,
    store_uri,
    sync_journal,
    tag_run,
    ui_command,
)
from lctrain.tracking.delivery_state import DeliveryState
from lctrain.tracking.journal import Journal
from lctrain.tracking.mlflow_store import MlflowStore
from lctrain.tracking.orphaned_runs import end_dead_runs
from lctrain.tracking.run_owner import describe_owner
from lctrain.tracking.run_sender import RunSender
from lctrain.tracking.store import read_tracking
from lctrain.training import EpochMetrics


@pytest.fixture
def tracking(tmp_path):
    return LocalTracking(name="local", folder=str(tmp_path / "my store"), experiment="test")


@pytest.fixture
def start(tracking, tmp_path):
    """`start_run` into the store, for a job of its own."""

    def start(name="a-run", tags=None, **changes):
        job = {"tracking": tracking, "folder": tmp_path / "job"} | changes
        return start_run(name=name, tags=tags or {}, **job)

    return start


def read(tracking, run_id):
    return mlflow.MlflowClient(store_uri(tracking)).get_run(run_id)


def test_a_store_that_was_half_made_when_its_process_was_killed_is_made_anew(tracking, start, tmp_path):
    folder = Path(tracking.folder)
    folder.mkdir()
    for name in ("mlflow.db.new-0f", "mlflow.db.new-0f-journal", "mlflow.db-journal", "mlflow.db-wal"):
        (folder / name).write_bytes(b"half a database")
    with start() as run:
        run.log_metrics({"loss": 2.0})
    assert read(tracking, run.run_id).data.metrics == {"loss": 2.0}
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("mlflow")) == ["mlflow.db"]


def test_a_run_that_is_repeated_in_part_logs_nothing_twice(tracking, start):
    with start() as run:
        run.fail("stopped", "KILLED")
        run.log_params({"seed": 0})
        run.log_metrics({"loss": 2.0}, step=0)
        run.log_metrics({"loss": 1.0}, step=1)
    assert read(tracking, run.run_id).info.status == "KILLED"
    with start(resumed=run.folder, repeats=True) as again:
        again.log_params({"seed": 0, "epochs": 3})
        for step, loss in enumerate((2.0, 1.0, 0.5)):
            again.log_metrics({"loss": loss}, step=step)
    stored = read(tracking, run.run_id)
    assert (again.run_id, stored.info.status) == (run.run_id, "FINISHED")
    assert stored.data.params == {"seed": "0", "epochs": "3"}
    history = mlflow.MlflowClient(store_uri(tracking)).get_metric_history(run.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 2.0), (1, 1.0), (2, 0.5)]


@pytest.mark.parametrize("begun", [0, 1])
def test_a_run_that_goes_on_keeps_the_numbers_of_its_epochs(start, begun):
    with start() as run:
        run.log_metrics({"step_loss": 3.0}, step=7)
        run.log_metrics({"loss": 2.0}, step=begun)
        run.fail("stopped", "KILLED")
    assert run.first_epoch == 1
    with start(resumed=run.folder, repeats=True) as again:
        EpochMetrics(again.log_metrics, again.first_epoch).catch_up([{"loss": 2.0}, {"loss": 1.0}])
    assert again.first_epoch == begun
    assert [point.step for point in read_journal(run.folder).history("loss")] == [begun, begun + 1]


def test_a_run_has_its_datasets_and_each_once(tracking, start):
    config = validate(make_config())
    splits = load_splits(config.data, config.data_format)
    datasets = describe_datasets(config.data, splits)
    with start() as run:
        run.log_datasets(datasets)
    with start(resumed=run.folder) as again:
        again.log_datasets(datasets)
    inputs = read(tracking, run.run_id).inputs.dataset_inputs
    known = {one.tags[0].value: one.dataset for one in inputs}
    assert len(inputs) == 3
    assert set(known) == {"training", "validation", "testing"}
    assert {one.name for one in known.values()} == {"synthetic"}
    assert len({one.digest for one in known.values()}) == 3
    assert known["training"].digest == datasets[0]["digest"] == describe_datasets(config.data, splits)[0]["digest"]
    schema = TensorDatasetSchema.from_dict(json.loads(known["training"].schema))
    assert schema.features.input_types() == [np.dtype(splits.train.inputs.dtype)]
    assert schema.features.inputs[0].shape == (-1, *splits.train.inputs.shape[1:])
    assert json.loads(known["testing"].profile) == {"num_rows": len(splits.test.labels)}


def test_a_dataset_of_ones_own_is_called_as_its_file(tmp_path):
    data = {"name": "arrays", "path": str(make_arrays(tmp_path)), "input_shape": [5, 7, 2], "num_classes": 3}
    data = read_data(data)
    datasets = describe_datasets(data, load_splits(data, "channels_last"))
    assert [(one["name"], one["context"]) for one in datasets] == [
        ("arrays my.npz", context) for context in ("training", "validation", "testing")
    ]


def test_runs_of_an_earlier_release_are_known_by_their_owner(tracking, start):
    with start() as run:
        pass
    client = mlflow.MlflowClient(store_uri(tracking))
    (experiment,) = [one for one in client.search_experiments() if one.name == "test"]
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    dead = {f"lctrain.owner.{name}": value for name, value in (describe_owner() | {"born": "0"}).items()}
    lost = client.create_run(experiment.experiment_id, tags=dead).info.run_id
    end_dead_runs(MlflowStore(client, experiment.experiment_id))
    assert read(tracking, lost).info.status == "FAILED"
    owners = [name for name in read(tracking, run.run_id).data.tags if name.startswith("lctrain.owner")]
    assert owners == ["lctrain.owner"]


def test_an_end_at_once_is_delivered_by_the_next_who_looks(tracking, start):
    with start() as run:
        run.log_metrics({"loss": 2.0})
        run.end_at_once("KILLED", "interrupted twice")
        ended = Journal(run.folder).entries()[-1].fields
        assert (ended["kind"], ended["status"]) == ("end", "KILLED")


def test_what_is_logged_can_be_read_back(tracking, start):
    check_writable(tracking)
    with start(tags={"model": "small"}) as run:
        run.log_params(make_config())
        run.log_metrics({"loss": 2.0}, step=0)
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_text("seed: 0\n", "config/config.yaml")
        run.log_table({"name": ["lc1"], "parameters": [3]}, "model/layers.json")
    stored = read(tracking, run.run_id)
    assert (stored.info.status, stored.info.run_name) == ("FINISHED", "a-run")
    assert stored.data.tags["model"] == "small"
    assert stored.data.params["model.layers.lc1.kernel_size"] == "[3, 2]"
    assert stored.data.params["jit_compile"] == "false"
    assert stored.data.params["data.name"] == "synthetic"
    client = mlflow.MlflowClient(store_uri(tracking))
    history = client.get_metric_history(run.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 2.0), (1, 1.0)]
    table = json.loads(Path(client.download_artifacts(run.run_id, "model/layers.json")).read_text())
    assert table == {"columns": ["name", "parameters"], "data": [["lc1", 3]]}


def test_more_params_than_one_call_takes(tracking, start):
    with start() as run:
        run.log_params({f"key{i}": i for i in range(250)})
    assert len(read(tracking, run.run_id).data.params) == 250


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("bad"), "FAILED"), (KeyboardInterrupt("by hand"), "KILLED"), (SystemExit(143), "KILLED")],
)
def test_a_run_ends_as_its_job_did(tracking, start, error, status):
    with pytest.raises(type(error), match=str(error)), start() as run:
        raise error
    stored = read(tracking, run.run_id)
    assert stored.info.status == status
    assert stored.data.tags["error"] == f"{type(error).__name__}: {error}"


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"`tracking.folder` must be a folder that can be written to; got '.*file"):
            check_writable(LocalTracking(name="local", folder=str(folder), experiment="test"))


def test_a_store_that_is_none_is_refused(tracking, tmp_path):
    check_writable(tracking)
    (tmp_path / "my store" / "mlflow.db").write_text("not a database")
    with pytest.raises(UserError, match=r"`tracking.folder` must hold a usable MLflow store"):
        check_writable(tracking)
    assert (tmp_path / "my store" / "mlflow.db").read_text() == "not a database"


@pytest.mark.parametrize("name", ["a?b", "a#b", "100%"])
def test_folders_that_a_uri_would_misread_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"`tracking.folder` must not hold \?, # or %"):
        check_writable(LocalTracking(name="local", folder=str(tmp_path / name), experiment="test"))


def test_a_store_of_the_wrong_kind_of_files_is_refused(tmp_path):
    (tmp_path / "one" / "mlflow.db").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "mlartifacts").write_text("")
    for folder in ("one", "two"):
        with pytest.raises(UserError, match=r"must be a folder that can be written to; got .* is not a f"):
            check_writable(LocalTracking(name="local", folder=str(tmp_path / folder), experiment="test"))


def test_an_experiment_whose_artifacts_lie_elsewhere_by_choice_takes_no_runs(tracking, start, tmp_path):
    with start():
        pass
    elsewhere = (tmp_path / "elsewhere").as_uri()
    mlflow.MlflowClient(store_uri(tracking)).create_experiment("other", elsewhere)
    with pytest.raises(UserError, match=f"keeps its artifacts in {elsewhere}"):
        check_writable(tracking.model_copy(update={"experiment": "other"}))


def test_a_deleted_experiment_is_refused(tracking, start):
    with start():
        pass
    client = mlflow.MlflowClient(store_uri(tracking))
    client.delete_experiment(client.get_experiment_by_name("test").experiment_id)
    with pytest.raises(UserError, match="must not be a deleted experiment; got 'test'"):
        check_writable(tracking)


def test_the_ui_command_names_the_store(tracking, monkeypatch):
    named = f"""'tracking.folder="{tracking.folder}"'"""
    assert ui_command(tracking) == f"python -m lctrain ui {named} 'tracking.experiment=\"test\"'"
    words = shlex.split(ui_command(tracking))[4:]
    assert read_tracking(compose_dry(words)["tracking"]) == tracking
    Path(tracking.folder).mkdir()
    monkeypatch.chdir(tracking.folder)
    usual = read_tracking(compose_dry([])["tracking"])
    assert ui_command(usual) == "python -m lctrain ui"
    team = ServerTracking(
        name="server", experiment=usual.experiment, uri="postgresql://me@host/runs", artifacts="/team"
    )
    assert ui_command(team) == "python -m lctrain ui tracking=server tracking.uri=postgresql://me@host/runs"


def test_a_run_is_made_once_though_the_answer_is_lost(tracking, start, monkeypatch):
    create = mlflow.MlflowClient.create_run
    answers = [ConnectionError("cut"), None]

    def create_and_lose(*arguments):
        made = create(*arguments)
        if answers.pop(0) is not None:
            raise ConnectionError("cut")
        return made

    monkeypatch.setattr(mlflow.MlflowClient, "create_run", create_and_lose)
    with start() as run:
        run.log_metrics({"loss": 0.5}, step=3)
    client = mlflow.MlflowClient(store_uri(tracking))
    (stored,) = client.search_runs([client.get_experiment_by_name("test").experiment_id])
    assert (stored.info.run_id, stored.info.status, len(answers)) == (run.run_id, "FINISHED", 1)


def test_a_run_that_was_made_twice_remains_once(tracking, start, monkeypatch):
    search, create = mlflow.MlflowClient.search_runs, mlflow.MlflowClient.create_run
    made = []

    def create_late(*arguments):  # the first is not seen until the second is there, as behind a slow server
        made.append(create(*arguments))
        if len(made) == 1:
            raise ConnectionError("timed out")
        return made[-1]

    monkeypatch.setattr(mlflow.MlflowClient, "create_run", create_late)
    monkeypatch.setattr(mlflow.MlflowClient, "search_runs", lambda *a: [] if len(made) < 2 else search(*a))
    with start():
        pass
    client = mlflow.MlflowClient(store_uri(tracking))
    (stored,) = client.search_runs([client.get_experiment_by_name("test").experiment_id])
    assert (len(made), stored.info.status) == (2, "FINISHED")


def test_a_value_that_mlflow_never_takes_keeps_no_other_back(tracking, start, capfd):
    with start() as run:
        run.log_params({"good": 3, "bad[0]": 5})
        run.log_metrics({"loss": 0.5, "bad[1]": 7})
    stored = read(tracking, run.run_id)
    assert (stored.info.status, stored.data.params, stored.data.metrics) == ("FINISHED", {"good": "3"}, {"loss": 0.5})
    assert deliver(run.folder, 0) == 2
    assert "bad[0]" in capfd.readouterr().err


def test_a_param_keeps_its_value(start):
    with start() as run:
        run.log_params({"a": 3})
        run.log_params({"a": 3})
        with pytest.raises(ValueError, match="`a` must keep its value '3'; got '5'"):
            run.log_params({"a": 5})


def test_nothing_is_sent_while_something_is_measured(tracking, start):
    with start() as run:
        while run.run_id is None:
            time.sleep(0.01)
        with run.paused():
            run.log_metrics({"loss": 0.5}, step=3)
            time.sleep(3)  # longer than entries gather
            assert read(tracking, run.run_id).data.metrics == {}
    assert read(tracking, run.run_id).data.metrics == {"loss": 0.5}


def test_a_model_is_delivered_without_keras_and_once(tracking, start, tmp_path, run_python):
    import keras

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    with start() as run:
        for left in ("model", "model.partial"):  # by a process that was killed while it saved
            (run.folder / left / "data").mkdir(parents=True)
        assert run.log_model(model, ["keras"])
    folder = run.folder / "model"
    assert not folder.exists()  # the store has it
    again = """
import sys
from pathlib import Path
from lctrain.tracking import deliver
Path("job/tracking/delivered.json").unlink()
print(deliver(Path("job/tracking"), 10), {"keras", "tensorflow"} & set(sys.modules))
"""
    assert run_python(again, tmp_path).strip() == "0 set()"
    models = mlflow.MlflowClient(store_uri(tracking)).search_logged_models(
        [read(tracking, run.run_id).info.experiment_id]
    )
    assert [(one.name, str(one.status), one.source_run_id) for one in models] == [("model", "READY", run.run_id)]
    outputs = read(tracking, run.run_id).outputs.model_outputs
    assert [output.model_id for output in outputs] == [models[0].model_id]
    loaded = f"""
import mlflow.keras
mlflow.set_tracking_uri({store_uri(tracking)!r})
print(mlflow.keras.load_model("runs:/{run.run_id}/model").output_shape)
"""
    assert run_python(loaded, tmp_path).splitlines()[-1] == "(None, 3)"


def test_a_run_is_made_anew_in_a_store_that_is_another(tracking, start, tmp_path, run_python):
    with start(folder=tmp_path / "sweep", tags={"sweep.jobs": "1"}) as sweep:
        sweep.log_metrics({"loss": 0.5}, step=3)
    with start(folder=tmp_path / "1", parent=sweep.folder) as job:
        job.log_text("seed: 0", "config.yaml")
        (job.folder / "model").mkdir()
        (job.folder / "model" / "MLmodel").write_text("flavors: {}")
        job._append("model", path="model")
    first = job.run_id
    assert read(tracking, first).data.tags["mlflow.parentRunId"] == sweep.run_id
    assert not (job.folder / "model").exists()
    shutil.rmtree(tmp_path / "my store")
    deliver_again = """
from pathlib import Path
from lctrain.tracking import deliver
print([deliver(Path(folder, "tracking"), 0) for folder in ("sweep", "1")])
"""
    assert run_python(deliver_again, tmp_path).strip() == "[0, 0]"  # they were delivered, and it may be meant
    assert not (tmp_path / "my store").exists()
    tag_run(sweep.folder, {"more": "yes"})
    assert run_python(deliver_again, tmp_path).strip() == "[0, 0]"
    look = f"""
import mlflow
client = mlflow.MlflowClient({store_uri(tracking)!r})
sweep, job = sorted(client.search_runs(["1"]), key=lambda run: "mlflow.parentRunId" in run.data.tags)
print(sweep.info.status, sweep.data.metrics, sweep.data.tags["more"], sweep.info.run_id != {sweep.run_id!r})
print(job.info.status, job.data.tags["mlflow.parentRunId"] == sweep.info.run_id, job.info.run_id != {first!r})
print([file.path for file in client.list_artifacts(job.info.run_id)])
"""
    message = ["FINISHED {'loss': 0.5} yes True", "FINISHED True True", "['config.yaml']"]
    assert run_python(look, tmp_path).splitlines() == message


def test_a_store_that_is_deleted_in_mid_run_is_made_anew(tracking, start, tmp_path, capfd, run_python):
    with start() as run:
        run.log_metrics({"loss": 0.5}, step=3)
        while DeliveryState.read(run.folder).offset < Journal(run.folder).size:
            time.sleep(0.01)
        first = run.run_id
        shutil.rmtree(tmp_path / "my store")
        run.log_metrics({"loss": 0.25}, step=5)
    assert capfd.readouterr().err == ""
    look = f"""
import mlflow
(run,) = mlflow.MlflowClient({store_uri(tracking)!r}).search_runs(["1"])
history = mlflow.MlflowClient({store_uri(tracking)!r}).get_metric_history(run.info.run_id, "loss")
print(run.info.status, run.info.run_id == {run.run_id!r} != {first!r}, [point.step for point in history])
"""
    assert run_python(look, tmp_path).strip() == "FINISHED True [3, 5]"


def test_a_store_that_is_deleted_while_it_is_written_to_is_made_anew(
    tracking, start, tmp_path, capfd, monkeypatch, run_python
):
    send, deleted = RunSender.send, []

    def delete_and_send(sender, entries):
        if not deleted:
            deleted.append(sender.run_id)
            shutil.rmtree(tmp_path / "my store")
        send(sender, entries)

    monkeypatch.setattr(RunSender, "send", delete_and_send)
    with start() as run:
        run.log_metrics({"loss": 0.5}, step=3)
    assert capfd.readouterr().err == ""
    look = f"""
import mlflow
(run,) = mlflow.MlflowClient({store_uri(tracking)!r}).search_runs(["1"])
print(run.info.status, run.info.run_id == {run.run_id!r} != {deleted[0]!r}, run.data.metrics)
"""
    assert run_python(look, tmp_path).strip() == "FINISHED True {'loss': 0.5}"


def test_a_deleted_run_stays_deleted(tracking, start):
    with start() as run:
        pass
    client = mlflow.MlflowClient(store_uri(tracking))
    client.delete_run(run.run_id)
    tag_run(run.folder, {"more": "yes"})
    assert deliver(run.folder, 0) == 1
    assert [deleted.info.run_id for deleted in client.search_runs(["1"], run_view_type=3)] == [run.run_id]


def leave_something(run):
    """What a deleted run can't take: params, tags and points, many in few entries, and an end."""
    journal = Journal(run.folder)
    journal.append("tags", values={f"tag-{i}": "5" for i in range(7)})
    journal.append("params", values={f"param-{i}": "3" for i in range(11)})
    journal.append("metrics", values={"a": 1.0, "b": 2.0}, step=3)
    journal.append("end", status="FINISHED")


def test_what_is_left_of_a_deleted_run_is_counted_right_and_delivered_once_it_is_restored(tracking, start):
    with start() as run:
        pass
    client = mlflow.MlflowClient(store_uri(tracking))
    client.delete_run(run.run_id)
    leave_something(run)
    for _ in range(2):
        outcome = sync_journal(run.folder)
        assert (outcome.num_delivered, outcome.num_left, outcome.deleted) == (0, 4, run.run_id)
        assert outcome.reason == f"run {run.run_id} was deleted in MLflow"
    client.restore_run(run.run_id)
    assert sync_journal(run.folder)[:2] == (4, 0)
    assert len(read(tracking, run.run_id).data.params) == 11


def test_sync_names_a_deleted_run_and_drops_what_is_left_on_request(tracking, start, tmp_path, run_lctrain):
    with start() as run:
        pass
    mlflow.MlflowClient(store_uri(tracking)).delete_run(run.run_id)
    leave_something(run)
    finished = run_lctrain(tmp_path, "sync", "job")
    assert finished.returncode == 1
    assert f"0 delivered, 4 left (run {run.run_id} was deleted in MLflow)" in finished.stdout
    assert f"mlflow runs restore --run-id {run.run_id}" in finished.stdout
    assert "sync --drop-deleted job" in finished.stderr
    assert "when the store can be reached" not in finished.stderr
    before = (run.folder / "journal.jsonl").read_bytes()
    assert run_lctrain(tmp_path, "sync", "--drop-deleted", "job").returncode == 0
    assert "0 entries are left" in run_lctrain(tmp_path, "sync", "job").stdout
    assert (run.folder / "journal.jsonl").read_bytes() == before


def test_a_run_that_is_deleted_while_it_goes_on_says_so_and_ends_at_once(tracking, start, capfd):
    with start() as run:
        while run.run_id is None:
            time.sleep(0.01)
        mlflow.MlflowClient(store_uri(tracking)).delete_run(run.run_id)
        run.log_metrics({"loss": 0.5}, step=3)
    message = capfd.readouterr().err
    assert f"Restore the run first: MLFLOW_TRACKING_URI='{store_uri(tracking)}' mlflow runs restore" in message
    assert "can't be reached" not in message
