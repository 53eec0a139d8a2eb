"""The choices of each group that ship with lctrain: found, described, and copied to be edited."""

import re
from collections.abc import Iterable
from pathlib import Path

import lctrain
from lctrain.errors import UserError, suggest_near
from lctrain.system.files import refuse_unwritable, replace_file

NO_GROUPS = ("hydra", "schema")  # folders of conf/ that hold no choices of ours
CHOICE_NAME = re.compile(r"[A-Za-z][\w.-]*")
COMMAND = "# python -m lctrain "
FOR_PROGRAMS = (COMMAND, "# yaml-language-server:", "# @package")  # lines of a header that describe nothing
NAMED_FREELY = ("model", "training")  # groups whose `name` only names; elsewhere it says which kind it is
HEADER_LENGTH = 4096  # characters in which a file's description is looked for
CONFIG = "config"  # the file that Hydra composes first


def config_folder() -> Path:
    """conf/, from the wheel or, in an editable install, from the checkout."""
    package = Path(lctrain.__file__).parent
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


def list_choices() -> dict[str, list[str]]:
    """The choices of each config group that ships with lctrain."""
    folders = sorted(path for path in config_folder().iterdir() if path.is_dir() and path.name not in NO_GROUPS)
    return {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}


def suggest_choice(group: str, name: str, known: Iterable[str]) -> str:
    """The nearest choice of a group, or how to list them all; behind a blank."""
    return suggest_near(name, known) or f" List them: python -m lctrain ls {group}"


def describe_file(path: Path) -> str:
    """The first line of a file's opening comment that is written for people."""
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = file.read(HEADER_LENGTH).splitlines()
    for line in lines:
        if not line.startswith("#"):
            break
        if not line.startswith(FOR_PROGRAMS):
            return line.removeprefix("#").strip()
    return ""


def copy_choice(group: str, choice: str, name: str, folder: Path) -> Path:
    """Writes `folder/group/name.yaml`, whose header and free `name` tell of the new place.

    Raises:
        UserError: a name that could not be chosen, or a file that is there already.
    """
    if not CHOICE_NAME.fullmatch(name):
        raise UserError(f"`{name}` must be a name of letters, digits, `_`, `-` and `.` that starts with a letter.")
    if name.endswith(".yaml"):
        raise UserError(f"`{name}` must be a name, to which `.yaml` is added. Write {name.removesuffix('.yaml')}.")
    if name in list_choices()[group]:
        raise UserError(f"`{name}` must be a new name: lctrain's own {group}={name} would be found first.")
    target = folder / group / f"{name}.yaml"
    with refuse_unwritable("--config-dir", folder, "folder"):  # a name that is too long
        if target.exists():
            raise UserError(f"`{target}` exists. Choose another name, or remove it.")
    lines = (config_folder() / group / f"{choice}.yaml").read_text(encoding="utf-8").splitlines()
    command = next(number for number, line in enumerate(lines) if line.startswith(COMMAND))
    lines[command] = f"{COMMAND}--config-dir {folder} {group}={name}"
    if group in NAMED_FREELY:
        lines = [f"name: {name}" if line == f"name: {choice}" else line for line in lines]
    save_schema(group, folder / "schema", "--config-dir")  # where the copied modeline looks for it
    with refuse_unwritable("--config-dir", folder, "folder"):
        replace_file(target, "\n".join([*lines, ""]).encode())
    return target


def save_schema(group: str, folder: Path, key: str = "--out") -> Path:
    """Writes `folder/GROUP.json`, which the modelines of the group's files name.

    Raises:
        UserError: a place that can't be written, as `key` has it.
    """
    import json  # here, since `--help` lists choices and must be quick

    from lctrain.config.json_schema import file_schema

    path = folder / f"{group}.json"
    with refuse_unwritable(key, folder, "folder"):
        replace_file(path, json.dumps(file_schema(group), separators=(",", ":")).encode() + b"\n")
    return path
