"""Composing configurations with Hydra."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hydra
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser  # hydra.main's own, so that --config-dir is read as it reads it
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lctrain.composition.choices import CONFIG, config_folder
from lctrain.composition.hydra_errors import hydra_errors
from lctrain.composition.hydra_flags import MULTIRUN
from lctrain.composition.launchers import without_launcher
from lctrain.composition.override_forms import split_override
from lctrain.composition.overrides import FORCED, check_arguments, leave_keys_to_validation
from lctrain.composition.user_files import check_folder, check_not_hidden
from lctrain.config import Config, validate
from lctrain.config.interpolation import resolve
from lctrain.data import complete_from_files
from lctrain.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_USER_ERROR,
    ConfigError,
    PrintError,
    Problem,
    UserError,
)

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Job:
    """One job of a command line.

    Args:
        config: validated, complete.
        overrides: those that made it, as the user wrote them.
        folder: where Hydra wants its files.
        number: its place among the jobs of a sweep, from 0; None where it is the only one.
    """

    config: Config
    overrides: list[str]
    folder: Path
    number: int | None


def run_jobs(
    run_job: Callable[[Job], None], arguments: Sequence[str], print_error: PrintError, plugins: Sequence[str] = ()
) -> int:
    """Composes and validates what the command line asks for and runs each job; with -m several, one after the other.

    Args:
        run_job: runs one of them.
        arguments: the command line behind the verb.
        print_error: prints an error of one of several jobs under a heading.
        plugins: settings that choose what else than Hydra's own sweeper and launcher calls the task.

    Returns:
        The exit code: 0, or where jobs of several failed 1; 2 where all did by the user's mistakes.

    Raises:
        UserError: a mistake in the command line or in a configuration.
        Exception: whatever ended the only job.
    """
    errors: dict[int, Exception] = {}
    num_jobs = 0

    def task(composed: DictConfig) -> None:
        nonlocal num_jobs
        job, num_jobs = num_jobs, num_jobs + 1
        try:
            run_job(read_job(composed))
        except Exception as error:
            errors[job] = error

    check_arguments(arguments)
    launch(task, without_launcher(arguments), plugins)
    if not errors:
        return EXIT_DONE
    if num_jobs == 1:
        raise errors[0]
    for job, error in errors.items():
        print_error(error, f"Error in job {job}")
    print(f"Error: {len(errors)} of {num_jobs} jobs can't be run.", file=sys.stderr)
    are_mistakes = len(errors) == num_jobs and all(isinstance(error, UserError) for error in errors.values())
    return EXIT_USER_ERROR if are_mistakes else EXIT_FAILED


def launch(task: Callable[[DictConfig], Any], arguments: Sequence[str], plugins: Sequence[str] = ()) -> None:
    """Lets Hydra compose the configuration of each job that the command line asks for, and call the task with it.

    Args:
        task: called with what was composed; under launchers other than Hydra's own it is pickled.
        arguments: the command line behind the verb.
        plugins: as for `run_jobs`.

    Raises:
        UserError: a mistake in the command line, or what Hydra or its launcher could not make sense of.
    """
    # Hydra takes these before or behind all overrides, but not among them.
    arguments = sorted([*arguments, *list_quiet_settings(arguments)], key=lambda argument: argument not in MULTIRUN)
    with _hydra_environment(arguments, plugins), hydra_errors(arguments):
        hydra.main(config_path=str(config_folder()), config_name=CONFIG, version_base="1.3")(task)()


def list_quiet_settings(arguments: Sequence[str]) -> list[str]:
    """What keeps Hydra from telling of each job that it launches, unless the command line says how it shall log."""
    is_set = any(split_override(argument)[1] in ("hydra/hydra_logging", "hydra.verbose") for argument in arguments)
    return [] if is_set else ["hydra/hydra_logging=none"]


def read_job(composed: DictConfig) -> Job:
    """The job that Hydra is running, from what it has composed.

    Raises:
        ConfigError: holds every problem of its configuration.
    """
    hydra_config = HydraConfig.get()
    config = validate(*read_composed(composed))
    overrides = [override.removeprefix(FORCED) for override in read_overrides()]
    _check_store(config, overrides)
    number = None if OmegaConf.is_missing(hydra_config.job, "num") else hydra_config.job.num
    return Job(config, overrides, Path(hydra_config.runtime.output_dir), number)


def read_composed(composed: DictConfig) -> tuple[dict[str, Any], list[Problem]]:
    """What was composed, with what the user's own files say of themselves, its references resolved; and problems."""
    return resolve(complete_from_files(read_written(composed)))


