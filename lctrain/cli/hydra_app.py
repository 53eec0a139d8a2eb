"""Composing configurations with Hydra; its errors become ours."""

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
import lctrain
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from lctrain.config import Config, validate
from lctrain.config.validation import suggest_key
from lctrain.errors import EXIT_DONE, EXIT_FAILED, UserError, suggest
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

OPEN_MAPPINGS = ("model.layers.", "optimizer.")  # whose keys our own check knows, not the file
NOT_STRUCTURED = re.compile(r"Could not override '([^']+)'")

Job = Callable[[Config, list[str]], None]


def config_folder() -> Path:
    """conf/, from the wheel or, in an editable install, from the checkout."""
    package = Path(lctrain.__file__).parent
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


def list_choices() -> dict[str, list[str]]:
    """The choices of each config group that ships with lctrain."""
    folders = sorted(path for path in config_folder().iterdir() if path.is_dir() and path.name != "hydra")
    return {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}


def run_jobs(run_job: Job, arguments: Sequence[str]) -> int:
    """Composes and validates what the command line asks for and runs each job; with -m several.

    Returns:
        The exit code: 0, or 1 where a job of several failed.

    Raises:
        UserError: a mistake in the command line or in a configuration.
        Exception: whatever ended the only job.
    """
    errors: list[Exception] = []
    num_jobs = 0

    def task(composed) -> None:
        nonlocal num_jobs
        num_jobs += 1
        try:
            config = validate(_resolve(composed))
            run_job(config, list(HydraConfig.get().overrides.task))
        except Exception as error:
            errors.append(error)
            if HydraConfig.get().mode is RunMode.MULTIRUN:
                print(f"Error in job {HydraConfig.get().job.num}: {error}", file=sys.stderr)

    with _hydra_environment(arguments), _errors_as_user_errors():
        hydra.main(config_path=str(config_folder()), config_name="config", version_base="1.3")(task)()
    if not errors:
        return EXIT_DONE
    if num_jobs > 1:
        print(f"Error: {len(errors)} of {num_jobs} jobs failed.", file=sys.stderr)
        return EXIT_FAILED
    raise errors[0]


def _resolve(composed) -> dict:
    with _errors_as_user_errors():
        return OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)


def allow_new_arguments(argument: str) -> str:
    """Lets an override set an argument that the file does not mention, where our own check knows the names.

    >>> allow_new_arguments("model.layers.lc1.strides=2"), allow_new_arguments("seed=1")
    ('++model.layers.lc1.strides=2', 'seed=1')
    """
    return f"++{argument}" if argument.startswith(OPEN_MAPPINGS) and "=" in argument else argument


@contextmanager
def _hydra_environment(arguments: Sequence[str]) -> Iterator[None]:
    """Hydra reads its arguments from sys.argv, and raises instead of printing if an environment variable says so."""
    OmegaConf.register_new_resolver("unique_suffix", lambda: secrets.token_hex(3), use_cache=True, replace=True)
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["lctrain", *map(allow_new_arguments, arguments)]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]


@contextmanager
def _errors_as_user_errors() -> Iterator[None]:
    """What Hydra, OmegaConf and YAML say of a user's mistake, in one or a few lines of ours."""
    try:
        yield
    except MissingConfigException as error:
        raise UserError(_missing_choice(error)) from error
    except OverrideParseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"`{error.override}` must have the form KEY=VALUE. {reason}") from error
    except ConfigCompositionException as error:
        raise UserError(_composition_error(error)) from error
    except MarkedYAMLError as error:
        raise UserError(_yaml_error(error)) from error
    except OmegaConfBaseException as error:
        where = f"`{error.full_key}`: " if error.full_key else ""
        raise UserError(f"{where}{str(error).splitlines()[0]}.") from error
    except HydraException as error:
        raise UserError(str(error)) from error


def _missing_choice(error: MissingConfigException) -> str:
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    if not error.options:
        return str(error).splitlines()[0]
    return f"`{group}` has no choice {choice!r}. {suggest(choice, error.options)}"


def _composition_error(error: ConfigCompositionException) -> str:
    unknown = NOT_STRUCTURED.search(str(error))
    if unknown:
        return f"`{unknown[1]}` is not a known key. {suggest_key(unknown[1])}"
    if isinstance(error.__cause__, MarkedYAMLError):
        return _yaml_error(error.__cause__)
    return str(error).splitlines()[0]


def _yaml_error(error: MarkedYAMLError) -> str:
    mark = error.problem_mark
    where = f"{mark.name}, line {mark.line + 1}" if mark is not None else "a configuration file"
    return f"{where}: {error.problem}. Mend the YAML there."
