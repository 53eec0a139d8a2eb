"""One training job from a validated configuration to a finished run."""

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import yaml

from lctrain.benchmark.tuning import needs_tuning, tune
from lctrain.config import Config
from lctrain.cost import MEBIBYTE
from lctrain.data import Split, Splits, check_feeds, fit_normalization, load_splits, state_reading
from lctrain.devices.runtime import Devices, load_libraries
from lctrain.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, TrainingFailed, UserError, suggest_import
from lctrain.job import resume_state
from lctrain.job.memory_check import check_memory
from lctrain.job.provenance import describe_job, requirements
from lctrain.job.resume_state import STATES, ResumeState
from lctrain.system import memory
from lctrain.system.process_setup import prepare_process
from lctrain.system.signals import Terminated, interrupts, leave_at_once
from lctrain.tracking import Run, check_writable, fetch_run, start_run, ui_command


def run_job_of_sweep(*arguments) -> dict[str, float]:
    """`run_job_in_place`, with the same arguments, as all that a process does."""
    prepare_process()
    try:
        return run_job_in_place(*arguments)
    except KeyboardInterrupt:
        return leave_at_once(EXIT_INTERRUPTED)
    except Terminated:
        return leave_at_once(EXIT_TERMINATED)


def run_job_in_place(*arguments) -> dict[str, float]:
    """`run_job`, with the same arguments, for a job of a sweep: what was begun in its folder goes on."""
    return run_job(*arguments, goes_on=True)


def run_job(
    config: Config,
    overrides: Sequence[str],
    folder: Path,
    parent: Path | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
    goes_on: bool = False,
) -> dict[str, float]:
    """Trains, measures and tracks one model; prints what was reached.

    Args:
        config: validated, complete.
        overrides: the command line's, as the user wrote them.
        folder: the job's own, for what it writes besides the store.
        parent: the journal's folder of the run of the sweep that this job belongs to.
        tags: of the run, besides those that every run has.
        goes_on: whether a job that was left unfinished in the folder is taken up.

    Returns:
        The metrics: of the last epoch, of the test split, counts, times and memory.

    Raises:
        UserError: what only building shows (a window larger than its input, an unwritable store).
        DoesNotFit: it needs far more memory than is available.
        TrainingFailed: the loss became inf or nan, or there is no room for the model.
    """
    check_feeds(config)
    config, notes = state_reading(config)
    for note in notes:
        print(f"data: {note}", file=sys.stderr)
    check_writable(config.tracking)
    _check_backend()
    _check_init_from(config)
    with resume_state.lock(folder):
        resumed = _read_resume_state(config, folder, goes_on)
        warning = check_memory(config)
        if warning:
            print(warning, file=sys.stderr)
        devices = load_libraries(config)
        name = f"{config.model.name}-{config.implementation}"
        tags = describe_job(config) | devices.tags | dict(tags) | ({"memory_warning": warning} if warning else {})
        journal = None if resumed is None else resumed.find_journal()
        with start_run(config.tracking, name, tags, folder, parent, journal, repeats=True) as run:
            run.log_params(config.model_dump())
            run.log_tags({"data_notes": "\n".join(notes)} if notes else {})
            run.log_text(yaml.safe_dump(config.model_dump(), sort_keys=False), "config/config.yaml")
            run.log_text(yaml.safe_dump(list(overrides)), "config/overrides.yaml")
            resolved = _resolve_tuned(config, run, devices) if resumed is None else resumed.resolve(config)
            run.wait_for_store()  # MLflow's memory is not the job's, however long its import takes beside this
            memory_before = memory.begin_measuring()
            splits = load_splits(config.data, config.data_format)
            _save_resume_state(
                resumed, resolved, digest=resume_state.digest(config), overrides=overrides, run=run, splits=splits
            )
            with interrupts.deferred(lambda: run.end_at_once("KILLED", "interrupted twice")):
                metrics = _train(resolved, run, devices, splits, folder, memory_before)
    resume_state.forget(folder)  # the job is done, and its run has the model
    _print_summary(config, metrics)
    return metrics


