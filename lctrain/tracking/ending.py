"""Ends runs whose process could not: it was killed, or the machine was."""

from pathlib import Path

from filelock import Timeout

from lctrain.tracking.delivery import Store, journal_lock, try_to_deliver
from lctrain.tracking.journal import FILE, Journal
from lctrain.tracking.owner import look_at_owner

OWNER_TAG = "lctrain.owner."  # and host, boot, pid, born
FOLDER_TAG = "lctrain.folder"
PARENT_TAG = "mlflow.parentRunId"
DIED = "its process died without a word, as one does that is killed or out of memory"
LOCK_TIMEOUT = 10  # seconds; a delivery by another process may be at work


def end_run(journal_folder: Path, status: str, error: str | None) -> None:
    """Notes the end of a run whose process has died; of one that has ended, or still lives, nothing.

    Args:
        journal_folder: as `find_journals` names it.
        status: FINISHED, FAILED or KILLED.
        error: what happened, for the tag `error`.
    """
    lock = journal_lock(journal_folder)
    try:
        lock.acquire(timeout=LOCK_TIMEOUT)
    except Timeout:
        return
    try:
        journal = Journal(journal_folder)
        kinds = [entry.fields["kind"] for entry in journal.entries()]
        if kinds and "end" not in kinds:
            append_end(journal, status, error)
    finally:
        lock.release()


def append_end(journal: Journal, status: str, error: str | None) -> None:
    if error is not None:
        journal.append("tags", values={"error": error})
    journal.append("end", status=status)


def end_dead_runs(store: Store) -> None:
    """Ends the RUNNING runs of this host whose process is gone as FAILED, delivering first what their journals hold."""
    for run in store.search("attributes.status = 'RUNNING'"):
        tags = run.data.tags
        if _look_at(tags) != "dead" or _is_supervised(store, tags.get(PARENT_TAG)):
            continue
        folder = Path(tags.get(FOLDER_TAG, ""))
        if (folder / FILE).exists():
            end_run(folder, "FAILED", DIED)
            try_to_deliver(folder, patience=0)
        else:
            store.client.set_tag(run.info.run_id, "error", DIED)
            store.client.set_terminated(run.info.run_id, "FAILED")


def _is_supervised(store: Store, parent_id: str | None) -> bool:
    """Whether the run is a job of a sweep that goes on, which knows better how it died."""
    if parent_id is None:
        return False
    parent = store.client.get_run(parent_id)
    return parent.info.status == "RUNNING" and _look_at(parent.data.tags) != "dead"


def _look_at(tags: dict[str, str]) -> str:
    owner = {name.removeprefix(OWNER_TAG): value for name, value in tags.items() if name.startswith(OWNER_TAG)}
    return look_at_owner(owner)
