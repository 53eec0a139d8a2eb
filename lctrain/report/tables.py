"""Tables of one job and of a bench."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table


def summary_table(title: str, metrics: Mapping[str, float]) -> Table:
    """The few figures that a user looks for at the end of a job."""
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    tested = [name for name in metrics if name.startswith("test_")]
    for name in sorted(tested, key=lambda name: name == "test_loss"):  # whatever the configuration names; the loss last
        table.add_row(name.replace("_", " ", 1), f"{metrics[name]:.4f}")
    for label, name, template in SUMMARY:
        if name in metrics:  # a job that is resumed at its end has no first step
            table.add_row(label, template.format(metrics[name]))
    return table


def bench_table(rows: Sequence[Mapping[str, Any]], winners: Sequence[Mapping[str, Any]]) -> Table:
    """What a bench measured, a row per case; the fastest of each case is marked."""
    table = Table(title="bench (ms: median per step of one batch)")
    for name in ("model", "case", "by"):
        table.add_column(name)
    for label, _, _ in BENCH_COLUMNS:
        table.add_column(label, justify="right")
    for row in rows:
        if row["status"] == "done":
            figures = [template.format(row[name]) for _, name, template in BENCH_COLUMNS]
        else:
            figures = [row["reason"]]
        mark = " *" if any(row is winner for winner in winners) else ""
        table.add_row(row["model"], row["case"], f"{row['implementation']}{mark}", *figures)
    return table


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
