"""What follows from a sweep, in one sentence that says no more than was measured."""

from collections import Counter
from collections.abc import Sequence

from lctrain.report.by_objective import recommend_by_objective
from lctrain.report.by_speed import recommend_by_speed
from lctrain.report.comparison import DIVERGED, DONE, MEMORY, TIME, Candidate, Comparison, Job
from lctrain.report.settings import changes_speed_alone, format_settings
from lctrain.report.units import format_megabytes, format_milliseconds
from lctrain.report.wording import MAX_NAMED, Clause, format_names, format_tested


def recommend(comparison: Comparison) -> str:
    """The recommendation.

    - Settings that change speed alone (implementation, device, precision, ...): the fastest, how much faster than the
      next, memory, test metric. Times that differ too little are a tie. What is faster but worse is named too.
    - Other settings: the best by the objective, and of what computes the same the fastest.
    - Jobs on different data are not compared with each other.
    - What did not finish, or diverged, is named: nobody shall take it for slower or worse.
    """
    if not comparison.jobs:
        return "Nothing to recommend: the sweep has no jobs."
    finished = _find_finished(comparison)
    if not finished:
        counts = Counter(_status(candidate, job) for candidate in comparison.candidates for job in candidate.jobs)
        message = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        return f"Nothing to recommend: none of the sweep's jobs finished well ({message})."
    parts = _split_by_data(finished, comparison)
    clauses = [_recommend_comparable(part, comparison).text for part in parts[:MAX_NAMED]]
    if len(parts) > MAX_NAMED:
        clauses.append(f"{len(parts) - MAX_NAMED} more kinds of data are in the table")
    sentence = "; ".join([*clauses, *_format_left_out(comparison)])
    return f"{sentence[0].upper()}{sentence[1:]}."


def find_recommended(comparison: Comparison) -> list[tuple[Candidate, ...]]:
    """Of each kind of data the candidates that are recommended: the best first, then all that tie with it."""
    parts = _split_by_data(_find_finished(comparison), comparison)
    return [_recommend_comparable(part, comparison).chosen for part in parts]


def _find_finished(comparison: Comparison) -> list[Candidate]:
    return [candidate for candidate in comparison.candidates if candidate.status == DONE]


def _recommend_comparable(candidates: Sequence[Candidate], comparison: Comparison) -> Clause:
    """The clause on candidates that can be compared with each other."""
    data = _data_keys(comparison)
    where = f"for {format_settings(candidates[0].settings, data)}: " if data else ""
    varying = [key for key in comparison.varying if len({candidate.settings.get(key) for candidate in candidates}) > 1]
    if len(candidates) == 1:
        clause = Clause(_format_only(candidates[0], comparison), tuple(candidates))
    elif all(changes_speed_alone(key) for key in varying):
        clause = recommend_by_speed(candidates, comparison.quality, varying)
    else:
        clause = recommend_by_objective(candidates, comparison, varying)
    return clause._replace(text=where + clause.text)


def _format_only(candidate: Candidate, comparison: Comparison) -> str:
    time, memory = candidate.mean(TIME), candidate.mean(MEMORY)
    known = [f"{format_milliseconds(time)} per training step"] if time else []
    known += [] if memory is None else [f"{format_megabytes(memory)} of memory"]
    facts = ", ".join([*known, *format_tested([candidate], comparison.quality), "and nothing to compare it with"])
    name = _name(candidate, comparison)
    if len(candidate.done) > 1:
        return f"{len(candidate.done)} runs of {name}: {facts}"
    return f"only {name} finished: {facts}" if len(comparison.candidates) > 1 else f"one job, {name}: {facts}"


def _split_by_data(candidates: Sequence[Candidate], comparison: Comparison) -> list[list[Candidate]]:
    keys = _data_keys(comparison)
    parts: dict[tuple[str | None, ...], list[Candidate]] = {}
    for candidate in candidates:
        parts.setdefault(tuple(candidate.settings.get(key) for key in keys), []).append(candidate)
    return list(parts.values())


def _data_keys(comparison: Comparison) -> list[str]:
    """The swept settings that make results incomparable: other data, or another loss as the objective."""
    is_ranked_by_loss = comparison.objective is not None and comparison.objective.metric.endswith("loss")
    kinds = ("data.", "training.loss") if is_ranked_by_loss else ("data.",)
    return [key for key in comparison.varying if key.startswith(kinds)]


def _format_left_out(comparison: Comparison) -> list[str]:
    left = [candidate for candidate in comparison.candidates if candidate.status != DONE]
    named = [f"{_name(candidate, comparison)} ({candidate.status.replace('_', ' ')})" for candidate in left]
    return [f"not judged: {format_names(named, 'and')}"] if named else []


def _name(candidate: Candidate, comparison: Comparison) -> str:
    return format_settings(candidate.settings, comparison.labelled_by) or candidate.name


def _status(candidate: Candidate, job: Job) -> str:
    return (DIVERGED if job in candidate.diverged else job.status).replace("_", " ")
