"""How a team's tracking store stands up: `python experiments/tracking/measure.py [--only NAME ...]`; see README.md.

Each part writes what it found into results/tracking.json, in place of what was there, and leaves the rest.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import mlflow

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from servers.mlflow_server import mlflow_server  # noqa: E402
from servers.postgresql import postgresql  # noqa: E402

from lctrain.config.schema import LocalTracking, ServerTracking  # noqa: E402
from lctrain.tracking import find_journals, read_journal, store_uri  # noqa: E402

TINY = ("data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=200", "training.progress=none")
AT_ONCE = 8
ROUNDS = 5
RUN = """
import sys
from pathlib import Path
from lctrain.config.schema import LocalTracking, ServerTracking
from lctrain.tracking import start_run
with start_run({tracking!r}, "one", {{}}, Path(sys.argv[1])) as run:
    run.log_params({{"number": sys.argv[1]}})
    for step in range(3):
        run.log_metrics({{"loss": 1 / (step + 1)}}, step)
"""


def fresh_stores(folder: Path) -> dict:
    """8 processes that do nothing but log, started at once on a store that is not there yet; again and again."""
    found = {}
    for kind in ("SQLite", "PostgreSQL"):
        rounds = []
        for number in range(ROUNDS):
            place = folder / f"{kind}-{number}"
            place.mkdir()
            if kind == "SQLite":
                rounds.append(_one_round(LocalTracking(name="local", folder=str(place), experiment="fresh"), place))
                continue
            with postgresql() as uri:
                settings = {"uri": uri, "artifacts": str(place / "artifacts"), "patience": 60}
                rounds.append(_one_round(ServerTracking(name="server", experiment="fresh", **settings), place))
        found[kind] = rounds
    return found


def _one_round(tracking, place: Path) -> dict[str, int]:
    code = RUN.format(tracking=tracking)
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen([*command, str(place / str(number))]) for number in range(AT_ONCE)]
    exit_codes = Counter(process.wait() for process in processes)
    return {"exit code 0": exit_codes[0], **_statuses(tracking)}


def _statuses(tracking) -> dict[str, int]:
    return dict(Counter(run.info.status for run in _runs(tracking)[1]))


def _runs(tracking):
    client = mlflow.MlflowClient(store_uri(tracking))
    experiment = client.get_experiment_by_name(tracking.experiment)
    return client, client.search_runs([experiment.experiment_id])


def same_second(folder: Path) -> dict:
    """20 jobs started in the same second: how many output folders and runs."""
    overrides = [*TINY, "training.epochs=1", "tracking.patience=120"]
    processes = [_lctrain(folder, *overrides) for _ in range(20)]
    exit_codes = Counter(process.wait() for process in processes)
    folders = list((folder / "outputs").glob("*/*"))
    tracking = LocalTracking(name="local", folder=str(folder), experiment="lctrain")
    return {"exit code 0": exit_codes[0], "output folders": len(folders), **_statuses(tracking)}


def _lctrain(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "lctrain", *arguments]
    with (folder / "jobs.log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def sweep_into_server(folder: Path) -> dict:
    """24 jobs, 4 at a time, into an MLflow server over PostgreSQL; it is killed for 20 seconds in the middle."""
    with postgresql() as uri, mlflow_server(uri, folder) as server:
        seeds = f"seed={','.join(map(str, range(24)))}"
        launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=4")
        store = ("tracking=server", f"tracking.uri={server.uri}")
        process = _lctrain(folder, "-m", seeds, *launcher, *store, *TINY, "training.epochs=11")
        _wait_for(lambda: len(_done_jobs(folder)) >= 8)
        server.kill()
        time.sleep(20)
        server.start()
        exit_code = process.wait()
        left = _sync(folder)
        tracking = ServerTracking(name="server", uri=server.uri, experiment="lctrain")
        client, runs = _runs(tracking)
        jobs = [run for run in runs if "sweep.job" in run.data.tags]
        points = [client.get_metric_history(run.info.run_id, "loss") for run in jobs]
        return {
            "exit code": exit_code,
            "jobs": len(jobs),
            "statuses": dict(Counter(run.info.status for run in runs)),
            "points of the loss per job": sorted({len(history) for history in points}),
            "steps are 0 to 10 once each": all(
                sorted(point.step for point in history) == list(range(11)) for history in points
            ),
            "models": len({run.info.run_id for run in jobs if run.outputs.model_outputs}),
            "sync": left,
        }


def _done_jobs(folder: Path) -> list[Path]:
    return [path for path in find_journals(folder) if '"kind": "end"' in (path / "journal.jsonl").read_text()]


def _sync(folder: Path) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", "lctrain", "sync"], cwd=folder, capture_output=True, text=True, check=False
    )
    return f"{finished.stdout.splitlines()[-1]} Exit code {finished.returncode}."


def server_away(folder: Path) -> dict:
    """One training of many epochs while its server is up, killed for 20 s, up, stands still for 20 s, and so on."""
    epochs = 6000
    with postgresql() as uri, mlflow_server(uri, folder) as server:
        store = ("tracking=server", f"tracking.uri={server.uri}", "tracking.patience=60")
        process = _lctrain(folder, *store, *TINY, f"training.epochs={epochs}")
        _wait_for(lambda: len(_epochs(folder)) > 50)
        phases = []
        while process.poll() is None and len(phases) < 9:
            name = ("up", "killed", "up", "stands still")[len(phases) % 4]
            begun = time.time()
            if name == "killed":
                server.kill()
            elif name == "stands still":
                server.stall()
            time.sleep(20)
            phases.append((name, begun * 1e3, time.time() * 1e3))
            if name == "killed":
                server.start()
            elif name == "stands still":
                server.resume()
        exit_code = process.wait()
        tracking = ServerTracking(name="server", uri=server.uri, experiment="lctrain")
        client, (run,) = _runs(tracking)
        points = client.get_metric_history(run.info.run_id, "loss")
        return {
            "exit code": exit_code,
            "status": run.info.status,
            "epochs": epochs,
            "points of the loss": len(points),
            "steps are all there once": sorted(point.step for point in points) == list(range(epochs)),
            "median seconds of an epoch": _epoch_seconds(_epochs(folder), phases),
            "sync": _sync(folder),
        }


def _epochs(folder: Path) -> list[int]:
    """When each epoch was logged, as the journal has it, in milliseconds."""
    journals = find_journals(folder)
    return [point.timestamp for point in read_journal(journals[0]).metrics.get("loss", [])] if journals else []


def _epoch_seconds(times: list[int], phases: list[tuple[str, float, float]]) -> list[tuple[str, int, float]]:
    """Of each phase its name, how many epochs lie in it, and their median length; the first second is left out."""
    found = []
    for name, begun, ended in phases:
        inside = [time for time in times if begun + 1000 <= time <= ended]
        if len(inside) > 20:
            lengths = [(inside[i + 10] - inside[i]) / 1e4 for i in range(0, len(inside) - 10, 10)]
            found.append((name, len(inside), round(statistics.median(lengths), 5)))
    return found


def _wait_for(is_so, seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.5)


PARTS = {part.__name__: part for part in (fresh_stores, same_second, sweep_into_server, server_away)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    results = HERE / "results" / "tracking.json"
    found = json.loads(results.read_text()) if results.exists() else {}
    for name in parser.parse_args().only:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="lctrain-tracking-", ignore_cleanup_errors=True) as folder:
            found[name] = PARTS[name](Path(folder))
        found[name] = {"found": found[name], "seconds": round(time.monotonic() - begun)}
        print(name, json.dumps(found[name]), flush=True)
    found["machine"] = {
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in ("mlflow", "SQLAlchemy", "psycopg", "tensorflow", "keras")},
    }
    results.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
