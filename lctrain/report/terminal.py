"""A sweep on the terminal."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lctrain.report.comparison import MEMORY, TIME, TIME_P90, Comparison, Job
from lctrain.report.folds import format_folds
from lctrain.report.settings import format_label, format_param, shorten_names
from lctrain.report.sweep import Report
from lctrain.report.units import format_megabytes, format_metric, format_milliseconds, format_ratio, format_seconds

WIDTH = 120  # columns, where the output is no terminal
MAX_SETTINGS, MAX_METRICS = 5, 1  # columns of the terminal's table; the page has all
MAX_REASON = 300  # characters


def print_report(report: Report) -> None:
    """A table of the sweep's jobs, why some are not done, and the recommendation."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=WIDTH, highlight=False)
    console.print(sweep_table(report.comparison))
    for job in report.comparison.jobs:
        if job.reason:
            console.print(_plain(f"{_name(job, report.comparison)}: {_first_lines(job.reason)}"))
    for note in report.notes:
        console.print(_plain(note))
    for line in format_folds(report.comparison):
        console.print(_plain(line))
    console.print(_plain(report.recommendation))


def sweep_table(comparison: Comparison) -> Table:
    """A row per job; settings and metrics beyond the first few are on the page alone."""
    keys = list(comparison.swept[:MAX_SETTINGS])
    metrics = comparison.test_metrics[:MAX_METRICS]
    names = shorten_names(comparison.swept)
    table = Table(title="sweep (step: median of a training step)")
    table.add_column("job", justify="right")
    for title in (*(names[key] for key in keys), "status"):
        table.add_column(_plain(title), overflow="fold")
    for title in (*metrics, "step", "p90", "speed-up", "memory", "wall"):
        table.add_column(_plain(title.replace("_", " ")), justify="right")
    for job in comparison.jobs:
        speedup = comparison.job_speedup(job)
        cells = [
            "" if job.number is None else str(job.number),
            *(format_param(job.settings.get(key, "")) for key in keys),
            job.status.replace("_", " "),
            *(_format_or_empty(job.metric(name), format_metric) for name in metrics),
            _format_or_empty(job.metric(TIME), format_milliseconds),
            _format_or_empty(job.metric(TIME_P90), format_milliseconds),
            "" if speedup is None else f"{format_ratio(speedup)}x",
            _format_or_empty(job.metric(MEMORY), format_megabytes),
            _format_or_empty(job.seconds, format_seconds),
        ]
        table.add_row(*map(_plain, cells))
    return table


def _format_or_empty(value: float | None, format_value: Callable[[float], str]) -> str:
    return "" if value is None else format_value(value)


def _name(job: Job, comparison: Comparison) -> str:
    settings = format_label(job.settings, comparison.swept)
    number = job.run.name if job.number is None else f"job {job.number}"
    return f"{number} ({settings})" if settings else number


def _first_lines(reason: str) -> str:
    lines = " / ".join(line.strip() for line in reason.splitlines() if line.strip())
    return lines if len(lines) <= MAX_REASON else f"{lines[: MAX_REASON - 3]}..."


def _plain(text: str) -> Text:
    """As it is: no markup of rich's, nothing that steers a terminal."""
    return Text("".join(letter if letter.isprintable() else " " for letter in text))
