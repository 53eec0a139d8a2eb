"""What commands load, and how long that takes: `python experiments/imports/imports.py OTHER_PYTHON`.

OTHER_PYTHON runs the other build's `-m lctrain`. Both are measured in turns, so that what else the machine does weighs
on both alike. What is told are medians of whole processes, their ratios, and by package the milliseconds that its
modules take of themselves, as Python's own `-X importtime` measures them.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from statistics import median

from lctrain.system.machine import describe_machine

HERE = Path(__file__).parent
COMMANDS = {
    "--help": ["--help"],
    "--version": ["--version"],
    "ls": ["ls"],
    "show": ["show", "model=lc2d"],
    "check": ["check", "model=lc2d"],
    "train": ["model=lc2d", "training.epochs=2"],
}
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\w+)", re.ASCII)
MOST = 15  # packages of a command that are told


def time_command(python: str, arguments: list[str]) -> float:
    """Seconds of a whole process."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run([python, "-m", "lctrain", *arguments], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - started


def list_imports(python: str, arguments: list[str]) -> dict[str, float]:
    """Milliseconds by package, the most first."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-X", "importtime", "-m", "lctrain", *arguments]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    milliseconds: Counter[str] = Counter()
    for microseconds, package in IMPORT.findall(done.stderr):
        milliseconds[package] += int(microseconds) / 1e3
    return {package: round(sum_, 1) for package, sum_ in milliseconds.most_common(MOST)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", metavar="OTHER_PYTHON")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    pythons = {"other": options.other, "this": sys.executable}
    results = {}
    for name, arguments in COMMANDS.items():
        seconds: dict[str, list[float]] = {build: [] for build in pythons}
        for _ in range(options.rounds):
            for build, python in pythons.items():
                seconds[build].append(time_command(python, arguments))
        medians = {build: median(values) for build, values in seconds.items()}
        results[name] = {
            "ratio": medians["this"] / medians["other"],
            "medians": medians,
            "imports_ms": {build: list_imports(python, arguments) for build, python in pythons.items()},
        }
        print(
            f"{name}: {medians['other']:.2f} s before, {medians['this']:.2f} s now, {results[name]['ratio']:.2f}x",
            flush=True,
        )
    content = {
        "commands": results,
        "machine": describe_machine(),
        "load": os.getloadavg(),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "mlflow", "hydra-core")},
        "python": platform.python_version(),
    }
    (HERE / "results" / "imports.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
