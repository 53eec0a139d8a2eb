"""Runs one and the same sweep under each launcher, servers and all on this machine; writes what it took.

`python experiments/launchers/compare.py [--launchers basic joblib] [--jobs 6] [--rounds 2]`
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from servers.ray import ray  # noqa: E402
from servers.slurm import slurm  # noqa: E402

from lctrain.system.machine import describe_machine  # noqa: E402

TINY = ("data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=200", "training.epochs=2")
OVERRIDES = {
    "basic": [],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "slurm": ["hydra/launcher=slurm"],
    "ray": ["hydra/launcher=ray"],
}
SERVERS = {"slurm": slurm, "ray": ray}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--launchers", nargs="+", choices=OVERRIDES, default=list(OVERRIDES))
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    seconds = {name: [] for name in options.launchers}
    jobs = {name: [] for name in options.launchers}
    with ExitStack() as stack:
        environments = {name: _start(name, stack) for name in options.launchers}
        for _ in range(options.rounds):  # taking turns, so that what else the machine does weighs on all
            for name in options.launchers:
                wall, each = _run(name, options.jobs, environments[name])
                seconds[name].append(wall)
                jobs[name].append(each)
                print(f"{name}: {wall:.1f} s, a job {each:.1f} s", flush=True)
    names = ("lctrain", "hydra-core", "hydra-joblib-launcher", "hydra-submitit-launcher", "hydra-ray-launcher", "ray")
    study = {
        "date": date.today().isoformat(),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in names},
        "num_jobs": options.jobs,
        "seconds": seconds,
        "seconds_of_a_job": jobs,
    }
    (HERE / "results" / "launchers.json").write_text(json.dumps(study, indent=1) + "\n")
    (HERE / "results" / "table.md").write_text(_table(study))


def _start(name: str, stack: ExitStack) -> dict[str, str]:
    variables = stack.enter_context(SERVERS[name]()) if name in SERVERS else {}
    return {**os.environ, **variables}


def _run(name: str, num_jobs: int, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds that the whole sweep took, and the median of its jobs'."""
    seeds = "seed=" + ",".join(map(str, range(num_jobs)))
    command = [sys.executable, "-m", "lctrain", "-m", seeds, *TINY, *OVERRIDES[name]]
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        wall = time.monotonic() - started
        if ended.returncode != 0:
            sys.exit(f"{name} exited with {ended.returncode}.\n{ended.stdout}{ended.stderr}")
        records = [json.loads(path.read_text()) for path in Path(folder).glob("multirun/*/*/records/*.json")]
    return wall, statistics.median(record["seconds"] for record in records)


def _table(study: dict) -> str:
    machine, num_jobs = study["machine"], study["num_jobs"]
    message = ", ".join(f"{name} {number}" for name, number in study["versions"].items())
    lines = [
        f"{study['date']}, {machine['cpu_model']}, {machine['cpu_cores']} cores, {machine['platform']}. {message}",
        "",
        f"| launcher | seconds of {num_jobs} jobs, each round | over basic | seconds of a job (median) |",
        "|---|---|---|---|",
    ]
    walls = {name: statistics.median(each) for name, each in study["seconds"].items()}
    for name, each in study["seconds"].items():
        rounds = ", ".join(f"{wall:.1f}" for wall in each)
        ratio = f"{walls[name] / walls['basic']:.2f}" if "basic" in walls else ""
        job = statistics.median(study["seconds_of_a_job"][name])
        lines.append(f"| {name} | {rounds} | {ratio} | {job:.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
