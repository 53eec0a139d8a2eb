"""Runs of sweeps as a store would give them back, made by hand."""

import json
from itertools import count

from lctrain.tracking import deliver, start_run
from lctrain.tracking.run_result import Point, RunResult

START = 1_760_000_000_000
_ids = count(1)


def make_run(
    number, implementation="2", *, status="FINISHED", ms=None, p90=None, memory=310.0, accuracy=0.95, **others
):
    """One job; `ms` is its median step and None leaves out all that is measured. Other arguments:

    Args:
        device, seed: params.
        choices: what was typed besides the implementation.
        params, tags, metrics: more of each; metrics by name, a value or a list of one value per epoch.
        end: how it ended, as the tag `sweep.status` says.
        attempt: seconds by which its start lies behind the first's.
        seconds: how long it took.
    """
    start = START + 1000 * (number or 0) + 1000 * others.get("attempt", 0)
    params = {
        "implementation": implementation,
        "device.name": others.get("device", "cpu"),
        "seed": str(others.get("seed", 0)),
        "model.name": "lc2d",
        "data.name": "digits",
        "tracking.folder": f"store-{number}",
        "training.epochs": "3",
        **others.get("params", {}),
    }
    values = {}
    if ms is not None:
        values = {
            "train_step_ms": ms,
            "train_step_ms_p90": ms * 1.05 if p90 is None else p90,
            "examples_per_second": 64e3 / ms,
            "inference_ms": ms / 3,
            "build_seconds": 0.125,
            "first_step_seconds": 1.5,
            "peak_memory_mb": memory,
            "params_total": 27792,
            "test_accuracy": accuracy,
            "test_loss": 0.21,
            "val_accuracy": [accuracy - 0.3, accuracy - 0.1, accuracy],
            "val_loss": [1.5, 0.6, 0.3],
        }
    values |= others.get("metrics", {})
    metrics = {
        name: [
            Point(start + (500 if name == "build_seconds" else 2000 * max(step, 1)), step, value)
            for step, value in (enumerate(value, 1) if isinstance(value, list) else [(0, value)])
        ]
        for name, value in values.items()
    }
    choices = {"implementation": implementation, **others.get("choices", {})}
    tags = {"cpu_model": "Some CPU", "sweep.choices": json.dumps(choices)}
    tags |= {} if number is None else {"sweep.job": str(number)}
    tags |= {"sweep.status": others["end"]} if "end" in others else {}
    end = None if status == "RUNNING" else start + int(1000 * others.get("seconds", 17.5))
    return RunResult(
        f"{next(_ids):032x}",
        f"lc2d-{implementation}",
        status,
        start,
        end,
        {key: value for key, value in params.items() if value is not None},
        {**tags, **others.get("tags", {})},
        metrics,
    )


def make_failure(number, implementation="3", end="failed", error="ValueError: bad", **others):
    status = "KILLED" if end in ("killed", "interrupted") else "FAILED"
    return make_run(
        number, implementation, status=status, end=end, tags={"error": error} | others.pop("tags", {}), **others
    )


def make_parent(num_jobs, status="FINISHED", **tags):
    message = {"sweep.jobs": str(num_jobs), "sweep.folder": "multirun/x", "sweep.command": "-m implementation=1,2"}
    end = None if status == "RUNNING" else START + 95_000
    return RunResult("ab" * 16, "sweep-lc2d", status, START, end, {}, message | tags, {})


def log_sweep(tracking, folder):
    """A sweep of two jobs, logged as a sweep logs it; returns the folders of its journals, the parent's first."""
    with start_run(tracking, "sweep-small", {"sweep.jobs": "2"}, folder) as parent:
        journals = [parent.folder]
        for number, ms in enumerate([8.0, 2.0]):
            tags = {"sweep.job": str(number), "sweep.status": "done"}
            with start_run(tracking, f"job-{number}", tags, folder / str(number), parent.folder) as run:
                run.log_params({"implementation": str(number + 1), "device": {"name": "cpu"}})
                run.log_metrics({"train_step_ms": ms, "test_accuracy": 0.9, "test_loss": 0.25})
                for step in range(3):
                    run.log_metrics({"val_loss": 1 / (step + ms), "nan": float("nan")}, step)
            journals.append(run.folder)
    assert [deliver(journal, 60) for journal in journals] == [0, 0, 0]
    return journals
