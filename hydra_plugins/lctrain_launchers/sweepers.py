"""What Hydra finds: the sweeper's name, which loads Optuna when there is something to sweep."""

from collections.abc import Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Searches with Optuna, whatever becomes of single trials; tells the best one, if any."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.given = {"hydra_context": hydra_context, "task_function": task_function, "config": config}

    def sweep(self, arguments: Sequence[str]) -> None:
        from hydra_plugins.lctrain_launchers import _optuna

        _optuna.sweep(self.settings, self.given, arguments)
