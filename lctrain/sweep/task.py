"""What a launcher runs for each job of a sweep: in this process, or in another, here or on another machine."""

import math
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lctrain.composition.hydra_app import read_job
from lctrain.composition.override_forms import split_override
from lctrain.job.run import run_job_in_place, run_job_of_sweep
from lctrain.sweep.supervisor import Task, supervise


@dataclass(frozen=True)
class SweepTask:
    """Supervises one job; it can be pickled, as launchers send it to where the job runs.

    Args:
        folder: the sweep's, which all machines see.
        parent: the folder of the journal of the sweep's own run.
        working_folder: from which the configuration's relative paths count.
        common: overrides that all jobs have.
    """

    folder: Path
    parent: Path
    working_folder: Path
    common: frozenset[str]

    def __call__(self, composed: DictConfig) -> dict[str, Any] | float:
        """The job's record; for a sweeper that looks for the best, the objective alone, NaN where the job failed."""
        chdir = HydraConfig.get().job.chdir
        if not chdir:
            os.chdir(self.working_folder)  # some launchers start elsewhere
        job = read_job(composed)
        if chdir and job.config.tracking.name == "local":
            folder = self.working_folder / Path(job.config.tracking.folder).expanduser()  # the store stays where it is
            tracking = job.config.tracking.model_copy(update={"folder": str(folder)})
            job = replace(job, config=job.config.model_copy(update={"tracking": tracking}))
        # A fork of another job's process would live in that one's allocation.
        if HydraConfig.get().runtime.choices["hydra/launcher"] == "slurm":
            sweep = job.config.sweep.model_copy(update={"start_method": "spawn"})
            job = replace(job, config=job.config.model_copy(update={"sweep": sweep}))
        number = 0 if job.number is None else job.number
        special = [split_override(override) for override in job.overrides if override not in self.common]
        choices = {key: value or "" for _, key, value in special}
        task = Task(job.config, job.overrides, job.folder, number, self.folder, self.parent, choices)
        record = supervise(run_job_of_sweep if job.config.sweep.isolate else run_job_in_place, task)
        objective = job.config.sweep.objective
        return asdict(record) if objective is None else record.metrics.get(objective, math.nan)
