"""Composing and validating without running: what the verbs that only look share."""

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from omegaconf import OmegaConf

from lctrain.cli.hydra_app import Job, launch, run_jobs
from lctrain.cli.overrides import check_arguments, quote, split_override
from lctrain.config.references import resolve
from lctrain.data import complete_statement


def run_dry(look: Callable[[Job], None], arguments: Sequence[str], tell: Callable[[Exception, str], None]) -> int:
    """As `run_jobs`, but nothing of Hydra's stays behind: no folder of outputs, no log file."""
    with tempfile.TemporaryDirectory(prefix="lctrain-dry-") as folder:
        nowhere = [f"hydra.run.dir={quote(folder)}", f"hydra.sweep.dir={quote(folder)}", "hydra.output_subdir=null"]
        return run_jobs(look, [*arguments, *nowhere, *quiet(arguments), "hydra/job_logging=disabled"], tell)


def compose_dry(arguments: Sequence[str]) -> dict[str, Any]:
    """What a command line composes, read and resolved but not validated; nothing of Hydra's stays behind."""
    composed: list[dict[str, Any]] = []

    def keep(config) -> None:
        composed.append(resolve(complete_statement(OmegaConf.to_container(config, resolve=False)))[0])

    check_arguments(arguments)
    with tempfile.TemporaryDirectory(prefix="lctrain-dry-") as folder:
        nowhere = [f"hydra.run.dir={quote(folder)}", "hydra.output_subdir=null", "hydra/job_logging=disabled"]
        launch(keep, [*arguments, *nowhere, *quiet(arguments)])
    return composed[0]


def quiet(arguments: Sequence[str]) -> list[str]:
    """What keeps Hydra from telling of each job that it launches, unless the command line says how it shall log."""
    is_set = any(split_override(argument)[1] in ("hydra/hydra_logging", "hydra.verbose") for argument in arguments)
    return [] if is_set else ["hydra/hydra_logging=none"]
