"""What has a bar and a curve of its own in the pictures, and its colour there."""

from typing import NamedTuple

from lctrain.report.comparison import Candidate, Comparison
from lctrain.report.settings import REPEATS, format_label


class Series(NamedTuple):
    """The candidates of a picture, each with its label."""

    candidates: dict[str, Candidate]
    keys: tuple[str, ...]
    """The settings that the labels tell."""


def find_series(comparison: Comparison) -> Series:
    """Every candidate; where there is one alone, each of its jobs, which their seeds and folds tell apart."""
    candidates, keys = comparison.candidates, comparison.labelled_by
    if len(candidates) == 1 and len(comparison.jobs) > 1:
        keys = [key for key in REPEATS if len({job.settings.get(key) for job in comparison.jobs}) > 1]
        candidates = tuple(Candidate(job.settings, (job,)) for job in comparison.jobs)
    labels: dict[str, Candidate] = {}
    for candidate in candidates:
        name = format_label(candidate.settings, keys) or candidate.name
        # Jobs of which no setting is known may share a name.
        number = candidate.jobs[0].number
        labels[name if name not in labels else f"{name}, job {number}"] = candidate
    return Series(labels, tuple(keys))
