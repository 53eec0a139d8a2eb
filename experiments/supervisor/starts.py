"""How fast a job starts and ends, against another build: `python experiments/supervisor/starts.py OTHER_PYTHON`.

OTHER_PYTHON runs the other build's `-m lctrain`. Both are measured in turns, so that what else the machine does weighs
on both alike; what is told are medians, and ratios of this build's to the other's.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil

from lctrain.cost import MEBIBYTE
from lctrain.system.machine import describe_machine

HERE = Path(__file__).parent
JOB = ["model=lc2d", "training.epochs=2", "training.progress=none"]
TWO_AT_ONCE = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
FOUR_AT_ONCE = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=4", "training.epochs=100000", "seed=0,1,2,3"]
STEP = "step_loss"  # the metric of a single step


def run(python: str, folder: str, *arguments: str) -> float:
    """Seconds of a whole command line."""
    started = time.perf_counter()
    command = [python, "-m", "lctrain", *JOB, *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def time_jobs(python: str, num_jobs: int) -> dict[str, list[float]]:
    """Of the jobs of a sweep, one after the other: seconds from start to first step, and of the whole life."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = ",".join(map(str, range(num_jobs)))
        run(python, folder, "-m", f"seed={seeds}", "training.log_every_steps=1")
        records = [json.loads(file.read_text()) for file in Path(folder).glob("multirun/*/*/records/*.json")]
        found: dict[str, list[float]] = {"first_step": [], "life": []}
        for record in records:
            journal = Path(record["journal"], "journal.jsonl").read_text().splitlines()
            entries = [entry for entry in map(json.loads, journal) if entry["kind"] == "metrics"]
            first = next(entry["time"] for entry in entries if STEP in entry["values"])
            found["first_step"].append(first / 1e3 - record["started"])
            found["life"].append(record["seconds"])
        return found


def time_command(python: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return run(python, folder)


def time_sweep(python: str, num_jobs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return run(python, folder, "-m", *TWO_AT_ONCE, f"seed={','.join(map(str, range(num_jobs)))}")


def weigh_jobs(python: str) -> float:
    """Mebibytes of four jobs that train at once, and of what has forked them, what they share counted once (PSS)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-m", "lctrain", *JOB, "-m", *FOUR_AT_ONCE, "training.progress=lines"]
        sweep = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not has_trained(Path(folder)):
                time.sleep(0.5)
            return sum(map(read_pss, psutil.Process(sweep.pid).children(recursive=True))) / MEBIBYTE
        finally:
            sweep.terminate()
            sweep.wait()


def has_trained(folder: Path) -> bool:
    logs = [log.read_text() for log in folder.glob("multirun/*/*/*/job.log")]
    return sum("Epoch 3/" in log for log in logs) == 4


def read_pss(process: psutil.Process) -> int:
    """Bytes of a process that is a job's, or has forked one; else 0."""
    with suppress(psutil.Error, OSError):
        if any(argument.startswith("lctrain.system.") for argument in process.cmdline()):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            return int(rollup.split("Pss:")[1].split()[0]) * 1024
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", metavar="OTHER_PYTHON")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement but the long sweep")
    parser.add_argument("--jobs", type=int, default=4, help="of the sweep whose jobs are timed")
    parser.add_argument("--long", type=int, default=24, help="jobs of the sweep with two at once; 0 leaves it out")
    options = parser.parse_args()
    pythons = {"other": options.other, "this": sys.executable}
    found: dict[str, dict[str, list[float]]] = {name: {} for name in pythons}

    def add(name: str, what: str, *values: float) -> None:
        found[name].setdefault(what, []).extend(values)
        print(name, what, *(f"{value:.2f}" for value in values), flush=True)

    for _ in range(options.rounds):
        for name, python in pythons.items():
            for what, values in time_jobs(python, options.jobs).items():
                add(name, what, *values)
            add(name, "command", time_command(python))
    for name, python in pythons.items():
        add(name, "pss_mb", weigh_jobs(python))
        if options.long:
            add(name, "long_sweep", time_sweep(python, options.long))
    medians = {name: {what: median(values) for what, values in rows.items()} for name, rows in found.items()}
    ratios = {what: medians["this"][what] / other for what, other in medians["other"].items()}
    results = {
        "ratios": ratios,
        "medians": medians,
        "all": found,
        "machine": describe_machine(),
        "load": os.getloadavg(),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "mlflow", "hydra-core")},
        "python": platform.python_version(),
    }
    (HERE / "results" / "starts.json").write_text(json.dumps(results, indent=1) + "\n")
    for what, ratio in ratios.items():
        print(f"{what}: {medians['other'][what]:.2f} before, {medians['this'][what]:.2f} now, {ratio:.2f}x")


if __name__ == "__main__":
    main()