def read_written(composed: DictConfig) -> dict[str, Any]:
    """What was composed, as plain mappings, its references as they are written.

    Raises:
        UserError: a choice of the user's own has the name of lctrain's.
    """
    runtime = HydraConfig.get().runtime
    for folder in [source.path for source in runtime.config_sources if source.provider == "command-line"]:
        for group, choice in runtime.choices.items():
            check_not_hidden(Path(folder), group.partition("@")[0], choice)
    written: Any = OmegaConf.to_container(composed, resolve=False)
    return dict(written)


def read_overrides() -> list[str]:
    """Those of the job that Hydra is running; their references, which are no keys of Hydra's, stay as they are."""
    overrides: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return list(overrides)


def _check_store(config: Config, overrides: Sequence[str]) -> None:
    """A file may choose a store inside the working folder, or on this machine, alone; the command line any."""
    ours = {key for _, key, value in map(split_override, overrides) if key != "tracking" or (value or "")[:1] == "{"}
    for key, where in (("folder", "folder"), ("artifacts", "folder"), ("uri", "machine")):
        value = getattr(config.tracking, key, None)
        if value is None or {"tracking", f"tracking.{key}"} & ours:
            continue
        if not (_is_inside(value) if where == "folder" else _is_here(value)):
            message = "must lie in the working folder" if where == "folder" else "must be on this machine"
            fix = f"To have it there, say so on the command line: tracking.{key}={value}"
            raise ConfigError([Problem(f"tracking.{key}", f"{message} where a file chooses it; got {value!r}. {fix}")])


def _is_inside(folder: str) -> bool:
    return Path(folder).expanduser().resolve().is_relative_to(Path.cwd())


def _is_here(uri: str) -> bool:
    """Whether it leads to this machine, or where MLflow's own variable says that runs go."""
    return urlsplit(uri).hostname in LOOPBACK or uri == os.environ.get("MLFLOW_TRACKING_URI")


@contextmanager
def _hydra_environment(arguments: Sequence[str], plugins: Sequence[str]) -> Iterator[None]:
    """Hydra reads its arguments from sys.argv, and raises instead of printing if an environment variable says so.

    To know whether there are several jobs it would compose them all once more; here the command line alone says so.
    """
    OmegaConf.register_new_resolver("unique_suffix", lambda: secrets.token_hex(3), use_cache=True, replace=True)
    check_arguments(arguments)
    parsed, _ = get_args_parser().parse_known_args(list(arguments))
    for flag, folder in (("--config-dir", parsed.config_dir), ("--config-path", parsed.config_path)):
        if folder is not None:
            check_folder(folder, flag)
    argv, full_error, get_mode = sys.argv, os.environ.get("HYDRA_FULL_ERROR"), Hydra.get_mode
    words = arguments if parsed.shell_completion else map(leave_keys_to_validation, arguments)
    sys.argv = ["lctrain", *words, *plugins]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    Hydra.get_mode = _read_mode  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        sys.argv = argv
        Hydra.get_mode = get_mode  # type: ignore[method-assign]
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def _read_mode(hydra: Hydra, config_name: str | None, overrides: Sequence[str]) -> RunMode | None:
    """What `hydra.mode` says; None where the flags decide."""
    modes = [value for _, key, value in map(split_override, overrides) if key == "hydra.mode"]
    return RunMode[str(modes[-1])] if modes else None
