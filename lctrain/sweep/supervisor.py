"""One job of a sweep, watched from outside: it always ends with a record, whatever happened to it."""

import hashlib
import json
import os
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lctrain.config import Config
from lctrain.devices.runtime import find_started
from lctrain.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    DoesNotFit,
    UserError,
    exit_code_of,
)
from lctrain.job.memory_check import check_memory
from lctrain.job.provenance import CHOICES, name_run
from lctrain.job.run import load_code
from lctrain.sweep.records import Record, Records
from lctrain.system import fork_client
from lctrain.system.child import GRACE
from lctrain.system.fork_connection import ForkServer
from lctrain.system.subprocesses import Outcome, run_in_process
from lctrain.tracking import deliver, end_run, find_journals, ignore_signals, start_run, tag_run
from lctrain.tracking.journal import FILE as JOURNAL_FILE
from lctrain.tracking.run_owner import describe_owner, find_owner_state

DELIVERY = 2.0  # seconds that a sweep waits for the store between two jobs; the rest is sent at its end
STOPPED = "stopped"  # the file that tells later jobs that one has failed, under sweep.on_error=stop
RUN_STATES = {"done": "FINISHED", "failed": "FAILED", "refused": "FAILED"}  # of MLflow; all others are KILLED

# Called with the configuration, overrides, the job's folder, that of the journal of the sweep's run, and tags.
RunJob = Callable[[Config, Sequence[str], Path, Path | None, Mapping[str, str]], dict[str, float]]


@dataclass(frozen=True)
class Task:
    """What is to be done: one job of a sweep.

    Args:
        config: validated, complete.
        overrides: those that made it, as the user wrote them.
        folder: the job's.
        number: its place among the jobs, from 0.
        sweep_folder: of the sweep.
        parent: the folder of the journal of the sweep's own run.
        choices: of the overrides those that other jobs have not, by key.
    """

    config: Config
    overrides: list[str]
    folder: Path
    number: int
    sweep_folder: Path
    parent: Path | None
    choices: Mapping[str, str]

    @property
    def tags(self) -> dict[str, str]:
        """Of its run: by these the jobs of a sweep are told apart."""
        overrides, choices = " ".join(self.overrides), json.dumps(dict(self.choices))
        return {"sweep.job": str(self.number), "sweep.overrides": overrides, CHOICES: choices}


def supervise(run_job: RunJob, task: Task) -> Record:
    """Runs a job in a process of its own, unless it is done already, and writes down how it ended.

    Args:
        run_job: called as `run_job(config, overrides, folder, parent, tags)`; importable by its name.
        task: what to do.

    Returns:
        The record; the job's failure does not raise here. An interrupt of this process does, once the job has ended.
    """
    records = Records(task.sweep_folder)
    known = records.read(task.number)
    if known is not None and known.status == "done":
        return known
    if known is not None:
        close_lost(known)
    attempt = 1 if known is None else known.attempt + 1
    record = Record(
        task.number, task.overrides, "running", str(task.folder), time.time(), describe_owner(), attempt=attempt
    )
    if (task.sweep_folder / STOPPED).exists():
        record = replace(record, status="skipped", reason="not started: another job failed (sweep.on_error=stop)")
        records.write(record)
        return record
    before = _journal_sizes(task.folder)
    server = find_server(task.config, task.sweep_folder)
    try:
        record = replace(record, warning=check_memory(task.config, fork_client.find_shared_bytes(server)))
        records.write(record)
        record = _run(run_job, task, record, server)
    except DoesNotFit as error:
        record = replace(record, status="refused", reason=str(error), exit_code=exit_code_of(error))
    except BaseException as error:
        exit_code = EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else EXIT_TERMINATED
        record = replace(record, status="interrupted", reason="the sweep was interrupted", exit_code=exit_code)
        raise
    finally:
        with ignore_signals():
            record = replace(record, seconds=time.time() - record.started)
            after = _journal_sizes(task.folder)
            record = _close_run(task, record, {path for path, size in after.items() if size != before.get(path)})
            records.write(record)
            if record.has_failed and task.config.sweep.on_error == "stop":
                (task.sweep_folder / STOPPED).touch()
    return record


