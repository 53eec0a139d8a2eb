"""`doctor`: what it says of packages, machine, store and TensorFlow, whatever dies, hangs or is not there."""

import json
import os
import shutil
import sqlite3
import sys
import time
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from lctrain import __version__
from lctrain.cli import run_verb
from lctrain.doctor import machine, report, tensorflow
from lctrain.doctor import packages as packages_module
from lctrain.doctor.machine import Row, find_machine, find_store
from lctrain.doctor.packages import EXTRAS, MIN_PYTHON, SECURITY_FLOORS, find_packages
from lctrain.doctor.report import summarize_trials
from lctrain.doctor.tensorflow import LOADING, Notes, Trial, run_trials
from lctrain.errors import EXIT_DONE, EXIT_FAILED, UserError
from lctrain.implementations import IMPLEMENTATIONS

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSIONS = {
    **{"lctrain": __version__, "keras": "3.15.1", "mlflow": "3.17.2", "hydra-core": "1.3.8"},
    **{"tensorflow": "2.22.0", "psycopg": "3.3.9", "psycopg-binary": "3.3.9", "tensorboard": "2.21.0"},
}
NEEDS = [
    *("keras<4,>=3.15.1", "mlflow<4,>=3.17", "hydra-core<1.4,>=1.3.8", "tensorflow<2.23,>=2.21"),
    *("colorama>=0.4; python_version < '3'", "tensorboard>=2.18; extra == 'tensorboard'"),
    *("psycopg[binary]<4,>=3.1; extra == 'postgres'", "mnist1d==0.0.2.post1; extra == 'mnist1d'"),
    *(f"{name}-launcher>=1; extra == '{name}'" for name in ("joblib", "slurm", "ray", "optuna")),
]
NEEDS_OF_PSYCOPG = ["psycopg-binary==3.3.9; extra == 'binary'", "psycopg-pool; extra == 'pool'"]
WORKING = [Trial(LOADING, "done", "sees CPU:0"), Trial("implementation 2 on CPU:0", "done", "is right")]


@pytest.fixture
def packages(monkeypatch):
    """Sets what pip knows: `packages(keras="3.14")` changes a version, None takes the package away."""

    def install(**changes):
        versions = VERSIONS | {name.replace("_", "-"): version for name, version in changes.items()}

        def tell_version(name):
            if versions.get(name) is None:
                raise PackageNotFoundError(name)
            return versions[name]

        monkeypatch.setattr(packages_module.metadata, "version", tell_version)
        needs = {"lctrain": NEEDS, "psycopg": NEEDS_OF_PSYCOPG}
        monkeypatch.setattr(packages_module.metadata, "requires", lambda name: needs.get(name, []))
        return {row.name: row for row in find_packages()}

    return install


@pytest.fixture
def healthy(packages, monkeypatch, tmp_path):
    """A machine on which all works, in an empty folder, with trials that `healthy` can replace."""
    monkeypatch.chdir(tmp_path)
    packages()

    def set_trials(trials):
        monkeypatch.setattr(report, "run_trials", lambda: trials)

    set_trials(WORKING)
    return set_trials


def refuse(error, heading):
    raise AssertionError(heading) from error


# Functions that stand for TensorFlow, called in new processes.


def work(file, known):
    notes = Notes(file, known)
    notes.attempt(LOADING, lambda: "loaded", again=True)
    notes.attempt("implementation 2 on CPU:0", lambda: "right")


def crash(file, known):
    notes = Notes(file, known)
    notes.attempt(LOADING, lambda: "loaded", again=True)
    notes.attempt("implementation 1 on CPU:0", os.abort)
    notes.attempt("implementation 2 on CPU:0", lambda: "right")
    notes.attempt("implementation 3 on CPU:0", lambda: 1 / 0)
    notes.attempt("XLA on CPU:0", lambda: os._exit(7))
    notes.attempt("mixed_float16 on CPU:0", lambda: "right")


