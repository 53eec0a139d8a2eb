"""Compares lctrain's implementations with tf_keras, JAX and PyTorch: python experiments/peers/compare.py

Each contender has a process of its own. Those of the floor and of lctrain's `auto` live as long as a workload; each
other contender is measured in rounds, in which it, the floor and `auto` take turns, so that whatever else the machine
does weighs on all three. Ratios are medians over rounds.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from contenders import CONTENDERS, why_not
from worker import Worker
from workloads import WORKLOADS, Workload

from lctrain.system.machine import describe_machine

ANCHORS = ("floor", "lctrain auto")
PACKAGES = ("lctrain", "tensorflow", "keras", "tf_keras", "jax", "torch", "numpy")
LOAD_TIMEOUT, BUILD_TIMEOUT, ROUND_TIMEOUT = 180.0, 300.0, 120.0  # seconds
SHARE_OF_MEMORY = 0.6  # of what is available, for one contender
SLOW_MS = 1000.0  # steps that take longer get fewer rounds
FEW_ROUNDS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--workloads", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=7, help="how often all take turns")
    parser.add_argument("--seconds", type=float, default=0.25, help="length of one turn")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder of what is written")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    study = _continue_study(options.out / "peers.json")
    for workload in WORKLOADS:
        if workload.name in options.workloads:
            rows = measure_workload(workload, options.contenders, options.rounds, options.seconds)
            study["cases"] = [row for row in study["cases"] if row["workload"] != workload.name] + rows
            (options.out / "peers.json").write_text(json.dumps(study, indent=1) + "\n")
    from figures import draw_ratios, write_tables  # here, so that the workers need not load matplotlib

    write_tables(study, options.out / "tables.md")
    draw_ratios(study, options.out / "ratios.png")
    print((options.out / "tables.md").read_text())
    return 0


def _continue_study(file: Path) -> dict[str, Any]:
    """What the file holds, if it comes from this machine and these versions: workloads are measured anew one by one."""
    study = {"date": date.today().isoformat(), "machine": describe_machine(), "versions": _versions(), "cases": []}
    if file.exists():
        earlier = json.loads(file.read_text())
        if (earlier["machine"], earlier["versions"]) == (study["machine"], study["versions"]):
            study["cases"] = earlier["cases"]
    return study


def measure_workload(
    workload: Workload, contenders: Sequence[str], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """One row for each contender that was asked for; the anchors always run."""
    available = SHARE_OF_MEMORY * psutil.virtual_memory().available
    names = [*ANCHORS, *(name for name in contenders if name not in ANCHORS)]
    reasons = {name: _not_installed(name) or why_not(name, workload, available) for name in names}
    workers = {name: Worker(name, workload) for name in names if reasons[name] is None}
    try:
        for worker in workers.values():
            worker.wait_until_loaded(LOAD_TIMEOUT)
        anchors = {name: workers[name] for name in ANCHORS}
        rows = {name: worker.build(BUILD_TIMEOUT) for name, worker in anchors.items()}
        for name in names:
            if reasons[name] is not None:
                row = {"status": "not tried", "reason": reasons[name]}
            else:
                row = rows.get(name, {}) | _measure(workers[name], anchors, rounds, seconds)
            rows[name] = {"workload": workload.name, "contender": name} | row
            print(_line(rows[name]), file=sys.stderr, flush=True)
        return list(rows.values())
    finally:
        for worker in workers.values():
            worker.stop()


def _measure(worker: Worker, anchors: dict[str, Worker], rounds: int, seconds: float) -> dict[str, Any]:
    """Figures of one contender: milliseconds, and ratios to the anchors that took turns with it."""
    is_anchor = worker.contender in anchors
    figures: dict[str, float] = {}
    for each in [*anchors.values(), worker]:
        each.rounds.clear()
    try:
        if not is_anchor:
            figures |= worker.build(BUILD_TIMEOUT)
        turns = [*anchors.values(), *([] if is_anchor else [worker])]
        for done in range(rounds):
            for each in turns:
                each.measure(seconds, ROUND_TIMEOUT)
            if done + 1 >= FEW_ROUNDS and worker.rounds[-1] > SLOW_MS:
                break
    except (TimeoutError, EOFError) as error:
        return figures | {"status": "failed", "reason": str(error)}
    finally:
        if not is_anchor:
            worker.stop()
    ratios = {
        f"over_{name.removeprefix('lctrain ')}": median(
            mine / theirs for mine, theirs in zip(worker.rounds, anchor.rounds, strict=True)
        )
        for name, anchor in anchors.items()
    }
    return figures | {"status": "done", "milliseconds": median(worker.rounds), "rounds": len(worker.rounds)} | ratios


def _not_installed(contender: str) -> str | None:
    package = {"JAX": "jax", "PyTorch": "torch", "tf_keras": "tf_keras"}.get(contender.partition(" ")[0], "lctrain")
    return None if _version(package) else f"{package} is not installed (pip install 'lctrain[peers]')"


def _versions() -> dict[str, str | None]:
    return {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _line(row: dict[str, Any]) -> str:
    name = f"{row['workload']:<32}{row['contender']:<16}"
    if row["status"] != "done":
        return f"{name}{row['status']}: {row['reason']}"
    ratios = f"{row['over_floor']:8.2f} x floor{row['over_auto']:8.2f} x auto"
    seconds = row["build_seconds"] + row["first_step_seconds"]
    return f"{name}{row['milliseconds']:10.2f} ms{ratios}{seconds:8.2f} s to the first step"


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main())
