"""The journal of a run: what is written survives, and what is torn, full or hostile harms nobody."""

import errno
import json
import subprocess
import sys
import time

import mlflow
import pytest

from lctrain.cli import run_verb
from lctrain.config.schema import LocalTracking, ServerTracking
from lctrain.tracking import deliver, end_run, find_journals, read_journal, start_run, store_uri
from lctrain.tracking import store as store_code
from lctrain.tracking.journal import FILE, Journal, make_journal
from lctrain.tracking.run_owner import describe_owner, find_owner_state
from lctrain.tracking.store import dump_tracking


def kinds(journal):
    return [entry.fields["kind"] for entry in journal.entries()]


def test_each_attempt_has_a_journal_of_its_own_and_a_sweep_s_comes_first(tmp_path):
    for folder in ("3/job", "3/job", "3", "11/job"):
        make_journal(tmp_path / folder).append("run")
    found = [str(path.relative_to(tmp_path)) for path in find_journals(tmp_path)]
    assert found == ["3/tracking", "11/job/tracking", "3/job/tracking", "3/job/tracking.2"]


def test_a_torn_line_is_ignored_and_the_next_takes_its_place(tmp_path):
    journal = make_journal(tmp_path)
    journal.append("run")
    with (journal.folder / FILE).open("ab") as file:
        file.write(b'{"kind": "met')
    continued = Journal(journal.folder)
    assert kinds(continued) == ["run"]
    continued.append("end")
    assert kinds(Journal(journal.folder)) == ["run", "end"]


def test_a_spoilt_line_hides_no_other(tmp_path):
    journal = make_journal(tmp_path)
    journal.append("run")
    with (journal.folder / FILE).open("ab") as file:
        file.write(b"\0\0\0\n")
    journal = Journal(journal.folder)
    journal.append("end")
    assert kinds(journal) == ["run", "spoilt", "end"]


@pytest.mark.parametrize("most", [1, 90, 4000])
def test_a_journal_can_be_read_piece_by_piece(tmp_path, most):
    journal = make_journal(tmp_path)
    for number in range(7):
        journal.append("tags", values={"number": "x" * 100 * number})
    pieces, offset = [], 0
    while piece := journal.entries(offset, most):
        pieces, offset = [*pieces, *piece], piece[-1].end
    assert pieces == journal.entries()
    assert (offset, journal.count(0), journal.count(pieces[4].end)) == (journal.size, 7, 2)


def test_the_place_of_a_line_is_the_same_before_and_after_it_is_written(tmp_path, monkeypatch):
    journal = make_journal(tmp_path)
    journal.append("run")
    path = journal.folder / FILE
    monkeypatch.setattr(type(path), "open", lambda *_, **__: (_ for _ in ()).throw(OSError("no space left")))
    whole = journal.size
    assert whole == path.stat().st_size
    journal.append("tags", values={"lost": "not"})
    assert not journal.is_whole
    (kept,) = journal.entries(whole)
    monkeypatch.undo()
    journal.append("end")
    assert journal.is_whole
    assert Journal(journal.folder).entries(whole)[0] == kept


def test_a_stranger_s_journal_reaches_no_file_outside(tmp_path):
    (tmp_path / "secret").write_text("s")
    journal = make_journal(tmp_path / "job")
    with pytest.raises(ValueError, match="secret does not lie"), journal.open_file("../../../secret"):
        pass


def test_what_is_read_from_the_journal(tmp_path):
    tracking = LocalTracking(name="local", folder=str(tmp_path), experiment="test", patience=0)

    def fail(run):
        run.log_params({"a": {"b": 3}})
        run.log_metrics({"loss": 2.5}, step=7)
        run.log_tags({"model": "changed"})
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"), start_run(tracking, "a-run", {"model": "m"}, tmp_path / "job") as run:
        fail(run)
    result = read_journal(run.folder)
    assert (result.name, result.status, result.params) == ("a-run", "FAILED", {"a.b": "3"})
    assert [(point.step, point.value) for point in result.metrics["loss"]] == [(7, 2.5)]
    assert (result.tags["model"], result.tags["error"]) == ("changed", "ValueError: bad")
    assert result.start <= result.metrics["loss"][0].timestamp <= result.end
    end_run(run.folder, "KILLED", "later")
    assert read_journal(run.folder) == result


def test_a_store_that_takes_longer_to_be_made_than_the_patience_is_waited_for(tmp_path, monkeypatch, capsys):
    def create_slowly(file, create=store_code._create_database):
        time.sleep(5)
        create(file)

    monkeypatch.setattr(store_code, "_create_database", create_slowly)
    tracking = LocalTracking(name="local", folder=str(tmp_path), experiment="test", patience=3)
    with start_run(tracking, "a-run", {}, tmp_path / "job") as run:
        run.log_tags({"model": "m"})
    assert capsys.readouterr().err == ""
    assert deliver(run.folder, 0) == 0


