"""A sweep as one HTML file that needs nothing else: no network, no library, no other file."""

import base64
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from lctrain import __version__
from lctrain.report.bars import choose_bars
from lctrain.report.comparison import DONE, MEMORY, TIME, Candidate, Comparison
from lctrain.report.losses import choose_curves
from lctrain.report.objective import Objective
from lctrain.report.page_tables import (
    find_failures,
    find_versions,
    make_implementations_table,
    make_jobs_tables,
    make_repeats_table,
    make_speedups_table,
)
from lctrain.report.pictures import draw_losses, draw_measured
from lctrain.report.ranking import are_tied
from lctrain.report.recommendation import find_recommended
from lctrain.report.settings import format_settings
from lctrain.report.theme import DARK, LIGHT, Theme
from lctrain.report.units import format_megabytes, format_metric, format_milliseconds, format_seconds
from lctrain.report.wording import format_metric_name
from lctrain.tracking.run_result import RunResult

FOLDER = Path(__file__).parent
# A longer table scrolls on the screen.
MAX_ROWS = 30
MAX_REASON = 6000  # characters


class Tile(NamedTuple):
    """One of the few figures that a reader looks for."""

    title: str
    value: str
    settings: str
    """Those that reached it."""


class Picture(NamedTuple):
    """Addresses of one picture's data, in the colours of a light and of a dark page."""

    light: str
    dark: str


def write_page(parent: RunResult, comparison: Comparison, recommendation: str, notes: Sequence[str]) -> str:
    """The whole page.

    Args:
        parent: the sweep's own run.
        comparison: of its jobs.
        recommendation: one sentence.
        notes: what the reader must know first, such as that the sweep still runs.
    """
    chosen = [candidate for part in find_recommended(comparison) for candidate in part]
    has_bars = any(choose_bars(comparison, metric).bars for metric in (TIME, MEMORY))
    has_curves = bool(choose_curves(comparison).candidates)
    return _load_template().render(
        parent=parent,
        comparison=comparison,
        recommendation=recommendation,
        notes=notes,
        facts=_list_facts(parent, comparison),
        size=_count_jobs(comparison),
        command=parent.tags.get("sweep.command"),
        folder=parent.tags.get("sweep.folder"),
        tiles=_make_tiles(comparison),
        jobs=make_jobs_tables(comparison, chosen),
        measured=_make_picture(partial(draw_measured, comparison)) if has_bars else None,
        losses=_make_picture(partial(draw_losses, comparison)) if has_curves else None,
        implementations=make_implementations_table(comparison),
        speedups=make_speedups_table(comparison),
        repeats=make_repeats_table(comparison),
        failures=find_failures(comparison),
        versions=find_versions(comparison),
    )


def _load_template() -> Template:
    """The template page.html, with what is the same on every page."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_replace_control_characters,
    )
    environment.filters |= {"digest": _digest, "break_lines": _break_lines}
    # These two files are ours: they are not escaped, and the page's security policy names them by their digests.
    style, script = (Markup(FOLDER.joinpath(f"page.{kind}").read_text(encoding="utf-8")) for kind in ("css", "js"))
    own = {"style": style, "script": script, "version": __version__, "zip": zip}
    own |= {"max_rows": MAX_ROWS, "max_reason": MAX_REASON}
    return environment.get_template("page.html", globals=own)


def _replace_control_characters(value: Any) -> Any:
    """Of a value that the template prints; what is markup already is ours, and stays."""
    if isinstance(value, Markup):
        return value
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in str(value))


def _break_lines(text: str) -> Markup:
    """A title that may be broken behind the signs that join its words."""
    parts = re.split(r"(?<=[_./])", _replace_control_characters(text))
    return Markup("<wbr>").join(parts)


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _list_facts(parent: RunResult, comparison: Comparison) -> list[str]:
    """When the sweep ran, how long, and how its jobs ended."""
    facts = [f"started {datetime.fromtimestamp(parent.start / 1e3, UTC):%Y-%m-%d %H:%M UTC}"]
    ends = [run.end for run in (parent, *(job.run for job in comparison.jobs)) if run.end is not None]
    if ends and parent.status != "RUNNING":
        facts.append(f"took {format_seconds((max(ends) - parent.start) / 1e3)}")
    counts = Counter(job.status for job in comparison.jobs)
    ended = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.most_common())
    return [*facts, f"{_count_jobs(comparison)}: {ended}" if comparison.jobs else "no jobs"]


def _count_jobs(comparison: Comparison) -> str:
    num_jobs = len(comparison.jobs)
    return f"{num_jobs} job{'' if num_jobs == 1 else 's'}"


def _make_tiles(comparison: Comparison) -> list[Tile]:
    finished = [candidate for candidate in comparison.candidates if candidate.status == DONE]
    num_done = sum(len(candidate.done) for candidate in finished)
    tiles = [Tile("jobs done", f"{num_done} of {len(comparison.jobs)}", "")]
    wanted = [(TIME, "shortest step", format_milliseconds, True), (MEMORY, "least memory", format_megabytes, True)]
    if (objective := comparison.objective) is not None:
        title = f"best {format_metric_name(objective.metric)}"
        wanted.append((objective.metric, title, format_metric, objective.lower_is_better))
    for metric, title, format_value, is_lower_better in wanted:
        measured = sorted(
            (candidate for candidate in finished if candidate.values(metric)),
            key=lambda candidate: candidate.measured_mean(metric),
            reverse=not is_lower_better,
        )
        for best in measured[:1]:
            settings = format_settings(best.settings, comparison.labelled_by)
            ties = sum(_is_tie(best, other, metric, objective) for other in measured[1:])
            settings += f", and {ties} more that tie" if ties else ""
            tiles.append(Tile(title, format_value(best.measured_mean(metric)), settings))
    return tiles


def _is_tie(best: Candidate, other: Candidate, metric: str, objective: Objective | None) -> bool:
    if metric == TIME:
        return are_tied(best, other)
    return (
        objective is not None
        and metric == objective.metric
        and objective.is_tie(best.values(metric), other.values(metric))
    )


def _make_picture(draw: Callable[[Theme], Figure]) -> Picture:
    return Picture(_format_address(draw(LIGHT)), _format_address(draw(DARK)))


def _format_address(figure: Figure) -> str:
    """The address that holds the whole picture."""
    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "lctrain"}):  # the same figure gives the same bytes
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(stream.getvalue()).decode()}"
