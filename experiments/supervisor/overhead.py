"""What a supervised job costs beyond its own work: `python experiments/supervisor/overhead.py`."""

import argparse
import gc
import json
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil
from idle_jobs import log_for_nothing, work_for_nothing

from lctrain.composition.defaults import packaged_config
from lctrain.config import validate
from lctrain.cost import MEBIBYTE
from lctrain.sweep.supervisor import Task, supervise
from lctrain.system.machine import describe_machine

HERE = Path(__file__).parent
IMPORTS = "import tensorflow, keras, matplotlib.figure, mlflow; tensorflow.config.list_logical_devices()"


def supervise_one(run_job, folder: Path, number: int) -> float:
    """Seconds that one job takes with all that belongs to it."""
    raw = packaged_config()
    raw["tracking"]["folder"] = str(folder)
    raw["sweep"]["start_method"] = "spawn"  # as the bare process starts
    task = Task(validate(raw), [], folder / str(number), number, folder, None, {})
    started = time.perf_counter()
    record = supervise(run_job, task)
    if record.status != "done":
        raise RuntimeError(record.reason)
    return time.perf_counter() - started


def time_bare() -> float:
    """Seconds of a bare interpreter that loads the same libraries."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="jobs that load TensorFlow, each beside a bare process")
    parser.add_argument("--jobs", type=int, default=100, help="jobs in which the supervisor's memory is watched")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lctrain-overhead-") as folder:
        pairs = [
            (time_bare(), supervise_one(work_for_nothing, Path(folder), number)) for number in range(options.rounds)
        ]
    resident = []
    with tempfile.TemporaryDirectory(prefix="lctrain-overhead-") as folder:
        for number in range(options.jobs):
            supervise_one(log_for_nothing, Path(folder), number)
            gc.collect()
            resident.append(psutil.Process().memory_info().rss / MEBIBYTE)
    results = {
        "bare_seconds": median(bare for bare, _ in pairs),
        "supervised_seconds": median(supervised for _, supervised in pairs),
        "ratio": median(supervised / bare for bare, supervised in pairs),
        "ratios": [supervised / bare for bare, supervised in pairs],
        "resident_mb": resident,
        "machine": describe_machine(),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "mlflow", "hydra-core")},
        "python": platform.python_version(),
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "overhead.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"A bare process: {results['bare_seconds']:.2f} s. A supervised job: {results['supervised_seconds']:.2f} s.")
    print(f"Ratio, median of {len(pairs)} pairs: {results['ratio']:.2f}.")
    tenth = max(len(resident) // 10, 1)
    for number in range(tenth - 1, len(resident), tenth):
        print(f"The supervisor after job {number + 1}: {resident[number]:.1f} MB resident.")


if __name__ == "__main__":
    main()