def hang(file, known):
    notes = Notes(file, known)
    notes.attempt(LOADING, lambda: "loaded", again=True)
    notes.attempt("XLA on CPU:0", lambda: time.sleep(60), seconds=0.5)
    notes.attempt("mixed_float16 on CPU:0", lambda: "right")


def hang_for_long(file, known):
    notes = Notes(file, known)
    notes.attempt(LOADING, lambda: "loaded", again=True)
    notes.attempt("XLA on CPU:0", lambda: time.sleep(60))


def fail_to_load(file, known):
    notes = Notes(file, known)
    notes.attempt(LOADING, lambda: __import__("no_such_module"), again=True)
    notes.attempt("implementation 1 on CPU:0", lambda: "never gets here")


def crash_at_loading(file, known):
    Notes(file, known).attempt(LOADING, os.abort, again=True)


def crash_between_trials(file, known):
    Notes(file, known).attempt(LOADING, lambda: "loaded", again=True)
    os._exit(7)


def statuses(trials):
    return {trial.name: trial.status for trial in trials}


def test_a_healthy_run_needs_one_process():
    assert run_trials(work) == [
        Trial(LOADING, "done", "loaded"),
        Trial("implementation 2 on CPU:0", "done", "right"),
    ]


def test_a_crash_is_told_of_its_trial_and_the_rest_is_tried():
    trials = run_trials(crash)
    assert statuses(trials) == {
        LOADING: "done",
        "implementation 1 on CPU:0": "died",
        "implementation 2 on CPU:0": "done",
        "implementation 3 on CPU:0": "failed",
        "XLA on CPU:0": "died",
        "mixed_float16 on CPU:0": "done",
    }
    assert trials[1].detail == "its process was killed by SIGABRT"
    assert trials[3].detail == "ZeroDivisionError: division by zero"
    assert trials[4].detail.startswith("its process exited with code 7")


def test_a_hang_is_ended_and_the_rest_is_tried():
    started = time.monotonic()
    trials = run_trials(hang)
    assert time.monotonic() - started < 20
    assert statuses(trials) == {LOADING: "done", "XLA on CPU:0": "silent", "mixed_float16 on CPU:0": "done"}
    assert trials[1].detail == "gave no answer within 0.5 s"


def test_all_trials_together_are_limited():
    trials = run_trials(hang_for_long, seconds=3)
    assert statuses(trials) == {LOADING: "done", "XLA on CPU:0": "silent", tensorflow.UNTRIED: "untried"}
    assert "ran longer than" in trials[1].detail


@pytest.mark.parametrize(("function", "status"), [(fail_to_load, "failed"), (crash_at_loading, "died")])
def test_nothing_is_tried_without_tensorflow(function, status):
    assert statuses(run_trials(function)) == {LOADING: status}


def test_a_death_between_trials_is_told():
    trials = run_trials(crash_between_trials)
    assert statuses(trials) == {LOADING: "done", tensorflow.UNTRIED: "untried"}
    assert trials[1].detail.startswith("exited with code 7")
    assert summarize_trials(trials, [])[1].state == "fail"


def test_a_line_that_was_cut_short_is_passed_over(tmp_path):
    file = tmp_path / "notes"
    file.write_text('["XLA", "begun", "30"]\n["XLA", "do')
    assert tensorflow._read(file) == {"XLA": ("begun", "30")}


def test_wrong_numbers_are_noticed():
    with pytest.raises(ArithmeticError, match=r"outputs are wrong by 0\.5 of the largest value"):
        tensorflow._compare("outputs", [[1.0], [3.0]], np.array([[1.0], [2.0]]), limit=0.01)
    with pytest.raises(ArithmeticError, match="outputs are wrong by nan"):
        tensorflow._compare("outputs", [[float("nan")]], np.array([[1.0]]), limit=0.01)


