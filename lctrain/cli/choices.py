"""`ls` lists groups and their choices; `cp` copies a packaged one out to edit."""

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lctrain.cli.schema import write_schema
from lctrain.composition.hydra_app import config_folder, list_choices
from lctrain.errors import EXIT_DONE, UserError, suggest

CHOICE_NAME = re.compile(r"[A-Za-z][\w.-]*")
COMMAND = "# python -m lctrain "
FOR_PROGRAMS = (COMMAND, "# yaml-language-server:", "# @package")  # lines of a header that describe nothing
NAMED_FREELY = ("model", "training")  # groups whose `name` only names; elsewhere it says which kind it is
HEADER_LENGTH = 4096  # characters in which a file's description is looked for


def run_ls(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Prints every group, or those named, with their choices and what each is; a user's own come after the packaged."""
    parser = argparse.ArgumentParser("lctrain ls", add_help=False)
    parser.add_argument("groups", nargs="*")
    parser.add_argument("--config-dir", type=Path)
    options = parser.parse_args(list(arguments))
    folders = [config_folder()] if options.config_dir is None else [config_folder(), _check_folder(options.config_dir)]
    known = list_choices()
    for group in options.groups:
        if group not in known:
            raise UserError(f"`{group}` is not a group. {suggest(group, known)}")
    for group in options.groups or known:
        files = [path for folder in folders for path in sorted((folder / group).glob("*.yaml"))]
        print(f"{group}:")
        for line in _in_columns((path.stem, describe_file(path)) for path in files):
            print(f"  {line}")
    return EXIT_DONE


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


def run_cp(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Copies a packaged choice under a new name into a folder for --config-dir; prints the command that uses it."""
    parser = argparse.ArgumentParser("lctrain cp", add_help=False)
    parser.add_argument("source", nargs="?", default="")
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--config-dir", type=Path, default=Path("my_configs"))
    options = parser.parse_args(list(arguments))
    group, equals, choice = options.source.partition("=")
    if not equals or not options.name:
        raise UserError("`cp` takes what to copy and a new name, as in: lctrain cp model=lc2d mine")
    known = list_choices()
    if group not in known:
        raise UserError(f"`{group}` is not a group. {suggest(group, known)}")
    if choice not in known[group]:
        raise UserError(f"`{group}` has no choice {choice!r}. {suggest(choice, known[group])}")
    target = copy_choice(group, choice, options.name, options.config_dir)
    print(
        f"{target} is yours to edit. Use it: python -m lctrain --config-dir {options.config_dir} {group}={target.stem}"
    )
    return EXIT_DONE


def copy_choice(group: str, choice: str, name: str, folder: Path) -> Path:
    """Writes `folder/group/name.yaml`, whose header and free `name` tell of the new place.

    Raises:
        UserError: a name that could not be chosen, or a file that is there already.
    """
    if not CHOICE_NAME.fullmatch(name):
        raise UserError(f"`{name}` must be a name of letters, digits, `_`, `-` and `.` that starts with a letter.")
    if name in list_choices()[group]:
        raise UserError(f"`{name}` must be a new name: lctrain's own {group}={name} would be found first.")
    target = folder / group / f"{name}.yaml"
    if target.exists():
        raise UserError(f"`{target}` exists. Choose another name, or remove it.")
    lines = (config_folder() / group / f"{choice}.yaml").read_text(encoding="utf-8").splitlines()
    command = next(number for number, line in enumerate(lines) if line.startswith(COMMAND))
    lines[command] = f"{COMMAND}--config-dir {folder} {group}={name}"
    if group in NAMED_FREELY:
        lines = [f"name: {name}" if line == f"name: {choice}" else line for line in lines]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_schema(group, folder / "schema")  # where the copied modeline looks for it
    return target


def _check_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"`--config-dir` must be a folder; got {str(folder)!r}.")
    return folder


def _in_columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {text}".rstrip() for name, text in rows]
