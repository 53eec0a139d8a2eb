"""The clause of a recommendation on candidates that compute the same: the fastest, as far as measurements show."""

from collections.abc import Sequence
from operator import itemgetter
from statistics import mean

from lctrain.report.comparison import MEMORY, Candidate
from lctrain.report.objective import Objective
from lctrain.report.ranking import MARGIN, are_tied, sort_by_time
from lctrain.report.settings import format_settings
from lctrain.report.units import format_megabytes, format_metric, format_milliseconds, format_ratio
from lctrain.report.wording import Clause, choose_metric, format_candidates, format_metric_name, format_tested


def recommend_by_speed(candidates: Sequence[Candidate], objective: Objective | None, varying: Sequence[str]) -> Clause:
    """The fastest of those whose test metric is no worse, its ties, the next, and what is faster but worse."""
    timed = sort_by_time(candidates)
    if not timed:
        return Clause(f"{len(candidates)} settings finished, but no training step was measured, so none is the fastest")
    sound = [candidate for candidate in timed if not _is_worse(candidate, timed, objective)]
    best = sound[0]
    tied = [candidate for candidate in sound if are_tied(best, candidate)]
    slower = [candidate for candidate in sound if candidate not in tied]
    if "implementation" in varying:
        slower = _of_other_implementation(best, slower) or slower
    clause = _format_tie(tied, objective, varying) if len(tied) > 1 else _format_winner(best, objective, varying)
    if slower:
        ratio, next_one = (
            format_ratio(slower[0].time / best.time),
            format_settings(slower[0].settings, varying),
        )
        facts = _format_figures(slower[0])
        if len(tied) > 1:
            clause += f"; the next, {next_one}, takes {ratio} times as long ({facts})"
        else:
            clause += f", {ratio} times as fast as the next, {next_one} ({facts})"
    trades = [candidate for candidate in timed if candidate not in sound and not are_tied(candidate, best)]
    if objective is not None and trades and trades[0].time < best.time:
        clause += f"; {_format_trade(trades[0], best, objective, varying)}"
    return Clause(clause, tuple(tied))


def _format_winner(best: Candidate, objective: Objective | None, varying: Sequence[str]) -> str:
    repeats = f" (mean of {len(best.done)} runs)" if len(best.done) > 1 else ""
    memory = best.mean(MEMORY)
    facts = ([] if memory is None else [f"{format_megabytes(memory)} of memory"]) + format_tested([best], objective)
    having = f" with {' and '.join(facts)}" if facts else ""
    name = format_settings(best.settings, varying)
    return f"use {name}: {format_milliseconds(best.time)} per training step{repeats}{having}"


def _format_tie(tied: Sequence[Candidate], objective: Objective | None, varying: Sequence[str]) -> str:
    shortest, longest = format_milliseconds(tied[0].time), format_milliseconds(tied[-1].time)
    times = shortest if shortest == longest else f"{shortest} to {longest}"
    tested = "".join(f", with {fact}" for fact in format_tested(tied, objective))
    clause = f"use {format_candidates(tied, varying)}: their times are a tie, {times} per training step{tested}"
    memories = [(memory, candidate.settings) for candidate in tied if (memory := candidate.mean(MEMORY)) is not None]
    if memories:
        (least, settings), (most, _) = (pick(memories, key=itemgetter(0)) for pick in (min, max))
        if most > MARGIN * least:
            figures = f"{format_megabytes(least)}, not up to {format_megabytes(most)}"
            clause += f", and {format_settings(settings, varying)} takes the least memory ({figures})"
    return clause


def _format_figures(candidate: Candidate) -> str:
    memory = candidate.mean(MEMORY)
    time = format_milliseconds(candidate.time)
    return time if memory is None else f"{time}, {format_megabytes(memory)}"


def _format_trade(faster: Candidate, best: Candidate, objective: Objective, varying: Sequence[str]) -> str:
    metric = choose_metric([faster, best], objective)
    ratio = format_ratio(best.time / faster.time)
    lower, higher = (format_metric(candidate.measured_mean(metric)) for candidate in (faster, best))
    lost = f"{format_metric_name(metric)} is {lower}, not {higher}"
    return f"{format_settings(faster.settings, varying)} is {ratio} times as fast still, but its {lost}"


def _is_worse(candidate: Candidate, candidates: Sequence[Candidate], objective: Objective | None) -> bool:
    """Whether its test metric is worse than the best by more than can be chance."""
    if objective is None:
        return False
    metric = choose_metric(candidates, objective)
    if not candidate.values(metric):
        return False
    scored = [other.values(metric) for other in candidates if other.values(metric)]
    best = (min if objective.lower_is_better else max)(scored, key=mean)
    return not objective.is_tie(candidate.values(metric), best)


def _of_other_implementation(best: Candidate, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that differ from the best in implementation alone."""
    own = {**best.settings, "implementation": None}
    return [candidate for candidate in candidates if {**candidate.settings, "implementation": None} == own]
