"""`train`: one job in this process, or with -m several, each in its own."""

import argparse
import shlex
from collections.abc import Sequence

from lctrain.cli.parser import VerbParser
from lctrain.composition.hydra_app import Job, run_jobs
from lctrain.composition.sweep_overrides import is_sweep
from lctrain.errors import PrintError
from lctrain.job.resume import RESUME, continue_job, read_resume
from lctrain.job.resume_state import read_unfinished
from lctrain.job.run import run_job
from lctrain.job.sources import name_initial_run
from lctrain.sweep.run import run_sweep
from lctrain.system.signals import Terminated


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
        try:
            run_job(job.config, job.overrides, job.folder, resumes=bool(job.config.resume))
        except (KeyboardInterrupt, Terminated) as interrupt:
            if read_unfinished(job.folder) is not None:
                interrupt.add_note(f"Go on with it: {_format_resume_command(options.arguments)}")
            raise

    return run_jobs(train, arguments, print_error)


def _format_resume_command(arguments: Sequence[str]) -> str:
    """The command line that goes on with the job of another.

    >>> _format_resume_command(["--config-dir", "my configs", "model=mine"])
    "python -m lctrain --config-dir 'my configs' model=mine resume=true"
    >>> _format_resume_command(["resume=3f2a91c0"])
    'python -m lctrain resume=3f2a91c0'
    """
    resume = [] if read_resume(arguments) else [f"{RESUME}=true"]
    return shlex.join(["python", "-m", "lctrain", *arguments, *resume])