@pytest.mark.parametrize(
    ("name", "state", "fix"),
    [
        ("implementation 3 on CPU:0", "fail", "pip install --force-reinstall tensorflow"),
        ("implementation 3 on GPU:1", "fail", "device=cpu"),
        ("XLA on GPU:0", "warn", "jit_compile=false"),
        ("mixed_bfloat16 on CPU:0", "warn", "precision=float32"),
        (LOADING, "fail", "pip install --force-reinstall tensorflow"),
    ],
)
def test_what_a_setting_avoids_is_no_failure(name, state, fix):
    (row,) = summarize_trials([Trial(name, "died", "its process was killed by SIGSEGV")], [])
    assert (row.state, row.detail) == (state, "its process was killed by SIGSEGV")
    assert fix in row.fix


def test_an_old_processor_is_named():
    (row,) = summarize_trials([Trial(LOADING, "died", "its process was killed by SIGILL")], [])
    assert "AVX" in row.fix


def test_cards_that_tensorflow_does_not_see_are_told():
    cards = [Row("GPUs", "ok", "H200 (driver 575.1)")]
    row = summarize_trials(WORKING, cards)[1]
    assert (row.name, row.state, row.fix) == ("GPUs", "warn", "pip install 'tensorflow[and-cuda]'")
    seen = [*WORKING, Trial("XLA on GPU:0", "done", "is right")]
    assert all(row.state == "ok" for row in summarize_trials(seen, cards))
    assert all(row.state == "ok" for row in summarize_trials(WORKING, [Row("GPUs", "absent", "")]))


def test_extras_and_floors_are_those_of_the_project():
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"]) - {"test", "peers"}
    for name, floor in SECURITY_FLOORS.items():
        assert any(line.startswith(f"{name}>={floor},") for line in PROJECT["dependencies"]), name
    assert PROJECT["requires-python"] == f">={'.'.join(map(str, MIN_PYTHON))}"


def test_packages_that_fit(packages):
    rows = packages()
    assert rows["keras"] == Row("keras", "ok", "3.15.1 (<4,>=3.15.1)")
    assert "colorama" not in rows  # of another Python
    assert rows["extra postgres"] == Row("extra postgres", "ok", "psycopg 3.3.9")
    assert {row.state for row in rows.values()} == {"ok", "absent"}


def test_missing_extras_are_absent(packages):
    rows = packages(tensorboard=None)
    assert rows["extra tensorboard"].state == rows["extra mnist1d"].state == "absent"
    assert rows["extra tensorboard"].fix == "pip install 'lctrain[tensorboard]'"
    assert "training.tensorboard=true" in rows["extra tensorboard"].detail


def test_half_an_extra_is_a_warning(packages):
    row = packages(psycopg_binary=None)["extra postgres"]
    assert (row.state, row.detail) == ("warn", "lacks psycopg-binary")
    row = packages(tensorboard="2.17")["extra tensorboard"]
    assert (row.state, row.fix) == ("warn", "pip install 'lctrain[tensorboard]'")
    assert "tensorboard 2.17 (>=2.18)" in row.detail


def test_dependencies_that_do_not_fit(packages):
    rows = packages(keras="3.14.0", tensorflow="2.23.0", mlflow=None)
    assert (rows["keras"].state, rows["keras"].fix) == ("fail", "pip install 'keras<4,>=3.15.1'")
    assert rows["keras"].detail == "3.14.0 does not fit; needs <4,>=3.15.1"
    assert rows["tensorflow"].state == "warn"
    assert rows["mlflow"].state == "fail"
    assert "is not installed" in rows["mlflow"].detail
    assert (rows["security floors"].state, rows["security floors"].fix[:25]) == ("fail", "pip install 'keras>=3.15.")
    assert "keras 3.14.0 < 3.15.1" in rows["security floors"].detail
    assert packages(keras="of my own")["keras"].state == "fail"


def test_an_old_python(packages, monkeypatch):
    monkeypatch.setattr(packages_module.sys, "version_info", (3, 10, 4))
    row = packages()["Python"]
    assert (row.state, row.fix) == ("fail", "Make an environment with Python 3.11.")


def test_lctrain_that_pip_does_not_know(packages):
    assert packages(lctrain=None)["lctrain"].state == "warn"
    assert packages(lctrain="0.0.1")["lctrain"].state == "warn"


