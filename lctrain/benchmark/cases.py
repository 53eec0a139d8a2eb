"""One measured case, of a layer or of a whole model; each function is meant for a process of its own."""

import time
from typing import Any, cast

import numpy as np

from lctrain.config import Config
from lctrain.config.tasks import num_outputs
from lctrain.devices.runtime import Devices, load_keras, load_libraries
from lctrain.system import memory
from lctrain.system.process_setup import set_environment

WHOLE_MODEL = "(model)"  # the name of a case that is no layer's


def load_code() -> None:
    """Loads all that cases need, for a server that forks a process for each."""
    set_environment()
    load_keras()
    import lctrain.benchmark.timing
    import lctrain.model.build
    import lctrain.training.distribution  # noqa: F401


def measure_layer(config: Config, name: str, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """Forward pass and training step of one layer by itself, on the batch of the configuration.

    Args:
        config: validated; `implementation` and `jit_compile` are what shall be measured.
        name: the layer's, in `config.model.layers`.
        input_shape: without the batch.
    """
    load_libraries(config)
    from lctrain import training
    from lctrain.benchmark import timing
    from lctrain.model.build import build_layer

    training.prepare_process(config)
    layer = build_layer(name, config.model.layers[name])
    with training.explain_missing_operations(config):
        return timing.measure_layer(layer, input_shape, config.training.batch_size, bool(config.jit_compile))


def measure_model(config: Config) -> dict[str, Any]:
    """Build, first step, inference and training step of the whole model on random arrays."""
    devices = load_libraries(config)
    from lctrain import training

    with training.explain_missing_operations(config):
        return _measure_model(config, devices)


def _measure_model(config: Config, devices: Devices) -> dict[str, Any]:
    from lctrain import training
    from lctrain.benchmark import timing
    from lctrain.model.build import build_model
    from lctrain.training.distribution import make_strategy

    training.prepare_process(config)
    before = memory.begin_measuring()
    started = time.perf_counter()
    with make_strategy(config.strategy, devices.names).scope():
        model = build_model(config)
    build_seconds = time.perf_counter() - started
    training.compile_model(model, config)
    generator = np.random.default_rng(config.seed)
    batch_size = config.training.batch_size
    inputs = generator.standard_normal((batch_size, *model.input_shape[1:]), dtype=np.float32)
    labels = training.encode_labels(draw_labels(config, batch_size, generator), config)
    started = time.perf_counter()
    model.train_on_batch(inputs, labels)
    first_step_seconds = time.perf_counter() - started
    steps = timing.measure_steps(model, (inputs, labels))
    peak = memory.peak_memory_bytes() - before
    figures = timing.bench_figures(
        model, build_seconds, first_step_seconds, steps["train_step"], steps["inference"], peak
    )
    return figures | {"jit_compile": bool(model.jit_compile)}  # which Keras decides


def draw_labels(config: Config, num: int, generator: np.random.Generator) -> np.ndarray:
    """Random labels as the data set of the task would give them: `(num, *target_shape)`, and the outputs behind it."""
    data = config.data
    shape = (num, *data.target_shape)
    if data.task == "classification":
        return generator.integers(cast(int, data.num_classes), size=shape)
    shape = (*shape, cast(int, num_outputs(data)))
    if data.task == "regression":
        return generator.standard_normal(shape, dtype=np.float32)
    return generator.integers(2, size=shape).astype(np.float32)
