"""`check`: validates every configuration that the command line asks for, and runs none."""

from collections.abc import Callable, Sequence

from lctrain.cli.dry import run_dry
from lctrain.cli.hydra_app import Job
from lctrain.data import check_feeds
from lctrain.errors import EXIT_DONE, EXIT_USER_ERROR
from lctrain.summary import summarize


def run_check(arguments: Sequence[str], tell: Callable[[Exception, str], None]) -> int:
    """Schema, allowlist and shapes, of each job of a sweep too; what Keras alone can refuse is not seen.

    Returns:
        The exit code: 0, or 2 where a configuration is wrong.
    """
    names: list[str] = []

    def check(job: Job) -> None:
        check_feeds(job.config)
        summarize(job.config)
        names.append(job.config.model.name)

    if run_dry(check, arguments, tell) != EXIT_DONE:
        return EXIT_USER_ERROR
    print(f"{len(names)} configurations are valid." if len(names) > 1 else f"`{names[0]}` is valid.")
    return EXIT_DONE
