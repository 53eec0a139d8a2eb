"""A multirun: every job is validated, then run under a supervisor by whatever launcher; then all are compared."""

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lctrain.composition.dry_run import run_dry
from lctrain.composition.hydra_app import Job, launch
from lctrain.composition.launchers import LEAN, SHARED, without_launcher
from lctrain.composition.override_forms import quote, split_override
from lctrain.composition.sweep_overrides import RESUME, read_settings, vary_one_by_one
from lctrain.config import Config
from lctrain.data import check_feeds
from lctrain.devices.runtime import load_keras
from lctrain.errors import EXIT_DONE, EXIT_FAILED, EXIT_USER_ERROR, ConfigError, PrintError, Problem, UserError, suggest
from lctrain.model.summary import summarize
from lctrain.sweep.own_run import list_params, log_counts, log_report
from lctrain.sweep.progress import SweepMonitor, watch
from lctrain.sweep.records import MANIFEST, Manifest, Record, Records
from lctrain.sweep.resume import check_resumed, continue_arguments, digest, find_move_of, read_manifest, read_resume
from lctrain.sweep.supervisor import STOPPED, close_lost, find_server
from lctrain.sweep.task import SweepTask
from lctrain.system.folder_lock import lock_folder
from lctrain.system.fork_client import keep
from lctrain.system.machine import describe_machine
from lctrain.system.terminal import print_folded
from lctrain.tracking import Run, check_writable, deliver, read_journal, start_run, ui_command
from lctrain.tracking.run_result import RunResult

LOCK = ".lock"  # the file by which a sweep belongs to one process
TIMINGS = (
    "train_step_ms",
    "train_step_ms_p90",
    "inference_ms",
    "first_step_seconds",
    "build_seconds",
    "peak_memory_mb",
)


@dataclass(frozen=True)
class Sweep:
    """What is to be run.

    Args:
        folder: of the sweep; absolute.
        config: of its first job; all share the tracking.
        manifest: what the folder will say of it.
        resumed: what it says of it already; None where the sweep is new.
    """

    folder: Path
    config: Config
    manifest: Manifest
    resumed: Manifest | None


def run_sweep(arguments: Sequence[str], print_error: PrintError) -> int:
    """Runs every job of a multirun, whatever happens to the others.

    Returns:
        The exit code: 0; 1 where a job failed, or what all of them had in common; 2 where a configuration is wrong, and
        none was run.

    Raises:
        UserError: a mistake in the command line, or a store that can't be used.
    """
    arguments, folder = read_resume(arguments)
    resumed = None if folder is None else read_manifest(folder)
    if resumed is not None:
        arguments = continue_arguments(resumed.arguments, arguments)
    settings = read_settings(arguments)
    jobs = validate_jobs(arguments, settings.num_trials is not None, print_error)
    if not jobs:
        print_folded("Nothing was run: all jobs must be valid before the first starts.", sys.stderr)
        return EXIT_USER_ERROR
    if settings.num_trials is None:
        overrides, digests = [job.overrides for job in jobs], [digest(job.config) for job in jobs]
        manifest = Manifest(arguments, overrides, len(jobs), str(Path.cwd()), digests)
    else:
        manifest = Manifest(arguments, None, settings.num_trials, str(Path.cwd()))
    folder = folder or settings.sweep_folder
    if resumed is not None:
        check_resumed(resumed, manifest, folder)
    check_writable(jobs[0].config.tracking)
    with lock_folder(folder, folder / LOCK, "sweep", "hydra.sweep.dir"):
        if resumed is None and (folder / MANIFEST).exists():
            fix = f"Choose another with hydra.sweep.dir=PATH, or go on with it: {RESUME}={folder}"
            raise UserError(f"`hydra.sweep.dir` must not hold a sweep already; got {str(folder)!r}. {fix}")
        if resumed is not None:
            Records(folder).move(find_move_of(folder).apply)
        return _run(Sweep(folder, jobs[0].config, manifest, resumed))


