"""Delivers what is left of a journal when the process that wrote it has ended."""

import time
from pathlib import Path
from typing import NamedTuple

from lctrain.tracking.delivery import PAUSE, Delivery, is_unreachable, journal_lock, try_lock
from lctrain.tracking.journal import Journal
from lctrain.tracking.run_sender import RunDeletedError, format_error


class Outcome(NamedTuple):
    """What a delivery came to."""

    num_delivered: int
    num_left: int
    reason: str
    """Why some are left, in one line; empty where none is."""
    deleted: str | None = None
    """The id of their run, where that was deleted in MLflow: until it is restored, they can't be delivered."""


def deliver(journal_folder: Path, patience: float) -> int:
    """Delivers what is left of a journal whose process has ended.

    Args:
        journal_folder: as `find_journals` names it.
        patience: seconds to go on trying where the store can't be reached; 0 tries once.

    Returns:
        How many entries are still to be delivered, which is so too where another process is delivering them.
    """
    return try_delivery(journal_folder, patience).num_left


def try_delivery(journal_folder: Path, patience: float) -> Outcome:
    """As `deliver`, but returns more."""
    with try_lock(journal_folder) as is_locked:
        delivery = Delivery(Journal(journal_folder))
        if is_locked:
            return _deliver_patiently(delivery, patience)
    return Outcome(0, delivery.num_left, "another process has it at hand" if delivery.num_left else "")


def _deliver_patiently(delivery: Delivery, patience: float) -> Outcome:
    num_failures, reason = 0, ""
    deadline = time.monotonic() + patience
    while delivery.num_left:
        try:
            delivery.deliver(retry_refused=True)
            reason = delivery.state.refused[0]["reason"] if delivery.state.refused else ""
            break
        except RunDeletedError as error:
            return Outcome(delivery.num_delivered, delivery.num_left, str(error), error.run_id)
        except Exception as error:  # whatever keeps the store from being reached
            num_failures, reason = num_failures + 1, format_error(error)
            if time.monotonic() + PAUSE > deadline or is_unreachable(error, num_failures):
                break
            time.sleep(PAUSE)
    return Outcome(delivery.num_delivered, delivery.num_left, reason)


def drop_journal(journal_folder: Path) -> None:
    """Lets what is left of a journal count as delivered, as its run takes no more; it stays on the disk."""
    with journal_lock(journal_folder).acquire(timeout=0):
        Delivery(Journal(journal_folder)).drop()
