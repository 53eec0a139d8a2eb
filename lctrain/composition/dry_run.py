"""Composing and validating without running: what the verbs that only look share."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig

from lctrain.composition.hydra_app import Job, launch, read_composed, read_written, run_jobs
from lctrain.composition.hydra_flags import PRINTING
from lctrain.composition.launchers import DRY, SHARED
from lctrain.composition.override_forms import quote
from lctrain.composition.overrides import check_arguments
from lctrain.composition.sweep_overrides import is_sweep
from lctrain.errors import PrintError, UserError


def run_dry(handle_job: Callable[[Job], None], arguments: Sequence[str], print_error: PrintError) -> int:
    """As `run_jobs`, but nothing of Hydra's stays behind: no folder of outputs, no log file."""
    with _without_traces(arguments) as untraced:
        return run_jobs(handle_job, untraced, print_error, [SHARED, DRY] if is_sweep(arguments) else [])


def compose_dry(arguments: Sequence[str]) -> dict[str, Any]:
    """What a command line composes, read and resolved but not validated; nothing of Hydra's stays behind."""
    return _compose(lambda config: read_composed(config)[0], arguments)


def compose_unread(arguments: Sequence[str]) -> dict[str, Any]:
    """What a command line composes, before the user's own files are looked into; references are not resolved."""
    return _compose(read_written, arguments)


def _compose(read: Callable[[DictConfig], dict[str, Any]], arguments: Sequence[str]) -> dict[str, Any]:
    composed: list[dict[str, Any]] = []

    check_not_printing(arguments)
    check_arguments(arguments)
    with _without_traces(arguments) as untraced:
        launch(lambda config: composed.append(read(config)), untraced)
    return composed[0]


def check_not_printing(arguments: Sequence[str]) -> None:
    """Refuses the flags by which Hydra prints something and composes nothing.

    Raises:
        UserError: names the flag.
    """
    for argument in arguments:
        if argument.partition("=")[0] in PRINTING:
            raise UserError(f"`{argument}` is not taken here: with it nothing is composed. Leave it out.")


@contextmanager
def _without_traces(arguments: Sequence[str]) -> Iterator[list[str]]:
    """The command line with what lets Hydra make no folder of outputs and no log file."""
    with tempfile.TemporaryDirectory(prefix="lctrain-dry-") as folder:
        nowhere = [f"hydra.run.dir={quote(folder)}", f"hydra.sweep.dir={quote(folder)}", "hydra.output_subdir=null"]
        yield [*arguments, *nowhere, "hydra/job_logging=disabled"]
