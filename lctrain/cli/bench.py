"""`bench`: how long each locally connected layer and the whole model take, each case in a fresh process."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lctrain.benchmark.cases import WHOLE_MODEL, measure_layer, measure_model
from lctrain.benchmark.tuning import needs_tuning, tune
from lctrain.composition.hydra_app import Job, run_jobs
from lctrain.config import Config
from lctrain.config.compilable import find_not_compilable
from lctrain.cost import MEBIBYTE
from lctrain.data import check_feeds
from lctrain.errors import EXIT_DONE, EXIT_FAILED, UserError
from lctrain.model.summary import summarize
from lctrain.system.machine import describe_machine
from lctrain.system.memory import format_shortage
from lctrain.system.subprocesses import run_in_process
from lctrain.tracking import check_writable, start_run, ui_command

TIMEOUT = 600  # seconds for one case


def run_bench(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Measures every configuration that the command line asks for; prints a table and names the winners.

    Returns:
        The exit code: 0, or 1 where a case failed; one that can't fit into memory is told, not tried, and no failure.
    """
    parser = argparse.ArgumentParser("lctrain bench", add_help=False)
    parser.add_argument("--out", type=Path)
    options, arguments = parser.parse_known_args(list(arguments))
    if options.out is not None and not options.out.parent.is_dir():
        raise UserError(f"`--out` must be a file in a folder that exists; got {str(options.out)!r}.")
    jobs: list[Job] = []
    exit_code = run_jobs(jobs.append, arguments, print_error)
    if exit_code != EXIT_DONE:
        return exit_code
    configs = [job.config for job in jobs]
    for config in configs:
        check_feeds(config)
    check_writable(configs[0].tracking)
    configs = [tune(config).config if needs_tuning(config) else config for config in configs]
    for config in configs:
        _warn_of_jit(config)
    rows = [row for config in configs for row in measure_config(config)]
    _print_rows(rows)
    if options.out is not None:
        options.out.write_text(json.dumps({"machine": describe_machine(), "cases": rows}, indent=1) + "\n")
    _log_rows(configs[0], rows, jobs[0].folder)
    print(f"Browse it: {ui_command(configs[0].tracking)}")
    return EXIT_FAILED if any(row["status"] == "failed" for row in rows) else EXIT_DONE


def _warn_of_jit(config: Config) -> None:
    found = find_not_compilable(config)
    if config.jit_compile is True and found:
        message = (
            f"jit_compile is true, but XLA compiles nothing of the whole model: it can't compile {', '.join(found)}"
        )
        print(f"Warning: {message}.", file=sys.stderr, flush=True)


def measure_config(config: Config) -> list[dict[str, Any]]:
    """One row for each locally connected layer, wrapped ones included, and one for the whole model.

    Raises:
        ConfigError: a model whose layers do not fit together.
    """
    layers = [layer for layer in summarize(config).layers if layer.costs]
    rows = []
    for layer in layers:
        if layer.shares is None:  # else it would be measured twice
            cost = layer.costs[layer.resolved]
            row = _describe_case(config, layer.name, layer.implementation, cost.total - cost.slots)
            rows.append(_measure_case(row, measure_layer, config, layer.name, layer.input_shapes[0][1:]))
    needed = sum(layer.costs[layer.resolved].total for layer in layers)
    row = _describe_case(config, WHOLE_MODEL, config.implementation, needed)
    return [*rows, _measure_case(row, measure_model, config)]


def _describe_case(config: Config, case: str, implementation: int | str, needed: int) -> dict[str, Any]:
    return {
        "model": config.model.name,
        "case": case,
        "implementation": implementation,
        "batch_size": config.training.batch_size,
        "precision": config.precision,
        "jit_compile": config.jit_compile,
        "predicted_mb": needed / MEBIBYTE,
    }


def _measure_case(row: dict[str, Any], measure: Callable, *arguments: Any) -> dict[str, Any]:
    reason = format_shortage(row["predicted_mb"] * MEBIBYTE)
    if reason:
        return row | {"status": "too large", "reason": reason}
    outcome = run_in_process(measure, *arguments, timeout=TIMEOUT)
    if isinstance(outcome.error, UserError):
        raise outcome.error
    if outcome.status != "done":
        return row | {"status": "failed", "reason": outcome.reason}
    return row | {"status": "done", "reason": ""} | outcome.value


def find_winners(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """For each (model, case) the row with the shortest training step, among those that were measured."""
    winners: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["status"] == "done":
            best = winners.setdefault((row["model"], row["case"]), row)
            if row["train_step_ms"] < best["train_step_ms"]:
                winners[row["model"], row["case"]] = row
    return winners


def _print_rows(rows: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console

    from lctrain.report import bench_table

    winners = find_winners(rows)
    console = Console()
    console = console if console.is_terminal else Console(width=120)
    console.print(bench_table(rows, list(winners.values())))
    for (model, case), row in winners.items():
        print(
            f"Fastest for {model} {case}: implementation {row['implementation']}, {row['train_step_ms']:.2f} ms a step."
        )


def _log_rows(config: Config, rows: Sequence[dict[str, Any]], folder: Path) -> None:
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
