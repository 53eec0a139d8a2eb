"""`sync`: delivers to their stores what runs have logged while those could not be reached."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lctrain.errors import EXIT_DONE, EXIT_FAILED, UserError
from lctrain.tracking import find_journals, sync_journal

FOLDERS = ("outputs", "multirun")  # where Hydra puts the jobs' folders, unless told otherwise


def run_sync(arguments: Sequence[str], tell: Callable[[Exception, str], None]) -> int:
    """Delivers the rest of every journal below a folder, and ends the runs whose processes have died.

    Returns:
        The exit code: 0, or 1 where something could not be delivered, or a journal not be read.

    Raises:
        UserError: there is no such folder.
    """
    parser = argparse.ArgumentParser("lctrain sync", add_help=False, exit_on_error=False)
    parser.add_argument("folders", nargs="*", type=Path)
    options, unknown = parser.parse_known_args(list(arguments))
    if unknown:
        raise UserError(f"`sync` takes folders alone; got {unknown[0]!r}.")
    for folder in options.folders:
        if not folder.is_dir():
            raise UserError(f"`sync` must be given a folder; got {str(folder)!r}.")
    folders = options.folders or [Path(folder) for folder in FOLDERS]
    journals = [journal for folder in folders for journal in find_journals(folder)]
    num_left = num_runs = num_damaged = 0
    for journal in journals:
        try:
            outcome = sync_journal(journal)
        except (ValueError, OSError) as error:
            num_damaged += 1
            print(f"{journal}: can't be read, and is passed over ({error})", file=sys.stderr)
            continue
        if outcome.num_delivered or outcome.num_left:
            num_runs += 1
            print(f"{journal}: {outcome.num_delivered} delivered, {outcome.num_left} left{_because(outcome.reason)}")
        num_left += outcome.num_left
    print(f"Looked at {len(journals)} runs; {num_runs} had something to deliver; {num_left} entries are left.")
    if num_left:
        print("Run it again when the store can be reached.", file=sys.stderr)
    return EXIT_FAILED if num_left or num_damaged else EXIT_DONE


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
