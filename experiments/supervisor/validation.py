"""How long the validation of a sweep takes: `python experiments/supervisor/validation.py OTHER_PYTHON`.

OTHER_PYTHON runs another build's `-m lctrain`. Both validate the same sweeps in turns by `check`, which runs nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lctrain.cost import MEBIBYTE
from lctrain.system.machine import describe_machine

HERE = Path(__file__).parent
RATES = ",".join(f"{number / 10000}" for number in range(1, 101))
SWEEPS = {  # the jobs of each, and what it sweeps
    "values": (1000, ["model=lc2d", f"optimizer.learning_rate={RATES}", "seed=range(10)"]),
    "choices": (300, ["model=lc1d,lc2d", "implementation=1,2,3", "seed=range(50)"]),
}
LARGE = (10_000, ["model=lc2d", f"optimizer.learning_rate={RATES}", "seed=range(100)"])  # for this build alone


def validate(python: str, num_jobs: int, swept: list[str]) -> dict[str, float]:
    """Wall and processor seconds, and mebibytes at the fullest, of one command line."""
    command = [python, "-m", "lctrain", "check", "-m", *swept]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            printed = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
    if printed != f"{num_jobs} configurations are valid.\n":
        raise RuntimeError(f"{command} printed {printed!r}")
    cpu = usage.ru_utime + usage.ru_stime
    return {"jobs": num_jobs, "seconds": seconds, "cpu_seconds": cpu, "peak_mb": usage.ru_maxrss * 1024 / MEBIBYTE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", metavar="OTHER_PYTHON")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {"this": {"large": validate(sys.executable, *LARGE)}, "other": {}}
    print("this", "large", found["this"]["large"], flush=True)
    for name, sweep in SWEEPS.items():
        for build, python in (("this", sys.executable), ("other", options.other)):
            found[build][name] = validate(python, *sweep)
            print(build, name, found[build][name], flush=True)
    ratios = {
        name: {key: found["this"][name][key] / found["other"][name][key] for key in ("seconds", "cpu_seconds")}
        for name in SWEEPS
    }
    results = {"ratios": ratios, "found": found, "machine": describe_machine(), "load": os.getloadavg()}
    (HERE / "results" / "validation.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(ratios, indent=1))


if __name__ == "__main__":
    main()
