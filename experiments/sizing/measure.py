"""What one more job costs a sweep, and what that makes of many: python experiments/sizing/measure.py"""

import json
import math
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import psutil

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from servers.mlflow_server import mlflow_server

from lctrain.system.machine import describe_machine

RESULTS = Path(__file__).parent / "results"
LCTRAIN = [sys.executable, "-m", "lctrain"]
FEW, MANY = 20, 220  # jobs that are validated
JOBS = 6
MODEL = "model=lc2d"
ONE_STEP = ("training.epochs=1", "training.limit_batches=1", "training.progress=none")
SIZES = (100, 1_000, 10_000, 100_000)
SLOTS = (1, 16, 256)  # jobs at once
MINUTES = 10  # of training in a job


def main() -> None:
    measured = measure_validation() | measure_store() | measure_seconds() | measure_requests()
    table = tabulate(measured)
    RESULTS.mkdir(exist_ok=True)
    described = {"date": str(date.today()), "machine": describe_machine(), "mlflow": version("mlflow"), **measured}
    (RESULTS / "sizing.json").write_text(json.dumps(described, indent=1) + "\n")
    (RESULTS / "sizing.md").write_text(table)
    print(json.dumps(measured, indent=1), table, sep="\n")


def measure_validation() -> dict[str, float]:
    """Seconds and megabytes of one more job that is composed and validated before the first starts."""
    seconds, peaks = [], []
    for jobs in (FEW, MANY):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            command = [*LCTRAIN, "check", "-m", MODEL, f"seed=range(0,{jobs})"]
            with psutil.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
                peak = 0
                while process.poll() is None:
                    try:
                        peak = max(peak, process.memory_info().rss)
                    except psutil.NoSuchProcess:
                        break
                    time.sleep(0.05)
            if process.wait() != 0:
                sys.exit("check failed")
            seconds.append(time.perf_counter() - start)
            peaks.append(peak)
    per_job = (seconds[1] - seconds[0]) / (MANY - FEW)
    return {"validation_seconds": per_job, "validation_kilobytes": (peaks[1] - peaks[0]) / 1e3 / (MANY - FEW)}


def measure_store() -> dict[str, float]:
    """Bytes and rows of one more job in a sweep, which trains for its 30 epochs."""
    with tempfile.TemporaryDirectory() as name:
        folder, sizes = Path(name), []
        for jobs in (1, 1, JOBS):  # the first makes the store
            run_sweep(folder, jobs, "training.progress=none")
            database = folder / "mlflow.db"
            sizes.append((count_bytes(database) / 1e3, count_rows(database), *count_files(folder)))
        few, many = ([after - before for before, after in zip(*pair, strict=True)] for pair in pairwise(sizes))
        keys = ("database_kilobytes", "database_rows", "files", "file_kilobytes")
        return {key: (more - one) / (JOBS - 1) for key, one, more in zip(keys, few, many, strict=True)}


def measure_seconds() -> dict[str, float]:
    """Seconds of one more job in a sweep, which trains for one step."""
    with tempfile.TemporaryDirectory() as name:
        run_sweep(Path(name), 1, *ONE_STEP)
        few, many = (run_sweep(Path(name), jobs, *ONE_STEP) for jobs in (1, JOBS))
        return {"seconds_besides_training": (many - few) / (JOBS - 1)}


def run_sweep(folder: Path, jobs: int, *overrides: str) -> float:
    """The seconds that it takes."""
    start = time.perf_counter()
    command = [*LCTRAIN, "-m", MODEL, f"seed=range(0,{jobs})", *overrides]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def count_bytes(database: Path) -> int:
    return sum(file.stat().st_size for file in database.parent.glob(f"{database.name}*"))


def count_rows(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return sum(connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in tables)


def count_files(folder: Path) -> tuple[int, float]:
    """Files and kilobytes of all but the database."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("mlflow.db")]
    return len(files), sum(file.stat().st_size for file in files) / 1e3


def measure_requests() -> dict[str, float]:
    """HTTP requests that one job makes of an MLflow server."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "server").mkdir()
        with mlflow_server(f"sqlite:///{folder}/server.db", folder / "server") as server:
            before = count_requests(folder)
            command = [*LCTRAIN, MODEL, "training.progress=none", "tracking=server", f"tracking.uri={server.uri}"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            return {"requests": count_requests(folder) - before}


def count_requests(folder: Path) -> int:
    """Lines of the server's log that tell of a request, but for those that ask whether it is up."""
    text = "".join(file.read_text(errors="replace") for file in folder.rglob("*.log"))
    return len(
        [
            line
            for line in text.splitlines()
            if re.search(r'"(GET|POST|PUT|PATCH|DELETE) ', line) and "/health" not in line
        ]
    )


def tabulate(measured: dict[str, float]) -> str:
    header = "| jobs | validated in | database | files | " + " | ".join(f"{slots} at once" for slots in SLOTS) + " |\n"
    lines = [header, "|---" * (4 + len(SLOTS)) + "|\n"]
    for jobs in SIZES:
        validation = format_seconds(jobs * measured["validation_seconds"])
        database = tell_bytes(jobs * measured["database_kilobytes"] * 1e3)
        files = f"{jobs * measured['files']:,.0f}, {tell_bytes(jobs * measured['file_kilobytes'] * 1e3)}"
        job = 60 * MINUTES + measured["seconds_besides_training"]
        lengths = [format_seconds(math.ceil(jobs / slots) * job) for slots in SLOTS]
        lines.append(f"| {jobs:,} | {validation} | {database} | {files} | {' | '.join(lengths)} |\n")
    return "".join(lines)


def format_seconds(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s"


def tell_bytes(count: float) -> str:
    unit, size = next(
        (unit, size) for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)) if count >= size or unit == "MB"
    )
    return f"{count / size:.3g} {unit}"


if __name__ == "__main__":
    main()
