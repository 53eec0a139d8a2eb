"""The check of a user's own configuration files before Hydra reads them: they may hold data for a job, nothing else."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader  # Hydra's own, so that what is checked is what it reads

from lctrain.config.limits import MAX_BYTES, find_in_text
from lctrain.errors import UserError

HEADER = re.compile(r"\s*#\s*@")
OUTSIDE = re.compile(r"(^|[/\\@:])\.\.([/\\]|$)|//|\$\{")


def open_config_folder(folder: str | None, packaged: Path) -> list[str]:
    """Checks a folder of configurations, so that Hydra may read it.

    Args:
        folder: what `--config-dir` names; None where the command line has none.
        packaged: lctrain's own configurations, which come first.

    Returns:
        The overrides by which Hydra finds its files where no command line tells it.

    Raises:
        UserError: names the file and what it must not hold.
    """
    if folder is None:
        return []
    check_user_files(Path(folder))
    check_not_hidden(Path(folder), packaged)
    return [f"hydra.searchpath=['file://{Path(folder).absolute()}']"]


def check_user_files(folder: Path) -> None:
    """Refuses files that would configure Hydra itself, whose logging, callbacks and launchers can run any code.

    Args:
        folder: what `--config-dir` names.

    Raises:
        UserError: names the file and what it must not hold.
    """
    if not folder.is_dir():
        raise UserError(f"`--config-dir` must be a folder; got {str(folder)!r}.")
    for parent, folders, files in os.walk(folder):
        for name in sorted(folders):
            path = Path(parent, name)
            if path.is_symlink():
                raise UserError(f"{path} must be a folder, not a link to one.")
        for name in sorted(files):
            path = Path(parent, name)
            if path.relative_to(folder).parts[0].casefold() == "hydra":
                raise UserError(f"{path}: a folder of your own must not hold a group `hydra`. Remove it.")
            if name.casefold().endswith((".yaml", ".yml")):
                _check_file(path)


def check_not_hidden(folder: Path, packaged: Path) -> None:
    """Refuses files that Hydra would never read, as lctrain has others of the same group and name, which come first.

    Args:
        folder: what `--config-dir` names.
        packaged: lctrain's own configurations.

    Raises:
        UserError: names the file.
    """
    for path in sorted(folder.rglob("*.yaml")):
        own = packaged / path.relative_to(folder)
        if own.is_file() and path.is_file() and own.read_bytes() != path.read_bytes():
            choice = path.relative_to(folder).with_suffix("").as_posix()
            message = f"has the name of lctrain's own {choice}, which would be taken in its place"
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
