"""What the studies share: running a sweep, reading it back from its store, and writing what was found."""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure

from lctrain.config.schema import LocalTracking
from lctrain.errors import UserError
from lctrain.report.theme import DARK, LIGHT, LINE_STYLES, Theme, apply_theme
from lctrain.system.machine import describe_machine
from lctrain.tracking import read_sweep
from lctrain.tracking.run_result import RunResult

PACKAGES = ("tensorflow", "keras", "numpy", "mlflow", "mnist1d")


def parse_options(description: str) -> argparse.Namespace:
    """`folder` of the store and of what the jobs write, whose sweeps are not run again; `jobs`: so many run at once."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, required=True, help="of the MLflow store; what it holds is not run again"
    )
    message = "how many run at once, with one thread each; of a sweep that goes on, as many as before"
    parser.add_argument("--jobs", type=int, default=1, help=message)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    return options


def get_sweep(name: str, overrides: Sequence[str], options: argparse.Namespace) -> list[RunResult]:
    """The jobs of the sweep `name` in the store, which is run where it is not there, and gone on with where it ended.

    Those that were refused, as they would not fit into memory, are left out.

    Raises:
        SystemExit: it can't be run, not all of its jobs could be done, or the one in the store has another command.
    """
    tracking = LocalTracking(name="local", folder=str(options.folder), experiment=name)
    side_by_side = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={options.jobs}", "device.threads=1"]
    command = ["-m", *overrides, *(side_by_side if options.jobs > 1 else []), f"tracking.experiment={name}"]
    try:
        parent, jobs = read_sweep(tracking)
    except UserError:
        _run(command, options.folder)
        parent, jobs = read_sweep(tracking)
    if not all(f" {override} " in f" {parent.tags['sweep.command']} " for override in overrides):
        sys.exit(
            f"{options.folder} holds another sweep {name!r}: {parent.tags['sweep.command']}. Choose another folder."
        )
    if not _are_all_done(parent, jobs):
        _run([f"sweep.resume={parent.tags['sweep.folder']}"], options.folder)
        parent, jobs = read_sweep(tracking)
    if not _are_all_done(parent, jobs):
        sys.exit(f"Not all jobs of {name!r} could be done; the same command goes on with them.")
    return [job for job in jobs if job.status == "FINISHED"]


def _run(arguments: Sequence[str], folder: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "lctrain", *arguments], cwd=folder, check=False)
    if done.returncode not in (0, 1):  # 1: a job failed, which is seen in the store
        sys.exit(done.returncode if done.returncode > 0 else 128 - done.returncode)


def _are_all_done(parent: RunResult, jobs: Sequence[RunResult]) -> bool:
    ends = {job.tags["sweep.job"]: job.tags.get("sweep.status") for job in jobs}  # the last attempt at each
    return sum(end in ("done", "refused") for end in ends.values()) == int(parent.tags["sweep.jobs"])


def read(job: RunResult, key: str) -> str:
    """A param, without the quotes of a text."""
    return job.params[key].strip('"')


def collect(jobs: Iterable[RunResult], metric: str, keys: Sequence[str]) -> dict[tuple[str, ...], list[float]]:
    """The values of a metric by the values of some params, over all others, seeds say."""
    values = defaultdict(list)
    for job in jobs:
        values[tuple(read(job, key) for key in keys)].append(job.last(metric))
    return dict(values)


def summarize(values: Sequence[float]) -> dict[str, Any]:
    """Mean and (sample) standard deviation, and the values themselves."""
    return {"mean": mean(values), "deviation": stdev(values) if len(values) > 1 else 0.0, "values": list(values)}


def tell_percent(summary: Mapping[str, Any]) -> str:
    return f"{100 * summary['mean']:.1f} ± {100 * summary['deviation']:.1f}"


def write_results(folder: Path, results: Mapping[str, Any], table: str) -> None:
    """`results.json`, with date, machine and versions, and `table.md`, in the study's folder `results`."""
    folder.mkdir(exist_ok=True)
    versions = {name: version(name) for name in PACKAGES}
    described = {"date": str(date.today()), "machine": describe_machine(), "versions": versions, **results}
    (folder / "results.json").write_text(json.dumps(described, indent=1) + "\n")
    (folder / "table.md").write_text(table)
    print(table)


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def save_themes(draw: Callable[[Figure, Theme], None], file: Path, size: tuple[float, float]) -> None:
    """Two pictures, for light and for dark pages: `draw(figure, theme)` fills an empty figure of `size` inches."""
    for theme, suffix in ((LIGHT, ""), (DARK, "_dark")):
        figure = Figure(figsize=size, layout="constrained", facecolor=theme.background)
        draw(figure, theme)
        figure.savefig(file.with_name(f"{file.stem}{suffix}{file.suffix}"), dpi=120)


def label(axes: Any, theme: Theme, title: str, x: str, y: str) -> None:
    apply_theme(axes, theme, title)
    axes.set_xlabel(x, color=theme.ink)
    axes.set_ylabel(y, color=theme.ink)


def draw_curves(
    axes: Any, theme: Theme, places: Sequence[float], curves: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Of each label a line through the means of what `summarize` gave, in percent, with the deviations."""
    for number, (message, found) in enumerate(curves.items()):
        means, errors = ([100 * one[key] for one in found] for key in ("mean", "deviation"))
        style = {"color": theme.colours[number], "linestyle": LINE_STYLES[number], "marker": "o", "capsize": 3}
        axes.errorbar(places, means, errors, label=message, **style)


def add_legend(figure: Figure, theme: Theme, columns: int) -> None:
    """Below the axes, where it covers nothing."""
    colours = {"facecolor": theme.background, "edgecolor": theme.faint, "labelcolor": theme.ink}
    figure.legend(loc="outside lower center", ncols=columns, fontsize=8.5, **colours)
