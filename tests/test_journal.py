"""The journal of a run: what is written survives, and what is torn, full or hostile harms nobody."""

import json
import subprocess
import sys

import pytest

from lctrain.config.schema import LocalTracking
from lctrain.tracking import end_run, find_journals, read_journal, start_run
from lctrain.tracking.journal import FILE, Journal, make_journal
from lctrain.tracking.owner import describe_owner, look_at_owner


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
    journal._size, whole = journal._size, journal.size
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
    code = "import json; from lctrain.tracking.owner import describe_owner; print(json.dumps(describe_owner()))"
    with subprocess.Popen([sys.executable, "-c", f"{code}; input()"], stdout=-1, stdin=-1, text=True) as process:
        owner = json.loads(process.stdout.readline())
        assert look_at_owner(owner) == "alive"
        assert look_at_owner(owner | {"born": describe_owner()["born"]}) == "dead"
        process.kill()
        process.stdout.read()  # its end
        process.send_signal(0)
        while look_at_owner(owner) == "alive":
            pass
        assert look_at_owner(owner) == "dead"
