"""Cross-validation: what the jobs of one setting on several folds reached together."""

from collections.abc import Iterator
from typing import Any

from lctrain.report.comparison import Candidate, Comparison
from lctrain.report.units import format_metric
from lctrain.report.wording import format_metric_name

FOLD, FOLDS = "data.fold", "data.folds"
HELD_OUT_PREFIXES = ("val_", "test_")  # metrics of what was not trained on


def summarize_folds(comparison: Comparison) -> dict[str, list[Any]]:
    """A row per setting and metric, one list per column: the mean over its folds and the standard deviation.

    Only settings with several folds have rows; where there are none, the lists are empty.
    """
    columns: dict[str, list[Any]] = {"settings": [], "folds": [], "metric": [], "mean": [], "deviation": []}
    for candidate in comparison.candidates:
        if len(_folds(candidate)) < 2:
            continue
        for name in _metrics(candidate):
            row = comparison.format_label(candidate), len(candidate.values(name)), name
            for column, value in zip(
                columns.values(), (*row, candidate.mean(name), candidate.deviation(name)), strict=True
            ):
                column.append(value)
    return columns


def fold_metrics(comparison: Comparison) -> dict[str, float]:
    """`val_accuracy_mean`, `val_accuracy_deviation` and so on, where there is one setting alone."""
    table = summarize_folds(comparison)
    if len(set(table["settings"])) != 1:
        return {}
    found: dict[str, float] = {}
    for name, mean, deviation in zip(table["metric"], table["mean"], table["deviation"], strict=True):
        found |= {f"{name}_mean": mean} | ({} if deviation is None else {f"{name}_deviation": deviation})
    return found


def format_folds(comparison: Comparison) -> Iterator[str]:
    """A sentence for each setting; the settings are named where there are several.

    Folds that are not done are left out of the mean, as the number of folds shows.
    """
    table = summarize_folds(comparison)
    for settings in dict.fromkeys(table["settings"]):
        rows = [i for i, other in enumerate(table["settings"]) if other == settings]
        parts = [
            f"{format_metric_name(table['metric'][i])} {format_metric(table['mean'][i])}"
            + ("" if table["deviation"][i] is None else f" ± {format_metric(table['deviation'][i])}")
            for i in rows
        ]
        where = f"{settings}, over" if len(comparison.candidates) > 1 else "Over"
        meaning = "mean ± standard deviation"
        yield f"{where} {table['folds'][rows[0]]} folds ({meaning}): {', '.join(parts)}"


def _folds(candidate: Candidate) -> set[str]:
    """Of the jobs that are done."""
    done = [job.run.params for job in candidate.done]
    return {params[FOLD] for params in done if FOLD in params and params.get(FOLDS, "null") != "null"}


def _metrics(candidate: Candidate) -> list[str]:
    names = {name for job in candidate.done for name in job.run.metrics if name.startswith(HELD_OUT_PREFIXES)}
    return sorted(name for name in names if candidate.values(name))