def _run(run_job: RunJob, task: Task, record: Record, server: ForkServer | None) -> Record:
    """The record of the job, which is run now."""
    arguments = task.config, task.overrides, task.folder, task.parent, task.tags
    if not task.config.sweep.isolate:
        try:
            return replace(record, status="done", exit_code=EXIT_DONE, metrics=run_job(*arguments))
        except Exception as error:
            if not isinstance(error, UserError):
                traceback.print_exc()
            return replace(record, **_describe_outcome(Outcome("raised", repr(error), 0.0, error=error)))
    task.folder.mkdir(parents=True, exist_ok=True)
    log = task.folder / ("job.log" if record.attempt == 1 else f"job.{record.attempt}.log")
    timeout = task.config.sweep.job_timeout
    outcome = run_in_process(run_job, *arguments, timeout=timeout, log_file=log, grace=GRACE, server=server)
    return replace(record, log=str(log), **_describe_outcome(outcome))


def find_server(config: Config, sweep_folder: Path) -> ForkServer | None:
    """What forks the processes of a sweep's jobs, the same on all of a machine; None where each starts afresh."""
    if not (fork_client.IS_SUPPORTED and config.sweep.isolate) or config.sweep.start_method == "spawn":
        return None
    # Containers that share a network, and so the names of servers, share neither processes nor files.
    namespaces = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "mnt")]
    digest = hashlib.sha256(f"{os.getuid()} {namespaces} {sweep_folder}".encode()).hexdigest()
    return fork_client.origin or ForkServer(f"lctrain-{digest}", load_code, find_started)


def _describe_outcome(outcome: Outcome) -> dict[str, Any]:
    if outcome.status == "done":
        return {"status": "done", "exit_code": EXIT_DONE, "metrics": outcome.value}
    if outcome.status == "raised":
        status = "refused" if isinstance(outcome.error, DoesNotFit) else "failed"
        reason = outcome.reason if outcome.error is None else str(outcome.error)
        return {"status": status, "reason": reason, "exit_code": exit_code_of(outcome.error)}
    if outcome.status == "exited":
        return {"status": "failed", "reason": outcome.reason, "exit_code": outcome.exit_code}
    return {"status": outcome.status, "reason": outcome.reason, "exit_code": EXIT_FAILED}


def close_lost(record: Record, is_over: bool = False) -> Record:
    """What became of a job that was running when the process that watched it died; others are returned as they are.

    Args:
        record: the job's.
        is_over: whether nothing runs any more: what watched a job on another machine can't be seen from here.
    """
    if record.status != "running" or not (is_over or find_owner_state(record.owner) == "dead"):
        return record
    reason = "the process that watched it has died"
    record = replace(record, status="killed", reason=reason, exit_code=EXIT_FAILED)
    journal = _newest(find_journals(Path(record.folder)))
    return record if journal is None else _end(record, journal)


def _journal_sizes(folder: Path) -> dict[Path, int]:
    """Of the journals in a job's folder: the one that is new, or has grown, is that of the attempt."""
    return {path: (path / JOURNAL_FILE).stat().st_size for path in find_journals(folder)}


def _close_run(task: Task, record: Record, journals: set[Path]) -> Record:
    """Sees to it that the job's run, a new one or one that went on, is there and has ended as the job did."""
    journal = _newest(journals)
    if journal is None and record.status == "interrupted":
        return record  # before it had begun
    return _end(record, journal or _log_unstarted(task, record))


def _end(record: Record, journal: Path) -> Record:
    """Ends the run where that has not ended by itself, and tells the store what it can at once."""
    end_run(journal, _run_state(record), record.reason or None)
    tags = {"sweep.status": record.status, "sweep.seconds": f"{record.seconds:.3f}"}
    tag_run(journal, tags | ({"error": record.reason} if record.has_failed else {}))
    deliver(journal, DELIVERY)
    return replace(record, journal=str(journal))


def _run_state(record: Record) -> str:
    return RUN_STATES.get(record.status, "KILLED")


def _newest(journals: Iterable[Path]) -> Path | None:
    return max(journals, key=lambda folder: folder.stat().st_mtime, default=None)


def _log_unstarted(task: Task, record: Record) -> Path:
    """The journal of a run for a job that ended before it had one."""
    config = task.config
    with start_run(config.tracking, name_run(config, task.tags), task.tags, task.folder, task.parent) as run:
        run.log_params(config.model_dump())
        run.fail(record.reason, _run_state(record))
    return run.folder
