"""The tables and the picture of a run of the comparison."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bars import evaluate_bars
from contenders import CONTENDERS
from workloads import WORKLOADS

COLORS = {"lctrain": "#0072b2", "tf_keras": "#d55e00", "JAX": "#009e73", "PyTorch": "#cc79a7"}
MARKERS = {"auto": "D", "batched": "o", "1": "$1$", "2": "$2$", "3": "$3$"}

Rows = Sequence[Mapping[str, Any]]


def write_tables(study: Mapping[str, Any], path: Path) -> None:
    """The promises, then milliseconds and ratios of every case, as Markdown."""
    machine, versions = study["machine"], study["versions"]
    lines = [
        f"{study['date']}, {machine['cpu_model']}, {machine['cpu_cores']} cores, {machine['platform']}. "
        + ", ".join(f"{name} {number}" for name, number in versions.items() if number),
        "",
        "## Promises",
        "",
        *_bars_table(study["cases"]),
        "",
        "## Milliseconds of a step (times that of `auto`)",
        "",
        *_cases_table(study["cases"]),
    ]
    path.write_text("\n".join(lines) + "\n")


def _bars_table(rows: Rows) -> list[str]:
    lines = ["| | must | aim | got | decided by | |", "|---|---|---|---|---|---|"]
    for bar in evaluate_bars(rows):
        sign = "at most" if bar.is_limit else "at least"
        got = "" if bar.got is None else f"{bar.got:.2f}"
        lines.append(f"| {bar.name} | {sign} {bar.must:g} | {bar.aim:g} | {got} | {bar.where} | {bar.verdict} |")
    return lines


def _cases_table(rows: Rows) -> list[str]:
    cases = {(row["workload"], row["contender"]): row for row in rows}
    workloads = [workload.name for workload in WORKLOADS if any(row["workload"] == workload.name for row in rows)]
    contenders = [name for name in CONTENDERS if any(row["contender"] == name for row in rows)]
    lines = ["| | " + " | ".join(contenders) + " |", "|---" * (len(contenders) + 1) + "|"]
    for workload in workloads:
        cells = [_cell(cases.get((workload, contender))) for contender in contenders]
        lines.append(f"| {workload} | " + " | ".join(cells) + " |")
    return lines


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["status"] != "done":
        return row["reason"]
    return f"{row['milliseconds']:.3g} ({row['over_auto']:.3g})"


def draw_ratios(study: Mapping[str, Any], path: Path) -> None:
    """One line per workload, one mark per contender: its time over the floor's, on a logarithmic axis."""
    from matplotlib.figure import Figure

    rows = [row for row in study["cases"] if row["status"] == "done" and row["contender"] != "floor"]
    names = [workload.name for workload in WORKLOADS if any(row["workload"] == workload.name for row in rows)]
    figure = Figure(figsize=(9, 1.5 + 0.45 * len(names)), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    for contender in [name for name in CONTENDERS if name != "floor"]:
        family, _, mode = contender.partition(" ")
        mine = [row for row in rows if row["contender"] == contender]
        axes.plot(
            [row["over_floor"] for row in mine],
            [names.index(row["workload"]) for row in mine],
            linestyle="none",
            marker=MARKERS.get(mode, "s"),
            color=COLORS[family],
            markersize=8 if mode == "auto" else 7,
            label=contender,
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="time of a step over that of its matrix products alone (the floor), lower is better")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", which="both", alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, dpi=120)
