"""A run as it is in its journal."""

from pathlib import Path

from lctrain.tracking.delivery_state import DeliveryState
from lctrain.tracking.journal import Journal
from lctrain.tracking.run_result import Point, RunResult


def read_journal(journal_folder: Path) -> RunResult:
    """The same as could be read from the store, once everything is delivered.

    Raises:
        ValueError: a journal that was never begun, or that is damaged.
    """
    try:
        return _read(journal_folder)
    except (KeyError, TypeError, AttributeError) as error:  # lines that are JSON, but none of ours
        raise ValueError(f"{journal_folder} holds a damaged journal") from error


def _read(journal_folder: Path) -> RunResult:
    journal = Journal(journal_folder)
    entries = [entry.fields for entry in journal.entries()]
    if not entries or entries[0]["kind"] != "run":
        raise ValueError(f"{journal_folder} holds no journal of a run")
    run = entries[0]
    status, end = "RUNNING", None
    params: dict[str, str] = {}
    tags: dict[str, str] = dict(run["tags"])
    metrics: dict[str, list[Point]] = {}
    for entry in entries[1:]:
        if entry["kind"] == "params":
            params |= entry["values"]
        elif entry["kind"] == "tags":
            tags |= entry["values"]
        elif entry["kind"] == "metrics":
            for name, value in entry["values"].items():
                metrics.setdefault(name, []).append(Point(entry["time"], entry["step"], value))
        elif entry["kind"] == "end":
            status, end = entry["status"], entry["time"]
            tags |= {"error": entry["error"]} if entry.get("error") else {}
        elif entry["kind"] == "resumed":
            status, end = "RUNNING", None
            tags.pop("error", None)
    run_id = DeliveryState.read(journal.folder).run_id
    return RunResult(run_id, run["name"], status, run["time"], end, params, tags, metrics)
