"""A thousand jobs, really run, some of which die: `python experiments/supervisor/thousand.py [--base PYTHON]`.

One sweep trains, logs into SQLite and has two jobs at once. Some jobs are killed from outside, at any moment of their
lives, and some fail by themselves. The sweep is then resumed. With --base, the first hundred jobs are run once more by
this build and by another, whose `-m lctrain` that Python runs, without deaths.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil

from lctrain.composition.defaults import packaged_config
from lctrain.config import validate
from lctrain.sweep.supervisor import find_server
from lctrain.system.machine import describe_machine
from lctrain.tracking import LATEST, read_journal, read_sweep

HERE = Path(__file__).parent
SLOTS = 2
JOB = ["model=lc2d", "training.epochs=2", "training.progress=none"]
LAUNCHER = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={SLOTS}"]
KILLED, FAILING = 0.02, 0.01  # of all jobs
DIVERGING = "1e30"  # a learning rate with which the loss becomes nan
POLL_SECONDS = 0.05
STATES = {  # of MLflow's runs; that of a job which dies between its run's end and its own has finished
    "done": ("FINISHED",),
    "failed": ("FAILED",),
    "killed": ("KILLED", "FINISHED"),
}


def make_sweep(num_jobs: int) -> list[str]:
    """The jobs: learning rates, of which the last fails, for as many seeds as it takes."""
    num_rates = count_rates(num_jobs)
    rates = [f"{1e-3 * (1 + number / num_rates):g}" for number in range(num_rates - 1)]
    seeds = range(num_jobs // num_rates)
    return [f"seed={','.join(map(str, seeds))}", f"optimizer.learning_rate={','.join([*rates, DIVERGING])}"]


def count_rates(num_jobs: int) -> int:
    return min(round(1 / FAILING), num_jobs)


def is_failing(number: int, num_jobs: int) -> bool:
    return (number + 1) % count_rates(num_jobs) == 0


class Sweep:
    """One command line in a folder of its own, where nothing else works.

    Args:
        folder: of its store and its files.
        python: that runs it.
    """

    def __init__(self, folder: Path, python: str = sys.executable):
        self.folder, self.python = folder, python
        (folder / "temporary").mkdir(parents=True, exist_ok=True)

    def start(self, *arguments: str) -> subprocess.Popen:
        environment = {**os.environ, "TMPDIR": str(self.folder / "temporary")}
        output = (self.folder / "output.txt").open("ab")
        command = [self.python, "-m", "lctrain", *arguments]
        return subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=output, env=environment)

    @property
    def multirun(self) -> Path | None:
        return next(self.folder.glob("multirun/*/*"), None)

    def read_record(self, number: int) -> dict | None:
        with suppress(FileNotFoundError):
            return json.loads((self.folder / str(self.multirun) / "records" / f"{number}.json").read_text())
        return None

    def read_records(self) -> list[dict]:
        files = (self.folder / str(self.multirun) / "records").glob("*.json")
        return sorted((json.loads(file.read_text()) for file in files), key=lambda record: record["number"])

    def count_records(self) -> int:
        return sum(1 for _ in self.folder.glob("multirun/*/*/records/*.json"))

    def find_left(self) -> list[str]:
        """What remains of a sweep that has ended: processes, temporary files, its server's socket."""
        left = [file.name for file in (self.folder / "temporary").iterdir()]
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.folder):
                    left.append(" ".join(process.cmdline()))
        server = find_server(validate(packaged_config()), self.folder / str(self.multirun))
        if server is not None and f"@{server.name}" in Path("/proc/net/unix").read_text():
            left.append(server.name)
        return left


class Killer:
    """Kills some of a sweep's jobs, each at a moment of its life that is drawn beforehand.

    A job that ends before its moment has come lets the next one die in its place.
    """

    def __init__(self, sweep: Sweep, num_jobs: int, seed: int):
        drawn = random.Random(seed)
        self._sweep = sweep
        self._spared = {number for number in range(num_jobs) if is_failing(number, num_jobs)}
        numbers = drawn.sample(
            [number for number in range(num_jobs) if number not in self._spared], num_victims(num_jobs)
        )
        self._waiting = {number: drawn.random() for number in numbers}
        self._num_jobs = num_jobs
        self.deaths: list[dict] = []

    def look(self) -> None:
        for number, moment in list(self._waiting.items()):
            record = self._sweep.read_record(number)
            if record is None:
                continue
            if record["status"] != "running":
                self._replace(number)
            elif time.time() > record["started"] + moment * self._find_life(number):
                self._kill(number, record, moment)

    def _find_life(self, number: int) -> float:
        """Seconds that a job lives: as long as those that were done last."""
        before = [self._sweep.read_record(number - back) for back in range(1, 12) if number >= back]
        seconds = [record["seconds"] for record in before if record is not None and record["status"] == "done"]
        return median(seconds) if seconds else 5.0

    def _kill(self, number: int, record: dict, moment: float) -> None:
        log = Path(record["folder"], "job.log")
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if Path(f"/proc/{process.pid}/fd/1").readlink() == log:
                    process.kill()
                    self._waiting.pop(number)
                    seconds = time.time() - record["started"]
                    self.deaths.append({"number": number, "moment": moment, "seconds": seconds})
                    return

    def _replace(self, number: int) -> None:
        moment = self._waiting.pop(number)
        for other in range(number + 1, self._num_jobs):
            if other not in self._spared and other not in self._waiting and self._sweep.read_record(other) is None:
                self._waiting[other] = moment
                return


