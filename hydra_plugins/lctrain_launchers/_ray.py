"""Running Hydra's jobs on a Ray cluster that is there already, in the folder and with the variables of this process."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.types import HydraContext
from hydra_plugins.hydra_ray_launcher._launcher_util import _run_job, start_ray
from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_plugins.lctrain_launchers._lost import lost_job

CARRIED = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")  # what a training depends on
SECONDS_TO_CANCEL = 40


def launch(
    settings: Mapping[str, Any], given: Mapping[str, Any], job_overrides: Sequence[Sequence[str]], first: int
) -> Sequence[JobReturn]:
    """Hands all jobs to Ray at once and waits for all.

    Args:
        settings: `hydra.launcher`'s keys, those of hydra-ray-launcher.
        given: what Hydra hands to a launcher's `setup`.
        job_overrides: of each job.
        first: the number of the first.

    Returns:
        What each job returned; one whose worker died has the status FAILED and the reason.
    """
    config, context = given["config"], given["hydra_context"]
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    start_ray(settings["ray"].init)
    options = OmegaConf.to_container(settings["ray"].remote, resolve=True)
    run = ray.remote(**options)(_run_here)
    variables = {name: os.environ[name] for name in CARRIED if name in os.environ}
    jobs = [
        run.remote(os.getcwd(), variables, context, composed, given["task_function"], Singleton.get_state())
        for composed in _compose_jobs(config, context, job_overrides, first)
    ]
    try:
        return [_result(job) for job in jobs]
    except BaseException:  # an interrupt of ours must not leave jobs on the cluster
        for job in jobs:
            ray.cancel(job, force=False)
        ray.wait(jobs, num_returns=len(jobs), timeout=SECONDS_TO_CANCEL)  # they write down that they were
        raise


def _compose_jobs(
    config: DictConfig, context: HydraContext, job_overrides: Sequence[Sequence[str]], first: int
) -> list[DictConfig]:
    jobs = []
    for number, overrides in enumerate(job_overrides, start=first):
        composed = context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.num = number
            composed.hydra.job.id = f"job_id_for_{number}"
        jobs.append(composed)
    return jobs


def _run_here(folder: str, variables: Mapping[str, str], *job: Any) -> JobReturn:
    """Runs on a worker, which starts in a folder of Ray's own and with the variables of whoever started Ray."""
    os.chdir(folder)
    os.environ.update(variables)
    return _run_job(*job)


def _result(job: ray.ObjectRef) -> JobReturn:
    try:
        return ray.get(job)
    except ray.exceptions.RayError as error:
        return lost_job(error)
