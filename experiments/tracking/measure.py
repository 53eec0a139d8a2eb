"""How a team's tracking store stands up: `python experiments/tracking/measure.py [--only NAME ...]`; see README.md.

Each part writes what it found into results/tracking.json, in place of what was there, and leaves the rest.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
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
EPOCHS = 900
TURN = 6  # seconds
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
    """20 jobs started in the same second: how many output folders. Their store is a file, which ends them."""
    (folder / "store").touch()
    processes = [_lctrain(folder, *TINY, "tracking.folder=store") for _ in range(20)]
    exit_codes = Counter(process.wait() for process in processes)
    folders = list((folder / "outputs").glob("*/*"))
    return {
        "exit code 2": exit_codes[2],
        "output folders": len(folders),
        "seconds in their names": _seconds_of(folders),
    }


def _seconds_of(folders: list[Path]) -> int:
    return len({folder.name[:8] for folder in folders})


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
        _wait_for(lambda: len(_done_jobs(folder)) >= 8 or process.poll() is not None)
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


def store_away(folder: Path) -> dict:
    """One training whose way to the server is, in turns of a few seconds, open, closed (refused), open, and silent."""
    with postgresql() as uri, mlflow_server(uri, folder) as server, Gate(server.port) as gate:
        store = ("tracking=server", f"tracking.uri=http://127.0.0.1:{gate.port}", "tracking.patience=60")
        process = _lctrain(folder, *store, *TINY, f"training.epochs={EPOCHS}")
        _wait_for(lambda: len(_epochs(folder)) > 20 or process.poll() is not None)
        turns = []
        while process.poll() is None and len(_epochs(folder)) < EPOCHS:
            gate.state = ("open", "closed", "open", "silent")[len(turns) % 4]
            resumed = time.time()
            time.sleep(TURN)
            turns.append((gate.state, resumed * 1e3, time.time() * 1e3))
        gate.state = "open"
        exit_code = process.wait()
        client, (run,) = _runs(ServerTracking(name="server", uri=server.uri, experiment="lctrain"))
        steps = sorted(point.step for point in client.get_metric_history(run.info.run_id, "loss"))
        return {
            "exit code": exit_code,
            "status": run.info.status,
            "epochs": EPOCHS,
            "points of the loss": len(steps),
            "steps are all there once": steps == list(range(EPOCHS)),
            "turns": len(turns),
            "seconds of an epoch, over those of the open turns around": _ratios(_epochs(folder), turns),
            "sync": _sync(folder),
        }


class Gate:
    """A way to a local port that can be closed, or made silent: connections are taken, and nothing comes back."""

    def __init__(self, port: int):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.state = "open"

    def __enter__(self) -> "Gate":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.state = "ended"

    def _accept(self) -> None:
        while self.state != "ended":
            if self.state == "closed":
                self._listener.close()
                while self.state == "closed":
                    time.sleep(0.02)
                self._listener = socket.create_server(("127.0.0.1", self.port))
            self._listener.settimeout(0.05)
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with source, target, suppress(OSError):
            source.settimeout(0.05)
            while self.state not in ("closed", "ended"):
                try:
                    data = source.recv(65536)
                except TimeoutError:
                    continue
                while self.state == "silent":
                    time.sleep(0.02)
                if not data or self.state == "closed":
                    return
                target.sendall(data)


def _epochs(folder: Path) -> list[int]:
    """When each epoch was logged, as the journal has it, in milliseconds."""
    journals = find_journals(folder)
    return [point.timestamp for point in read_journal(journals[0]).metrics.get("loss", [])] if journals else []


def _ratios(times: list[int], turns: list[tuple[str, float, float]]) -> dict[str, dict[str, float]]:
    """Of the closed and the silent turns: how the mean length of an epoch compares with the turns before and behind."""
    lengths = []
    for _, resumed, ended in turns:
        inside = [time for time in times if resumed <= time <= ended]
        lengths.append((inside[-1] - inside[0]) / (len(inside) - 1) if len(inside) > 2 else None)
    found = {}
    for state in ("closed", "silent"):
        around = [
            (lengths[i - 1], lengths[i], lengths[i + 1]) for i in range(1, len(turns) - 1) if turns[i][0] == state
        ]
        ratios = [2 * here / (before + behind) for before, here, behind in around if None not in (before, here, behind)]
        if ratios:
            found[state] = {
                "median": round(statistics.median(ratios), 3),
                "from": round(min(ratios), 3),
                "to": round(max(ratios), 3),
                "turns": len(ratios),
            }
    return found


def _wait_for(is_so, seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.5)


PARTS = {part.__name__: part for part in (fresh_stores, same_second, sweep_into_server, store_away)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    for name in parser.parse_args().only:
        resumed = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="lctrain-tracking-", ignore_cleanup_errors=True) as folder:
            found = PARTS[name](Path(folder))
        _keep(name, found | {"seconds": round(time.monotonic() - resumed)})


def _keep(name: str, found: dict) -> None:
    print(name, json.dumps(found), flush=True)
    results = HERE / "results" / "tracking.json"
    kept = json.loads(results.read_text()) if results.exists() else {}
    kept[name] = found
    kept["machine"] = {
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in ("mlflow", "SQLAlchemy", "psycopg", "tensorflow", "keras")},
    }
    results.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