def _read_resume_state(config: Config, folder: Path, goes_on: bool) -> ResumeState | None:
    """The job that this one goes on with; None where it begins.

    Raises:
        UserError: an unfinished job in the folder that is another, or is not meant.
    """
    resumed = resume_state.read_unfinished(folder)
    if resumed is None:
        return None
    there = f"`hydra.run.dir` {str(folder)!r} holds a job that was not finished"
    if not goes_on:
        raise UserError(f"{there}. Go on with it by resume=true, or choose another folder.")
    if resumed.digest != resume_state.digest(config):
        raise UserError(f"{there}, of another configuration. Choose another folder.")
    return resumed


def _save_resume_state(
    resumed: ResumeState | None, config: Config, *, digest: str, overrides: Sequence[str], run: Run, splits: Splits
) -> None:
    """Lets the folder say what is done here; where it said so before, warns of what is no longer the same.

    Raises:
        UserError: other data than the job was begun with.
    """
    environment, data = resume_state.describe_environment(), resume_state.fingerprint(splits)
    folder = run.folder.parent
    if resumed is None:
        layers = config.model.model_dump()
        known = digest, str(run.folder), list(overrides), layers, config.jit_compile
        ResumeState(*known, environment, data).write(folder)
        return
    replace(resumed, journal=str(run.folder)).write(folder)
    if resumed.data != data:
        raise UserError("`data` has changed since the job was begun, which can't go on with other examples.")
    differences = resume_state.format_differences(resumed.environment, environment)
    if differences:
        print(differences, file=sys.stderr)
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


def _train(
    config: Config, run: Run, devices: Devices, splits: Splits, folder: Path, memory_before: int
) -> dict[str, float]:
    from lctrain import training
    from lctrain.model.build import build_model, describe_layers
    from lctrain.training.distribution import make_strategy

    training.check_extras(config.training)
    training.prepare_process(config)
    normalization = _fit_normalization(config, splits)
    with run.paused():
        start = time.perf_counter()
        with make_strategy(config.strategy, devices.names).scope():
            model = build_model(config, normalization=normalization)
        build_seconds = time.perf_counter() - start
    metrics = {
        "build_seconds": build_seconds,
        "params_total": model.count_params(),
        "params_trainable": sum(int(variable.value.shape.num_elements()) for variable in model.trainable_variables),
    }
    run.log_metrics(metrics)
    layers = describe_layers(model)
    run.log_table(layers, "model/layers.json")
    training.compile_model(model, config)
    _log_resolved(model, config, run, devices, splits)
    if config.init_from is not None:
        _initialize(model, config, run)
    interrupts.check()
    history, first_step_seconds = _fit(model, splits, config, run, folder)
    last = {name: values[-1] for name, values in history.items()}
    if training.ends_in_other_weights(config):  # then `val_...` get a value more: of the result
        validated = training.evaluate(model, splits.validation, config)
        last |= {f"val_{name}": value for name, value in validated.items()}
        run.log_metrics({name: last[name] for name in last if name.startswith("val_")}, len(history["loss"]))
    tested = training.evaluate(model, splits.test, config)
    measured = {f"test_{name}": value for name, value in tested.items()}
    measured |= {} if first_step_seconds is None else {"first_step_seconds": first_step_seconds}
    measured["peak_memory_mb"] = (memory.peak_memory_bytes() - memory_before) / MEBIBYTE
    measured |= _measure_steps(model, splits, config, run)
    run.log_metrics(measured)
    run.log_figure(_draw_curve(history, config), "loss_curve.png")
    if config.training.kernels:
        _log_kernels(model, run)
    if not run.log_model(model, requirements()):
        fix = "Make some, and log it by the same command and resume=true: what is done is not done again."
        raise TrainingFailed(f"there is no room for the trained model in {run.folder}. {fix}")
    return last | metrics | measured


def _log_resolved(model, config: Config, run: Run, devices: Devices, splits: Splits) -> None:
    """What really runs, of the settings that others decide: Keras, the sizes, the machine. Of a compiled model."""
    from lctrain import training
    from lctrain.model.build import find_implementations

    resolved = {"jit_compile": bool(model.jit_compile), "implementation": find_implementations(model)}
    resolved |= {"device": devices.taken.name, "replicas": model.distribute_strategy.num_replicas_in_sync}
    num_batches = training.training_batches(splits.train, config).num_batches
    resolved |= {"steps_per_execution": min(config.training.steps_per_execution, num_batches)}
    resolved |= {"batch_size": min(config.training.batch_size, len(splits.train.labels))}
    resolved |= {"deterministic": training.is_deterministic(model)}
    run.log_params({"resolved": resolved})
    if config.jit_compile is True and not model.jit_compile:
        layers = ", ".join(training.find_not_compilable(model))
        message = f"jit_compile is true, but XLA compiles nothing of this model: it can't compile {layers}"
        print(f"Warning: {message}.", file=sys.stderr, flush=True)
        run.log_tags({"jit_compile_warning": message})


