"""Every case of a configuration, each measured in a process of its own, and the fastest implementation in each."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

from lctrain.benchmark.cases import WHOLE_MODEL, load_code, measure_layer, measure_model
from lctrain.config import Config
from lctrain.config.compilable import find_not_compilable
from lctrain.cost import MEBIBYTE
from lctrain.devices.runtime import find_started
from lctrain.errors import UserError
from lctrain.model.summary import summarize
from lctrain.system import fork_client
from lctrain.system.fork_client import find_shared_bytes
from lctrain.system.fork_connection import ForkServer
from lctrain.system.machine import describe_machine
from lctrain.system.memory import format_shortage
from lctrain.system.subprocesses import run_in_process
from lctrain.tracking import start_run

TIMEOUT = 600  # seconds for one case

Row = dict[str, Any]  # of the table: a case, what became of it, and its figures


def format_jit_warning(config: Config) -> str:
    """A warning where XLA was asked for and compiles nothing; else empty."""
    found = find_not_compilable(config)
    if config.jit_compile is not True or not found:
        return ""
    message = f"jit_compile is true, but XLA compiles nothing of the whole model: it can't compile {', '.join(found)}"
    return f"Warning: {message}."


def make_server() -> ForkServer:
    """Forks the processes of the cases; where this process was forked itself, by the same server."""
    return fork_client.origin or ForkServer(f"lctrain-bench-{secrets.token_hex(8)}", load_code, find_started)


@dataclass(frozen=True)
class BenchCase:
    """What is to be measured.

    Args:
        row: of the table, as far as it is known before.
        measure: called with the arguments, in a process of its own.
        arguments: its arguments.
    """

    row: Row
    measure: Callable[..., dict[str, Any]]
    arguments: tuple[Any, ...]


def list_cases(config: Config) -> list[BenchCase]:
    """One case for each locally connected layer, wrapped ones included, and one for the whole model.

    Raises:
        ConfigError: a model whose layers do not fit together.
    """
    layers = [layer for layer in summarize(config).layers if layer.costs]
    costs = [layer.costs[cast(int | str, layer.resolved)] for layer in layers]
    cases = []
    for layer, cost in zip(layers, costs, strict=True):
        if layer.shares is None:  # else it would be measured twice
            row = _describe_case(config, layer.name, cast(int | str, layer.implementation), cost.total - cost.slots)
            cases.append(BenchCase(row, measure_layer, (config, layer.name, layer.input_shapes[0][1:])))
    needed = sum(cost.total for cost in costs)
    row = _describe_case(config, WHOLE_MODEL, config.implementation, needed)
    return [*cases, BenchCase(row, measure_model, (config,))]


def _describe_case(config: Config, case: str, implementation: int | str, needed: int) -> Row:
    return {
        "model": config.model.name,
        "case": case,
        "implementation": implementation,
        "batch_size": config.training.batch_size,
        "precision": config.precision,
        "jit_compile": config.jit_compile,
        "predicted_mb": needed / MEBIBYTE,
    }


def format_case(row: Row) -> str:
    return f"{row['model']} {row['case']}, implementation {row['implementation']}"


def measure_case(case: BenchCase, server: ForkServer | None = None) -> Row:
    """The row of a case, with its figures or the reason why there are none.

    Args:
        case: to be measured.
        server: that forks the process; without one it is started afresh.

    Raises:
        UserError: the user's mistake, which all cases would meet.
    """
    reason = format_shortage(case.row["predicted_mb"] * MEBIBYTE, find_shared_bytes(server))
    if reason:
        return case.row | {"status": "too large", "reason": reason}
    outcome = run_in_process(case.measure, *case.arguments, timeout=TIMEOUT, server=server)
    if isinstance(outcome.error, UserError):
        raise outcome.error
    if outcome.status != "done":
        return case.row | {"status": "failed", "reason": outcome.reason}
    measured: Row = outcome.value
    return case.row | {"status": "done", "reason": ""} | measured


def find_fastest(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """For each (model, case) that several rows measured, those whose steps tie with the shortest, that first."""
    from lctrain.report.ranking import are_times_tied  # which takes matplotlib

    measured: dict[tuple[str, str], list[Row]] = {}
    for row in sorted((row for row in rows if row["status"] == "done"), key=itemgetter("train_step_ms")):
        measured.setdefault((row["model"], row["case"]), []).append(row)
    return {
        case: [row for row in same if are_times_tied(*_times(same[0]), row["train_step_ms"])]
        for case, same in measured.items()
        if len(same) > 1
    }


def _times(row: Row) -> tuple[float, float]:
    return row["train_step_ms"], row["train_step_ms_p90"]


def log_rows(config: Config, rows: Sequence[Row], folder: Path) -> None:
    """Logs the rows as a run of its own."""
    tags = {"verb": "bench", "model": config.model.name, "data": config.data.name, **describe_machine()}
    with start_run(config.tracking, f"bench-{config.model.name}", tags, folder) as run:
        columns = sorted({name for row in rows for name in row})
        table = {name: [None if row.get(name) is None else str(row[name]) for row in rows] for name in columns}
        run.log_table(table, "bench.json")
        done = [row for row in rows if row["status"] == "done"]
        for row in done:
            case = "model" if row["case"] == WHOLE_MODEL else row["case"]
            prefix = f"{row['model']}.{case}.{row['implementation']}"
            run.log_metrics(
                {f"{prefix}.{name}": row[name] for name in ("train_step_ms", "forward_ms", "peak_memory_mb")}
            )
