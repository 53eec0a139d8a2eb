"""Composing and validating without running: what the verbs that only look share."""

import tempfile
from collections.abc import Callable, Sequence

from lctrain.cli.hydra_app import Job, run_jobs
from lctrain.cli.overrides import quote, split_override


def run_dry(look: Callable[[Job], None], arguments: Sequence[str], tell: Callable[[Exception, str], None]) -> int:
    """As `run_jobs`, but nothing of Hydra's stays behind: no folder of outputs, no log file."""
    with tempfile.TemporaryDirectory(prefix="lctrain-dry-") as folder:
        nowhere = [f"hydra.run.dir={quote(folder)}", f"hydra.sweep.dir={quote(folder)}", "hydra.output_subdir=null"]
        return run_jobs(look, [*arguments, *nowhere, *quiet(arguments), "hydra/job_logging=disabled"], tell)


def quiet(arguments: Sequence[str]) -> list[str]:
    """What keeps Hydra from telling of each job that it launches, unless the command line says how it shall log."""
    is_set = any(split_override(argument)[1] in ("hydra/hydra_logging", "hydra.verbose") for argument in arguments)
    return [] if is_set else ["hydra/hydra_logging=none"]
