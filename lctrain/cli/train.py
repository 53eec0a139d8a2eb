"""`train`: one job in this process, or with -m several, each in its own."""

from collections.abc import Callable, Sequence

from lctrain.cli.hydra_app import run_jobs
from lctrain.cli.job import run_job
from lctrain.cli.search_space import is_sweep
from lctrain.cli.sweep import run_sweep


def run_train(arguments: Sequence[str], tell: Callable[[Exception, str], None]) -> int:
    """Trains every configuration that the command line asks for; returns the exit code of `run_jobs` or `run_sweep`."""
    if is_sweep(arguments):
        return run_sweep(arguments, tell)
    return run_jobs(lambda job: run_job(job.config, job.overrides, job.folder), arguments, tell)
