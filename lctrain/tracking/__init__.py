"""Runs in an MLflow store; the only user of mlflow.

What a run logs goes first into a journal in the job's folder (journal.py). A thread delivers it to the store
(delivery_thread.py, delivery.py, run_sender.py). What is left when the job ends, `deliver` brings later. To import this
loads no MLflow.
"""

from lctrain.tracking.checks import check_writable
from lctrain.tracking.deliver_pending import deliver, drop_journal
from lctrain.tracking.fetching import FetchedRun, fetch_run, find_latest
from lctrain.tracking.journal import find_journals
from lctrain.tracking.moving import find_move, find_original
from lctrain.tracking.orphaned_runs import end_run, format_restore_command, sync_journal, tag_run
from lctrain.tracking.reading import read_journal
from lctrain.tracking.results import LATEST, find_deleted_jobs, read_sweep
from lctrain.tracking.run import Run, ignore_signals, start_run
from lctrain.tracking.store import store_uri, ui_command
from lctrain.tracking.values import flatten

__all__ = [
    "LATEST",
    "FetchedRun",
    "Run",
    "check_writable",
    "deliver",
    "drop_journal",
    "end_run",
    "fetch_run",
    "find_deleted_jobs",
    "find_journals",
    "find_latest",
    "find_move",
    "find_original",
    "flatten",
    "format_restore_command",
    "ignore_signals",
    "read_journal",
    "read_sweep",
    "start_run",
    "store_uri",
    "sync_journal",
    "tag_run",
    "ui_command",
]
