"""Runs the same sweep several times and compares the rankings: python experiments/ranking/repeat_sweeps.py"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import psutil

from lctrain.config.schema import LocalTracking
from lctrain.report.comparison import Comparison, compare
from lctrain.report.ranking import MARGIN, compare_rankings, rank_implementations
from lctrain.system.machine import describe_machine
from lctrain.tracking import read_sweep

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("tensorflow", "keras", "numpy", "mlflow")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where two sweeps disagree on implementations that either told apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["lc2d"])
    parser.add_argument("--sweeps", type=int, default=2, help="how often each is run")
    parser.add_argument("--implementations", default="1,2,3,batched")
    parser.add_argument("--epochs", type=int, default=2, help="the steps are timed after them")
    options = parser.parse_args(arguments)
    models = {}
    for model in options.models:
        overrides = [f"model={model}", f"implementation={options.implementations}", f"training.epochs={options.epochs}"]
        sweeps = [run_sweep(overrides) for _ in range(options.sweeps)]
        models[model] = {
            "load": [load for _, load in sweeps],
            "milliseconds": [flatten(comparison) for comparison, _ in sweeps],
            "orders": describe_orders([comparison for comparison, _ in sweeps]),
        }
    versions = {name: version(name) for name in PACKAGES}
    results = {"date": str(date.today()), "machine": describe_machine(), "versions": versions, "models": models}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ranking.json").write_text(json.dumps(results, indent=1) + "\n")
    table = write_table(models)
    (RESULTS / "ranking.md").write_text(table)
    print(table)
    return int(any(order["is_clear"] and not order["agrees"] for each in models.values() for order in each["orders"]))


def run_sweep(overrides: Sequence[str]) -> tuple[Comparison, float]:
    """One sweep in a folder and a store of its own, and the machine's load before it."""
    load = psutil.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="lctrain-ranking-") as folder:
        command = [sys.executable, "-m", "lctrain", "-m", *overrides, "training.progress=none"]
        done = subprocess.run(command, cwd=folder, check=False)
        if done.returncode != 0:
            sys.exit(f"The sweep failed with exit code {done.returncode}: {' '.join(overrides)}")
        _, children = read_sweep(LocalTracking(name="local", folder=folder, experiment="lctrain"))
    return compare(children), load


def flatten(comparison: Comparison) -> dict[str, float]:
    """Milliseconds per training step by implementation, fastest first."""
    (ranking,) = rank_implementations(comparison).values()
    return dict(ranking)


def describe_orders(comparisons: Sequence[Comparison]) -> list[dict]:
    """Each pair of implementations in each pair of sweeps."""
    return [
        {
            "sweeps": [first, second],
            "implementations": [order.first, order.second],
            "ratios": order.ratios,
            "ties": order.ties,
            "is_clear": order.is_clear,
            "agrees": order.agrees,
        }
        for first, second in combinations(range(len(comparisons)), 2)
        for order in compare_rankings(comparisons[first], comparisons[second])
    ]


def write_table(models: dict) -> str:
    lines = ["| model | sweep | load before | ms per training step, fastest first |", "|---|---|---|---|"]
    for model, message in models.items():
        for number, (load, times) in enumerate(zip(message["load"], message["milliseconds"], strict=True), start=1):
            ranking = ", ".join(f"{name}: {ms:.2f}" for name, ms in times.items())
            lines.append(f"| {model} | {number} | {load:.1f} | {ranking} |")
    lines += ["", f"Pairs of implementations that differ by more than {MARGIN - 1:.0%} in either of two sweeps:", ""]
    lines += ["| model | pairs | same order | other order | of these called a tie |", "|---|---|---|---|---|"]
    for model, message in models.items():
        clear = [order for order in message["orders"] if order["is_clear"]]
        wrong = [order for order in clear if not order["agrees"]]
        names = "; ".join(
            f"{' and '.join(order['implementations'])} ({order['ratios'][0]:.2f}, {order['ratios'][1]:.2f})"
            for order in wrong
        )
        tied = sum(any(order["ties"]) for order in wrong)
        lines.append(f"| {model} | {len(clear)} | {len(clear) - len(wrong)} | {names or 'none'} | {tied} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