def num_victims(num_jobs: int) -> int:
    return max(round(KILLED * num_jobs), 1)


def weigh(sweep: psutil.Process) -> dict[str, float]:
    """Mebibytes of a sweep's processes by what they are, what they share counted once (PSS), and of its servers all."""
    weights = dict.fromkeys(("supervisor", "workers", "servers", "jobs", "servers_resident"), 0.0)
    for process in [sweep, *sweep.children(recursive=True)]:
        with suppress(psutil.Error, OSError, IndexError):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            pss, resident = (int(rollup.split(name)[1].split()[0]) / 1024 for name in ("Pss:", "Rss:"))
            if process == sweep:
                weights["supervisor"] += pss
            elif not is_server(process):
                weights["workers"] += pss
            elif is_server(process.parent()):
                weights["jobs"] += pss
            else:
                weights["servers"] += pss
                weights["servers_resident"] += resident
    return {name: round(weight, 1) for name, weight in weights.items()}


def find_growth(samples: list[dict]) -> dict[str, float]:
    """Of each weight: what its median in the last third of the samples is above that in the middle third."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third : -1]  # the very last may be of the report

    def find_median(rows: list[dict], name: str) -> float:
        return median(row[name] for row in rows if row["servers"])

    return {
        name: round(find_median(last, name) - find_median(middle, name), 1)
        for name in samples[0]
        if name not in ("seconds", "started")
    }


def is_server(process: psutil.Process | None) -> bool:
    """Whether it forks jobs, or was forked to be one."""
    return process is not None and "lctrain.system.fork_server" in process.cmdline()


def run_with_deaths(sweep: Sweep, num_jobs: int, seed: int) -> dict:
    """The whole sweep, and what was seen of it meanwhile."""
    killer, samples = Killer(sweep, num_jobs, seed), []
    interval = max(num_jobs / 50, 1)
    started = time.monotonic()
    validated, next_sample = None, 0.0
    process = sweep.start("-m", *JOB, *LAUNCHER, *make_sweep(num_jobs))
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - started
        if validated is None:
            validated = seconds if sweep.multirun is not None and (sweep.multirun / "sweep.json").exists() else None
            continue
        killer.look()
        if seconds > next_sample:
            with suppress(psutil.Error):  # it has just ended
                samples.append({"seconds": round(seconds, 1), "started": sweep.count_records(), **weigh(watched)})
            next_sample = seconds + interval
            print(samples[-1], flush=True)
    return {
        "exit_code": process.returncode,
        "seconds": time.monotonic() - started,
        "validation_seconds": validated,
        "deaths": killer.deaths,
        "memory_growth_mb": find_growth(samples),
        "memory_mb": samples,
    }


def run_command(sweep: Sweep, *arguments: str) -> tuple[int, float]:
    """A command line's exit code and seconds."""
    started = time.monotonic()
    code = sweep.start(*arguments).wait()
    return code, time.monotonic() - started


def find_training(records: list[dict]) -> float:
    """Seconds of a done job from the model that is built to the end of the last epoch, by its journal; the median."""
    found = []
    for record in records:
        if record["status"] == "done":
            run = read_journal(Path(record["journal"]))
            found.append((run.history("loss")[-1].timestamp - run.history("build_seconds")[0].timestamp) / 1e3)
    return median(found)


def find_wrong(sweep: Sweep, expected: Mapping[int, str], attempts: Mapping[int, int]) -> list[str]:
    """Where a record or a run of the store is not what it should be."""
    records = sweep.read_records()
    wrong = [] if len(records) == len(expected) else [f"{len(records)} records of {len(expected)} jobs"]
    for record in records:
        found = record["status"], record["attempt"]
        if found != (expected[record["number"]], attempts.get(record["number"], 1)):
            wrong.append(f"the record of job {record['number']}: {found}")
    raw = packaged_config()["tracking"] | {"folder": str(sweep.folder)}
    _, runs = read_sweep(validate(packaged_config() | {"tracking": raw}).tracking, LATEST)
    runs.sort(key=lambda run: run.start)  # what dies before it has a run has a second one when it is resumed
    states = {int(run.tags["sweep.job"]): (run.status, run.tags["sweep.status"]) for run in runs}
    for number, status in expected.items():
        state, told = states.get(number, (None, None))
        if state not in STATES[status] or told != status:
            wrong.append(f"the run of job {number}: {state}, {told}")
    return wrong


