"""The tables of the page, each of a comparison; one that would show nothing is None."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

from lctrain.report.comparison import DIVERGED, DONE, MEMORY, RUNNING, TIME, TIME_P90, Candidate, Comparison, Job
from lctrain.report.ranking import are_tied, sort_by_time
from lctrain.report.settings import format_label, format_param, format_settings, shorten_names, without
from lctrain.report.units import (
    format_count,
    format_megabytes,
    format_metric,
    format_milliseconds,
    format_ratio,
    format_seconds,
)
from lctrain.report.wording import format_metric_name

MISSING = "\N{EN DASH}"
# All other statuses are bad.
STATUS_CLASSES = {"done": "good", "running": "odd", "interrupted": "odd", "diverged": "odd"}
# Tags that the page shows elsewhere.
NO_VERSIONS = ("error", "model", "data", "implementation", "device", "verb")
NO_VERSION_GROUPS = ("mlflow.", "sweep.", "lctrain.")
MAX_METRICS = 3  # in the main table
MAX_NUMBERS = 10  # of jobs that a list names
MEASURED = {
    TIME: ("step", format_milliseconds),
    TIME_P90: ("step p90", format_milliseconds),
    "examples_per_second": ("examples per s", format_count),
    "inference_ms": ("inference", format_milliseconds),
    "build_seconds": ("build", format_seconds),
    "first_step_seconds": ("first step", format_seconds),
    MEMORY: ("peak memory", format_megabytes),
    "params_total": ("parameters", format_count),
}
# Of these, what has a table of its own.
SELDOM = ("examples_per_second", "inference_ms", "build_seconds", "first_step_seconds", "params_total")


class Cell(NamedTuple):
    """What one row shows in one column."""

    value: Any
    """What the column is sorted by."""
    text: str
    css_class: str = ""

    @property
    def is_sortable(self) -> bool:
        is_missing = self.value is None or self.value == ""
        return not is_missing and not (isinstance(self.value, float) and not math.isfinite(self.value))


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    get_value: Callable[[Any], Any]
    """Gives the value of a row, or its whole cell."""
    format_value: Callable[[Any], str] = str
    is_number: bool = True
    is_kept: bool = False
    """Whether it is shown even where all rows say the same."""

    @property
    def css_class(self) -> str:
        return "number" if self.is_number else "text"

    def make_cell(self, row: Any) -> Cell:
        value = self.get_value(row)
        if isinstance(value, Cell):
            return value
        return Cell(value, MISSING if value is None or value == "" else self.format_value(value))


class Row(NamedTuple):
    cells: list[Cell]
    is_chosen: bool


class Table(NamedTuple):
    """A table that can be sorted by each column; rows that are chosen are marked."""

    columns: Sequence[Column]
    rows: list[Row]

    def without_constants(self) -> "tuple[Table, dict[str, str]]":
        """The table without the columns that say nothing of a single row, and what they say of all, by title."""
        if not self.rows:
            return self, {}
        texts = [{row.cells[index].text for row in self.rows} for index in range(len(self.columns))]
        kept = [
            index
            for index, column in enumerate(self.columns)
            if column.is_kept or len(texts[index]) > 1 or (len(self.rows) == 1 and texts[index] != {MISSING})
        ]
        constants = {column.title: texts[index].pop() for index, column in enumerate(self.columns) if index not in kept}
        rows = [Row([row.cells[index] for index in kept], row.is_chosen) for row in self.rows]
        constants = {title: text for title, text in constants.items() if text != MISSING}
        return Table([self.columns[index] for index in kept], rows), constants


class JobsTables(NamedTuple):
    """A row per job each."""

    main: Table
    more: Table | None
    """Figures that are seldom looked for."""
    constants: dict[str, str]
    """What all rows would say, by the column's title."""


def _make_table(columns: Sequence[Column], rows: Iterable[Any], chosen: Sequence[Any] = ()) -> Table:
    return Table(
        columns,
        [Row([column.make_cell(row) for column in columns], any(row is other for other in chosen)) for row in rows],
    )


def make_jobs_tables(comparison: Comparison, chosen: Sequence[Candidate]) -> JobsTables:
    """The jobs, those of the settings that are recommended marked."""
    names = shorten_names(comparison.swept)
    tested = {name: (format_metric_name(name), format_metric) for name in comparison.test_metrics}
    figures = (tested | MEASURED).items()
    known = {name: how for name, how in figures if any(job.metric(name) is not None for job in comparison.jobs)}
    more = [name for name in known if name in SELDOM or name in comparison.test_metrics[MAX_METRICS:]]
    columns = {name: Column(title, methodcaller("metric", name), write) for name, (title, write) in known.items()}
    number = Column("job", attrgetter("number"), is_kept=True)
    speedup = Column("speed-up", comparison.job_speedup, _format_times)
    settings = [Column(name, partial(_get_setting, key), format_param, is_number=False) for key, name in names.items()]
    status = Column("status", _make_badge, is_number=False, is_kept=True)
    wall = Column("wall time", attrgetter("seconds"), format_seconds)
    often = [column for name, column in columns.items() if name not in more]
    marked = [job for candidate in chosen for job in candidate.done]
    main = _make_table([number, *settings, status, *often, speedup, wall], comparison.jobs, marked)
    main, constants = main.without_constants()
    seldom = _make_table([number, *(columns[name] for name in more)], comparison.jobs, marked)
    seldom, others = seldom.without_constants()
    return JobsTables(main, seldom if len(seldom.columns) > 1 else None, constants | others)


def _get_setting(key: str, job: Job) -> str | None:
    return job.settings.get(key)


