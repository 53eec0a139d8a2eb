"""Composing configurations with Hydra; its errors become ours."""

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser  # hydra.main's own, so that --config-dir is read as it reads it
from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

import lctrain
from lctrain.cli.user_files import check_user_files
from lctrain.config import Config, validate
from lctrain.errors import EXIT_DONE, EXIT_FAILED, Problem, UserError, suggest

PLAIN_KEY = re.compile(r"[A-Za-z_][\w.]*")
NO_GROUPS = ("hydra", "schema")  # folders of conf/ that hold no choices of ours
FORCED = "++"  # Hydra's prefix of an override that may set a new key or an old one

Job = Callable[[Config, list[str]], None]


def config_folder() -> Path:
    """conf/, from the wheel or, in an editable install, from the checkout."""
    package = Path(lctrain.__file__).parent
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


def list_choices() -> dict[str, list[str]]:
    """The choices of each config group that ships with lctrain."""
    folders = sorted(path for path in config_folder().iterdir() if path.is_dir() and path.name not in NO_GROUPS)
    return {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}


def run_jobs(run_job: Job, arguments: Sequence[str], tell: Callable[[Exception, str], None]) -> int:
    """Composes and validates what the command line asks for and runs each job; with -m several.

    Args:
        run_job: runs one validated configuration, given the overrides that the user wrote.
        arguments: the command line behind the verb.
        tell: prints an error of one of several jobs under a heading.

    Returns:
        The exit code: 0, or 1 where a job of several failed.

    Raises:
        UserError: a mistake in the command line or in a configuration.
        Exception: whatever ended the only job.
    """
    errors: dict[int, Exception] = {}
    num_jobs = 0

    def task(composed) -> None:
        nonlocal num_jobs
        job, num_jobs = num_jobs, num_jobs + 1
        try:
            raw, problems = _resolve(composed)
            config = validate(raw, problems)
            run_job(config, [override.removeprefix(FORCED) for override in HydraConfig.get().overrides.task])
        except Exception as error:
            errors[job] = error

    with _hydra_environment(arguments), _errors_as_user_errors():
        hydra.main(config_path=str(config_folder()), config_name="config", version_base="1.3")(task)()
    if not errors:
        return EXIT_DONE
    if num_jobs == 1:
        raise errors[0]
    for job, error in errors.items():
        tell(error, f"Error in job {job}")
    print(f"Error: {len(errors)} of {num_jobs} jobs failed.", file=sys.stderr)
    return EXIT_FAILED


def _resolve(composed: DictConfig) -> tuple[dict, list[Problem]]:
    """Plain mappings with interpolations resolved, and a problem for each that can't be."""
    problems: list[Problem] = []

    def resolve(node, path):
        if not isinstance(node, DictConfig):
            return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        plain = {}
        for key in node:
            where = f"{path}.{key}" if path else str(key)
            try:
                plain[key] = resolve(node[key], where)
            except OmegaConfBaseException as error:
                problems.append(Problem(where, f"can't be resolved: {str(error).splitlines()[0]}."))
                plain[key] = None
        return plain

    return resolve(composed, ""), problems


def leave_keys_to_validation(argument: str) -> str:
    """Lets an override set any key, known to the files or not: our own validation then tells of all the wrong ones.

    Hydra by itself stops at the first, and asks for a `+` that would not help. Choices of a group stay as they are.

    >>> leave_keys_to_validation("model.layers.lc1.strides=2"), leave_keys_to_validation("model=lc2d")
    ('++model.layers.lc1.strides=2', 'model=lc2d')
    """
    key, equals, value = argument.partition("=")
    if key.lstrip("+~") == "hydra.searchpath":
        raise UserError("`hydra.searchpath` is not taken: folders are checked before they are read. Use --config-dir.")
    if not equals or not PLAIN_KEY.fullmatch(key) or key.startswith("hydra.") or key in Config.model_fields:
        return argument
    if value.replace(" ", "") == "{}":
        raise UserError(f"`{key}={{}}` would change nothing: mappings are merged. Delete keys one by one: ~{key}.KEY")
    return FORCED + argument


@contextmanager
def _hydra_environment(arguments: Sequence[str]) -> Iterator[None]:
    """Hydra reads its arguments from sys.argv, and raises instead of printing if an environment variable says so."""
    OmegaConf.register_new_resolver("unique_suffix", lambda: secrets.token_hex(3), use_cache=True, replace=True)
    parsed, _ = get_args_parser().parse_known_args(list(arguments))
    for folder in (parsed.config_dir, parsed.config_path):
        if folder is not None:
            check_user_files(Path(folder))
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["lctrain", *map(leave_keys_to_validation, arguments)]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


@contextmanager
def _errors_as_user_errors() -> Iterator[None]:
    """What Hydra, OmegaConf and YAML say of a user's mistake, in one or a few lines of ours."""
    try:
        yield
    except MissingConfigException as error:
        raise UserError(_missing_choice(error)) from error
    except OverrideParseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"`{error.override.removeprefix(FORCED)}` must have the form KEY=VALUE. {reason}") from error
    except MarkedYAMLError as error:
        raise UserError(_yaml_error(error)) from error
    except OmegaConfBaseException as error:
        where = f"`{error.full_key}`: " if error.full_key else ""
        raise UserError(f"{where}{str(error).splitlines()[0]}.") from error
    except (UserError, MemoryError):
        raise
    except Exception as error:  # jobs keep theirs to themselves, so this is what Hydra could not make sense of
        raise UserError(_composition_error(error)) from error


def _missing_choice(error: MissingConfigException) -> str:
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    if not error.options:
        return str(error).splitlines()[0]
    return f"`{group}` has no choice {choice!r}. {suggest(choice, error.options)}"


def _composition_error(error: Exception) -> str:
    if isinstance(error.__cause__, MarkedYAMLError):
        return _yaml_error(error.__cause__)
    lines = str(error).replace(FORCED, "").splitlines()
    return "\n".join(line for line in lines[:4] if line.strip())


def _yaml_error(error: MarkedYAMLError) -> str:
    mark = error.problem_mark
    where = f"{mark.name}, line {mark.line + 1}" if mark is not None else "a configuration file"
    return f"{where}: {error.problem}. Mend the YAML there."
