"""`schema`: the language's JSON Schema for editors, and its reference page."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from lctrain.config.docs_page import reference_page
from lctrain.config.json_schema import config_schema, file_groups, file_schema
from lctrain.errors import EXIT_DONE, UserError, suggest


def run_schema(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Prints the schema of a complete configuration, of one group's files, or the reference page; or writes files."""
    parser = argparse.ArgumentParser("lctrain schema", add_help=False)
    parser.add_argument("group", nargs="?")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(list(arguments))
    if options.group is not None and options.group not in file_groups():
        raise UserError(f"`{options.group}` is not a group. {suggest(options.group, file_groups())}")
    if options.out is not None:
        for group in file_groups() if options.group is None else [options.group]:
            print(write_schema(group, options.out))
    elif options.markdown:
        print(reference_page(), end="")
    else:
        schema = config_schema() if options.group is None else file_schema(options.group)
        print(json.dumps(schema, indent=1))
    return EXIT_DONE


def write_schema(group: str, folder: Path) -> Path:
    """Writes `folder/GROUP.json`, which the modelines of the group's files name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{group}.json"
    path.write_text(json.dumps(file_schema(group), separators=(",", ":")) + "\n", encoding="utf-8")
    return path
