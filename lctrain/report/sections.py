"""The parts of the page, each of a comparison; one that has nothing to say is empty."""

from functools import partial

from lctrain.report.bars import choose_bars
from lctrain.report.comparison import DIVERGED, DONE, MEMORY, RUNNING, TIME, TIME_P90, Candidate, Comparison
from lctrain.report.losses import choose_curves
from lctrain.report.markup import Cell, Column, badge, definitions, number_column, picture, section, table, text
from lctrain.report.pictures import draw_losses, draw_measured
from lctrain.report.ranking import sort_by_time
from lctrain.report.settings import describe, format_value, label, short_names, without
from lctrain.report.units import (
    format_count,
    format_megabytes,
    format_metric,
    format_milliseconds,
    format_ratio,
    format_seconds,
)
from lctrain.report.wording import in_words

MAX_REASON = 6000  # characters
NO_VERSIONS = ("error", "model", "data", "implementation", "device", "verb")  # tags that are told elsewhere
NO_VERSION_GROUPS = ("mlflow.", "sweep.", "lctrain.")
MEASURED = (
    (TIME, "step", format_milliseconds),
    (TIME_P90, "step p90", format_milliseconds),
    ("examples_per_second", "examples per s", format_count),
    ("inference_ms", "inference", format_milliseconds),
    ("build_seconds", "build", format_seconds),
    ("first_step_seconds", "first step", format_seconds),
    (MEMORY, "peak memory", format_megabytes),
    ("params_total", "parameters", format_count),
)


def show_jobs(comparison: Comparison) -> str:
    if not comparison.jobs:
        return ""
    names = short_names(comparison.swept)
    measured = [column for column in MEASURED if any(job.metric(column[0]) is not None for job in comparison.jobs)]
    columns = [number_column("job", str), *(Column(names[key], format_value) for key in comparison.swept)]
    columns += [Column("status"), *(number_column(in_words(name), format_metric) for name in comparison.test_metrics)]
    columns += [number_column("speed-up", _format_times)] if measured else []
    columns += [number_column(title, formatter) for _, title, formatter in measured]
    columns += [number_column("wall time", format_seconds)]
    rows = []
    for job in comparison.jobs:
        status = DIVERGED if job.status == DONE and job.reason else job.status
        row = [job.number, *(job.settings.get(key) for key in comparison.swept), badge(status)]
        row += [job.metric(name) for name in comparison.test_metrics]
        row += [comparison.speedup(comparison.candidate_of(job)) if job.status == DONE else None] if measured else []
        row += [job.metric(name) for name, _, _ in measured]
        rows.append([*row, job.seconds])
    fastest = sort_by_time([candidate for candidate in comparison.candidates if candidate.status == DONE])[:1]
    chosen = [any(job is other for best in fastest for other in best.jobs) for job in comparison.jobs]
    return section("All jobs", table(columns, rows, chosen), is_long=True)


def show_measured(comparison: Comparison) -> str:
    if not any(choose_bars(comparison, metric).bars for metric in (TIME, MEMORY)):
        return section("Time and memory", "<p>Nothing was measured.</p>")
    return section("Time and memory", picture(partial(draw_measured, comparison), "time and memory of each setting"))


def show_losses(comparison: Comparison) -> str:
    if not choose_curves(comparison)[0]:
        return section("Losses over time", "<p>No validation loss was logged.</p>")
    return section("Losses over time", picture(partial(draw_losses, comparison), "validation loss of each job"))


def _format_times(ratio: float) -> str:
    return f"{format_ratio(ratio)}\N{MULTIPLICATION SIGN}"


def show_speedups(comparison: Comparison) -> str:
    """Implementations beside each other, a row for each combination of the other settings; or a row per setting."""
    sped = [candidate for candidate in comparison.candidates if comparison.speedup(candidate) is not None]
    if not sped:
        return ""
    if "implementation" not in comparison.varying:
        columns = [
            Column("setting"),
            number_column("step", format_milliseconds),
            number_column("speed-up", _format_times),
        ]
        rows = [[comparison.label(c), c.mean(TIME), comparison.speedup(c)] for c in sort_by_time(sped)]
        return section("Speed-ups", "<p>Against the slowest of what is otherwise equal.</p>", table(columns, rows))
    others = [key for key in comparison.varying if key != "implementation"]
    implementations = sorted({candidate.settings["implementation"] for candidate in sped})
    by_rest: dict[tuple, dict[str, Candidate]] = {}
    for candidate in sped:
        rest = tuple(without(candidate.settings, ["implementation"]).items())
        by_rest.setdefault(rest, {})[candidate.settings["implementation"]] = candidate
    rows = []
    for rest, by_implementation in by_rest.items():
        fastest = sort_by_time(list(by_implementation.values()))[0]
        cells = [_speed_cell(by_implementation.get(name), fastest, comparison) for name in implementations]
        rows.append([label(dict(rest), others) or "all jobs", *cells])
    columns = [Column(""), *(number_column(f"implementation {name}", format_milliseconds) for name in implementations)]
    message = "<p>Against implementation 1 where it finished, or the slowest; the fastest of each row is marked.</p>"
    return section("Speed-ups", message, table(columns, rows), is_long=True)


