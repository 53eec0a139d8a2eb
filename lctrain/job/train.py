"""Building, fitting and measuring the model of a job, and logging what it has come to; loads TensorFlow."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lctrain import training
from lctrain.benchmark import timing
from lctrain.config import Config
from lctrain.cost import MEBIBYTE
from lctrain.data import Split, Splits, fit_normalization
from lctrain.devices.runtime import Devices
from lctrain.errors import TrainingFailed
from lctrain.job.provenance import list_requirements
from lctrain.job.resume_state import STATES
from lctrain.model.build import build_model, describe_layers, find_implementations
from lctrain.system import memory
from lctrain.system.signals import interrupts
from lctrain.system.terminal import print_folded
from lctrain.tracking import Run, fetch_run
from lctrain.training.distribution import make_strategy


def train(
    config: Config, run: Run, devices: Devices, splits: Splits, folder: Path, memory_before: int
) -> dict[str, float]:
    """Builds, fits and measures the model, and logs what it has come to.

    Args:
        config: validated, complete, with one implementation for each layer.
        run: that gets all of it.
        devices: which TensorFlow has started with.
        splits: of the data.
        folder: the job's own.
        memory_before: bytes that were resident before the data came.

    Returns:
        The metrics, as `run_job` gives them.

    Raises:
        UserError: what only building shows.
        TrainingFailed: the loss became inf or nan, or there is no room for the model.
    """
    training.check_extras(config.training)
    training.prepare_process(config)
    model, metrics = _build(config, run, devices, splits)
    _log_resolved(model, config, run, devices, splits)
    if config.init_from is not None:
        _copy_initial_weights(model, config.init_from, config, run)
    interrupts.check()
    history, first_step_seconds = _fit(model, splits, config, run, folder)
    last = {name: values[-1] for name, values in history.items()}
    if training.ends_in_other_weights(config):  # then `val_...` get a value more: of the result
        validated = training.evaluate(model, splits.validation, config)
        last |= {f"val_{name}": value for name, value in validated.items()}
        of_result = {name: last[name] for name in last if name.startswith("val_")}
        run.log_metrics(of_result, run.first_epoch + len(history["loss"]))
    tested = training.evaluate(model, splits.test, config)
    measured = {f"test_{name}": value for name, value in tested.items()}
    measured |= {} if first_step_seconds is None else {"first_step_seconds": first_step_seconds}
    measured["peak_memory_mb"] = (memory.peak_memory_bytes() - memory_before) / MEBIBYTE
    measured |= _measure_steps(model, splits, config, run)
    run.log_metrics(measured)
    _log_model(model, history, config, run)
    return last | metrics | measured


def _build(config: Config, run: Run, devices: Devices, splits: Splits) -> tuple[Any, dict[str, float]]:
    """The compiled model, and what building has shown."""
    kind = config.data.normalize
    # By all of the training split, whatever part of it a job trains on.
    normalization = None if kind == "none" else fit_normalization(splits.train.inputs, kind, config.data_format)
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
    run.log_table(describe_layers(model), "model/layers.json")
    training.compile_model(model, config)
    return model, metrics


def _log_resolved(model: Any, config: Config, run: Run, devices: Devices, splits: Splits) -> None:
    """What really runs, of the settings that others decide: Keras, the sizes, the machine. Of a compiled model."""
    resolved = {"jit_compile": bool(model.jit_compile), "implementation": find_implementations(model)}
    resolved |= {"device": devices.acquired.name, "replicas": model.distribute_strategy.num_replicas_in_sync}
    num_batches = training.training_batches(splits.train, config).num_batches
    resolved |= {"steps_per_execution": min(config.training.steps_per_execution, num_batches)}
    resolved |= {"batch_size": min(config.training.batch_size, len(splits.train.labels))}
    resolved |= {"deterministic": training.is_deterministic(model)}
    run.log_params({"resolved": resolved})
    if config.jit_compile is True and not model.jit_compile:
        layers = ", ".join(training.find_not_compilable(model))
        message = f"jit_compile is true, but XLA compiles nothing of this model: it can't compile {layers}"
        print_folded(f"Warning: {message}.", sys.stderr)
        run.log_tags({"jit_compile_warning": message})


def _log_model(model: Any, history: dict[str, list[float]], config: Config, run: Run) -> None:
    """The trained model, its loss curve and, where they are asked for, its kernels."""
    from lctrain.report.curves import draw_loss_curve  # which takes Matplotlib

    settings = config.training
    curve = draw_loss_curve(history, settings.loss, config.data.task, settings.validation_frequency)
    run.log_figure(curve, "loss_curve.png")
    if settings.kernels:
        _log_kernels(model, run)
    if not run.log_model(model, list_requirements()):
        fix = "Make some, and log it by the same command and resume=true: what is done is not done again."
        raise TrainingFailed(f"there is no room for the trained model in {run.folder}. {fix}")


def _log_kernels(model: Any, run: Run) -> None:
    from lctrain.report import kernels  # which takes Matplotlib

    pictures = dict(kernels.draw_model(model))
    for name, figure in pictures.items():
        run.log_figure(figure, f"kernels/{name}.png")
    if not pictures:
        print_folded("training.kernels: there is no layer that has a kernel for each position.", sys.stderr)


def _fit(
    model: Any, splits: Splits, config: Config, run: Run, folder: Path
) -> tuple[dict[str, list[float]], float | None]:
    """The history, and the seconds of the first step; None where there was none, as all were done before."""
    first_step = timing.FirstStepTimer()
    callbacks: list[Any] = [first_step, training.EpochMetrics(run.log_metrics, run.first_epoch)]
    if config.training.log_every_steps is not None:
        callbacks.append(training.StepLosses(run.log_metrics, config.training.log_every_steps))
    callbacks += training.make_extras(config.training, folder)
    return training.fit(model, splits, config, callbacks, folder / STATES), first_step.seconds


def _copy_initial_weights(model: Any, source: str, config: Config, run: Run) -> None:
    """Gives the model the weights that `init_from` names, and the run a table of which layers got them."""
    with tempfile.TemporaryDirectory(prefix="lctrain-init-") as folder:
        file = Path(source)
        if file.suffix != ".keras":
            file = fetch_run(config.tracking, source, Path(folder), "init_from").model_file
        origins = training.copy_weights(training.load_model(file, "init_from"), model)
    run.log_table({"layer": list(origins), "weights": list(origins.values())}, "model/init_from.json")
    for name, what in origins.items():
        if what not in training.COPIED:
            print_folded(f"init_from: `{name}` {what}.", sys.stderr)


def _measure_steps(model: Any, splits: Splits, config: Config, run: Run) -> dict[str, float]:
    """Times of steady steps on the first batch of the training split."""
    few = Split(*(rows[: config.training.batch_size] for rows in splits.train))  # so that not all labels are encoded
    batch = training.training_batches(few, config).first()
    with run.paused():
        return timing.step_metrics(timing.measure_steps(model, batch, interrupts.check), len(batch[1]))
