"""A sweep as one HTML file that needs nothing else: no network, no library, no other file."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from lctrain import __version__
from lctrain.report.comparison import DONE, MEMORY, RUNNING, TIME, TIME_P90, Candidate, Comparison, Job
from lctrain.report.markup import Cell, Column, badge, definitions, number_column, picture, section, table, text
from lctrain.report.pictures import draw_losses, draw_measured
from lctrain.report.ranking import sort_by_time
from lctrain.report.settings import describe, label, short_names, tell_value, without
from lctrain.report.units import (
    tell_count,
    tell_megabytes,
    tell_metric,
    tell_milliseconds,
    tell_ratio,
    tell_seconds,
)
from lctrain.report.wording import in_words
from lctrain.results import RunResult

MAX_REASON = 6000  # characters
NO_VERSIONS = ("error", "model", "data", "implementation", "device", "verb")  # tags that are told elsewhere
NO_VERSION_GROUPS = ("mlflow.", "sweep.", "lctrain.")
MEASURED = (
    (TIME, "step", tell_milliseconds),
    (TIME_P90, "step p90", tell_milliseconds),
    ("examples_per_second", "examples per s", tell_count),
    ("inference_ms", "inference", tell_milliseconds),
    ("build_seconds", "build", tell_seconds),
    ("first_step_seconds", "first step", tell_seconds),
    (MEMORY, "peak memory", tell_megabytes),
    ("params_total", "parameters", tell_count),
)


def write_page(parent: RunResult, comparison: Comparison, recommendation: str, notes: Sequence[str]) -> str:
    """The whole page.

    Args:
        parent: the sweep's own run.
        comparison: of its jobs.
        recommendation: one sentence.
        notes: what the reader must know first, such as that the sweep still runs.
    """
    style, script = (Path(__file__).with_name(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    policy = (  # were a run's text ever to become markup, it could neither run nor load anything
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    parts = [
        _header(parent, comparison),
        *(f'<div class="note" role="note">{text(note)}</div>' for note in notes),
        f'<div class="recommendation"><h2>Recommendation</h2><p>{text(recommendation)}</p></div>',
        _tiles(comparison),
        _jobs(comparison),
        section("Time and memory", picture(partial(draw_measured, comparison), "time and memory of each setting")),
        section("Losses over time", picture(partial(draw_losses, comparison), "validation loss of each job")),
        _speedups(comparison),
        _repeats(comparison),
        _failures(comparison),
        _common(comparison),
        _versions(comparison),
    ]
    body = "\n".join(part for part in parts if part)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(parent.name)}: sweep of {len(comparison.jobs)} jobs</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
<footer>Written by lctrain {__version__}. Times of steps are medians; memory is above a process that has loaded its
libraries. A head of a column sorts by it.</footer>
</main>
<script>{script}</script>
</body>
</html>
"""


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _header(parent: RunResult, comparison: Comparison) -> str:
    start = datetime.fromtimestamp(parent.start / 1e3, UTC).strftime("%Y-%m-%d %H:%M UTC")
    counts = Counter(job.status for job in comparison.jobs)
    ended = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.most_common())
    facts = [f"started {start}"]
    ends = [run.end for run in (parent, *(job.run for job in comparison.jobs)) if run.end is not None]
    if ends and parent.status != "RUNNING":
        facts.append(f"took {tell_seconds((max(ends) - parent.start) / 1e3)}")
    facts.append(f"{len(comparison.jobs)} jobs: {ended}" if comparison.jobs else "no jobs")
    command = parent.tags.get("sweep.command")
    shown = f'<p class="small"><code>python -m lctrain {text(command)}</code></p>' if command else ""
    folder = parent.tags.get("sweep.folder")
    place = f'<p class="small soft">run {text(parent.run_id or "not in a store")}'
    place += f", folder {text(folder)}</p>" if folder else "</p>"
    return f'<header><h1>{text(parent.name)}</h1>\n<p class="soft">{text(" · ".join(facts))}</p>{shown}{place}</header>'


def _tiles(comparison: Comparison) -> str:
    """The few figures that a reader looks for."""
    judged = [candidate for candidate in comparison.candidates if candidate.status == DONE]
    done = sum(len(candidate.done) for candidate in judged)
    tiles = [("jobs done", f"{done} of {len(comparison.jobs)}", "")]
    objective = comparison.objective
    wanted = [(TIME, "shortest step", tell_milliseconds, min), (MEMORY, "least memory", tell_megabytes, min)]
    if objective is not None:
        pick = min if objective.lower_is_better else max
        wanted.append((objective.metric, f"best {in_words(objective.metric)}", tell_metric, pick))
    for metric, title, tell, pick in wanted:
        measured = [candidate for candidate in judged if candidate.mean(metric) is not None]
        if measured:
            best = pick(measured, key=lambda candidate: candidate.mean(metric))
            tiles.append((title, tell(best.mean(metric)), describe(best.settings, comparison.labelled_by)))
    shown = "\n".join(
        f'<div class="tile"><span>{text(title)}</span><b>{text(value)}</b><span>{text(of)}</span></div>'
        for title, value, of in tiles
    )
    return f'<div class="tiles">\n{shown}\n</div>'


