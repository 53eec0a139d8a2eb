"""The report on a sweep at its end, or later from the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from matplotlib.figure import Figure

from lctrain.report.comparison import DONE, RUNNING, TIME, TIME_P90, Comparison, Job, compare
from lctrain.report.page import write_page
from lctrain.report.pictures import draw_comparison
from lctrain.report.recommendation import find_recommended, recommend
from lctrain.report.settings import find_replaced
from lctrain.tracking.run_result import RunResult

UNEVEN = 1.5  # times the median: on a quiet machine a 90th percentile is nearer


@dataclass(frozen=True)
class Report:
    """What `build_report` made; table, picture and page are made when they are asked for."""

    parent: RunResult
    comparison: Comparison
    recommendation: str
    """One sentence."""
    notes: tuple[str, ...]
    """Sentences that the reader must know first: that the sweep still runs, or was left before its end."""

    @property
    def best_job(self) -> Job | None:
        """The best job of the best setting; None where there is none, or none that can be compared with all others."""
        objective = self.comparison.objective
        recommended = find_recommended(self.comparison)
        if len(recommended) != 1 or not recommended[0]:
            return None
        best = recommended[0][0]
        scored = [] if objective is None else best.measured(objective.metric)
        if objective is None or not scored:
            return best.done[0]
        return (min if objective.lower_is_better else max)(scored, key=itemgetter(1))[0]

    @cached_property
    def table(self) -> dict[str, list[Any]]:
        """A row per job, one list per column, for `log_table`."""
        return self.comparison.as_table()

    @cached_property
    def figure(self) -> Figure:
        return draw_comparison(self.comparison)

    @cached_property
    def html(self) -> str:
        return write_page(self.parent, self.comparison, self.recommendation, self.notes)


def build_report(
    parent: RunResult, children: Sequence[RunResult], objective: str | None = None, deleted: Sequence[int] = ()
) -> Report:
    """Compares a sweep's jobs.

    Args:
        parent: the sweep's own run. Its status says whether it still runs: at a sweep's end, give the one to come.
        children: the runs of its jobs, every attempt.
        objective: the metric that compares them, where the runs do not say.
        deleted: numbers of the jobs whose runs were deleted.
    """
    comparison = compare(children, objective)
    return Report(parent, comparison, recommend(comparison), tuple(_find_notes(parent, comparison, deleted)))


def _find_notes(parent: RunResult, comparison: Comparison, deleted: Sequence[int]) -> list[str]:
    return _format_missing(parent, comparison, deleted) + _format_replaced(comparison) + _format_noise(comparison)


def _format_replaced(comparison: Comparison) -> list[str]:
    """What was asked for and did not run."""
    jobs: dict[tuple[str, str, str], list[str]] = {}
    for job in comparison.jobs:
        for key, (asked, became) in find_replaced(job.run).items():
            name = job.run.name if job.number is None else str(job.number)
            jobs.setdefault((key, asked, became), []).append(name)
    return [
        f"{key} {asked} was asked for in job{'s' if len(names) > 1 else ''} {', '.join(names)}, and"
        f" {became} is what ran: they are compared as that. Their runs say why."
        for (key, asked, became), names in jobs.items()
    ]


def _format_noise(comparison: Comparison) -> list[str]:
    pairs = [(job.metric(TIME), job.metric(TIME_P90)) for job in comparison.jobs if job.status == DONE]
    measured = [p90 / median for median, p90 in pairs if median and p90]
    uneven = sum(ratio > UNEVEN for ratio in measured)
    if 2 * uneven <= len(measured):
        return []
    message = (
        f"In {uneven} of {len(measured)} jobs the 90th percentile of the training step is more than {UNEVEN} times"
    )
    return [
        f"{message} its median, as on a busy machine: time the jobs again on a quiet one before you trust a ranking."
    ]


def _format_missing(parent: RunResult, comparison: Comparison, deleted: Sequence[int]) -> list[str]:
    running = sum(job.status == RUNNING for job in comparison.jobs)
    expected = parent.tags.get("sweep.jobs", "")
    num_known = len(comparison.jobs) + len(deleted)
    missing = max(int(expected) - num_known, 0) if expected.isdecimal() else 0
    message = f"{len(deleted)} of {num_known + missing} jobs {'was' if len(deleted) == 1 else 'were'} deleted in MLflow"
    gone = [f"{message} (job {', '.join(map(str, deleted))}) and left out."] if deleted else []
    if not running and not missing:
        return gone
    ended = len(comparison.jobs) - running
    if parent.status == "RUNNING":
        return [*gone, f"The sweep is still running: {ended} of {ended + running + missing} jobs have ended so far."]
    notes = [f"{running} of {len(comparison.jobs)} jobs are still marked as running."] if running else []
    return gone + notes + ([f"{missing} of {missing + num_known} jobs were not started."] if missing else [])
