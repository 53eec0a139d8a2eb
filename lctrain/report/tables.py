"""Tables of one job and of a bench."""

from collections.abc import Mapping, Sequence
from typing import Any

from lctrain.system.tables import Column


def summary_columns(metrics: Mapping[str, float]) -> list[Column]:
    """The few figures that a user looks for at the end of a job."""
    rows = []
    tested = [name for name in metrics if name.startswith("test_")]
    for name in sorted(tested, key=lambda name: name == "test_loss"):  # whatever the configuration names; the loss last
        rows.append((name.replace("_", " ", 1), f"{metrics[name]:.4f}"))
    for label, name, template in SUMMARY:
        if name in metrics:  # a job that is resumed at its end has no first step
            rows.append((label, template.format(metrics[name])))
    labels, figures = zip(*rows, strict=True)
    return [Column("", labels), Column("", figures, is_figure=True)]


def bench_columns(rows: Sequence[Mapping[str, Any]], fastest: Sequence[Mapping[str, Any]]) -> list[Column]:
    """What a bench measured, a row per case; the fastest of each case are marked."""
    marks = [" *" if any(row is one for one in fastest) else "" for row in rows]
    named = [f"{row['implementation']}{mark}" for row, mark in zip(rows, marks, strict=True)]
    columns = [Column(name, [row[name] for row in rows], is_setting=True) for name in ("model", "case")]
    columns.append(Column("by", named))
    for label, name, template in BENCH_COLUMNS:
        figures = [template.format(row[name]) if row["status"] == "done" else "" for row in rows]
        columns.append(Column(label, figures, is_figure=True, is_extra=label in BENCH_EXTRAS))
    return columns


BENCH_EXTRAS = ("p10", "p90", "build s", "first step s")
BENCH_COLUMNS = (
    ("train step", "train_step_ms", "{:.2f}"),
    ("p10", "train_step_ms_p10", "{:.2f}"),
    ("p90", "train_step_ms_p90", "{:.2f}"),
    ("forward", "forward_ms", "{:.2f}"),
    ("build s", "build_seconds", "{:.2f}"),
    ("first step s", "first_step_seconds", "{:.2f}"),
    ("peak MB", "peak_memory_mb", "{:,.0f}"),
    ("parameters", "parameters", "{:,}"),
)
SUMMARY = (
    ("parameters", "params_total", "{:,.0f}"),
    ("build", "build_seconds", "{:.2f} s"),
    ("first step", "first_step_seconds", "{:.2f} s"),
    ("train step (median)", "train_step_ms", "{:.2f} ms"),
    ("inference (median)", "inference_ms", "{:.2f} ms"),
    ("examples per second", "examples_per_second", "{:,.0f}"),
    ("peak memory", "peak_memory_mb", "{:,.0f} MB"),
)
