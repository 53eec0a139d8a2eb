"""What is installed, what this machine has, and which devices and backends work, as tables or as JSON."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lctrain import __version__
from lctrain.doctor.machine import Row, find_machine
from lctrain.doctor.packages import find_packages
from lctrain.doctor.tensorflow import LOADING, PRECISIONS, Trial, run_trials
from lctrain.system.terminal import format_plain, print_folded

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "absent": "dim"}
REINSTALL = "pip install --force-reinstall tensorflow"
WAITING = "Trying TensorFlow in a process of its own, which takes some 15 s."


def run_examination(as_json: bool) -> bool:
    """Looks at packages and machine, tries TensorFlow, and prints what works.

    Args:
        as_json: prints JSON in place of tables.

    Returns:
        Whether all that is needed works; extras and GPUs that are not there are no failures.
    """
    sections: dict[str, list[Row]] = {}
    for title, find in (("packages", find_packages), ("machine", find_machine)):
        sections[title] = find()
        if not as_json:
            print_rows(title, sections[title])
    if sys.stderr.isatty():
        print_folded(WAITING, sys.stderr)
    sections["computing"] = summarize_trials(run_trials(), sections["machine"])
    failed = [row.name for rows in sections.values() for row in rows if row.state == "fail"]
    if as_json:
        print(json.dumps(_make_data(sections, not failed), indent=1))
    else:
        print_rows("computing", sections["computing"])
        print_folded(_format_conclusion(sections, failed))
    return not failed


def summarize_trials(trials: Sequence[Trial], machine: Sequence[Row]) -> list[Row]:
    """A row per trial, and one where the driver lists GPUs that TensorFlow does not see.

    Args:
        trials: what came of each.
        machine: the rows of the machine, the GPUs' among them.
    """
    rows = [_summarize_trial(trial) for trial in trials]
    is_loaded = any(trial.name == LOADING and trial.status == "done" for trial in trials)
    has_cards = any(row.name == "GPUs" and row.state == "ok" for row in machine)
    if is_loaded and has_cards and not any(" on GPU:" in trial.name for trial in trials):
        detail = "TensorFlow sees none of those that the driver lists"
        rows.insert(1, Row("GPUs", "warn", detail, "pip install 'tensorflow[and-cuda]'"))
    return rows


def _summarize_trial(trial: Trial) -> Row:
    """What is computed otherwise by a setting of the configuration is no failure."""
    if trial.status == "done":
        return Row(trial.name, "ok", trial.detail)
    kind, _, device = trial.name.partition(" on ")
    if trial.name == LOADING:
        needs_avx = "SIGILL" in trial.detail
        return Row(
            trial.name, "fail", trial.detail, "Its wheels need a processor with AVX." if needs_avx else REINSTALL
        )
    if kind == "XLA":
        return Row(trial.name, "warn", trial.detail, "Use jit_compile=false.")
    if kind in PRECISIONS:
        return Row(trial.name, "warn", trial.detail, "Use precision=float32.")
    if device.startswith("GPU"):
        return Row(trial.name, "fail", trial.detail, "See that nobody else fills its memory, or use device=cpu.")
    return Row(trial.name, "fail", trial.detail, REINSTALL)


def print_rows(title: str, rows: Sequence[Row]) -> None:
    """A table on a terminal, coloured unless NO_COLOR is set; elsewhere, or without rich, a plain line per row."""
    try:
        from lctrain.system.tables import Column, make_console, print_table

        is_table = make_console().is_terminal
    except ImportError:  # of rich, which is told among the rows
        is_table = False
    if not is_table:
        print(f"{title}:")
        for row in rows:
            print(f"  {row.state:<6} {format_plain(row.name)}: {_format_row(row)}")
        return
    columns = Column("name", [row.name for row in rows]), Column("state", [row.state for row in rows], styles=COLOURS)
    print_table(title, [*columns, Column("detail, and how to fix it", [_format_row(row) for row in rows])])


def _format_row(row: Row) -> str:
    return format_plain(f"{row.detail.rstrip('.')}. {row.fix}" if row.fix else row.detail)


def _format_conclusion(sections: dict[str, list[Row]], failed: Sequence[str]) -> str:
    num_warnings = sum(row.state == "warn" for rows in sections.values() for row in rows)
    message = f"; warnings: {num_warnings}" if num_warnings else ""
    if failed:
        return f"What is needed and fails: {', '.join(failed)}{message}."
    return f"All that is needed works{message}."


def _make_data(sections: dict[str, list[Row]], is_healthy: bool) -> dict[str, Any]:
    rows = [{"section": title, **asdict(row)} for title, rows in sections.items() for row in rows]
    return {"lctrain": __version__, "ok": is_healthy, "rows": rows}
