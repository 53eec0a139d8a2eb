"""A team's store: real PostgreSQL and MLflow servers that come late, go, stand still and come again."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time

import mlflow
import pytest
from made_sweeps import log_sweep
from servers.mlflow_server import MlflowServer, mlflow_server
from servers.postgresql import postgresql, why_no_postgresql

from lctrain.config.schema import LocalTracking, ServerTracking
from lctrain.errors import UserError
from lctrain.report.comparison import compare
from lctrain.tracking import (
    check_writable,
    deliver,
    end_run,
    fetch_run,
    read_journal,
    read_sweep,
    start_run,
    store_uri,
    sync_journal,
    tag_run,
)
from lctrain.tracking.orphaned_runs import DIED

NUM_AT_ONCE = 4  # experiments/tracking has the full counts
ONE_RUN = """
import sys
from pathlib import Path
from lctrain.config.schema import LocalTracking, ServerTracking
from lctrain.tracking import start_run
tracking = {tracking!r}
with start_run(tracking, "one", {{}}, Path(sys.argv[1])) as run:
    run.log_params({{"number": sys.argv[1]}})
    for step in range(3):
        run.log_metrics({{"loss": 1 / (step + 1)}}, step)
    {end}
"""


@pytest.fixture(scope="module")
def database():
    reason = why_no_postgresql()
    if reason is not None:
        pytest.skip(reason)
    with postgresql() as uri:
        yield uri


@pytest.fixture(scope="module")
def server(database, tmp_path_factory):
    with mlflow_server(database, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def tracking(server, request):
    name = re.sub(r"\W", "-", request.node.name)
    return ServerTracking(name="server", uri=server.uri, experiment=name, patience=30)


def runs_of(tracking):
    client = mlflow.MlflowClient(store_uri(tracking))
    experiment = client.get_experiment_by_name(tracking.experiment)
    return client, [] if experiment is None else client.search_runs([experiment.experiment_id])


def start_process(tracking, folder, end="pass"):
    code = ONE_RUN.format(tracking=tracking, end=end)
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], stderr=subprocess.PIPE, text=True)


def run_at_once(tracking, folder):
    processes = [start_process(tracking, folder / str(number)) for number in range(NUM_AT_ONCE)]
    errors = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * NUM_AT_ONCE, errors
    _, runs = runs_of(tracking)
    assert [run.info.status for run in runs] == ["FINISHED"] * NUM_AT_ONCE, errors
    assert len({run.data.params["number"] for run in runs}) == NUM_AT_ONCE


def test_processes_at_once_on_a_fresh_sqlite_store(tmp_path):
    run_at_once(LocalTracking(name="local", folder=str(tmp_path), experiment="fresh"), tmp_path)


def test_processes_at_once_on_a_fresh_postgresql(tmp_path):
    reason = why_no_postgresql()
    if reason is not None:
        pytest.skip(reason)
    with postgresql() as uri:
        artifacts = str(tmp_path / "artifacts")
        run_at_once(
            ServerTracking(name="server", uri=uri, artifacts=artifacts, experiment="fresh", patience=60), tmp_path
        )


def test_a_sweep_is_read_back_from_a_server(tracking, tmp_path):
    _, *journals = log_sweep(tracking, tmp_path)
    parent, children = read_sweep(tracking)
    assert (parent.name, parent.status) == ("sweep-small", "FINISHED")
    assert compare(children).as_table() == compare([read_journal(journal) for journal in journals]).as_table()
    assert read_sweep(tracking, parent.run_id[:9])[0] == parent


def test_a_model_on_a_server_is_judged_elsewhere(tracking, tmp_path, run_lctrain):
    store = ["tracking=server", f"tracking.uri={tracking.uri}", f"tracking.experiment={tracking.experiment}"]
    job = ["data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=200", "training=fast"]
    trained = run_lctrain(tmp_path, *job, *store)
    assert trained.returncode == 0, trained.stderr
    _, (run,) = runs_of(tracking)
    (tmp_path / "elsewhere").mkdir()
    finished = run_lctrain(tmp_path / "elsewhere", "evaluate", f"run={run.info.run_id[:9]}", *store)
    assert finished.returncode == 0, finished.stderr
    loss = float(finished.stdout.splitlines()[-1].split()[-1])
    assert loss == pytest.approx(run.data.metrics["test_loss"], rel=1e-5)


def test_what_a_server_has_lost_or_deleted_is_told_as_that(tracking, server, tmp_path):
    with start_run(tracking, "one", {}, tmp_path / "job") as run:
        run.log_text("seed: 7", "config/config.yaml")
        (run.folder / "model" / "data").mkdir(parents=True)
        (run.folder / "model" / "MLmodel").write_text("flavors: {}")
        (run.folder / "model" / "data" / "model.keras").write_bytes(b"no archive at all")
        run._append("model", path="model")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=f"{run.run_id} .* has a damaged model: model.keras of 17 bytes was cut off"):
        fetch_run(tracking, run.run_id, tmp_path / "out")
    client, _ = runs_of(tracking)
    client.delete_run(run.run_id)
    with pytest.raises(UserError, match=f"{run.run_id} .* was deleted in MLflow. Restore it: .*{run.run_id}"):
        fetch_run(tracking, run.run_id[:9], tmp_path / "out")
    tag_run(run.folder, {"more": "yes"})
    for _ in range(2):
        assert sync_journal(run.folder)[:2] == (0, 1)
    assert sync_journal(run.folder).deleted == run.run_id
    client.restore_run(run.run_id)
    assert sync_journal(run.folder) == (1, 0, "", None)


def test_a_sweep_on_a_server_that_is_not_there():
    nowhere = ServerTracking(name="server", uri="http://127.0.0.1:9", experiment="lctrain")
    with pytest.raises(UserError, match=r"`tracking`: the MLflow store http://127.0.0.1:9 can't be read: .*refused"):
        read_sweep(nowhere)


def test_a_server_takes_all_that_a_run_logs_and_drops_what_comes_twice(tracking, tmp_path, monkeypatch):
    check_writable(tracking)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    with start_run(tracking, "a-run", {"model": "small"}, tmp_path) as run:
        run.log_params({f"key{number}": number for number in range(230)} | {"long": "x" * 7000})
        for step in range(1500):
            run.log_metrics({"loss": step / 7, "nan": float("nan")}, step)
        run.log_table({"name": ["a", "b"], "value": [1.5, float("nan")]}, "tables/sweep.json")
        run.log_tags({"error": "e" * 9000})
    (run.folder / "delivered.json").unlink()  # as if the process had died before it could note anything
    assert deliver(run.folder, 30) == 0
    client, (stored,) = runs_of(tracking)
    assert (stored.info.status, len(stored.data.params)) == ("FINISHED", 231)
    for name in ("loss", "nan"):
        points = client.get_metric_history(stored.info.run_id, name)
        assert sorted(point.step for point in points) == list(range(1500))
    assert stored.data.params["long"].endswith("... (7000 characters; whole in the artifact params.json)")
    assert mlflow.artifacts.load_dict(f"{stored.info.artifact_uri}/params.json")["long"] == "x" * 7000
    assert mlflow.artifacts.load_dict(f"{stored.info.artifact_uri}/error.json")["error"] == "e" * 9000
    table = client.load_table(stored.info.experiment_id, "tables/sweep.json", [stored.info.run_id])
    assert (list(table["name"]), table["value"].isna().tolist()) == (["a", "b"], [False, True])
    result = read_journal(run.folder)
    assert (result.run_id, result.params) == (stored.info.run_id, stored.data.params)
    assert result.tags.items() <= stored.data.tags.items()


def test_a_server_that_is_killed_and_comes_back_has_every_point_once(tracking, server, tmp_path):
    with start_run(tracking, "a-run", {}, tmp_path) as run:
        for step in range(60):
            run.log_metrics({"loss": step / 3, "accuracy": step}, step)
            if step == 20:
                wait_for(lambda: run.run_id is not None)
                server.kill()
            if step == 40:
                server.start()
            time.sleep(0.02)
    client, (stored,) = runs_of(tracking)
    assert stored.info.status == "FINISHED"
    for name in ("loss", "accuracy"):
        assert [point.step for point in client.get_metric_history(stored.info.run_id, name)] == list(range(60))


def test_what_a_server_missed_is_delivered_by_sync(tracking, server, tmp_path, run_lctrain, capfd):
    server.kill()
    try:
        check_writable(tracking)
        with start_run(tracking, "a-run", {}, tmp_path / "outputs" / "day") as run:
            run.log_metrics({"loss": 0.5}, step=3)
            run.log_text("whole\n", "config/config.yaml")
        message = capfd.readouterr().err.splitlines()
        assert len(message) == 2
        assert message[0].startswith("Warning: the store can't be reached now")
        assert f"Deliver the rest with: python -m lctrain sync {run.folder}" in message[1]
        failed = run_lctrain(tmp_path, "sync")
        assert (failed.returncode, "4 left" in failed.stdout) == (1, True), failed.stdout
    finally:
        server.start()
    finished = run_lctrain(tmp_path, "sync")
    assert finished.returncode == 0, finished.stderr
    assert "4 delivered, 0 left" in finished.stdout
    client, (stored,) = runs_of(tracking)
    assert (stored.info.status, stored.data.metrics) == ("FINISHED", {"loss": 0.5})
    assert [file.path for file in client.list_artifacts(stored.info.run_id, "config")] == ["config/config.yaml"]
    assert "0 had something to deliver" in run_lctrain(tmp_path, "sync").stdout


def test_a_server_that_stands_still_holds_up_nobody_and_misses_nothing(tracking, server, tmp_path):
    tracking = tracking.model_copy(update={"patience": 0.5})
    with start_run(tracking, "a-run", {}, tmp_path) as run:
        wait_for(lambda: run.run_id is not None)
        server.stall()
        for step in range(50):
            run.log_metrics({"loss": step}, step)
    server.resume()
    assert read_journal(run.folder).status == "FINISHED"
    wait_for(lambda: deliver(run.folder, 30) == 0)  # the thread has the journal until its request has come back
    client, (stored,) = runs_of(tracking)
    assert stored.info.status == "FINISHED"
    assert len(client.get_metric_history(stored.info.run_id, "loss")) == 50


def test_a_run_whose_process_was_killed_is_ended_and_completed_by_the_next(tracking, tmp_path):
    killed = "while run.run_id is None: pass\n    import os; os.kill(os.getpid(), 9)"
    process = start_process(tracking, tmp_path / "killed", killed)
    alive = start_process(tracking, tmp_path / "alive", "import time; time.sleep(1000)")
    try:
        process.communicate(timeout=120)
        wait_for(lambda: len(runs_of(tracking)[1]) == 2)
        client, _ = runs_of(tracking)
        elsewhere = client.create_run(runs_of(tracking)[1][0].info.experiment_id, run_name="elsewhere")
        client.set_tag(elsewhere.info.run_id, "lctrain.owner", json.dumps({"host": "elsewhere"}))
        with start_run(tracking, "next", {}, tmp_path / "next"):
            wait_for(lambda: any(run.info.status == "FAILED" for run in runs_of(tracking)[1]))
        found = {run.data.params.get("number", run.info.run_name): run for run in runs_of(tracking)[1]}
    finally:
        alive.kill()
        alive.communicate()
    statuses = {name.rpartition("/")[2]: run.info.status for name, run in found.items()}
    assert statuses == {"killed": "FAILED", "alive": "RUNNING", "elsewhere": "RUNNING", "next": "FINISHED"}
    died = found[str(tmp_path / "killed")]
    assert died.data.tags["error"] == DIED
    assert [point.step for point in client.get_metric_history(died.info.run_id, "loss")] == [0, 1, 2]


def test_a_child_finds_its_parent_though_that_comes_later(tracking, server, tmp_path):
    away = tracking.model_copy(update={"uri": f"http://127.0.0.1:{MlflowServer('', tmp_path, tmp_path).port}"})
    with (
        start_run(away, "sweep", {}, tmp_path / "sweep") as parent,
        start_run(tracking, "child", {}, tmp_path / "child", parent.folder) as child,
    ):
        pass
    assert deliver(child.folder, 0) == 1
    journal = parent.folder / "journal.jsonl"
    journal.write_text(journal.read_text().replace(away.uri, tracking.uri))
    assert deliver(parent.folder, 10) == 0
    assert deliver(child.folder, 10) == 0
    _, runs = runs_of(tracking)
    parents = {run.info.run_name: run.data.tags.get("mlflow.parentRunId") for run in runs}
    assert parents["child"] == next(run.info.run_id for run in runs if run.info.run_name == "sweep")


def test_a_web_server_that_is_no_mlflow_is_refused(tmp_path):
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{web.server_port}"
        with pytest.raises(UserError, match=re.escape(f"{uri} gave 404 File not found")):
            check_writable(ServerTracking(name="server", uri=uri, experiment="x"))
        web.shutdown()


def test_a_deleted_experiment_on_a_server_is_refused(tracking, database, tmp_path):
    client = mlflow.MlflowClient(tracking.uri)
    client.delete_experiment(client.create_experiment(tracking.experiment))
    direct = ServerTracking(
        name="server", uri=database, artifacts=str(tmp_path / "a"), experiment=tracking.experiment, patience=1
    )
    for store in (tracking, direct):
        with pytest.raises(UserError, match="must not be a deleted experiment; got 'test_a_deleted"):
            check_writable(store)


def test_a_database_that_lets_nobody_in_is_refused(database, tmp_path):
    tracking = ServerTracking(name="server", uri=f"{database}x", artifacts=str(tmp_path / "a"), experiment="x")
    with pytest.raises(UserError, match=r"`tracking.uri` must name a database that lets you in; .*does not exist"):
        check_writable(tracking)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few pages, to be filled."""
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode
    ):
        pytest.skip("a small file system takes mount, and the right to use it")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_of_artifacts_holds_back_nothing_else(small_disk, tmp_path, capfd, run_lctrain):
    store = tmp_path / "store"
    store.mkdir()
    (store / "mlartifacts").symlink_to(small_disk)
    tracking = LocalTracking(name="local", folder=str(store), experiment="full")
    with start_run(tracking, "a-run", {}, tmp_path / "job") as run:
        run.log_text("x" * 100_000, "large.txt")
        run.log_metrics({"loss": 0.5}, step=3)
    assert "No space left on device" in capfd.readouterr().err
    _, (stored,) = runs_of(tracking)
    assert (stored.info.status, stored.data.metrics) == ("FINISHED", {"loss": 0.5})
    assert deliver(run.folder, 0) == 1
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    assert "1 delivered, 0 left" in run_lctrain(tmp_path, "sync", "job").stdout
    client, (stored,) = runs_of(tracking)
    assert [file.file_size for file in client.list_artifacts(stored.info.run_id)] == [100_000]


def test_a_full_disk_under_the_journal_stops_nobody(small_disk, tmp_path, capfd):
    tracking = LocalTracking(name="local", folder=str(tmp_path / "store"), experiment="full")
    with start_run(tracking, "a-run", {}, small_disk) as run:
        run.log_text("x" * 100_000, "large.txt")
        for step in range(700):
            run.log_metrics({"loss": step / 7}, step)
    assert capfd.readouterr().err == ""
    client, (stored,) = runs_of(tracking)
    assert stored.info.status == "FINISHED"
    assert len(client.get_metric_history(stored.info.run_id, "loss")) == 700
    assert [file.file_size for file in client.list_artifacts(stored.info.run_id)] == [100_000]
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    end_run(run.folder, "FAILED", "as its journal has no end")
    assert deliver(run.folder, 0) == 0
    assert runs_of(tracking)[1][0].info.status == "FINISHED"


def wait_for(is_so, seconds=90):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
