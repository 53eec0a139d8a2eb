"""The check of a user's own configuration files before Hydra reads them: they may hold data for a job, nothing else."""

import re
from pathlib import Path
from typing import Any

import yaml

from lctrain.errors import UserError

PACKAGE_HEADER = re.compile(r"^\s*#\s*@package\s+(\S+)", re.MULTILINE)


def check_user_files(folder: Path) -> None:
    """Refuses files that would configure Hydra itself, whose logging, callbacks and launchers can run any code.

    Args:
        folder: what `--config-dir` names.

    Raises:
        UserError: names the file and what it must not hold.
    """
    if not folder.is_dir():
        raise UserError(f"`--config-dir` must be a folder; got {str(folder)!r}.")
    for path in sorted(folder.rglob("*.y*ml")):
        if path.relative_to(folder).parts[0] == "hydra":
            raise UserError(f"{path}: a folder of your own must not hold a group `hydra`. Remove it.")
        _check_file(path)


def _check_file(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be text in UTF-8; {error}.") from error
    except RecursionError:
        raise UserError(f"{path} nests its values too deeply.") from None
    except yaml.YAMLError:
        return  # Hydra reads it only if it is chosen, and its error names the line
    packages = PACKAGE_HEADER.findall(text)
    if any(package not in ("_group_", "_global_") for package in packages):
        raise UserError(f"{path}: `@package` must be _group_ or _global_; got {packages[0]!r}.")
    if isinstance(content, dict) and ("hydra" in content or _mentions_hydra(content.get("defaults"))):
        raise UserError(f"{path} must not configure `hydra`. Give such settings on the command line.")


def _mentions_hydra(defaults: Any) -> bool:
    if isinstance(defaults, dict):
        return any(_mentions_hydra(part) for item in defaults.items() for part in item)
    if isinstance(defaults, list):
        return any(map(_mentions_hydra, defaults))
    return "hydra" in str(defaults)
