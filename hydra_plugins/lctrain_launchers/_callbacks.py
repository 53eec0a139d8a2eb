"""What Hydra calls around the jobs of a sweep."""

from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class ForgetConfig(Callback):
    """Lets what a job gives back hold no configuration: Hydra keeps it for all jobs until the sweep ends."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        job_return.cfg = job_return.hydra_cfg = None
