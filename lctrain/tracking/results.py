"""Reading a sweep back from a store alone: its own run, and those of its jobs."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from lctrain.config.schema import LocalTracking, TrackingConfig
from lctrain.errors import UserError
from lctrain.tracking.orphaned_runs import PARENT_TAG
from lctrain.tracking.run_result import Point, RunResult
from lctrain.tracking.store import database, open_client, restore_command, store_uri

if TYPE_CHECKING:  # MLflow takes seconds to load
    from mlflow import MlflowClient
    from mlflow.entities import Run

LATEST = "latest"
IS_SWEEP = "tags.`sweep.jobs` != ''"  # the tag that only a sweep's own run has
NEWEST_FIRST = ["attributes.start_time DESC"]
RUNS_PER_REQUEST = 200
REQUESTS_AT_ONCE = 8
MIN_PREFIX, MAX_SUGGESTED, SHORT = 4, 3, 8
ACTIVE, DELETED = 1, 2  # views, as MLflow numbers them


def read_sweep(tracking: TrackingConfig, sweep: str = LATEST) -> tuple[RunResult, list[RunResult]]:
    """The run of a sweep and the runs of its jobs, every attempt at each.

    Args:
        tracking: where the store is, and the experiment in which the latest sweep is looked for.
        sweep: `latest`, or the id of the sweep's run or of one of its jobs', of which the first few letters are enough.

    Raises:
        UserError: no store, no sweep in it, or none of that id.
    """
    client, experiment_id = open_existing(tracking)
    parent = _find_sweep(client, experiment_id, sweep, tracking)
    jobs = search_runs(client, parent.info.experiment_id, f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'")
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:  # a history is a request of its own
        children = list(pool.map(lambda run: _read_run(client, run), jobs))
    return _read_run(client, parent), sorted(children, key=lambda run: run.start)


def open_existing(tracking: TrackingConfig) -> "tuple[MlflowClient, str]":
    """The client of a store that is there, and its experiment's id; nothing is created."""
    place = store_uri(tracking)
    if isinstance(tracking, LocalTracking) and not database(tracking).exists():
        raise UserError(
            f"`tracking.folder` must hold an MLflow store; got {tracking.folder!r}, which has no"
            f" {database(tracking).name}. Train here first (python -m lctrain ...), or name its folder."
        )
    try:
        client = open_client(tracking)
        experiment = client.get_experiment_by_name(tracking.experiment)
    except Exception as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"`tracking`: the MLflow store {place} can't be read: {message}") from error
    if experiment is None:
        known = ", ".join(sorted(experiment.name for experiment in client.search_experiments()))
        raise UserError(
            f"`tracking.experiment` must be an experiment of the store {place}; got {tracking.experiment!r}."
            f" It has: {known}."
        )
    return client, experiment.experiment_id


def _find_sweep(client: "MlflowClient", experiment_id: str, sweep: str, tracking: TrackingConfig) -> "Run":
    if sweep != LATEST:
        return _find_by_id(client, experiment_id, sweep, tracking)
    latest = next(search_runs(client, experiment_id, IS_SWEEP, 1), None)
    if latest is None:
        raise UserError(
            f"There is no sweep in experiment {tracking.experiment!r} of the store {store_uri(tracking)}."
            " Run one: python -m lctrain -m model=lc2d implementation=1,2"
        )
    return latest


def _find_by_id(client: "MlflowClient", experiment_id: str, sweep: str, tracking: TrackingConfig) -> "Run":
    """The sweep of this id, or of a job of this id."""
    run = find_run(client, sweep)
    job, wanted = None, sweep
    if run is not None and PARENT_TAG in run.data.tags:
        job, wanted = run, run.data.tags[PARENT_TAG]
        run = find_run(client, wanted)
    deleted = find_deleted(client, experiment_id, wanted) if run is None else None
    if deleted is not None:
        whose = format_run(deleted) if job is None else f"that of job {format_run(job)}, {format_run(deleted)},"
        fix = f"Restore it: {restore_command(tracking, deleted.info.run_id)}"
        raise UserError(f"`--sweep` must be a sweep whose run is there; {whose} was deleted in MLflow. {fix}")
    if run is not None and "sweep.jobs" in run.data.tags:
        return run
    sweeps = list(search_runs(client, experiment_id, IS_SWEEP))
    what = "is the id of a run that is no sweep" if run is not None else "is none"
    expected = "`--sweep` must be latest or the id of a sweep's run"
    return get_run_by_prefix(sweeps, sweep, expected, what, f"Experiment {tracking.experiment!r} has no sweep.")


