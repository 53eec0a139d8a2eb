"""One training job from a validated configuration to a finished run."""

import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import yaml

from lctrain.benchmark.cases import load_code as load_benchmark_code
from lctrain.benchmark.tuning import needs_tuning, tune
from lctrain.config import Config
from lctrain.data import Splits, check_feeds, complete_reading, load_splits, load_splitting_code
from lctrain.devices.runtime import Devices, load_libraries
from lctrain.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, UserError, suggest_import
from lctrain.job import resume_state
from lctrain.job.memory_check import check_memory
from lctrain.job.provenance import describe_datasets, describe_job, name_run
from lctrain.job.resume_state import ResumeState
from lctrain.job.sources import is_of_store
from lctrain.model.summary import summarize
from lctrain.report.tables import summary_columns
from lctrain.system import fork_client, memory
from lctrain.system.loading import loading
from lctrain.system.process_setup import prepare_process, set_environment
from lctrain.system.signals import Terminated, interrupts, leave_at_once
from lctrain.system.tables import print_table
from lctrain.system.terminal import print_folded
from lctrain.tracking import Run, check_writable, start_run, ui_command
from lctrain.tracking.run_result import ID_LETTERS
from lctrain.tracking.store import load_all_code


def load_code() -> None:
    """Loads all that jobs need, for a server that forks a process for each."""
    set_environment()
    load_benchmark_code()
    load_splitting_code()
    load_all_code()
    with loading():
        from matplotlib.backends import backend_agg  # noqa: F401

        import lctrain.job.train
        import lctrain.report.curves
        import lctrain.report.kernels  # noqa: F401


def run_job_of_sweep(
    config: Config, overrides: Sequence[str], folder: Path, parent: Path | None, tags: Mapping[str, str]
) -> dict[str, float]:
    """`run_job_in_place` as all that a process does."""
    prepare_process()
    tags = {**tags, "sweep.start_method": "spawn" if fork_client.origin is None else "forkserver"}
    try:
        return run_job_in_place(config, overrides, folder, parent, tags)
    except KeyboardInterrupt:
        return leave_at_once(EXIT_INTERRUPTED)
    except Terminated:
        return leave_at_once(EXIT_TERMINATED)


def run_job_in_place(
    config: Config, overrides: Sequence[str], folder: Path, parent: Path | None, tags: Mapping[str, str]
) -> dict[str, float]:
    """`run_job` for a job of a sweep: an unfinished one in its folder is resumed."""
    return run_job(config, overrides, folder, parent, tags, resumes=True)


def run_job(
    config: Config,
    overrides: Sequence[str],
    folder: Path,
    parent: Path | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
    resumes: bool = False,
) -> dict[str, float]:
    """Trains, measures and tracks one model; prints what was reached.

    Args:
        config: validated, complete.
        overrides: the command line's, as the user wrote them.
        folder: the job's own, for what it writes besides the store.
        parent: the journal's folder of the run of the sweep that this job belongs to.
        tags: of the run, besides those that every run has.
        resumes: whether a job that was left unfinished in the folder is taken up.

    Returns:
        The metrics: of the last epoch, of the test split, counts, times and memory.

    Raises:
        UserError: what only building shows (a window larger than its input, an unwritable store).
        DoesNotFit: it needs far more memory than is available.
        TrainingFailed: the loss became inf or nan, or there is no room for the model.
    """
    # Of what the command line says, by which it is found again, and not of what the files say to it.
    digest = resume_state.digest(config)
    check_feeds(config)
    config, notes = complete_reading(config)
    for note in notes:
        print_folded(f"data: {note}", sys.stderr)
    check_writable(config.tracking)
    _check_backend()
    _check_init_from(config)
    with resume_state.lock(folder):
        resumed = _read_resume_state(digest, folder, resumes)
        warning = check_memory(config, fork_client.find_shared_bytes(fork_client.origin))
        if warning:
            print_folded(warning, sys.stderr)
        devices = load_libraries(config)
        from lctrain.job.train import train  # which takes the libraries
        from lctrain.training import explain_missing_operations

        name = name_run(config, tags)
        tags = describe_job(config) | dict(devices.tags) | dict(tags) | ({"memory_warning": warning} if warning else {})
        journal = None if resumed is None else resumed.find_journal()
        with start_run(config.tracking, name, tags, folder, parent, journal, repeats=True) as run:
            _log_config(run, config, overrides, notes)
            resolved = _resolve_tuned(config, run, devices) if resumed is None else resumed.resolve(config)
            # MLflow's import is not the job's, neither what it takes of memory nor of a first step's time.
            run.wait_for_store()
            load_splitting_code()
            memory_before = memory.begin_measuring()
            splits = load_splits(config.data, config.data_format)
            run.log_datasets(describe_datasets(config.data, splits))
            _save_resume_state(resumed, resolved, digest=digest, overrides=overrides, run=run, splits=splits)
            interrupted = interrupts.deferred(lambda: run.end_at_once("KILLED", "interrupted twice"))
            with interrupted, explain_missing_operations(resolved):
                metrics = train(resolved, run, devices, splits, folder, memory_before)
    resume_state.forget(folder)  # the job is done, and its run has the model
    _print_summary(config, metrics, run.run_id, overrides)
    return metrics