def validate_jobs(arguments: Sequence[str], is_search: bool, print_error: PrintError) -> list[Job]:
    """All jobs, or those that stand for what a sweeper may choose; none where one is wrong, which has been told."""
    jobs: list[Job] = []

    def check(job: Job) -> None:
        check_feeds(job.config)
        summarize(job.config)
        _check_sweep(job.config, jobs[0].config if jobs else job.config, is_search)
        jobs.append(job)

    for combination in vary_one_by_one(arguments) if is_search else [without_launcher(arguments)]:
        num_before = len(jobs)
        if run_dry(check, combination, print_error) != EXIT_DONE:
            return []
        _check_folders(jobs[num_before:])
    return jobs


def _check_folders(jobs: Sequence[Job]) -> None:
    """Whether each job has a folder of its own."""
    numbers: dict[Path, int | None] = {}
    for job in jobs:
        if numbers.setdefault(job.folder, job.number) != job.number:
            message = f"must differ from job to job; got {job.folder.name!r} for {numbers[job.folder]} and {job.number}"
            raise UserError(f"`hydra.sweep.subdir` {message}. Put ${{hydra.job.num}} into it, or leave it out.")


def _check_sweep(config: Config, first: Config, is_search: bool) -> None:
    """What a job must have in common with the first, and the metric that a sweeper looks at."""
    problems = []
    if config.resume:
        problems.append(Problem("resume", "is for one job. To go on with a sweep: python -m lctrain sweep.resume=DIR"))
    for group in ("tracking", "sweep"):
        if getattr(config, group) != getattr(first, group):
            problems.append(Problem(group, "must be the same for all jobs of a sweep. Run two sweeps."))
    names = ["loss", *config.training.metrics]
    known = [*TIMINGS, *(prefix + name for prefix in ("", "val_", "test_") for name in names)]
    objective = config.sweep.objective
    if objective is None and is_search:
        problems.append(Problem("sweep.objective", "must name the metric that the sweeper looks at; try val_loss."))
    if objective is not None and objective not in known:
        expected = "must be a metric that every job reaches"
        problems.append(Problem("sweep.objective", f"{expected}; got {objective!r}. {suggest(objective, known)}"))
    if problems:
        raise ConfigError(problems)


def _run(sweep: Sweep) -> int:
    config, folder, num_jobs = sweep.config, sweep.folder, sweep.manifest.num_jobs
    tags = {"verb": "sweep", "model": config.model.name, "data": config.data.name, **describe_machine()}
    tags |= {"sweep.folder": str(folder), "sweep.jobs": str(num_jobs)}
    tags |= {"sweep.command": " ".join(sweep.manifest.arguments)}
    (folder / STOPPED).unlink(missing_ok=True)
    journal = None if sweep.resumed is None else Path(str(sweep.resumed.journal))
    launchers = [value for _, key, value in map(split_override, sweep.manifest.arguments) if key == "hydra/launcher"]
    starts_here = set(launchers) <= {"basic"}
    server = find_server(config, folder) if starts_here else None
    if starts_here and not config.sweep.isolate:
        load_keras()  # before MLflow is loaded beside it, which takes packages that Keras is to do without
    with keep(server), start_run(config.tracking, f"sweep-{config.model.name}", tags, folder, resumed=journal) as run:
        replace(sweep.manifest, journal=str(run.folder)).write(folder)
        run.log_params(list_params(sweep.manifest.arguments))
        print_folded(f"The files of the {num_jobs} jobs are in {folder}")
        common = frozenset.intersection(*map(frozenset, sweep.manifest.jobs or [sweep.manifest.arguments]))
        plugins = [LEAN] if sweep.manifest.jobs is None else [LEAN, SHARED]
        task = SweepTask(folder, run.folder, Path.cwd(), common)
        try:
            with watch(SweepMonitor(Records(folder), num_jobs, print_folded, common)):
                given = sweep.manifest.arguments
                launch(task, [*given, f"hydra.sweep.dir={quote(folder)}"], plugins)
        except BaseException as error:
            started = _finish(sweep, run, "FAILED" if isinstance(error, Exception) else "KILLED")
            _print_resume_command(sweep, started)
            if started and isinstance(error, UserError):  # no mistake, then: the launcher gave up
                raise RuntimeError(str(error)) from error
            raise
        records = _finish(sweep, run)
        _print_resume_command(sweep, records)
    print_folded(f"Browse it: {ui_command(config.tracking)}")
    return _exit_code(records, num_jobs if sweep.manifest.jobs is not None else len(records))


