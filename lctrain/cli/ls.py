"""`ls`: lists groups and their choices."""

import argparse
from pathlib import Path

from lctrain.cli.parser import VerbParser
from lctrain.composition.choices import config_folder, describe_file, list_choices
from lctrain.errors import EXIT_DONE, PrintError, UserError, suggest
from lctrain.system.terminal import print_folded


def make_parser() -> VerbParser:
    parser = VerbParser("ls", "Lists groups and their choices, each with a line on what it is.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="whose choices; else all groups")
    parser.add_argument("--config-dir", "-cd", type=Path, metavar="FOLDER", help="with choices of your own, listed too")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Prints every group, or those named, with their choices and what each is; a user's own come after the packaged."""
    if options.config_dir is not None and not options.config_dir.is_dir():
        raise UserError(f"`--config-dir` must be a folder; got {str(options.config_dir)!r}.")
    folders = [config_folder()] if options.config_dir is None else [config_folder(), options.config_dir]
    known = list_choices()
    for group in options.groups:
        if group not in known:
            raise UserError(f"`{group}` is not a group. {suggest(group, known)}")
    for group in options.groups or known:
        files = [path for folder in folders for path in sorted((folder / group).glob("*.yaml"))]
        print(f"{group}:")
        width = max((len(path.stem) for path in files), default=0)
        for path in files:
            print_folded(f"  {path.stem:<{width}}  {_describe(path)}".rstrip(), indent=width + 2)
    return EXIT_DONE


def _describe(path: Path) -> str:
    try:
        return describe_file(path)
    except OSError as error:
        return f"(can't be read: {error.strerror})"