def _log_config(run: Run, config: Config, overrides: Sequence[str], notes: Sequence[str]) -> None:
    run.log_params(config.model_dump())
    run.log_tags({"data_notes": "\n".join(notes)} if notes else {})
    run.log_text(yaml.safe_dump(config.model_dump(), sort_keys=False), "config/config.yaml")
    run.log_text(yaml.safe_dump(list(overrides)), "config/overrides.yaml")


def _read_resume_state(digest: str, folder: Path, resumes: bool) -> ResumeState | None:
    """The job that this one goes on with; None where it begins.

    Raises:
        UserError: an unfinished job in the folder that is another, or is not meant.
    """
    resumed = resume_state.read_unfinished(folder)
    if resumed is None:
        return None
    there = f"`hydra.run.dir` {str(folder)!r} holds a job that was not finished"
    if not resumes:
        raise UserError(f"{there}. Go on with it by resume=true, or choose another folder.")
    if resumed.digest != digest:
        raise UserError(f"{there}, of another configuration. Choose another folder.")
    return resumed


def _save_resume_state(
    resumed: ResumeState | None, config: Config, *, digest: str, overrides: Sequence[str], run: Run, splits: Splits
) -> None:
    """Lets the folder say what is done here; where it said so before, warns of what is no longer the same.

    Raises:
        UserError: other data than the job was begun with.
    """
    environment, data = resume_state.describe_environment(), resume_state.fingerprint(splits.train, splits.validation)
    folder = run.folder.parent
    if resumed is None:
        state = ResumeState(
            digest, str(run.folder), list(overrides), config.model.model_dump(), config.jit_compile, environment, data
        )
        state.write(folder)
        return
    replace(resumed, journal=str(run.folder)).write(folder)
    if resumed.data != data:
        raise UserError("`data` has changed since the job was begun, which can't go on with other examples.")
    differences = resume_state.format_differences(resumed.environment, environment)
    if differences:
        print_folded(differences, sys.stderr)
        run.log_tags({"resume_warning": differences})


def _resolve_tuned(config: Config, run: Run, devices: Devices) -> Config:
    """The configuration with what `tuned` became; the run gets what was measured for it."""
    if not needs_tuning(config):
        return config
    start = time.perf_counter()
    with run.paused():
        tuning = tune(config.model_copy(update={"device": devices.child_device}))
    run.log_table(tuning.as_table(), "model/tuning.json")
    run.log_metrics({"tuning_seconds": time.perf_counter() - start})
    return tuning.config


def _check_backend() -> None:
    if os.environ.get("KERAS_BACKEND") != "tensorflow":
        got = os.environ.get("KERAS_BACKEND")
        raise UserError(f"`KERAS_BACKEND` must be tensorflow, or not be set; got {got!r}.")


def _check_init_from(config: Config) -> None:
    """Whether a file that the weights come from is there; a run is looked for once MLflow is loaded."""
    name = config.init_from or ""
    is_path = "/" in name or "." in name
    if is_path and not (name.endswith(".keras") and Path(name).is_file()):
        fix = suggest_import(name) or ""
        raise UserError(f"`init_from` must be a run's id or a .keras file that is there; got {name!r}. {fix}".rstrip())


def _print_summary(config: Config, metrics: dict[str, float], run_id: str | None, overrides: Sequence[str]) -> None:
    has_local = any(layer.costs for layer in summarize(config).layers)
    implementation = f", implementation {config.implementation}" if has_local else ""
    print_table(f"{config.model.name}{implementation}", summary_columns(metrics))
    if run_id is not None:  # which only the store gives
        name, store = run_id[:ID_LETTERS], [override for override in overrides if is_of_store(override)]
        command = shlex.join(["python", "-m", "lctrain", "evaluate", f"run={name}", *store])
        print_folded(f"Run {name}. Evaluate it: {command}")
    print_folded(f"Browse it: {ui_command(config.tracking)}")
