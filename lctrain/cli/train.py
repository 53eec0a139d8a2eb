"""`train`: one job in this process, or with -m several, each in its own."""

from collections.abc import Callable, Sequence

from lctrain.composition.hydra_app import run_jobs
from lctrain.composition.sweep_overrides import is_sweep
from lctrain.job.resume import continue_job
from lctrain.job.run import run_job
from lctrain.sweep.run import run_sweep


def run_train(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Trains every configuration that the command line asks for; returns the exit code of `run_jobs` or `run_sweep`."""
    if is_sweep(arguments):
        return run_sweep(arguments, print_error)
    arguments, exit_code = continue_job(arguments, print_error)
    if exit_code is not None:
        return exit_code

    def run(job) -> None:
        run_job(job.config, job.overrides, job.folder, goes_on=bool(job.config.resume))

    return run_jobs(run, arguments, print_error)
