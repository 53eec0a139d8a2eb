"""`cp`: copies a packaged choice out to edit."""

import argparse
from pathlib import Path

from lctrain.cli.parser import VerbParser
from lctrain.composition.choices import copy_choice, list_choices, suggest_choice
from lctrain.errors import EXIT_DONE, PrintError, UserError, suggest
from lctrain.system.terminal import print_folded


def make_parser() -> VerbParser:
    parser = VerbParser("cp", "Copies a packaged choice under a new name into a folder for --config-dir.")
    parser.add_argument("source", nargs="?", default="", metavar="GROUP=CHOICE", help="what to copy")
    parser.add_argument("name", nargs="?", default="", metavar="NEW_NAME", help="what to call it")
    default = Path("my_configs")
    help = f"where to; else {default}"
    parser.add_argument("--config-dir", "-cd", type=Path, default=default, metavar="FOLDER", help=help)
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Copies a choice and prints the command that uses it."""
    group, equals, choice = options.source.partition("=")
    if not equals or not options.name:
        raise UserError("`cp` takes what to copy and a new name, as in: lctrain cp model=lc2d mine")
    known = list_choices()
    if group not in known:
        raise UserError(f"`{group}` is not a group. {suggest(group, known)}")
    if choice not in known[group]:
        raise UserError(f"`{group}` has no choice {choice!r}.{suggest_choice(group, choice, known[group])}")
    target = copy_choice(group, choice, options.name, options.config_dir)
    command = f"python -m lctrain --config-dir {options.config_dir} {group}={target.stem}"
    print_folded(f"{target} is yours to edit. Use it: {command}")
    return EXIT_DONE