def get_run_by_prefix(known: "Sequence[Run]", prefix: str, expected: str, otherwise: str, if_none: str) -> "Run":
    """The only run whose id begins so.

    Args:
        known: runs, the newest first.
        prefix: some letters of an id.
        expected: what the user was to give, for errors.
        otherwise: what the letters are where no id begins with them.
        if_none: the error's last sentence where there are no runs.

    Raises:
        UserError: no run, or several.
    """
    found = [run for run in known if len(prefix) >= MIN_PREFIX and run.info.run_id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    what = f"is the beginning of {len(found)}" if found else otherwise
    message = "; ".join(format_run(run, None if found else SHORT) for run in (found or known)[:MAX_SUGGESTED])
    latest = f"The latest are: {message}." if known else if_none
    raise UserError(f"{expected}; got {prefix!r}, which {what}. {latest}")


def find_deleted(client: "MlflowClient", experiment_id: str, prefix: str) -> "Run | None":
    """The run that was deleted in MLflow whose id is this, or the only one that begins so; None where there is none."""
    with suppress(Exception):  # stores differ in how they say that they do not know it
        whole = client.get_run(prefix)
        return None if whole.info.lifecycle_stage == "active" else whole
    found = search_runs(client, experiment_id, "", view=DELETED)
    matching = [run for run in found if run.info.run_id.startswith(prefix)]
    is_enough = len(prefix) >= MIN_PREFIX and len(matching) == 1
    active = [run for run in search_runs(client, experiment_id, "") if run.info.run_id.startswith(prefix)]
    return matching[0] if is_enough and not active else None


def find_deleted_jobs(tracking: TrackingConfig, sweep: RunResult, jobs: Collection[RunResult]) -> list[int]:
    """Numbers of the jobs of a sweep of which every run was deleted in MLflow.

    Args:
        tracking: where the store is.
        sweep: its own run.
        jobs: the runs that are there.
    """
    client, _ = open_existing(tracking)
    experiment_id = client.get_run(sweep.run_id or "").info.experiment_id
    found = search_runs(client, experiment_id, f"tags.`{PARENT_TAG}` = '{sweep.run_id}'", view=DELETED)
    deleted = {run.data.tags.get("sweep.job", "") for run in found} - {run.tags.get("sweep.job", "") for run in jobs}
    return sorted(int(number) for number in deleted if number.isdecimal())


def format_run(run: "Run", num_letters: int | None = None) -> str:
    """Its id, whole or as many letters of it as are asked for, its name and when it began."""
    start = datetime.fromtimestamp(run.info.start_time / 1e3, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{run.info.run_id[:num_letters]} ({run.info.run_name}, {start})"


def find_run(client: "MlflowClient", run_id: str) -> "Run | None":
    """The run, unless there is none of this id, or it was deleted."""
    try:
        run = client.get_run(run_id)
    except Exception:  # stores differ in how they say that they do not know it
        return None
    return run if run.info.lifecycle_stage == "active" else None


def search_runs(
    client: "MlflowClient", experiment_id: str, filter_string: str, limit: int | None = None, view: int = ACTIVE
) -> "Iterator[Run]":
    """All runs that match, the newest first, page by page; those that were deleted where that is the view."""

    def pages() -> "Iterator[Run]":
        token = None
        while True:
            size = RUNS_PER_REQUEST if limit is None else limit
            page = client.search_runs([experiment_id], filter_string, view, size, NEWEST_FIRST, token)
            yield from page
            token = page.token
            if not token:
                return

    return islice(pages(), limit)


def _read_run(client: "MlflowClient", run: "Run") -> RunResult:
    info, data = run.info, run.data
    metrics = {name: _read_metric(client, info.run_id, name) for name in data.metrics}
    period = info.start_time, info.end_time
    return RunResult(info.run_id, info.run_name, info.status, *period, dict(data.params), dict(data.tags), metrics)


def _read_metric(client: "MlflowClient", run_id: str, name: str) -> list[Point]:
    return [Point(one.timestamp, one.step, one.value) for one in client.get_metric_history(run_id, name)]
