"""A sweep as one HTML file that needs nothing else: no network, no library, no other file."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lctrain import __version__
from lctrain.report.comparison import DONE, MEMORY, TIME, Comparison
from lctrain.report.markup import text
from lctrain.report.sections import (
    show_common,
    show_failures,
    show_jobs,
    show_losses,
    show_measured,
    show_repeats,
    show_speedups,
    show_versions,
)
from lctrain.report.settings import describe
from lctrain.report.units import (
    format_megabytes,
    format_metric,
    format_milliseconds,
    format_seconds,
)
from lctrain.report.wording import in_words
from lctrain.tracking.run_result import RunResult


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
        show_jobs(comparison),
        show_measured(comparison),
        show_losses(comparison),
        show_speedups(comparison),
        show_repeats(comparison),
        show_failures(comparison),
        show_common(comparison),
        show_versions(comparison),
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
        facts.append(f"took {format_seconds((max(ends) - parent.start) / 1e3)}")
    facts.append(f"{len(comparison.jobs)} jobs: {ended}" if comparison.jobs else "no jobs")
    command = parent.tags.get("sweep.command")
    shown = f'<p class="small"><code>python -m lctrain {text(command)}</code></p>' if command else ""
    folder = parent.tags.get("sweep.folder")
    place = f'<p class="small soft">run {text(parent.run_id or "not in a store")}'
    place += f", folder {text(folder)}</p>" if folder else "</p>"
    return f'<header><h1>{text(parent.name)}</h1>\n<p class="soft">{text(" · ".join(facts))}</p>{shown}{place}</header>'


def _tiles(comparison: Comparison) -> str:
    """The few figures that a reader looks for."""
    finished = [candidate for candidate in comparison.candidates if candidate.status == DONE]
    done = sum(len(candidate.done) for candidate in finished)
    tiles = [("jobs done", f"{done} of {len(comparison.jobs)}", "")]
    objective = comparison.objective
    wanted = [(TIME, "shortest step", format_milliseconds, min), (MEMORY, "least memory", format_megabytes, min)]
    if objective is not None:
        pick = min if objective.lower_is_better else max
        wanted.append((objective.metric, f"best {in_words(objective.metric)}", format_metric, pick))
    for metric, title, formatter, pick in wanted:
        measured = [candidate for candidate in finished if candidate.mean(metric) is not None]
        if measured:
            best = pick(measured, key=lambda candidate: candidate.mean(metric))
            tiles.append((title, formatter(best.mean(metric)), describe(best.settings, comparison.labelled_by)))
    shown = "\n".join(
        f'<div class="tile"><span>{text(title)}</span><b>{text(value)}</b><span>{text(of)}</span></div>'
        for title, value, of in tiles
    )
    return f'<div class="tiles">\n{shown}\n</div>'