def test_a_journal_names_its_store_for_every_working_folder(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tracking = LocalTracking(name="local", folder="store", experiment="test", patience=60)
    monkeypatch.chdir(tmp_path)
    with start_run(tracking, "a-run", {}, tmp_path / "job") as run:
        monkeypatch.chdir(elsewhere)
        run.log_params({"tracking": tracking.model_dump()})
    (run.folder / "delivered.json").unlink()
    assert deliver(run.folder, 60) == 0
    assert (tmp_path / "store" / "mlflow.db").exists()
    assert not list(elsewhere.iterdir())
    assert read_journal(run.folder).params["tracking.folder"] == "store"


def test_the_folder_of_artifacts_is_the_same_for_every_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracking = ServerTracking(name="server", uri="postgresql://host/runs", artifacts="below", experiment="x")
    assert dump_tracking(tracking)["artifacts"] == str(tmp_path / "below")
    remote = tracking.model_copy(update={"artifacts": "s3://bucket"})
    assert dump_tracking(remote) == remote.model_dump()


def test_a_run_that_goes_on_has_no_error_any_more(tmp_path):
    tracking = LocalTracking(name="local", folder=str(tmp_path), experiment="test", patience=60)
    with start_run(tracking, "a-run", {}, tmp_path / "job") as run:
        run.fail("a job failed")
    assert read_journal(run.folder).tags["error"] == "a job failed"
    with start_run(tracking, "a-run", {"more": "yes"}, tmp_path / "job", resumed=run.folder) as run:
        run.log_metrics({"loss": 0.5})
    result = read_journal(run.folder)
    stored = mlflow.MlflowClient(store_uri(tracking)).get_run(run.run_id)
    for status, tags in ((result.status, result.tags), (stored.info.status, stored.data.tags)):
        assert (status, tags["more"], "error" in tags) == ("FINISHED", "yes", False)


def test_a_run_before_its_sweep_is_in_the_store_neither_waits_nor_warns(tmp_path, capfd):
    tracking = LocalTracking(name="local", folder=str(tmp_path), experiment="test", patience=60)
    parent = make_journal(tmp_path / "sweep")
    with start_run(tracking, "a-run", {}, tmp_path / "job", parent=parent.folder) as run:
        run.log_metrics({"loss": 0.5})
    assert capfd.readouterr().err == ""
    assert deliver(run.folder, 0) == 1  # what the sweep delivers, or `sync`
    with start_run(tracking, "a-sweep", {}, tmp_path / "sweep") as sweep:
        pass
    (sweep.folder / "delivered.json").rename(parent.folder / "delivered.json")
    assert deliver(run.folder, 0) == 0
    stored = mlflow.MlflowClient(store_uri(tracking)).get_run(run.run_id)
    assert stored.data.tags["mlflow.parentRunId"] == sweep.run_id


@pytest.mark.parametrize("damage", ["no line\n", "[3]\n", '{"kind": "run"}\n', '{"kind": "tags"}\n'])
def test_a_damaged_journal_keeps_no_other_from_being_delivered(tmp_path, capsys, damage):
    damaged = tmp_path / "1" / "tracking"
    damaged.mkdir(parents=True)
    (damaged / FILE).write_text(damage)
    tracking = LocalTracking(name="local", folder=str(tmp_path), experiment="test", patience=60)
    with start_run(tracking, "a-run", {}, tmp_path / "2") as run:
        pass
    Journal(run.folder).append("metrics", values={"loss": 0.5}, step=3)
    assert run_verb("sync", [str(tmp_path)], print) == 1
    message = capsys.readouterr()
    assert f"{run.folder}: 1 delivered, 0 left" in message.out
    assert [line for line in message.err.splitlines() if str(damaged) in line] == message.err.splitlines()
    assert len(message.err.splitlines()) == 1


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("No space left on device")]
)
def test_a_model_for_which_there_is_no_room_stops_no_run(tmp_path, capfd, monkeypatch, error):
    def fill(model, folder, requirements):
        folder.mkdir()
        (folder / "part").write_bytes(b"x")
        raise error

    monkeypatch.setattr("lctrain.tracking.run.save_model", fill)
    tracking = LocalTracking(name="local", folder=str(tmp_path), experiment="test", patience=60)
    with start_run(tracking, "a-run", {}, tmp_path / "job") as run:
        run.log_model(None, [])
    (message,) = capfd.readouterr().err.splitlines()
    assert message.startswith(f"Warning: the model was not kept: no room in {run.folder / 'model'}")
    assert (read_journal(run.folder).status, (run.folder / "model").exists()) == ("FINISHED", False)


def test_no_journal_is_said_to_be_none(tmp_path):
    with pytest.raises(ValueError, match="holds no journal"):
        read_journal(tmp_path)


def test_secrets_of_the_environment_stay_there(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2hunter2")
    tracking = LocalTracking(name="local", folder=str(tmp_path), experiment="test", patience=0)
    with start_run(tracking, "a-run", {}, tmp_path / "job") as run:
        pass
    assert "hunter2" not in (run.folder / FILE).read_text()


def test_a_process_is_dead_once_it_left_only_its_exit_code():
    code = "import json; from lctrain.tracking.run_owner import describe_owner; print(json.dumps(describe_owner()))"
    with subprocess.Popen([sys.executable, "-c", f"{code}; input()"], stdout=-1, stdin=-1, text=True) as process:
        owner = json.loads(process.stdout.readline())
        assert find_owner_state(owner) == "alive"
        assert find_owner_state(owner | {"born": describe_owner()["born"]}) == "dead"
        process.kill()
        process.stdout.read()  # its end
        process.send_signal(0)
        while find_owner_state(owner) == "alive":
            pass
        assert find_owner_state(owner) == "dead"
