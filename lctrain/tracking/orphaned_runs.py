"""Ends runs whose process could not: it was killed, or the machine was."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lctrain.tracking.deliver_pending import Outcome, try_delivery
from lctrain.tracking.delivery import Delivery, try_lock
from lctrain.tracking.journal import FILE, Journal
from lctrain.tracking.mlflow_store import MlflowStore
from lctrain.tracking.moving import FOLDER_TAG
from lctrain.tracking.reading import read_journal
from lctrain.tracking.run_owner import find_owner_state, is_gone
from lctrain.tracking.store import restore_command

OWNER_TAG = "lctrain.owner"  # as JSON: host, boot, pid, born
PARENT_TAG = "mlflow.parentRunId"
DIED = "its process died without a word, as one does that is killed or out of memory"
SYNC_PATIENCE = 3  # seconds
LOCK_TIMEOUT = 10  # seconds; a delivery by another process may be at work


def end_run(journal_folder: Path, status: str, error: str | None) -> None:
    """Notes the end of a run whose process has died; of one that has ended, or still lives, nothing.

    Args:
        journal_folder: as `find_journals` names it.
        status: FINISHED, FAILED or KILLED.
        error: what happened, for the tag `error`.
    """
    with _take_over(journal_folder) as journal:
        if journal is not None and read_journal(journal_folder).status == "RUNNING":
            append_end(journal, status, error)


def tag_run(journal_folder: Path, tags: Mapping[str, str]) -> None:
    """Notes tags of a run whose process has ended; of one that still lives, nothing.

    Args:
        journal_folder: as `find_journals` names it.
        tags: names and values.
    """
    with _take_over(journal_folder) as journal:
        if journal is not None:
            journal.append("tags", values=dict(tags))


@contextmanager
def _take_over(journal_folder: Path) -> Iterator[Journal | None]:
    """A begun journal that nobody else writes to meanwhile; None where its process lives, or another is at it."""
    with try_lock(journal_folder, LOCK_TIMEOUT) as is_locked:
        journal = Journal(journal_folder)
        yield journal if is_locked and journal.size else None


def append_end(journal: Journal, status: str, error: str | None) -> None:
    """Notes what another process than the run's own has found; if the store knows the end already, that counts."""
    journal.append("end", status=status, error=error, is_found=True)


def end_dead_runs(store: MlflowStore) -> None:
    """Ends the RUNNING runs of this host whose process is gone as FAILED, delivering first what their journals hold."""
    for run in store.search("attributes.status = 'RUNNING'"):
        tags = run.data.tags
        if _find_owner_state(tags) != "dead" or _is_supervised(store, tags.get(PARENT_TAG)):
            continue
        folder = store.locate(Path(tags.get(FOLDER_TAG, "")))
        if not _end_with_journal(folder):
            store.client.set_tag(run.info.run_id, "error", DIED)
            store.client.set_terminated(run.info.run_id, "FAILED")


def _end_with_journal(folder: Path) -> bool:
    """Whether there is a journal that can be read, and so was ended and delivered."""
    if not (folder / FILE).exists():
        return False
    try:
        end_run(folder, "FAILED", DIED)
    except ValueError:  # damaged
        return False
    try_delivery(folder, patience=0)
    return True


def sync_journal(journal_folder: Path) -> Outcome:
    """Delivers what is left of a journal; the run of a process that has died is ended first, as FAILED.

    What a living process has at hand is left to it, and so is the run of another host that has not ended.

    Raises:
        ValueError: a damaged journal.
        OSError: one that can't be read.
    """
    with try_lock(journal_folder) as is_locked:
        if not is_locked or Journal(journal_folder).size == 0:
            return Outcome(0, 0, "")
    run = read_journal(journal_folder)
    if run.status == "RUNNING":
        if not is_gone(_read_owner(run.tags)):
            return Outcome(0, 0, "")
        end_run(journal_folder, "FAILED", DIED)
    return try_delivery(journal_folder, SYNC_PATIENCE)


def format_restore_command(journal_folder: Path, run_id: str) -> str:
    """The command that restores the deleted run of a journal."""
    return restore_command(Delivery(Journal(journal_folder)).tracking, run_id)


def _is_supervised(store: MlflowStore, parent_id: str | None) -> bool:
    """Whether the run is a job of a sweep that goes on, which knows better how it died."""
    if parent_id is None:
        return False
    parent = store.client.get_run(parent_id)
    return parent.info.status == "RUNNING" and _find_owner_state(parent.data.tags) != "dead"


def _find_owner_state(tags: Mapping[str, str]) -> str:
    return find_owner_state(_read_owner(tags))


def _read_owner(tags: Mapping[str, str]) -> dict[str, str]:
    if OWNER_TAG in tags:
        owner: dict[str, str] = json.loads(tags[OWNER_TAG])
        return owner
    # Runs that an earlier release began have a tag for each.
    prefix = f"{OWNER_TAG}."
    return {name.removeprefix(prefix): value for name, value in tags.items() if name.startswith(prefix)}