def _draw_curve(history: dict[str, list[float]], config: Config):
    from lctrain.report import draw_loss_curve

    return draw_loss_curve(history, config.training.loss, config.data.task, config.training.validation_frequency)


def _log_kernels(model, run: Run) -> None:
    from lctrain.report.kernels import draw_model

    pictures = dict(draw_model(model))
    for name, figure in pictures.items():
        run.log_figure(figure, f"kernels/{name}.png")
    if not pictures:
        print("training.kernels: there is no layer that has a kernel for each position.", file=sys.stderr)


def _fit_normalization(config: Config, splits: Splits):
    """What the model's input is normalised by, from all of the training split; None where it is not."""
    kind = config.data.normalize
    return None if kind == "none" else fit_normalization(splits.train.inputs, kind, config.data_format)


def _fit(model, splits: Splits, config: Config, run: Run, folder: Path) -> tuple[dict[str, list[float]], float | None]:
    """The history, and the seconds of the first step; None where there was none, as all were done before."""
    from lctrain import training
    from lctrain.benchmark import timing

    first_step = timing.FirstStepTimer()
    callbacks = [first_step, training.EpochMetrics(run.log_metrics)]
    if config.training.log_every_steps is not None:
        callbacks.append(training.StepLosses(run.log_metrics, config.training.log_every_steps))
    callbacks += training.make_extras(config.training, folder)
    return training.fit(model, splits, config, callbacks, folder / STATES), first_step.seconds


def _initialize(model, config: Config, run: Run) -> None:
    """Gives the model the weights that `init_from` names, and the run a table of which layers got them."""
    from lctrain import training

    with tempfile.TemporaryDirectory(prefix="lctrain-init-") as folder:
        file = Path(config.init_from)
        if file.suffix != ".keras":
            file = fetch_run(config.tracking, config.init_from, Path(folder), "init_from").model_file
        became = training.copy_weights(training.load_model(file, "init_from"), model)
    run.log_table({"layer": list(became), "weights": list(became.values())}, "model/init_from.json")
    for name, what in became.items():
        if what not in training.COPIED:
            print(f"init_from: `{name}` {what}.", file=sys.stderr)


def _measure_steps(model, splits: Splits, config: Config, run: Run) -> dict[str, float]:
    """Times of steady steps on the first batch of the training split."""
    from lctrain import training
    from lctrain.benchmark import timing

    few = Split(*(rows[: config.training.batch_size] for rows in splits.train))  # so that not all labels are encoded
    batch = training.training_batches(few, config).first()
    with run.paused():
        return timing.step_metrics(timing.measure_steps(model, batch, interrupts.check), len(batch[1]))


def _check_backend() -> None:
    if os.environ.get("KERAS_BACKEND") != "tensorflow":
        got = os.environ.get("KERAS_BACKEND")
        raise UserError(f"`KERAS_BACKEND` must be tensorflow, or not be set; got {got!r}.")


def _check_init_from(config: Config) -> None:
    """Whether a file that the weights come from is there; a run is looked for once MLflow is loaded."""
    name = config.init_from
    is_path = name is not None and ("/" in name or "." in name)
    if is_path and not (name.endswith(".keras") and Path(name).is_file()):
        fix = suggest_import(name) or ""
        raise UserError(f"`init_from` must be a run's id or a .keras file that is there; got {name!r}. {fix}".rstrip())


def _print_summary(config: Config, metrics: dict[str, float]) -> None:
    from rich.console import Console

    from lctrain.report import summary_table

    console = Console(file=sys.stdout)
    console.print(summary_table(f"{config.model.name}, implementation {config.implementation}", metrics))
    print(f"Browse it: {ui_command(config.tracking)}")
