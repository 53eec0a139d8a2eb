"""One training job from a validated configuration to a finished run."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import yaml

import lctrain
from lctrain import memory
from lctrain.cli.process import Terminated, leave_at_once, prepare_process
from lctrain.config import Config
from lctrain.cost import MEBIBYTE
from lctrain.data import check_feeds
from lctrain.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, UserError
from lctrain.libraries import Devices, load_libraries
from lctrain.machine import describe_machine
from lctrain.needs import check_memory
from lctrain.tracking import Run, check_writable, start_run, ui_command
from lctrain.tuning import needs_tuning, tune


def run_job_of_sweep(*arguments) -> dict[str, float]:
    """`run_job`, with the same arguments, as all that a process does."""
    prepare_process()
    try:
        return run_job(*arguments)
    except KeyboardInterrupt:
        return leave_at_once(EXIT_INTERRUPTED)
    except Terminated:
        return leave_at_once(EXIT_TERMINATED)


def run_job(
    config: Config,
    overrides: Sequence[str],
    folder: Path,
    parent: Path | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, float]:
    """Trains, measures and tracks one model; prints what was reached.

    Args:
        config: validated, complete.
        overrides: the command line's, as the user wrote them.
        folder: the job's own, for what it writes besides the store.
        parent: the journal's folder of the run of the sweep that this job belongs to.
        tags: of the run, besides those that every run has.

    Returns:
        The metrics: of the last epoch, of the test split, counts, times and memory.

    Raises:
        UserError: what only building shows (a window larger than its input, an unwritable store).
        DoesNotFit: it needs far more memory than is available.
    """
    check_feeds(config)
    check_writable(config.tracking)
    _check_backend()
    warning = check_memory(config)
    if warning:
        print(warning, file=sys.stderr)
    devices = load_libraries(config)
    name = f"{config.model.name}-{config.implementation}"
    tags = _tags(config) | devices.tags | dict(tags) | ({"memory_warning": warning} if warning else {})
    with start_run(config.tracking, name, tags, folder, parent) as run:
        run.log_params(config.model_dump())
        run.log_text(yaml.safe_dump(config.model_dump(), sort_keys=False), "config/config.yaml")
        run.log_text(yaml.safe_dump(list(overrides)), "config/overrides.yaml")
        metrics = _train(_resolve_tuned(config, run, devices), run, devices)
    _print_summary(config, metrics)
    return metrics


def _resolve_tuned(config: Config, run: Run, devices: Devices) -> Config:
    """The configuration with what `tuned` became; the run gets what was measured for it."""
    if not needs_tuning(config):
        return config
    start = time.perf_counter()
    with run.paused():
        tuning = tune(config.model_copy(update={"device": devices.lent}))
    run.log_table(tuning.as_table(), "model/tuning.json")
    run.log_metrics({"tuning_seconds": time.perf_counter() - start})
    return tuning.config


def _train(config: Config, run: Run, devices: Devices) -> dict[str, float]:
    from lctrain import data, profiling, training
    from lctrain.builder import build_model, describe_layers
    from lctrain.replicas import make_strategy
    from lctrain.report import draw_loss_curve

    training.prepare_process(config)
    strategy = make_strategy(config.strategy, devices.names)
    memory.reset_peak_memory()
    splits = data.load_splits(config.data, config.data_format)
    with run.paused():  # which waits for MLflow to be loaded: that memory is not the model's
        memory_before = memory.resident_memory_bytes()
        start = time.perf_counter()
        with strategy.scope():
            model = build_model(config)
        build_seconds = time.perf_counter() - start
    metrics = {
        "build_seconds": build_seconds,
        "params_total": model.count_params(),
        "params_trainable": sum(int(variable.value.shape.num_elements()) for variable in model.trainable_variables),
    }
    run.log_metrics(metrics)
    layers = describe_layers(model)
    run.log_table(layers, "model/layers.json")
    chosen = {name: choice for name, choice in zip(layers["name"], layers["implementation"], strict=True) if choice}
    resolved = {"jit_compile": config.jit_compile, "implementation": chosen}
    resolved |= {"device": devices.taken.name, "replicas": strategy.num_replicas_in_sync}
    run.log_params({"resolved": resolved})
    training.compile_model(model, config)
    first_step = profiling.FirstStepTimer()
    history = training.fit(model, splits, config, [first_step, training.EpochMetrics(run.log_metrics)])
    tested = training.evaluate(model, splits.test, config)
    measured = {f"test_{name}": value for name, value in tested.items()}
    measured["first_step_seconds"] = first_step.seconds
    measured["peak_memory_mb"] = (memory.peak_memory_bytes() - memory_before) / MEBIBYTE
    batch_size = config.training.batch_size
    one_batch = splits.train.inputs[:batch_size], training.encode_labels(splits.train.labels[:batch_size], config)
    with run.paused():
        measured |= profiling.step_metrics(profiling.measure_steps(model, *one_batch), len(one_batch[1]))
    run.log_metrics(measured)
    run.log_figure(draw_loss_curve(history, config.training.loss), "loss_curve.png")
    run.log_model(model, _requirements())
    last = {name: values[-1] for name, values in history.items()}
    return last | metrics | measured


def _check_backend() -> None:
    if os.environ.get("KERAS_BACKEND") != "tensorflow":
        got = os.environ.get("KERAS_BACKEND")
        raise UserError(f"`KERAS_BACKEND` must be tensorflow, or not be set; got {got!r}.")


def _tags(config: Config) -> dict[str, str]:
    import keras
    import tensorflow as tf

    tags = {
        "model": config.model.name,
        "data": config.data.name,
        "implementation": str(config.implementation),
        **describe_machine(),
        "tensorflow_version": tf.__version__,
        "keras_version": keras.__version__,
        "lctrain_version": lctrain.__version__,
        "onednn_opts": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    }
    commit = _git_commit()
    return tags if commit is None else {**tags, "git_commit": commit}


def _git_commit() -> str | None:
    """The commit checked out in the working folder, if that is in a git repository."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def _requirements() -> list[str]:
    """What loads a logged model again."""
    return [f"{package}=={version(package)}" for package in ("lctrain", "keras", "tensorflow")]


def _print_summary(config: Config, metrics: dict[str, float]) -> None:
    from rich.console import Console

    from lctrain.report import summary_table

    console = Console(file=sys.stdout)
    console.print(summary_table(f"{config.model.name}, implementation {config.implementation}", metrics))
    print(f"Browse it: {ui_command(config.tracking)}")
