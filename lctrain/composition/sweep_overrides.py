"""What the command line of a multirun says of its launcher and sweeper, and jobs that stand for all it may choose."""

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser  # hydra.main's own, so that flags are read as it reads them
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from omegaconf import OmegaConf

from lctrain.composition.choices import CONFIG, config_folder
from lctrain.composition.hydra_errors import hydra_errors
from lctrain.composition.launchers import without_launcher
from lctrain.composition.override_forms import split_override
from lctrain.composition.overrides import FORCED, check_arguments, leave_keys_to_validation
from lctrain.composition.user_files import open_config_folder
from lctrain.errors import UserError

RESUME = "sweep.resume"
MULTIRUN_MODE = re.compile(r"\+*hydra\.mode=['\"]?MULTIRUN['\"]?")


@dataclass(frozen=True)
class Settings:
    """Hydra's own settings of a multirun.

    Args:
        sweep_folder: where the files of all jobs go.
        num_trials: how many jobs a sweeper will choose; None where the command line lists them.
    """

    sweep_folder: Path
    num_trials: int | None


def is_sweep(arguments: Sequence[str]) -> bool:
    """Whether the command line asks for several jobs, not for a print of what would be composed."""
    if any(split_override(argument)[1] == RESUME for argument in arguments):
        return True
    parsed, _ = get_args_parser().parse_known_args(list(arguments))
    only_prints = parsed.cfg or parsed.info or parsed.shell_completion or parsed.hydra_help
    return not only_prints and (
        parsed.multirun or any(MULTIRUN_MODE.fullmatch(argument) for argument in parsed.overrides)
    )


def read_settings(arguments: Sequence[str]) -> Settings:
    """What Hydra will be set to.

    Raises:
        UserError: a launcher or sweeper that is not there, a folder that can't be resolved, or a sweep over what can't
            be swept.
    """
    check_arguments(arguments)
    OmegaConf.register_new_resolver("unique_suffix", lambda: secrets.token_hex(3), use_cache=True, replace=True)
    parsed, _ = get_args_parser().parse_known_args(list(map(leave_keys_to_validation, arguments)))
    swept = [override for override in map(_parse, parsed.overrides) if override.is_sweep_override()]
    overrides = [argument for argument in parsed.overrides if not _parse(argument).is_sweep_override()]
    overrides += open_config_folder(parsed.config_dir)
    with hydra_errors(arguments), hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        composed = hydra.compose(parsed.config_name or CONFIG, overrides, return_hydra_config=True)
        folder = Path(OmegaConf.select(composed, "hydra.sweep.dir")).absolute()
        settings = Settings(folder, OmegaConf.select(composed, "hydra.sweeper.n_trials"))
        loader = GlobalHydra.instance().config_loader()
        for override in swept:
            group = override.key_or_group.removeprefix(FORCED)
            choices = loader.get_group_options(group, config_name=parsed.config_name or CONFIG, overrides=overrides)
            _check_swept(override, choices, settings.num_trials is not None)
        return settings


def _check_swept(override: Override, choices: Sequence[str], is_search: bool) -> None:
    """Whether the sweeper can do with an override what that says; choices are those of its group."""
    message = f"`{override.key_or_group.removeprefix(FORCED)}`"
    value, text = override.value(), (override.input_line or "").partition("=")[2]
    if override.is_interval_sweep() and not is_search:
        raise UserError(f"{message} {text} has no end of values: search it with hydra/sweeper=optuna, or list some.")
    if not isinstance(value, Glob):
        return
    if is_search:
        raise UserError(f"{message} {text} can't be searched. List the choices: A,B,C.")
    if not choices:
        raise UserError(f"{message} is no group of choices, which alone {text} can sweep. List the values: A,B,C.")
    if not value.filter(list(choices)):
        raise UserError(f"{message} has no choice that {text} matches; it has {', '.join(choices)}.")


def list_command_lines(arguments: Sequence[str]) -> list[list[str]]:
    """Command lines that list the jobs to look at: this one, or those that stand for what a sweeper may choose.

    Raises:
        UserError: a mistake in what it says of the sweep.
    """
    check_no_resume(arguments)
    if not is_sweep(arguments) or read_settings(arguments).num_trials is None:
        return [list(arguments)]
    return list(vary_one_by_one(arguments))


def check_no_resume(arguments: Sequence[str]) -> None:
    """For verbs that take a sweep's command line alone."""
    if any(split_override(argument)[1] == RESUME for argument in arguments):
        raise UserError(f"`{RESUME}` is not taken here: give the sweep's own command line, -m and all that it swept.")


def vary_one_by_one(arguments: Sequence[str]) -> Iterator[list[str]]:
    """Command lines that together try each value (of intervals the ends) of each swept key, the others at their first.

    >>> list(vary_one_by_one(["-m", "seed=1,2", "optimizer.learning_rate=interval(0.1,0.3)"]))
    [['-m', 'seed=1,2', 'optimizer.learning_rate=0.1'], ['-m', 'seed=1', 'optimizer.learning_rate=0.1,0.3']]

    Raises:
        UserError: nothing is swept.
    """
    plain = without_launcher(arguments)
    values = {position: _values(argument) for position, argument in enumerate(plain)}
    swept = [position for position, found in values.items() if found]
    if not swept:
        raise UserError("`hydra/sweeper` has nothing to search. Give some key several values: KEY=A,B or an interval.")
    for tried in swept:
        chosen = {position: found if position == tried else found[:1] for position, found in values.items() if found}
        yield [
            f"{argument.partition('=')[0]}={','.join(chosen[position])}" if position in chosen else argument
            for position, argument in enumerate(plain)
        ]


def _values(argument: str) -> list[str]:
    """The values that an argument sweeps over; none where it is no sweep."""
    if argument.startswith("-") or "=" not in argument:
        return []
    override = _parse(argument)
    if not override.is_sweep_override():
        return []
    if override.is_discrete_sweep():
        return list(override.sweep_string_iterator())
    interval: Any = override.value()
    return [str(interval.start), str(interval.end)]


def _parse(argument: str) -> Override:
    return OverridesParser.create().parse_override(argument)
