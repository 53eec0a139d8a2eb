"""A study whose failed trials are nothing but failed trials, and which tells its result in the user's words."""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl
from omegaconf import OmegaConf

RESULT = "optimization_results.yaml"
NO_RESULT = "No trials are completed yet."
FORCED = "++"  # that lctrain puts before keys, for Hydra alone


def sweep(settings: Mapping[str, Any], given: Mapping[str, Any], arguments: Sequence[str]) -> None:
    """Runs a study.

    Args:
        settings: `hydra.sweeper`'s keys, those of hydra-optuna-sweeper.
        given: what Hydra hands to a sweeper's `setup`.
        arguments: the overrides, those that are to be searched among them.

    Raises:
        ValueError: an override that is no search space.
    """
    optuna.logging.disable_default_handler()
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper").setLevel(logging.ERROR)  # of failed trials the sweep tells
    sweeper = OptunaSweeperImpl(**settings)
    sweeper.setup(**given)
    sweeper.launcher = _NumbersAlone(sweeper.launcher)
    try:
        sweeper.sweep(list(arguments))
    except ValueError as error:
        if str(error) != NO_RESULT:
            raise
        print("No trial has reached a value: there is no best one.", flush=True)
        return
    file = Path(given["config"].hydra.sweep.dir, RESULT)
    result = OmegaConf.to_container(OmegaConf.load(file))
    result["best_params"] = {name.removeprefix(FORCED): value for name, value in result["best_params"].items()}
    OmegaConf.save(OmegaConf.create(result), file)
    best = " ".join(f"{name}={value}" for name, value in result["best_params"].items())
    print(f"Best trial: {best}, with {result['best_value']:g}.", flush=True)


class _NumbersAlone:
    """A launcher whose jobs return a number or nothing: a NaN, by which failed jobs are told, would end the study."""

    def __init__(self, launcher: Launcher):
        self._launcher = launcher

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        returns = self._launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        for returned in returns:
            if isinstance(returned.return_value, float) and math.isnan(returned.return_value):
                returned.return_value = None
        return returns
