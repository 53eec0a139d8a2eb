"""`bench`: how long each locally connected layer and the whole model take, each case in a process of its own."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lctrain.benchmark.comparison import Row, find_winners, format_jit_warning, log_rows, make_server, measure_config
from lctrain.benchmark.tuning import needs_tuning, tune
from lctrain.cli.parser import VerbParser
from lctrain.composition.hydra_app import Job, run_jobs
from lctrain.data import check_feeds
from lctrain.errors import EXIT_DONE, EXIT_FAILED, PrintError, UserError
from lctrain.system.fork_client import keep
from lctrain.system.machine import describe_machine
from lctrain.tracking import check_writable, ui_command


def make_parser() -> VerbParser:
    parser = VerbParser("bench", "Times every locally connected layer and the whole model.")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the cases as JSON")
    parser.add_overrides("the command line of the job; with -m KEY=A,B each of several")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Measures every configuration that the command line asks for; prints a table and names the winners.

    Returns:
        The exit code: 0, or 1 where a case failed; one that can't fit into memory is told, not tried, and no failure.
    """
    if options.out is not None and not options.out.parent.is_dir():
        raise UserError(f"`--out` must be a file in a folder that exists; got {str(options.out)!r}.")
    jobs: list[Job] = []
    exit_code = run_jobs(jobs.append, options.arguments, print_error)
    if exit_code != EXIT_DONE:
        return exit_code
    configs = [job.config for job in jobs]
    for config in configs:
        check_feeds(config)
    check_writable(configs[0].tracking)
    configs = [tune(config).config if needs_tuning(config) else config for config in configs]
    for warning in filter(None, map(format_jit_warning, configs)):
        print(warning, file=sys.stderr, flush=True)
    server = make_server()
    with keep(server):
        rows = [row for config in configs for row in measure_config(config, server)]
    print_rows(rows)
    if options.out is not None:
        options.out.write_text(json.dumps({"machine": describe_machine(), "cases": rows}, indent=1) + "\n")
    log_rows(configs[0], rows, jobs[0].folder)
    print(f"Browse it: {ui_command(configs[0].tracking)}")
    return EXIT_FAILED if any(row["status"] == "failed" for row in rows) else EXIT_DONE


def print_rows(rows: Sequence[Row]) -> None:
    from lctrain.report import bench_table  # which takes matplotlib

    winners = find_winners(rows)
    console = Console()
    console = console if console.is_terminal else Console(width=120)
    console.print(bench_table(rows, list(winners.values())))
    for (model, case), row in winners.items():
        print(
            f"Fastest for {model} {case}: implementation {row['implementation']}, {row['train_step_ms']:.2f} ms a step."
        )
