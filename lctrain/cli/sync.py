"""`sync`: delivers to their stores what runs have logged while those could not be reached; mends a store that moved."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lctrain.cli.parser import VerbParser
from lctrain.composition.dry_run import compose_dry
from lctrain.errors import EXIT_DONE, EXIT_FAILED, PrintError, UserError
from lctrain.system.terminal import print_folded
from lctrain.tracking import drop_journal, find_journals, format_restore_command, sync_journal
from lctrain.tracking.rewriting import find_moved_uris, rewrite_uris
from lctrain.tracking.store import read_tracking

FOLDERS = ("outputs", "multirun")  # where Hydra puts the jobs' folders, unless told otherwise
DROP = "--drop-deleted"


def make_parser() -> VerbParser:
    parser = VerbParser("sync", "Delivers what runs logged while their store was out of reach, or mends a store.")
    parser.allow_abbrev = False
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="with the jobs; else outputs and multirun")
    parser.add_argument(DROP, action="store_true", help="send nothing more of runs that were deleted in MLflow")
    moved_help = "rewrite the places of artifacts in a store whose folder was moved; takes tracking.KEY=VALUE"
    parser.add_argument("--moved", action="store_true", help=moved_help)
    parser.add_argument("--yes", action="store_true", help="with --moved: do not ask")
    parser.add_argument("--force", action="store_true", help="with --moved: even where the old folder is still there")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Delivers the rest of every journal below a folder, and ends the runs whose processes have died.

    With --moved it delivers nothing: it rewrites the places of artifacts in a store whose folder was moved.

    Returns:
        The exit code: 0, or 1 where something could not be delivered, or a journal not be read.

    Raises:
        UserError: there is no such folder, or a store that can't be rewritten.
    """
    if options.moved:
        return _rewrite(options)
    if options.yes or options.force:
        raise UserError(f"`{'--yes' if options.yes else '--force'}` goes with --moved: python -m lctrain sync --moved.")
    for folder in options.folders:
        if not Path(folder).is_dir():
            raise UserError(f"`sync` must be given a folder; got {folder!r}.")
    return _deliver([Path(folder) for folder in options.folders or FOLDERS], options.drop_deleted)


def _deliver(folders: Sequence[Path], must_drop: bool) -> int:
    journals = [journal for folder in folders for journal in find_journals(folder)]
    num_left = num_runs = num_damaged = num_deleted = 0
    for journal in journals:
        try:
            outcome = sync_journal(journal)
        except (ValueError, OSError) as error:
            num_damaged += 1
            print_folded(f"{journal}: can't be read, and is passed over ({error})", sys.stderr)
            continue
        if outcome.num_delivered or outcome.num_left:
            num_runs += 1
            reason = f" ({outcome.reason})" if outcome.reason else ""
            print_folded(f"{journal}: {outcome.num_delivered} delivered, {outcome.num_left} left{reason}")
        if outcome.deleted is None:
            num_left += outcome.num_left
        elif must_drop:
            drop_journal(journal)
            print_folded(f"  dropped: nothing more of it is sent; {journal} keeps it")
        else:
            num_deleted += outcome.num_left
            print_folded(
                f"  The run can take it once it is restored: {format_restore_command(journal, outcome.deleted)}"
            )
    print_folded(
        f"Looked at {len(journals)} runs; {num_runs} had something to deliver;"
        f" {num_left + num_deleted} entries are left."
    )
    if num_left:
        print_folded("Run it again when the store can be reached.", sys.stderr)
    if num_deleted:
        message = f"{num_deleted} of them belong to runs that were deleted in MLflow: restore these"
        print_folded(f"{message}, or send nothing more of them: {_format_drop_command(folders)}", sys.stderr)
    return EXIT_FAILED if num_left or num_deleted or num_damaged else EXIT_DONE


def _format_drop_command(folders: Sequence[Path]) -> str:
    named = [] if list(map(str, folders)) == list(FOLDERS) else map(str, folders)
    return shlex.join(["python", "-m", "lctrain", "sync", DROP, *named])


def _rewrite(options: argparse.Namespace) -> int:
    """Asks, and rewrites."""
    tracking: Any = read_tracking(compose_dry(options.folders)["tracking"])
    found = find_moved_uris(tracking, must_be_gone=not options.force)
    if not found.num_uris:
        print_folded(f"Nothing to do: the store in {found.folder} has its artifacts where it says.")
        return EXIT_DONE
    for old in found.old:
        print_folded(f"{old} -> {found.new}")
    print_folded(
        f"{found.num_uris} places of experiments, runs and models are to be rewritten in {found.folder / 'mlflow.db'}."
    )
    if not options.yes:
        if not sys.stdin.isatty():
            raise UserError("`sync --moved` asks before it rewrites, and there is no terminal to ask on: add --yes.")
        if input("Type yes to rewrite them: ").strip() != "yes":
            print_folded("Nothing was changed.")
            return EXIT_FAILED
    print_folded(f"{rewrite_uris(tracking, found)} places were rewritten. The database as it was is in {found.backup}.")
    return EXIT_DONE
