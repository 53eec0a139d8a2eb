"""The check of a user's own configuration files before Hydra reads them: they may hold data for a job, nothing else."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins import file_config_source as hydra_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf._utils import get_yaml_loader  # Hydra's own, so that what is checked is what it reads

from lctrain.composition.choices import config_folder, list_choices
from lctrain.config.limits import MAX_BYTES, find_in_text
from lctrain.errors import UserError

HEADER = re.compile(r"\s*#\s*@")
OUTSIDE = re.compile(r"(^|[/\\@:])\.\.([/\\]|$)|//|\$\{")


class FileConfigSource(hydra_source.FileConfigSource):
    """Hydra's reader of files. What is not lctrain's own it reads once it is known to hold data for a job alone.

    So a broken file stops those commands alone that use it.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        """Hydra's own, of a file that is checked.

        Raises:
            UserError: names the file and what it must not hold.
        """
        if Path(self.path) != config_folder():
            check_user_file(Path(self.path), self._normalize_file_name(config_path))
        return super().load_config(config_path)


# Hydra registers its own class when it looks for plugins; of two of one name it keeps the one that is there.
SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource


def open_config_folder(folder: str | None) -> list[str]:
    """The overrides by which Hydra finds the files of a folder where no command line tells it.

    Args:
        folder: what `--config-dir` names; None where the command line has none.

    Raises:
        UserError: it is no folder.
    """
    if folder is None:
        return []
    check_folder(folder)
    return [f"hydra.searchpath=['file://{Path(folder).absolute()}']"]


def check_folder(folder: str, flag: str = "--config-dir") -> None:
    """Refuses what is no folder, as the value of a flag."""
    if not Path(folder).is_dir():
        raise UserError(f"`{flag}` must be a folder; got {folder!r}.{_suggest_folders()}")


def _suggest_folders() -> str:
    """Folders here that hold choices of a group."""
    found = sorted(
        {path.parent.parent.as_posix() for group in list_choices() for path in Path().glob(f"*/{group}/*.yaml")}
    )
    return f" Here are {', '.join(found)}." if found else ""


def check_user_file(folder: Path, name: str) -> None:
    """Refuses a file that would configure Hydra itself, whose logging, callbacks and launchers can run any code.

    Args:
        folder: what `--config-dir` names.
        name: of the file, below that.

    Raises:
        UserError: names the file and what it must not hold.
    """
    path = folder / name
    shown = Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path
    for parent in path.parents[: len(Path(name).parts) - 1]:
        if parent.is_symlink():
            raise UserError(f"{parent} must be a folder, not a link to one.")
    if Path(name).parts[0].casefold() == "hydra":
        raise UserError(f"{shown}: a folder of your own must not hold a group `hydra`. Remove it.")
    _check_file(shown)


def check_not_hidden(folder: Path, group: str, choice: str) -> None:
    """Refuses a choice of lctrain's own where the user has another of its group and name, which is never read.

    Args:
        folder: what `--config-dir` names.
        group: of the choice.
        choice: that a command uses.

    Raises:
        UserError: names the file.
    """
    path, own = (parent / group / f"{choice}.yaml" for parent in (folder, config_folder()))
    if own.is_file() and path.is_file() and own.read_bytes() != path.read_bytes():
        message = f"has the name of lctrain's own {group}/{choice}, which would be taken in its place"
        raise UserError(f"{path} {message}. Rename it, to my_{path.name} say.")


def read_yaml(path: Path) -> tuple[str, Any]:
    """A file's text and what that holds, once it is known to keep to the limits of every configuration.

    Raises:
        UserError: names the file and what it must not be or hold.
        yaml.YAMLError: where it is no YAML.
    """
    try:
        if not path.is_file():
            raise UserError(f"{path} must be a plain file.")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} must be at most {MAX_BYTES:,} bytes (1 MiB); it has {path.stat().st_size:,}.")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be text in UTF-8; {error}.") from error
    except OSError as error:
        raise UserError(f"{path} must be readable; {error.strerror}.") from error
    found = find_in_text(text)
    if found is not None:
        raise UserError(f"{path}, {found}")
    return text, yaml.load(text, Loader=get_yaml_loader())


def _check_file(path: Path) -> None:
    try:
        text, content = read_yaml(path)
    except yaml.YAMLError:
        return  # Hydra reads it only if it is chosen, and its error names the line
    for package in _packages(text):
        if package not in ("_group_", "_global_"):
            raise UserError(f"{path}: `@package` must be _group_ or _global_; got {package!r}.")
    if not isinstance(content, dict):
        return
    if "hydra" in content or _any_text(content.get("defaults"), lambda text: "hydra" in text):
        raise UserError(f"{path} must not configure `hydra`. Give such settings on the command line.")
    if _any_text(content.get("defaults"), lambda text: OUTSIDE.search(text) is not None):
        raise UserError(f"{path}: `defaults` must name choices, not paths that lead elsewhere or `${{...}}`.")


def _packages(text: str) -> list[str]:
    """What the file's header says of its package, line by line as Hydra splits them."""
    headers = [line.strip().lstrip("#").split() for line in text.splitlines() if HEADER.match(line)]
    return [" ".join(header[1:]) for header in headers if header[0] == "@package"]


def _any_text(value: Any, is_wrong: Callable[[str], bool]) -> bool:
    """Whether any text in a defaults list is wrong."""
    if isinstance(value, dict):
        return any(_any_text(part, is_wrong) for item in value.items() for part in item)
    if isinstance(value, list):
        return any(_any_text(part, is_wrong) for part in value)
    return is_wrong(str(value))