def _format_times(ratio: float) -> str:
    return f"{format_ratio(ratio)}\N{MULTIPLICATION SIGN}"


def _make_badge(job: Job) -> Cell:
    status = DIVERGED if job.status == DONE and job.reason else job.status
    return Cell(status, status.replace("_", " "), f"badge {STATUS_CLASSES.get(status, 'bad')}")


def make_speedups_table(comparison: Comparison) -> Table | None:
    """A row per setting."""
    rows = [candidate for candidate in sort_by_time(comparison.candidates) if comparison.speedup(candidate) is not None]
    columns = [
        Column("setting", comparison.format_label, is_number=False),
        Column("step", methodcaller("mean", TIME), format_milliseconds),
        Column("speed-up", comparison.speedup, _format_times),
    ]
    return _make_table(columns, rows) if rows else None


def make_implementations_table(comparison: Comparison) -> Table | None:
    """Implementations beside each other, a row for each combination of the other settings."""
    rows: dict[tuple[tuple[str, str], ...], dict[str, Candidate]] = {}
    for candidate in comparison.candidates:
        if comparison.speedup(candidate) is not None and "implementation" in comparison.varying:
            others = tuple(without(candidate.settings, ["implementation"]).items())
            rows.setdefault(others, {})[candidate.settings["implementation"]] = candidate
    other_keys = [key for key in comparison.varying if key != "implementation"]
    columns = [Column("", lambda row: format_label(dict(row[0]), other_keys) or "all jobs", is_number=False)]
    for name in sorted({name for by_implementation in rows.values() for name in by_implementation}):
        columns.append(Column(f"implementation {name}", partial(_make_speed_cell, comparison, name)))
    return _make_table(columns, rows.items()) if rows else None


def _make_speed_cell(comparison: Comparison, name: str, row: tuple[Any, Mapping[str, Candidate]]) -> Cell | None:
    by_implementation = row[1]
    candidate = by_implementation.get(name)
    speedup = None if candidate is None else comparison.speedup(candidate)
    if candidate is None or speedup is None:
        return None
    is_fastest = are_tied(sort_by_time(list(by_implementation.values()))[0], candidate)
    message = f"{format_milliseconds(candidate.time)}, {_format_times(speedup)}"
    return Cell(candidate.time, message, "best" if is_fastest else "")


def make_repeats_table(comparison: Comparison) -> Table | None:
    """Mean and standard deviation where settings were repeated under other seeds or folds."""
    repeated = [candidate for candidate in comparison.candidates if len(candidate.jobs) > 1]
    measured = {name: (name.replace("_", " "), format_metric) for name in comparison.test_metrics}
    measured |= {name: MEASURED[name] for name in (TIME, MEMORY)}
    columns = [
        Column("setting", comparison.format_label, is_number=False),
        Column("runs done", lambda candidate: len(candidate.done)),
        *(Column(title, partial(_make_spread_cell, name, write)) for name, (title, write) in measured.items()),
    ]
    return _make_table(columns, repeated) if repeated else None


def _make_spread_cell(name: str, format_mean: Callable[[float], str], candidate: Candidate) -> Cell | None:
    mean, deviation = candidate.mean(name), candidate.deviation(name)
    if mean is None:
        return None
    return Cell(mean, format_mean(mean) + ("" if deviation is None else f" ± {format_mean(deviation)}"))


class Failure(NamedTuple):
    """Jobs that ended in one way and are not done, or that diverged."""

    title: str
    status: Cell
    settings: str
    """Of a job alone."""
    reason: str


def find_failures(comparison: Comparison) -> list[Failure]:
    """What went wrong, each once, whatever the number of jobs."""
    by_reason: dict[tuple[str, str], list[Job]] = {}
    for job in comparison.jobs:
        if job.status not in (DONE, RUNNING) or job.reason:
            by_reason.setdefault((job.status, job.reason), []).append(job)
    failures = []
    for (_, reason), jobs in by_reason.items():
        numbers = [job.run.name if job.number is None else str(job.number) for job in jobs]
        settings = format_settings(jobs[0].settings, list(jobs[0].settings)) if len(jobs) == 1 else ""
        title = f"Job{'s' if len(jobs) > 1 else ''} {_format_numbers(numbers)}"
        failures.append(Failure(title, _make_badge(jobs[0]), settings, reason))
    return failures


def _format_numbers(numbers: Sequence[str]) -> str:
    """
    >>> _format_numbers(["0", "2"]), _format_numbers([str(number) for number in range(100)])
    ('0, 2', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 90 more')
    """
    more = len(numbers) - MAX_NUMBERS
    return ", ".join(numbers[:MAX_NUMBERS]) + (f" and {more} more" if more > 0 else "")


def find_versions(comparison: Comparison) -> dict[str, str]:
    """Tags that say what the jobs ran on; where they differ, which jobs say what."""
    values: dict[str, dict[str, list[str]]] = {}
    for job in comparison.jobs:
        for key, value in sorted(job.run.tags.items()):
            if not key.startswith(NO_VERSION_GROUPS) and key not in NO_VERSIONS:
                by_value = values.setdefault(key.replace("_", " "), {})
                by_value.setdefault(value, []).append(str(job.number))
    return {key: _format_values(by_value, len(comparison.jobs)) for key, by_value in values.items()}


def _format_values(by_value: dict[str, list[str]], num_jobs: int) -> str:
    if len(by_value) == 1 and len(next(iter(by_value.values()))) == num_jobs:
        return next(iter(by_value))
    return "; ".join(f"{value} (jobs {_format_numbers(numbers)})" for value, numbers in by_value.items())