def _print_resume_command(sweep: Sweep, records: Sequence[Record]) -> None:
    is_done = len(records) == sweep.manifest.num_jobs and not any(record.status != "done" for record in records)
    if sweep.manifest.jobs is not None and not is_done:
        print_folded(f"What is not done is run by: python -m lctrain {shlex.quote(f'{RESUME}={sweep.folder}')}")


def _finish(sweep: Sweep, run: Run, status: str = "FINISHED") -> list[Record]:
    """Compares the jobs, in the sweep's run and on the terminal; the run fails where one of them did."""
    records = [close_lost(record, is_over=status == "FINISHED") for record in Records(sweep.folder).read_all()]
    for record in records:
        Records(sweep.folder).write(record)
    _deliver(sweep, [Path(record.journal) for record in records if record.journal is not None])
    children = list(_read_runs(records))
    if sweep.manifest.jobs is None:
        run.log_tags({"sweep.jobs": str(len(records))})  # as many as the sweeper chose
    log_counts(run, records)
    failed = [record for record in records if record.status != "done"]
    if failed:
        run.fail(f"{len(failed)} of {sweep.manifest.num_jobs} jobs are not done")
    if not children:
        return records
    from lctrain.report.folds import fold_metrics, summarize_folds
    from lctrain.report.sweep import build_report  # which loads Matplotlib
    from lctrain.report.terminal import print_report

    ended = replace(read_journal(run.folder), status="FAILED" if failed and status == "FINISHED" else status)
    report = build_report(ended, children, sweep.config.sweep.objective)
    log_report(run, report)
    if (folds := summarize_folds(report.comparison))["folds"]:
        run.log_table(folds, "folds.json")
        run.log_metrics(fold_metrics(report.comparison))
    print_report(report)
    return records


def _read_runs(records: Sequence[Record]) -> Iterator[RunResult]:
    for record in records:
        try:
            if record.journal is not None:
                yield read_journal(Path(record.journal))
        except ValueError as error:  # damaged, which must not hide the others
            print_folded(f"Warning: job {record.number} is left out of the comparison: {error}.", sys.stderr)


def _deliver(sweep: Sweep, journals: Sequence[Path]) -> None:
    """Brings to the store what the jobs left, as long as its patience lasts for all of them together."""
    patience, left = sweep.config.tracking.patience, 0
    deadline = time.monotonic() + patience
    for journal in journals:
        if time.monotonic() > deadline or deliver(journal, patience):
            left, patience = left + 1, 0  # a store that did not answer one is not waited for again
    if left:
        message = f"Warning: not all that {left} of {len(journals)} jobs logged has reached the store."
        fix = f"Deliver the rest with: python -m lctrain sync {shlex.quote(str(sweep.folder))}"
        print_folded(f"{message} {fix}", sys.stderr)


def _exit_code(records: Sequence[Record], num_jobs: int) -> int:
    """0 where all are done; what all failed with, where they failed alike; else 1."""
    if len(records) == num_jobs and all(record.status == "done" for record in records):
        return EXIT_DONE
    codes = {EXIT_FAILED if one.exit_code is None else one.exit_code for one in records if one.status != "skipped"}
    return codes.pop() if len(codes) == 1 and codes != {EXIT_DONE} else EXIT_FAILED
