"""Handing the jobs of a sweep to a task that only looks at them: in this process, leaving nothing behind."""

import os
from collections.abc import Mapping, Sequence
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict


def launch(given: Mapping[str, Any], job_overrides: Sequence[Sequence[str]], first: int) -> None:
    """Calls the task with each job's configuration.

    Args:
        given: what Hydra hands to a launcher's `setup`.
        job_overrides: of each job.
        first: the number of the first.
    """
    load = given["hydra_context"].config_loader.load_sweep_config
    before = HydraConfig.instance().cfg
    try:
        for number, overrides in enumerate(job_overrides, first):
            config = load(given["config"], list(overrides))
            with open_dict(config.hydra):
                config.hydra.job.id = config.hydra.job.num = number
            folder = _hide_hydra(config)
            with chdir(folder) if HydraConfig.get().job.chdir else nullcontext():
                given["task_function"](config)
    finally:
        HydraConfig.instance().cfg = before


def _hide_hydra(config: DictConfig) -> str:
    """Takes Hydra's own settings out of a job's, to where Hydra has them while the job runs; the job's folder.

    Hydra's `run_job` does it with five copies of all of it.
    """
    hydra = HydraConfig.instance()
    hydra.cfg = config  # by which what names the folder may ask for them
    parent, name = (str(OmegaConf.select(config, f"hydra.sweep.{key}")) for key in ("dir", "subdir"))
    folder = os.path.abspath(Path(parent, name))
    if config.hydra.job.chdir or not name.isdecimal():  # a number can always be made a folder
        Path(folder).mkdir(parents=True, exist_ok=True)
    with open_dict(config):
        config.hydra.runtime.output_dir = folder
        node = config.pop("hydra")
    hydra.cfg = DictConfig({"hydra": node}, flags={"no_deepcopy_set_nodes": True})
    hydra.cfg.hydra._set_parent(config)
    return folder
