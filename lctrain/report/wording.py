"""Phrases that the clauses of a recommendation share."""

from collections.abc import Sequence
from typing import NamedTuple

from lctrain.report.comparison import Candidate
from lctrain.report.objective import Objective
from lctrain.report.settings import format_settings
from lctrain.report.units import format_metric

MAX_NAMED = 3  # of anything, in one sentence


class Clause(NamedTuple):
    """A part of a recommendation."""

    text: str
    chosen: tuple[Candidate, ...] = ()
    """Whom it recommends: the best first, then all that tie with it."""


def format_candidates(candidates: Sequence[Candidate], varying: Sequence[str], conjunction: str = "or") -> str:
    """How each of them differs from the others: `implementation batched or 2`."""
    return format_names([format_settings(candidate.settings, varying) for candidate in candidates], conjunction)


def format_names(names: Sequence[str], conjunction: str) -> str:
    """A list of a few names, and how many more there are; what all begin with is said once.

    >>> format_names(["implementation 1", "implementation 2"], "or"), format_names(["a", "b", "c", "d", "e"], "and")
    ('implementation 1 or 2', 'a, b, c and 2 more')
    """
    first, *others = (name.rsplit(" ", 1) for name in names)
    if all(len(other) == len(first) == 2 and other[0] == first[0] for other in others):
        names = [names[0], *(other[1] for other in others)]
    if len(names) > MAX_NAMED + 1:
        names = [*names[:MAX_NAMED], f"{len(names) - MAX_NAMED} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {conjunction} {names[-1]}"


def format_metric_name(metric: str) -> str:
    """
    >>> format_metric_name("val_accuracy"), format_metric_name("test_loss")
    ('validation accuracy', 'test loss')
    """
    return metric.replace("val_", "validation ", 1).replace("_", " ")


def choose_metric(candidates: Sequence[Candidate], objective: Objective) -> str:
    """The objective on the test data where that was logged, or the objective itself."""
    has_test = any(candidate.values(objective.test_metric) for candidate in candidates)
    return objective.test_metric if has_test else objective.metric


def format_tested(candidates: Sequence[Candidate], objective: Objective | None) -> list[str]:
    """`a test accuracy of 0.95`, or from the lowest to the highest; nothing where it was not logged."""
    metric = None if objective is None else choose_metric(candidates, objective)
    means = [mean for candidate in candidates if metric and (mean := candidate.mean(metric)) is not None]
    if metric is None or not means:
        return []
    lowest, highest = format_metric(min(means)), format_metric(max(means))
    deviation = candidates[0].deviation(metric) if len(candidates) == 1 else None
    rest = "" if lowest == highest else f" to {highest}"
    rest = rest if deviation is None else f" ± {format_metric(deviation)}"
    return [f"a {format_metric_name(metric)} of {lowest}{rest}"]
