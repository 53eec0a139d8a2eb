"""`bench`: how long each locally connected layer and the whole model take, each case in a fresh process."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from lctrain.cli.hydra_app import run_jobs
from lctrain.config import Config
from lctrain.cost import GIGABYTE, MEBIBYTE, LayerSizes, train_step_cost
from lctrain.data import check_feeds
from lctrain.errors import EXIT_DONE, EXIT_FAILED, UserError
from lctrain.geometry import Window, standardize_padding, standardize_sizes
from lctrain.jobs import run_in_process
from lctrain.libraries import load_libraries
from lctrain.machine import describe_machine
from lctrain.tracking import check_writable, start_run, ui_command
from lctrain.trials import measure_layer, measure_model
from lctrain.tuning import needs_tuning, tune

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
    configs = [tune(config).config if needs_tuning(config) else config for config in configs]
    rows = [row for config in configs for row in measure_config(config)]
    _print_rows(rows)
    if options.out is not None:
        options.out.write_text(json.dumps({"machine": describe_machine(), "cases": rows}, indent=1) + "\n")
    _log_rows(configs[0], rows)
    print(f"Browse it: {ui_command(configs[0].tracking)}")
    return EXIT_FAILED if any(row["status"] == "failed" for row in rows) else EXIT_DONE


def measure_config(config: Config) -> list[dict[str, Any]]:
    """One row for each locally connected layer and one for the whole model."""
    inspected = run_in_process(inspect_layers, config, timeout=TIMEOUT)
    if inspected.error is not None:
        raise inspected.error
    if inspected.status != "done":
        raise UserError(f"`model` {config.model.name!r} could not be built: {inspected.reason}")
    layers = inspected.value
    needed = {name: _needed_bytes(config, name, shape) for name, shape in layers.items()}
    cases = [(name, needed[name], measure_layer, (config, name, shape)) for name, shape in layers.items()]
    cases.append((WHOLE_MODEL, sum(needed.values()), measure_model, (config,)))
    return [_measure_case(config, *case) for case in cases]


def _measure_case(config: Config, case: str, needed: int, function: Callable, arguments: tuple) -> dict[str, Any]:
    row = {"model": config.model.name, "case": case, "implementation": _implementation(config, case)}
    row |= {"batch_size": config.training.batch_size, "precision": config.precision, "jit_compile": config.jit_compile}
    row["predicted_mb"] = needed / MEBIBYTE
    if needed > psutil.virtual_memory().available:
        return row | {"status": "too large", "reason": f"needs {needed / GIGABYTE:.1f} GB"}
    outcome = run_in_process(function, *arguments, timeout=TIMEOUT)
    if outcome.status != "done":
        return row | {"status": "failed", "reason": outcome.reason}
    return row | {"status": "done", "reason": ""} | outcome.value


def _implementation(config: Config, case: str) -> int | str:
    return config.implementation if case == WHOLE_MODEL else config.model.layers[case]["implementation"]


def _needed_bytes(config: Config, name: str, input_shape: tuple[int, ...]) -> int:
    """What a training step of the layer needs beyond its input and output, without an optimizer."""
    spec = config.model.layers[name]
    *spatial, channels = input_shape if spec["data_format"] == "channels_last" else (*input_shape[1:], input_shape[0])
    rank = len(spatial)
    window = Window(
        tuple(spatial),
        *(standardize_sizes(spec.get(name, 1), rank, name) for name in ("kernel_size", "strides", "dilation_rate")),
        standardize_padding(spec.get("padding", "valid"), rank),
    )
    sizes = LayerSizes(window, channels, spec["filters"], spec.get("groups", 1), spec.get("use_bias", True))
    itemsize = {"float64": 8, "float32": 4}.get(spec["dtype"], 4)
    cost = train_step_cost(sizes, spec["implementation"], config.training.batch_size, itemsize, num_slots=0)
    return cost.total


def inspect_layers(config: Config) -> dict[str, tuple[int, ...]]:
    """The input shape of each locally connected layer, without the batch; runs in a process of its own."""
    load_libraries()
    from lctrain.builder import build_model
    from lctrain.layers import BaseLocallyConnected

    layers = build_model(config).layers
    return {layer.name: tuple(layer.input.shape[1:]) for layer in layers if isinstance(layer, BaseLocallyConnected)}


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
