"""`schema`: the language's JSON Schema for editors, and its reference page."""

import argparse
import json
from pathlib import Path

from lctrain.cli.parser import VerbParser
from lctrain.composition.choices import save_schema
from lctrain.config.docs_page import reference_page
from lctrain.config.json_schema import config_schema, file_groups, file_schema
from lctrain.errors import EXIT_DONE, PrintError, UserError, suggest


def make_parser() -> VerbParser:
    parser = VerbParser("schema", "Prints the language as JSON Schema for editors, or as a page.")
    parser.add_argument("group", nargs="?", metavar="GROUP", help="whose files; else of a complete configuration")
    parser.add_argument("--markdown", action="store_true", help="print the reference page")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write a file for each group, or for GROUP")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Prints the schema of a complete configuration, of one group's files, or the reference page; or writes files."""
    if options.group is not None and options.group not in file_groups():
        raise UserError(f"`{options.group}` is not a group. {suggest(options.group, file_groups())}")
    if options.out is not None:
        for group in file_groups() if options.group is None else [options.group]:
            print(save_schema(group, options.out))
    elif options.markdown:
        print(reference_page(), end="")
    else:
        schema = config_schema() if options.group is None else file_schema(options.group)
        print(json.dumps(schema, indent=1))
    return EXIT_DONE
