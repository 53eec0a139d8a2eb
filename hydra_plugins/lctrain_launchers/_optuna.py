"""A study whose failed trials are nothing but failed trials, and which tells its result in the user's words."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl
from omegaconf import OmegaConf

log = logging.getLogger("lctrain")

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
    sweeper = OptunaSweeperImpl(**settings)
    sweeper.setup(**given)
    try:
        sweeper.sweep(list(arguments))
    except ValueError as error:
        if str(error) != NO_RESULT:
            raise
        log.warning("No trial has reached a value: there is no best one.")
        return
    file = Path(given["config"].hydra.sweep.dir, RESULT)
    result = OmegaConf.to_container(OmegaConf.load(file))
    result["best_params"] = {name.removeprefix(FORCED): value for name, value in result["best_params"].items()}
    OmegaConf.save(OmegaConf.create(result), file)
    best = " ".join(f"{name}={value}" for name, value in result["best_params"].items())
    log.info("Best trial: %s, with %g.", best, result["best_value"])
