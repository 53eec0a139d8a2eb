"""Does a training that is killed and resumed end with the same bits as one that was not?

python experiments/resume/kill.py [--out results/kill.json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
SIGKILL = -9


def run_victim(folder: Path, *options: str, resume: bool) -> int:
    """One process; its exit code."""
    arguments = [*COMMAND, *(["resume=true"] if resume else [])]
    command = [sys.executable, str(HERE / "victim.py"), *options, "--", *arguments]
    with (folder / "output.txt").open("ab") as output:
        return subprocess.run(command, cwd=folder, stdout=output, stderr=output, timeout=600, check=False).returncode


def run_scenario(folder: Path, deaths: list[str], *options: str) -> dict:
    """Kills and resumes; what the last process ended with, and what the run's journal tells.

    Raises:
        RuntimeError: a process that did not die, or did not end, as it was to.
    """
    folder.mkdir()
    for number, moment in enumerate(deaths):
        code = run_victim(folder, "--die", moment, resume=number > 0)
        if code != SIGKILL:
            raise RuntimeError(f"it was to die at {moment}, and ended with {code}: {tail(folder)}")
    report = folder / "report.json"
    code = run_victim(folder, "--report", str(report.absolute()), *options, resume=bool(deaths))
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


def compare(folder: Path, tell=print) -> dict[str, list[str]]:
    """For each scenario, in what it differs from the training that was not killed; nothing is what is hoped for."""
    whole = run_scenario(folder / "whole", [])
    for kind in ("weights", "optimizer", "seeds"):
        if not whole[f"num_{kind}"]:
            raise RuntimeError(f"there are no {kind} to compare")
    again = run_scenario(folder / "whole-again", [])
    results = {"not killed, again": differences(again, whole)}
    for name, deaths in SCENARIOS.items():
        started = time.monotonic()
        results[name] = differences(run_scenario(folder / name.replace(" ", "-"), deaths), whole)
        tell(f"{name}: {results[name] or 'the same'} ({time.monotonic() - started:.0f} s)", flush=True)
    control = run_scenario(folder / "control", ["mid_epoch"], "--leave-out-seeds")
    results["control: seeds left out"] = differences(control, whole)
    tell(f"control, seeds left out: {results['control: seeds left out']}", flush=True)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "kill.json")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory(prefix="lctrain-kill-") as folder:
        results = compare(Path(folder))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n")
    control = results.pop("control: seeds left out")
    return 0 if control and not any(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
