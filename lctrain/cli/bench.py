"""`bench`: how long each locally connected layer and the whole model take, each case in a fresh process."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from lctrain import memory
from lctrain.cli.hydra_app import run_jobs
from lctrain.cli.machine import describe_machine
from lctrain.cli.quiet import load_libraries
from lctrain.config import Config
from lctrain.cost import MEBIBYTE
from lctrain.data import check_feeds
from lctrain.errors import EXIT_DONE, EXIT_FAILED, UserError
from lctrain.jobs import run_in_process
from lctrain.summary import summarize
from lctrain.tracking import check_writable, start_run, ui_command

GIGABYTE = 1e9
WHOLE_MODEL = "(model)"
TIMEOUT = 600  # seconds for one case


def run_bench(arguments: Sequence[str], tell: Callable[[Exception, str], None]) -> int:
    """Measures every configuration that the command line asks for; prints a table and names the winners.

    Returns:
        The exit code: 0, or 1 where a case failed; one that can't fit into memory is told, not tried, and no failure.
    """
    parser = argparse.ArgumentParser("lctrain bench", add_help=False)
    parser.add_argument("--out", type=Path)
    options, arguments = parser.parse_known_args(list(arguments))
    if options.out is not None and not options.out.parent.is_dir():
        raise UserError(f"`--out` must be a file in a folder that exists; got {str(options.out)!r}.")
    configs: list[Config] = []
    exit_code = run_jobs(lambda config, _overrides: configs.append(config), arguments, tell)
    if exit_code != EXIT_DONE:
        return exit_code
    for config in configs:
        check_feeds(config)
    check_writable(configs[0].tracking)
    rows = [row for config in configs for row in measure_config(config)]
    _print_rows(rows)
    if options.out is not None:
        options.out.write_text(json.dumps({"machine": describe_machine(), "cases": rows}, indent=1) + "\n")
    _log_rows(configs[0], rows)
    print(f"Browse it: {ui_command(configs[0].tracking)}")
    return EXIT_FAILED if any(row["status"] == "failed" for row in rows) else EXIT_DONE


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
    needed = row["predicted_mb"] * MEBIBYTE
    if needed > psutil.virtual_memory().available:
        return row | {"status": "too large", "reason": f"needs {needed / GIGABYTE:.1f} GB"}
    outcome = run_in_process(measure, *arguments, timeout=TIMEOUT)
    if isinstance(outcome.error, UserError):
        raise outcome.error
    if outcome.status != "done":
        return row | {"status": "failed", "reason": outcome.reason}
    return row | {"status": "done", "reason": ""} | outcome.value


def measure_layer(config: Config, name: str, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """Forward pass and training step of one layer by itself; runs in a process of its own."""
    load_libraries()
    from lctrain import profiling, training
    from lctrain.builder import build_layer

    training.prepare_process(config)
    layer = build_layer(name, config.model.layers[name])
    return profiling.measure_layer(layer, input_shape, config.training.batch_size, config.jit_compile)


def measure_model(config: Config) -> dict[str, Any]:
    """Build, first step, inference and training step of the whole model on random arrays; likewise."""
    load_libraries()
    from lctrain import profiling, training
    from lctrain.builder import build_model

    training.prepare_process(config)
    memory.reset_peak_memory()
    before = memory.resident_memory_bytes()
    started = time.perf_counter()
    model = build_model(config)
    build_seconds = time.perf_counter() - started
    training.compile_model(model, config)
    generator = np.random.default_rng(config.seed)
    batch_size = config.training.batch_size
    inputs = generator.standard_normal((batch_size, *model.input_shape[1:]), dtype=np.float32)
    labels = training.encode_labels(generator.integers(config.data.num_classes, size=batch_size), config)
    started = time.perf_counter()
    model.train_on_batch(inputs, labels)
    first_step_seconds = time.perf_counter() - started
    steps = profiling.measure_steps(model, inputs, labels)
    peak = memory.peak_memory_bytes() - before
    return profiling.bench_figures(
        model, build_seconds, first_step_seconds, steps["train_step"], steps["inference"], peak
    )


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


def _log_rows(config: Config, rows: Sequence[dict[str, Any]]) -> None:
    tags = {"verb": "bench", "model": config.model.name, "data": config.data.name, **describe_machine()}
    with start_run(config.tracking, f"bench-{config.model.name}", tags) as run:
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