def test_a_machine(healthy, monkeypatch):
    monkeypatch.setattr(machine, "CPU_MAX", Path("cpu.max"))
    Path("cpu.max").write_text("150000 100000\n")
    monkeypatch.setattr(machine, "available_cores", lambda: 16)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("PATH", "")
    rows = {row.name: row for row in find_machine()}
    assert (rows["CPU"].state, rows["CPU"].fix.split(",")[0]) == ("warn", "Use device.threads=2")
    assert (rows["Keras' backend"].state, rows["Keras' backend"].fix) == ("fail", "unset KERAS_BACKEND")
    assert rows["SLURM"].state == rows["GPUs"].state == rows["tracking store"].state == "absent"
    assert "hydra/launcher=basic" in rows["Hydra plugins"].detail
    assert rows["memory"].state == "ok"
    assert rows["disk"].detail.endswith(str(Path.cwd()))


def test_what_can_not_be_looked_at_keeps_nothing_else_from_it(healthy, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.delitem(sys.modules, "lctrain.system.memory")
    monkeypatch.setitem(sys.modules, "hydra.core.plugins", None)
    rows = {row.name: row for row in find_machine()}
    assert rows["memory"].state == rows["Hydra plugins"].state == "fail"
    assert "psutil" in rows["memory"].detail
    assert rows["disk"].state == "ok"


def make_store(folder, revision, journal_mode="delete"):
    file = folder / "mlflow.db"
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA journal_mode={journal_mode}")
    connection.executescript("CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE runs (name TEXT)")
    connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    connection.execute("INSERT INTO runs VALUES ('one')")
    connection.commit()
    connection.close()
    return file


def newest_revision():
    (revision,) = machine._mlflow_revisions()[1]
    return revision


def test_the_newest_schema_is_mlflow_s_own(run_python):
    code = "import mlflow.store.db.utils as utils; print(utils._get_latest_schema_revision())"
    assert run_python(code).split()[-1] == newest_revision()


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_a_store_that_fits(tmp_path, journal_mode):
    make_store(tmp_path, newest_revision(), journal_mode)
    row = find_store(tmp_path)
    assert (row.state, "runs: 1" in row.detail) == ("ok", True)
    assert os.listdir(tmp_path) == ["mlflow.db"]


def test_stores_of_other_mlflows(tmp_path):
    old = min(machine._mlflow_revisions()[0] - {newest_revision()})
    file = make_store(tmp_path, old)
    row = find_store(tmp_path)
    assert (row.state, row.fix) == ("fail", f"Copy it, then: mlflow db upgrade sqlite:///{file}")
    file.unlink()
    make_store(tmp_path, "fedcba987654")
    row = find_store(tmp_path)
    assert (row.state, row.fix) == ("fail", "pip install -U mlflow")


def test_stores_that_can_not_be_read(tmp_path):
    file = tmp_path / "mlflow.db"
    file.touch()
    assert "no such table" in find_store(tmp_path).detail
    file.write_bytes(b"not a database" * 99)
    assert find_store(tmp_path).state == "fail"
    assert "not a database" in find_store(tmp_path).detail
    file.unlink()
    file.mkdir()
    assert find_store(tmp_path).state == "fail"


def test_a_store_in_use_is_no_failure(tmp_path):
    connection = sqlite3.connect(make_store(tmp_path, newest_revision()))
    connection.execute("BEGIN EXCLUSIVE")
    row = find_store(tmp_path)
    connection.close()
    assert (row.state, "being written to" in row.detail) == ("warn", True)


def test_a_store_whose_writer_was_killed_is_left_to_the_next(tmp_path):
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    whole.mkdir()
    connection = sqlite3.connect(make_store(whole, newest_revision()))
    connection.execute("PRAGMA cache_size=1")
    connection.executemany("INSERT INTO runs VALUES (?)", [("x" * 999,)] * 999)
    shutil.copytree(whole, copy)
    connection.close()
    assert sorted(os.listdir(copy)) == ["mlflow.db", "mlflow.db-journal"]
    row = find_store(copy)
    assert (row.state, "cut short" in row.detail) == ("warn", True)
    assert sorted(os.listdir(copy)) == ["mlflow.db", "mlflow.db-journal"]


def test_a_healthy_machine(healthy, capsys, tmp_path):
    assert run_verb("doctor", [], refuse) == EXIT_DONE
    output = capsys.readouterr().out
    assert [line for line in output.splitlines() if not line.startswith(" ")] == [
        "packages:",
        "machine:",
        "computing:",
        "All that is needed works.",
    ]
    assert "  ok     implementation 2 on CPU:0: is right\n" in output
    assert "  absent extra mnist1d: for data=mnist1d. pip install 'lctrain[mnist1d]'\n" in output
    assert os.listdir(tmp_path) == []


def test_failures_are_named_at_the_end(healthy, capsys):
    healthy(
        [WORKING[0], Trial("implementation 3 on CPU:0", "died", "x\x1b[31m\ny"), Trial("XLA on CPU:0", "failed", "z")]
    )
    assert run_verb("doctor", [], refuse) == EXIT_FAILED
    output = capsys.readouterr().out
    assert output.endswith("What is needed and fails: implementation 3 on CPU:0; warnings: 1.\n")
    assert "implementation 3 on CPU:0: x [31m y. pip install" in output


def test_warnings_alone_are_no_failure(healthy):
    healthy([WORKING[0], Trial("XLA on CPU:0", "silent", "gave no answer within 30 s")])
    assert run_verb("doctor", [], refuse) == EXIT_DONE


def test_json(healthy, capsys):
    healthy([Trial(LOADING, "failed", "ImportError: no")])
    assert run_verb("doctor", ["--json"], refuse) == EXIT_FAILED
    message = json.loads(capsys.readouterr().out)
    assert (message["lctrain"], message["ok"]) == (__version__, False)
    assert message["rows"][-1] == {
        **{"section": "computing", "name": "TensorFlow", "state": "fail", "detail": "ImportError: no"},
        "fix": "pip install --force-reinstall tensorflow",
    }
    assert {row["state"] for row in message["rows"]} == {"ok", "absent", "fail"}


def test_a_terminal_gets_tables(healthy, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes any output for a terminal
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert run_verb("doctor", [], refuse) == EXIT_DONE
    output = capsys.readouterr().out
    assert "\x1b[32mok" in output
    assert "┃" in output
    monkeypatch.setenv("NO_COLOR", "1")
    assert run_verb("doctor", [], refuse) == EXIT_DONE
    output = capsys.readouterr().out
    assert "\x1b[32m" not in output
    assert "┃" in output


def test_without_rich_there_are_lines(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    report.print_rows("packages", [Row("rich", "fail", "is not installed", "pip install rich")])
    assert capsys.readouterr().out == "packages:\n  fail   rich: is not installed. pip install rich\n"


def test_unknown_arguments():
    with pytest.raises(UserError, match=r"`--jsno` is not taken by `doctor`. Did you mean `--json`"):
        run_verb("doctor", ["--jsno"], refuse)


def test_the_real_machine(run_python, tmp_path):
    code = "from lctrain.cli import run_verb; raise SystemExit(run_verb('doctor', ['--json'], None))"
    rows = {row["name"]: row for row in json.loads(run_python(code, folder=tmp_path))["rows"]}
    for name in (LOADING, *(f"implementation {name} on CPU:0" for name in IMPLEMENTATIONS), "mixed_bfloat16 on CPU:0"):
        assert rows[name]["state"] == "ok", rows[name]
    assert rows["XLA on CPU:0"]["state"] == "ok"
    assert os.listdir(tmp_path) == []


def test_loading_the_doctor_loads_little(run_python):
    code = (
        "import sys, lctrain.cli.doctor; print({'tensorflow', 'keras', 'mlflow', 'rich', 'psutil'} & set(sys.modules))"
    )
    assert run_python(code) == "set()\n"
