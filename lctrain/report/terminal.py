"""A sweep on the terminal."""

from collections.abc import Callable, Sequence

from lctrain.report.comparison import MEMORY, TIME, TIME_P90, Comparison, Job
from lctrain.report.folds import format_folds
from lctrain.report.settings import format_label, format_param, shorten_names
from lctrain.report.sweep import Report
from lctrain.report.units import format_megabytes, format_metric, format_milliseconds, format_ratio, format_seconds
from lctrain.system.tables import Column, print_table
from lctrain.system.terminal import format_plain, print_folded

MAX_SETTINGS, MAX_METRICS = 5, 1  # columns of the terminal's table; the page has all
MAX_REASON = 300  # characters


def print_report(report: Report) -> None:
    """A table of the sweep's jobs, why some are not done, and the recommendation."""
    print_table("sweep (step: median of a training step)", sweep_columns(report.comparison))
    reasons = [
        f"{_name(job, report.comparison)}: {_first_lines(job.reason)}" for job in report.comparison.jobs if job.reason
    ]
    for line in (*reasons, *report.notes, *format_folds(report.comparison), report.recommendation):
        print_folded(format_plain(line))


def sweep_columns(comparison: Comparison) -> list[Column]:
    """A row per job; settings and metrics beyond the first few are on the page alone."""
    names, jobs = shorten_names(comparison.swept), comparison.jobs
    columns = [Column("job", ["" if job.number is None else str(job.number) for job in jobs], is_figure=True)]
    for key in comparison.swept[:MAX_SETTINGS]:
        columns.append(Column(names[key], [format_param(job.settings.get(key, "")) for job in jobs], is_setting=True))
    columns.append(Column("status", [job.status.replace("_", " ") for job in jobs], is_setting=True))
    for name in comparison.test_metrics[:MAX_METRICS]:
        columns.append(_figures(name.replace("_", " "), [job.metric(name) for job in jobs], format_metric))
    speedups = [comparison.job_speedup(job) for job in jobs]
    return [
        *columns,
        _figures("step", [job.metric(TIME) for job in jobs], format_milliseconds),
        _figures("speed-up", speedups, lambda ratio: f"{format_ratio(ratio)}x"),
        _figures("memory", [job.metric(MEMORY) for job in jobs], format_megabytes, is_extra=True),
        _figures("wall", [job.seconds for job in jobs], format_seconds, is_extra=True),
        _figures("p90", [job.metric(TIME_P90) for job in jobs], format_milliseconds, is_extra=True),
    ]


def _figures(
    title: str, values: Sequence[float | None], format_value: Callable[[float], str], is_extra: bool = False
) -> Column:
    cells = ["" if value is None else format_value(value) for value in values]
    return Column(title, cells, is_figure=True, is_extra=is_extra)


def _name(job: Job, comparison: Comparison) -> str:
    differing = [key for key in comparison.swept if len({other.settings.get(key) for other in comparison.jobs}) > 1]
    settings = format_label(job.settings, differing)
    number = job.run.name if job.number is None else f"job {job.number}"
    return f"{number} ({settings})" if settings else number


def _first_lines(reason: str) -> str:
    lines = " / ".join(line.strip() for line in reason.splitlines() if line.strip())
    return lines if len(lines) <= MAX_REASON else f"{lines[: MAX_REASON - 3]}..."
