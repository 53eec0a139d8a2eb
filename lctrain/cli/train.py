"""`train`: one job in this process, or with -m several, each in its own."""

import argparse

from lctrain.cli.parser import VerbParser
from lctrain.composition.hydra_app import Job, run_jobs
from lctrain.composition.sweep_overrides import is_sweep
from lctrain.errors import PrintError
from lctrain.job.resume import continue_job
from lctrain.job.run import run_job
from lctrain.job.sources import name_initial_run
from lctrain.sweep.run import run_sweep


def make_parser() -> VerbParser:
    parser = VerbParser("train", "Trains one model, or several with -m. The verb may be left out.")
    parser.add_overrides("GROUP=CHOICE or KEY=VALUE; with -m KEY=A,B; resume=true|RUN_ID; sweep.resume=FOLDER")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Trains every configuration that the command line asks for; returns the exit code of `run_jobs` or `run_sweep`."""
    arguments = [*options.flags, *name_initial_run(options.flags, options.overrides)]
    if is_sweep(arguments):
        return run_sweep(arguments, print_error)
    arguments, exit_code = continue_job(arguments, print_error)
    if exit_code is not None:
        return exit_code

    def train(job: Job) -> None:
        run_job(job.config, job.overrides, job.folder, resumes=bool(job.config.resume))

    return run_jobs(train, arguments, print_error)