def run_thousand(sweep: Sweep, num_jobs: int, seed: int) -> dict:
    """The sweep, its resumption and its report, and all that is to be told of them."""
    found = run_with_deaths(sweep, num_jobs, seed)
    killed = {death["number"] for death in found["deaths"]}
    failing = {number for number in range(num_jobs) if is_failing(number, num_jobs)}
    expected = {number: "killed" if number in killed else "done" for number in range(num_jobs)}
    expected |= dict.fromkeys(failing, "failed")
    records = sweep.read_records()
    done = [record["seconds"] for record in records if record["status"] == "done"]
    tenth = max(len(done) // 10, 1)
    files = [file for file in sweep.folder.rglob("*") if file.is_file()]
    found |= {
        "statuses": Counter(record["status"] for record in records),
        "wrong": find_wrong(sweep, expected, {}),
        "left": sweep.find_left(),
        "training_seconds": find_training(records),
        "life_seconds": median(done),
        "life_seconds_of_first_tenth": median(done[:tenth]),
        "life_seconds_of_last_tenth": median(done[-tenth:]),
        "store_mb": sum(file.stat().st_size for file in files if file.name.startswith("mlflow.db")) / 1e6,
        "files": len(files),
        "files_mb": sum(file.stat().st_size for file in files) / 1e6,
    }
    found["overhead_seconds"] = found["seconds"] * SLOTS / num_jobs - found["training_seconds"]
    code, found["resume_seconds"] = run_command(sweep, f"sweep.resume={sweep.multirun}")
    expected |= dict.fromkeys(killed, "done")
    found["wrong_after_resuming"] = find_wrong(sweep, expected, dict.fromkeys(killed | failing, 2))
    found["left_after_resuming"] = sweep.find_left()
    found["resume_exit_code"] = code
    code, found["report_seconds"] = run_command(sweep, "report")
    found["report_exit_code"] = code
    return found


def compare(base: str, num_jobs: int) -> dict:
    """The same jobs by another build and by this one: seconds of the whole sweep, and of a job."""
    found: dict[str, dict[str, float]] = {}
    for name, python in {"base": base, "this": sys.executable}.items():
        with tempfile.TemporaryDirectory(prefix="lctrain-thousand-") as folder:
            sweep = Sweep(Path(folder).resolve(), python)
            _, seconds = run_command(sweep, "-m", *JOB, *LAUNCHER, *make_sweep(num_jobs))
            records = sweep.read_records()
            done = [record["seconds"] for record in records if record["status"] == "done"]
            training = find_training(records)
            found[name] = {
                "seconds": seconds,
                "done": len(done),
                "life_seconds": median(done),
                "overhead_seconds": seconds * SLOTS / num_jobs - training,
            }
            print(name, found[name], flush=True)
    ratios = {what: found["this"][what] / value for what, value in found["base"].items()}
    return {"jobs": num_jobs, **found, "ratios": ratios}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000, help="up to 100, or a multiple of it")
    parser.add_argument("--seed", type=int, default=0, help="of who dies, and when")
    parser.add_argument("--base", metavar="PYTHON", help="of the build to compare with")
    parser.add_argument("--compared", type=int, default=100, help="jobs that both builds run")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "thousand.json")
    options = parser.parse_args()
    for num_jobs in (options.jobs, options.compared):
        if num_jobs % count_rates(num_jobs):
            parser.error(
                f"the number of jobs must be at most {count_rates(num_jobs)}, or a multiple of it; got {num_jobs}"
            )
    results = {"jobs": options.jobs, "slots": SLOTS, "seed": options.seed, "load": os.getloadavg()}
    with tempfile.TemporaryDirectory(prefix="lctrain-thousand-") as folder:
        results |= run_thousand(Sweep(Path(folder).resolve()), options.jobs, options.seed)
    if options.base:
        results["compared"] = compare(options.base, options.compared)
    results |= {
        "machine": describe_machine(),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "mlflow", "hydra-core")},
        "python": platform.python_version(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    hidden = ("memory_mb", "deaths", "machine", "versions")
    print(json.dumps({name: value for name, value in results.items() if name not in hidden}, indent=1))
    faults = ("wrong", "left", "wrong_after_resuming", "left_after_resuming")
    return 1 if any(results[name] for name in faults) or len(results["deaths"]) < num_victims(options.jobs) else 0


if __name__ == "__main__":
    sys.exit(main())
