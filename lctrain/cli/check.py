"""`check`: validates every configuration that the command line asks for, and runs none."""

import argparse
import sys

from lctrain.cli.parser import VerbParser
from lctrain.composition.dry_run import run_dry
from lctrain.composition.hydra_app import Job
from lctrain.composition.sweep_overrides import check_no_resume, is_sweep, read_settings
from lctrain.data import check_feeds, complete_reading
from lctrain.errors import EXIT_DONE, EXIT_USER_ERROR, PrintError
from lctrain.model.summary import summarize
from lctrain.system.terminal import print_folded


def make_parser() -> VerbParser:
    parser = VerbParser("check", "Validates a configuration, or every job of a sweep with -m, and runs nothing.")
    parser.add_overrides("the command line of the job or the sweep")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Schema, allowlist and shapes; of a sweep all that it looks at itself before its first job starts.

    What Keras alone can refuse is not seen.

    Returns:
        The exit code: 0, or 2 where a configuration is wrong.
    """
    check_no_resume(options.arguments)
    jobs: list[Job] = []

    def check(job: Job) -> None:
        check_feeds(job.config)
        for note in complete_reading(job.config)[1]:
            print_folded(f"data: {note}", sys.stderr)
        summarize(job.config)
        jobs.append(job)

    if is_sweep(options.arguments):
        from lctrain.sweep.run import validate_jobs  # which takes what jobs take

        jobs = validate_jobs(options.arguments, read_settings(options.arguments).num_trials is not None, print_error)
        if not jobs:
            return EXIT_USER_ERROR
    else:
        run_dry(check, options.arguments, print_error)
    if jobs:  # none where Hydra was only asked to print, as by --cfg
        print_folded(
            f"{len(jobs)} configurations are valid." if len(jobs) > 1 else f"`{jobs[0].config.model.name}` is valid."
        )
    return EXIT_DONE
