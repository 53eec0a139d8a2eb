"""What Hydra finds: the launchers' names, which load the packages that do the work when jobs are launched."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _LateLauncher(Launcher):
    """Keeps what Hydra hands over until there are jobs to launch."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.given = {"hydra_context": hydra_context, "task_function": task_function, "config": config}


class DryLauncher(_LateLauncher):
    """Hands every job to who only looks at it, here and one after the other."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from hydra_plugins.lctrain_launchers import _dry

        _dry.launch(self.given, job_overrides, initial_job_idx)
        return []


class JoblibLauncher(_LateLauncher):
    """Runs several jobs at once in joblib's workers, and lets each end its job when the sweep is interrupted."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from hydra_plugins.lctrain_launchers import _joblib

        return _joblib.launch(self.settings, self.given, job_overrides, initial_job_idx)


class SlurmLauncher(_LateLauncher):
    """Submits every job to SLURM with sbatch, through submitit, and waits until each has ended in whatever way."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from hydra_plugins.lctrain_launchers import _slurm

        return _slurm.launch(self.settings, self.given, job_overrides, initial_job_idx)


class RayLauncher(_LateLauncher):
    """Runs every job as a task on a Ray cluster, and waits until each has ended in whatever way."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from hydra_plugins.lctrain_launchers import _ray

        return _ray.launch(self.settings, self.given, job_overrides, initial_job_idx)