def _speed_cell(candidate: Candidate | None, fastest: Candidate, comparison: Comparison) -> Cell | None:
    if candidate is None:
        return None
    message = f"{format_milliseconds(candidate.mean(TIME))}, {_format_times(comparison.speedup(candidate))}"
    mark = ' class="best"' if candidate is fastest else ""
    return Cell(candidate.mean(TIME), f"<span{mark}>{text(message)}</span>")


def show_repeats(comparison: Comparison) -> str:
    """Mean and standard deviation where settings were repeated under other seeds or folds."""
    repeated = [candidate for candidate in comparison.candidates if len(candidate.jobs) > 1]
    if not repeated:
        return ""
    measured = [
        *((name, name.replace("_", " "), format_metric) for name in comparison.test_metrics),
        MEASURED[0],
        MEASURED[6],
    ]
    columns = [
        Column("setting"),
        number_column("runs done", str),
        *(number_column(title, formatter) for _, title, formatter in measured),
    ]
    rows = [
        [
            comparison.label(candidate),
            len(candidate.done),
            *(_spread_cell(candidate, name, formatter) for name, _, formatter in measured),
        ]
        for candidate in repeated
    ]
    return section(
        "Repeats", "<p>Mean ± standard deviation over seeds and folds.</p>", table(columns, rows), is_long=True
    )


def _spread_cell(candidate: Candidate, name: str, formatter) -> Cell | None:
    mean, deviation = candidate.mean(name), candidate.deviation(name)
    if mean is None:
        return None
    return Cell(mean, text(formatter(mean) if deviation is None else f"{formatter(mean)} ± {formatter(deviation)}"))


def show_failures(comparison: Comparison) -> str:
    wrong = [job for job in comparison.jobs if job.status not in (DONE, RUNNING) or job.reason]
    if not wrong:
        return section("What failed and why", "<p>Nothing.</p>")
    parts = []
    for job in wrong:
        status = badge(DIVERGED if job.status == DONE else job.status).markup
        name = describe(job.settings, [key for key in comparison.swept if key in job.settings])
        title = f"Job {job.number}" if job.number is not None else job.run.name
        why = (
            f"<pre>{text(job.reason[:MAX_REASON])}</pre>" if job.reason else '<p class="soft">No reason was logged.</p>'
        )
        parts.append(
            f'<div class="failure"><b>{text(title)}</b> {status} <span class="soft">{text(name)}</span>{why}</div>'
        )
    return section("What failed and why", *parts, is_long=True)


def show_common(comparison: Comparison) -> str:
    if not comparison.common:
        return ""
    content = f"<details><summary>{len(comparison.common)} settings</summary>{definitions(comparison.common)}</details>"
    return section("Settings common to all jobs", content, is_long=True)


def show_versions(comparison: Comparison) -> str:
    """Tags that say what the jobs ran on; where they differ, which jobs say what."""
    values: dict[str, dict[str, list[str]]] = {}
    for job in comparison.jobs:
        for key, value in sorted(job.run.tags.items()):
            if not key.startswith(NO_VERSION_GROUPS) and key not in NO_VERSIONS:
                by_value = values.setdefault(key.replace("_", " "), {})
                by_value.setdefault(value, []).append(str(job.number))
    pairs = {key: _format_values(by_value, len(comparison.jobs)) for key, by_value in values.items()}
    return section("Versions and hardware", definitions(pairs)) if pairs else ""


def _format_values(by_value: dict[str, list[str]], num_jobs: int) -> str:
    if len(by_value) == 1 and len(next(iter(by_value.values()))) == num_jobs:
        return next(iter(by_value))
    return "; ".join(f"{value} (jobs {', '.join(numbers)})" for value, numbers in by_value.items())
