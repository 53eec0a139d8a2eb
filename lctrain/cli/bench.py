"""`bench`: how long each locally connected layer and the whole model take, each case in a process of its own."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lctrain.benchmark.comparison import (
    Row,
    find_fastest,
    format_case,
    format_jit_warning,
    list_cases,
    log_rows,
    make_server,
    measure_case,
)
from lctrain.benchmark.tuning import needs_tuning, tune
from lctrain.cli.parser import VerbParser
from lctrain.composition.hydra_app import Job, run_jobs
from lctrain.data import check_feeds
from lctrain.errors import EXIT_DONE, EXIT_FAILED, PrintError, UserError
from lctrain.report.tables import bench_columns
from lctrain.system.files import check_file_to_write, refuse_unwritable, write_json
from lctrain.system.fork_client import keep
from lctrain.system.machine import describe_machine
from lctrain.system.progress import show_progress
from lctrain.system.tables import print_table
from lctrain.system.terminal import format_plain, print_folded
from lctrain.tracking import check_writable, ui_command


def make_parser() -> VerbParser:
    parser = VerbParser("bench", "Times every locally connected layer and the whole model.")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the cases as JSON")
    parser.add_overrides("the command line of the job; with -m KEY=A,B each of several")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Measures every configuration that the command line asks for; prints a table and names the fastest.

    Returns:
        The exit code: 0, or 1 where a case failed; one that can't fit into memory is told, not tried, and no failure.
    """
    if options.out is not None:
        check_file_to_write("--out", options.out)
        if not options.out.parent.is_dir():
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
        print_folded(warning, sys.stderr)
    cases = [case for config in configs for case in list_cases(config)]
    rows = []
    server = make_server()
    with keep(server), show_progress(len(cases)) as begin:
        for case in cases:
            begin(format_case(case.row))
            rows.append(measure_case(case, server))
    print_rows(rows)
    log_rows(configs[0], rows, jobs[0].folder)
    if options.out is not None:
        with refuse_unwritable("--out", options.out):
            write_json(options.out, {"machine": describe_machine(), "cases": rows})
    print_folded(f"Browse it: {ui_command(configs[0].tracking)}")
    return EXIT_FAILED if any(row["status"] == "failed" for row in rows) else EXIT_DONE


def print_rows(rows: Sequence[Row]) -> None:
    fastest = find_fastest(rows)
    print_table(
        "bench (ms: median per step of one batch)",
        bench_columns(rows, [row for tied in fastest.values() for row in tied]),
    )
    lines = [f"{format_case(row)}: {row['reason']}" for row in rows if row["status"] != "done"]
    lines += [_format_fastest(f"{model} {case}", tied) for (model, case), tied in fastest.items()]
    for line in lines:
        print_folded(format_plain(line))


def _format_fastest(case: str, tied: Sequence[Row]) -> str:
    from lctrain.report.wording import format_names

    names = format_names([f"implementation {row['implementation']}" for row in tied], "or")
    shortest, *_, longest = (f"{row['train_step_ms']:.2f} ms" for row in (tied[0], *tied))
    if len(tied) == 1:
        return f"Fastest for {case}: {names}, {shortest} a step."
    return f"Fastest for {case}: {names}, which are a tie, {shortest} to {longest} a step."
