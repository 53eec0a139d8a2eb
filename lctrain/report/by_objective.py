"""The clause of a recommendation on candidates that compute different things: the best by the objective."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from lctrain.report.comparison import TIME, Candidate, Comparison
from lctrain.report.objective import Objective
from lctrain.report.ranking import are_tied, sort_by_time
from lctrain.report.settings import REPEATS, changes_speed_alone, format_settings
from lctrain.report.units import format_metric, format_milliseconds, format_ratio
from lctrain.report.wording import (
    Clause,
    choose_metric,
    format_candidates,
    format_metric_name,
    format_names,
    format_tested,
)


@dataclass(frozen=True)
class Choice:
    """The settings that decide what is computed, with all candidates that share them, however fast."""

    settings: dict[str, str]
    candidates: tuple[Candidate, ...]
    values: tuple[float, ...]
    """The objective, one value per seed and fold: implementations that give the same numbers are no repeats."""

    @property
    def score_text(self) -> str:
        """The score, with the standard deviation where there are repeats."""
        spread = f" ± {format_metric(stdev(self.values))}" if len(self.values) > 1 else ""
        return format_metric(mean(self.values)) + spread


def recommend_by_objective(candidates: Sequence[Candidate], comparison: Comparison, varying: Sequence[str]) -> Clause:
    """The best choice, its ties, the next, and what of them trains fastest."""
    objective = comparison.objective
    keys = [key for key in varying if not changes_speed_alone(key)]
    choices = [] if objective is None else _sort_choices(candidates, objective, keys)
    if objective is None or not choices:
        return Clause(f"{len(candidates)} settings finished, but none logged a metric to judge them by")
    best = choices[0]
    equals = [choice for choice in choices if objective.is_tie(best.values, choice.values)]
    others = [choice for choice in choices if choice not in equals]
    metric = format_metric_name(objective.metric)
    repeats = "one run each" if len(best.values) == 1 else f"{len(best.values)} runs each"
    if len(equals) == 1:
        clause = f"use {format_settings(best.settings, keys)}: the best {metric}, {best.score_text} ({repeats})"
    else:
        named = format_names([format_settings(choice.settings, keys) for choice in equals], "or")
        clause = f"use {named}: a tie by {metric}, {best.score_text} to {equals[-1].score_text} ({repeats})"
    if comparison.quality is None or choose_metric(candidates, comparison.quality) != objective.metric:
        tested = format_tested([candidate for choice in equals for candidate in choice.candidates], comparison.quality)
        clause += "".join(f", with {fact}" for fact in tested)
    if others:
        clause += f", ahead of {format_settings(others[0].settings, keys)} with {others[0].score_text}"
    chosen = [candidate for choice in equals for candidate in sorted(choice.candidates, key=_get_time)]
    return Clause(clause + _format_speed(equals, varying), tuple(chosen))


def _sort_choices(candidates: Sequence[Candidate], objective: Objective, keys: Sequence[str]) -> list[Choice]:
    """The choices of candidates with a value of the objective, the best first."""
    groups: dict[tuple[str | None, ...], list[Candidate]] = {}
    for candidate in candidates:
        if candidate.values(objective.metric):
            groups.setdefault(tuple(candidate.settings.get(key) for key in keys), []).append(candidate)
    choices = []
    for group in groups.values():
        settings = {key: group[0].settings[key] for key in keys if key in group[0].settings}
        choices.append(Choice(settings, tuple(group), _by_repeat(group, objective.metric)))
    return sorted(choices, key=lambda choice: mean(choice.values), reverse=not objective.lower_is_better)


def _by_repeat(candidates: Sequence[Candidate], metric: str) -> tuple[float, ...]:
    values: dict[tuple[str | None, ...], list[float]] = {}
    for candidate in candidates:
        for job, value in candidate.measured(metric):
            values.setdefault(tuple(job.settings.get(key) for key in REPEATS), []).append(value)
    return tuple(mean(group) for group in values.values())


def _get_time(candidate: Candidate) -> float:
    time = candidate.mean(TIME)
    return math.inf if time is None else time


def _format_speed(equals: Sequence[Choice], varying: Sequence[str]) -> str:
    """Which of equals trains fastest, where the times differ enough."""
    timed = sort_by_time([candidate for choice in equals for candidate in choice.candidates])
    tied = [candidate for candidate in timed if are_tied(timed[0], candidate)]
    if len(tied) == len(timed):
        return ""
    keys = varying if len(equals) > 1 else [key for key in varying if changes_speed_alone(key)]
    fastest, slower = timed[0], timed[len(tied)]
    verb = "trains" if len(tied) == 1 else "train"
    time, ratio = format_milliseconds(fastest.time), format_ratio(slower.time / fastest.time)
    next_one = format_settings(slower.settings, keys)
    named = format_candidates(tied, keys, "and")
    return f"; of these {named} {verb} fastest, {time} per step, {ratio} times as fast as the next, {next_one}"
