"""What Hydra finds: the sweepers' names, which load what they need when there is something to sweep."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(BasicSweeper):
    """Hydra's own, whose jobs share what their files make; it leaves looking at them to who has, or will."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from lctrain.composition.sweep_loader import SweepLoader

        context = replace(hydra_context, config_loader=SweepLoader(hydra_context.config_loader))
        super().setup(hydra_context=context, task_function=task_function, config=config)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Nothing: lctrain has composed every job of a sweep before it asks Hydra to launch them."""


class OptunaSweeper(Sweeper):
    """Searches with Optuna, whatever becomes of single trials; tells the best one, if any."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.given = {"hydra_context": hydra_context, "task_function": task_function, "config": config}

    def sweep(self, arguments: Sequence[str]) -> None:
        from hydra_plugins.lctrain_launchers import _optuna

        _optuna.sweep(self.settings, self.given, arguments)
