"""Does a training that is killed and resumed end with the same bits as one that was not?

python experiments/resume/kill.py [--out results/kill.json]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from victim import run_in_folder

from lctrain.devices.runtime import find_started
from lctrain.job.run import load_code
from lctrain.system.fork_client import keep
from lctrain.system.fork_connection import ForkServer
from lctrain.system.subprocesses import run_in_process
from lctrain.tracking import find_journals, read_journal

HERE = Path(__file__).parent
COMMAND = [  # everything that has a state: dropout, augmentation, averaged weights, a schedule of our own, a best epoch
    *("model=lc2d", "implementation=batched", "training.epochs=6", "training.progress=none"),
    *("training.batch_size=90", "training.checkpoint.every_steps=4", "training.log_every_steps=1"),
    "data.augmentation=[{type: RandomTranslation, height_factor: 0.1, width_factor: 0.1}]",
    *("data.normalize=standard", "optimizer.use_ema=true", "training.best=val_loss"),
    "+training.reduce_on_plateau={patience: 1, min_delta: 0.2, factor: 0.5}",
    "+training.early_stopping={patience: 4}",
]
SCENARIOS = {  # the moments at which a training dies, one process after the other
    "first step": ["first_step"],
    "mid-epoch": ["mid_epoch"],
    "end of an epoch": ["epoch_end"],
    "inside a save": ["in_save"],
    "during validation": ["in_validation"],
    "twice in one epoch": ["mid_epoch", "later_in_epoch"],
    "while the model is saved": ["in_model"],
}
FRESH = ("not killed, again", "end of an epoch")  # whose processes are new; those of the others are forks
SIGKILL = -9


def run_victim(folder: Path, options: Sequence[str], arguments: Sequence[str], server: ForkServer | None) -> int | None:
    """One process, a fork of the server or a new one; its exit code.

    Raises:
        RuntimeError: the server forks none.
    """
    log = folder / "output.txt"
    outcome = run_in_process(run_in_folder, folder, [*options, "--", *arguments], log_file=log, server=server)
    if server is not None and "The process is started afresh" in log.read_text():
        raise RuntimeError(log.read_text())
    return outcome.value if outcome.status == "done" else outcome.exit_code


def run_scenario(folder: Path, deaths: list[str], *options: str, server: ForkServer | None) -> dict:
    """Kills and resumes; what the last process ended with, and what the run's journal tells.

    Raises:
        RuntimeError: a process that did not die, or did not end, as it was to.
    """
    folder.mkdir()
    for number, moment in enumerate(deaths):
        arguments = [*COMMAND, *(["resume=true"] if number > 0 else [])]
        code = run_victim(folder, ["--die", moment], arguments, server)
        if code != SIGKILL:
            raise RuntimeError(f"it was to die at {moment}, and ended with {code}: {tail(folder)}")
    report = folder / "report.json"
    arguments = [*COMMAND, *(["resume=true"] if deaths else [])]
    code = run_victim(folder, ["--report", str(report.absolute()), *options], arguments, server)
    if code != 0:
        raise RuntimeError(f"the last process ended with {code}: {tail(folder)}")
    return json.loads(report.read_text()) | read_run(folder)


def read_run(folder: Path) -> dict:
    """What the one run of a folder logged: the loss of each step, and whether anything was logged twice."""
    (journal,) = find_journals(folder / "outputs")
    run = read_journal(journal)
    points = [(name, point.step) for name, found in run.metrics.items() for point in found]
    losses = {point.step: point.value.hex() for point in run.metrics["step_loss"]}
    return {"status": run.status, "num_doubled": len(points) - len(set(points)), "step_losses": losses}


def tail(folder: Path) -> str:
    return "\n".join((folder / "output.txt").read_text().splitlines()[-5:])


def differences(found: dict, expected: dict) -> list[str]:
    return [key for key in expected if found[key] != expected[key]]


def compare(folder: Path, server: ForkServer, tell=print) -> dict[str, list[str]]:
    """For each scenario, in what it differs from the training that was not killed; nothing is what is hoped for."""
    whole = run_scenario(folder / "whole", [], server=server)
    for kind in ("weights", "optimizer", "seeds"):
        if not whole[f"num_{kind}"]:
            raise RuntimeError(f"there are no {kind} to compare")
    results = {}
    for name, deaths in {"not killed, again": [], **SCENARIOS}.items():
        started = time.monotonic()
        found = run_scenario(folder / name.replace(" ", "-"), deaths, server=None if name in FRESH else server)
        results[name] = differences(found, whole)
        tell(f"{name}: {results[name] or 'the same'} ({time.monotonic() - started:.0f} s)", flush=True)
    control = run_scenario(folder / "control", ["mid_epoch"], "--leave-out-seeds", server=server)
    results["control: seeds left out"] = differences(control, whole)
    tell(f"control, seeds left out: {results['control: seeds left out']}", flush=True)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "kill.json")
    out = parser.parse_args().out
    server = ForkServer(f"lctrain-kill-{os.getpid()}", load_code, find_started)
    with keep(server), tempfile.TemporaryDirectory(prefix="lctrain-kill-") as folder:
        results = compare(Path(folder), server)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n")
    control = results.pop("control: seeds left out")
    return 0 if control and not any(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
