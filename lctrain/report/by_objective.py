"""The clause of a recommendation on candidates that compute different things: the best by the objective."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from lctrain.report.comparison import TIME, Candidate, Comparison
from lctrain.report.objective import Objective
from lctrain.report.ranking import are_tied, sort_by_time
from lctrain.report.settings import REPEATS, changes_speed_alone, describe
from lctrain.report.units import format_metric, format_milliseconds, format_ratio
from lctrain.report.wording import format_tested, in_words, join_names, name_all, reported_metric


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


def recommend_by_objective(candidates: Sequence[Candidate], comparison: Comparison, varying: Sequence[str]) -> str:
    """The best choice, its ties, the next, and what of them trains fastest."""
    objective = comparison.objective
    keys = [key for key in varying if not changes_speed_alone(key)]
    choices = [] if objective is None else _sort_choices(candidates, objective, keys)
    if not choices:
        return f"{len(candidates)} settings finished, but none logged a metric to judge them by"
    best = choices[0]
    alike = [choice for choice in choices if objective.are_alike(best.values, choice.values)]
    others = [choice for choice in choices if choice not in alike]
    metric = in_words(objective.metric)
    repeats = "one run each" if len(best.values) == 1 else f"{len(best.values)} runs each"
    if len(alike) == 1:
        clause = f"use {describe(best.settings, keys)}: the best {metric}, {best.score_text} ({repeats})"
    else:
        named = join_names([describe(choice.settings, keys) for choice in alike], "or")
        clause = f"use {named}: a tie by {metric}, {best.score_text} to {alike[-1].score_text} ({repeats})"
    metric = reported_metric(candidates, comparison.quality)
    if metric != objective.metric:
        tested = format_tested([candidate for choice in alike for candidate in choice.candidates], comparison.quality)
        clause += "".join(f", with {fact}" for fact in tested)
    if others:
        clause += f", ahead of {describe(others[0].settings, keys)} with {others[0].score_text}"
    return clause + _format_speed(alike, varying)


def _sort_choices(candidates: Sequence[Candidate], objective: Objective, keys: Sequence[str]) -> list[Choice]:
    """The choices of candidates that were judged, the best first."""
    groups: dict[tuple, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.values(objective.metric):
            groups.setdefault(tuple(candidate.settings.get(key) for key in keys), []).append(candidate)
    choices = []
    for group in groups.values():
        settings = {key: group[0].settings[key] for key in keys if key in group[0].settings}
        choices.append(Choice(settings, tuple(group), _by_repeat(group, objective.metric)))
    return sorted(choices, key=lambda choice: mean(choice.values), reverse=not objective.lower_is_better)


def _by_repeat(candidates: Sequence[Candidate], metric: str) -> tuple[float, ...]:
    values: dict[tuple, list[float]] = {}
    for candidate in candidates:
        for job, value in candidate.measured(metric):
            values.setdefault(tuple(job.settings.get(key) for key in REPEATS), []).append(value)
    return tuple(mean(group) for group in values.values())


def _format_speed(alike: Sequence[Choice], varying: Sequence[str]) -> str:
    """Which of equals trains fastest, where that can be told."""
    timed = sort_by_time([candidate for choice in alike for candidate in choice.candidates])
    tied = [candidate for candidate in timed if are_tied(timed[0], candidate)]
    if len(tied) == len(timed):
        return ""
    keys = varying if len(alike) > 1 else [key for key in varying if changes_speed_alone(key)]
    fastest, slower = timed[0], timed[len(tied)]
    verb = "trains" if len(tied) == 1 else "train"
    ratio = format_ratio(slower.mean(TIME) / fastest.mean(TIME))
    return (
        f"; of these {name_all(tied, keys, 'and')} {verb} fastest, {format_milliseconds(fastest.mean(TIME))} per step,"
        f" {ratio} times as fast as the next, {describe(slower.settings, keys)}"
    )