def _jobs(comparison: Comparison) -> str:
    names = short_names(comparison.swept)
    tests = comparison.test_metrics
    columns = [
        number_column("job", str),
        *(Column(names[key], tell_value) for key in comparison.swept),
        Column("status"),
    ]
    columns += [number_column(name.replace("_", " "), tell_metric) for name in tests]
    columns += [number_column("speed-up", _tell_times), *(number_column(title, tell) for _, title, tell in MEASURED)]
    columns += [number_column("wall time", tell_seconds)]
    rows = [_job_row(job, comparison, tests) for job in comparison.jobs]
    timed = [c for c in sort_by_time(comparison.candidates) if c.status == DONE]
    fastest = timed[0].jobs if timed else ()
    chosen = [any(job is other for other in fastest) for job in comparison.jobs]
    return section("All jobs", table(columns, rows, chosen), is_long=True)


def _job_row(job: Job, comparison: Comparison, tests: Sequence[str]) -> list:
    candidate = comparison.candidate_of(job)
    return [
        job.number,
        *(job.settings.get(key) for key in comparison.swept),
        badge("diverged" if job.status == DONE and job.reason else job.status),
        *(job.metric(name) for name in tests),
        comparison.speedup(candidate) if job.status == DONE else None,
        *(job.metric(name) for name, _, _ in MEASURED),
        job.run.seconds,
    ]


def _tell_times(ratio: float) -> str:
    return f"{tell_ratio(ratio)}\N{MULTIPLICATION SIGN}"


def _speedups(comparison: Comparison) -> str:
    """Implementations beside each other, a row for each combination of the other settings; or a row per setting."""
    sped = [candidate for candidate in comparison.candidates if comparison.speedup(candidate) is not None]
    if not sped:
        return ""
    if "implementation" not in comparison.varying:
        columns = [Column("setting"), number_column("step", tell_milliseconds), number_column("speed-up", _tell_times)]
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
    columns = [Column(""), *(number_column(f"implementation {name}", tell_milliseconds) for name in implementations)]
    told = "<p>Against implementation 1 where it finished, or the slowest; the fastest of each row is marked.</p>"
    return section("Speed-ups", told, table(columns, rows), is_long=True)


def _speed_cell(candidate: Candidate | None, fastest: Candidate, comparison: Comparison) -> Cell | None:
    if candidate is None:
        return None
    told = f"{tell_milliseconds(candidate.mean(TIME))}, {_tell_times(comparison.speedup(candidate))}"
    mark = ' class="best"' if candidate is fastest else ""
    return Cell(candidate.mean(TIME), f"<span{mark}>{text(told)}</span>")


def _repeats(comparison: Comparison) -> str:
    """Mean and standard deviation where settings were repeated under other seeds or folds."""
    repeated = [candidate for candidate in comparison.candidates if len(candidate.jobs) > 1]
    if not repeated:
        return ""
    told = [
        *((name, name.replace("_", " "), tell_metric) for name in comparison.test_metrics),
        MEASURED[0],
        MEASURED[6],
    ]
    columns = [
        Column("setting"),
        number_column("runs done", str),
        *(number_column(title, tell) for _, title, tell in told),
    ]
    rows = [
        [
            comparison.label(candidate),
            len(candidate.done),
            *(_spread_cell(candidate, name, tell) for name, _, tell in told),
        ]
        for candidate in repeated
    ]
    return section(
        "Repeats", "<p>Mean ± standard deviation over seeds and folds.</p>", table(columns, rows), is_long=True
    )


def _spread_cell(candidate: Candidate, name: str, tell) -> Cell | None:
    mean, deviation = candidate.mean(name), candidate.deviation(name)
    if mean is None:
        return None
    return Cell(mean, text(tell(mean) if deviation is None else f"{tell(mean)} ± {tell(deviation)}"))


def _failures(comparison: Comparison) -> str:
    wrong = [job for job in comparison.jobs if job.status not in (DONE, RUNNING) or job.reason]
    if not wrong:
        return section("What failed and why", "<p>Nothing.</p>")
    parts = []
    for job in wrong:
        status = badge("diverged" if job.status == DONE else job.status).markup
        name = describe(job.settings, [key for key in comparison.swept if key in job.settings])
        title = f"Job {job.number}" if job.number is not None else job.run.name
        why = (
            f"<pre>{text(job.reason[:MAX_REASON])}</pre>" if job.reason else '<p class="soft">No reason was logged.</p>'
        )
        parts.append(
            f'<div class="failure"><b>{text(title)}</b> {status} <span class="soft">{text(name)}</span>{why}</div>'
        )
    return section("What failed and why", *parts, is_long=True)


def _common(comparison: Comparison) -> str:
    if not comparison.common:
        return ""
    content = f"<details><summary>{len(comparison.common)} settings</summary>{definitions(comparison.common)}</details>"
    return section("Settings common to all jobs", content, is_long=True)


def _versions(comparison: Comparison) -> str:
    """Tags that say what the jobs ran on; where they differ, which jobs say what."""
    values: dict[str, dict[str, list[str]]] = {}
    for job in comparison.jobs:
        for key, value in sorted(job.run.tags.items()):
            if not key.startswith(NO_VERSION_GROUPS) and key not in NO_VERSIONS:
                told = values.setdefault(key.replace("_", " "), {})
                told.setdefault(value, []).append(str(job.number))
    pairs = {key: _tell_values(by_value, len(comparison.jobs)) for key, by_value in values.items()}
    return section("Versions and hardware", definitions(pairs)) if pairs else ""


def _tell_values(by_value: dict[str, list[str]], num_jobs: int) -> str:
    if len(by_value) == 1 and len(next(iter(by_value.values()))) == num_jobs:
        return next(iter(by_value))
    return "; ".join(f"{value} (jobs {', '.join(numbers)})" for value, numbers in by_value.items())
