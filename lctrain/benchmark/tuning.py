"""`implementation: tuned`: what each locally connected layer and the training step are measured to be fastest with.

Candidates are timed on this machine, on the layer's own shapes and the job's batch, in a process of their own; what was
seen is kept in a small file, so that the same layer on the same machine is measured once. The choice:

1. each tuned layer's fastest implementation in a plain training step, and its fastest in one that XLA compiles;
2. where `jit_compile` is auto, the faster of the whole model's two training steps that these make.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from lctrain.benchmark.cache import Measurements, default_file
from lctrain.benchmark.cases import WHOLE_MODEL, measure_layer, measure_model
from lctrain.config import Config
from lctrain.config.compilable import find_not_compilable
from lctrain.cost import Cost, LayerSizes
from lctrain.devices.gpus import list_gpus
from lctrain.errors import UserError
from lctrain.implementations import IMPLEMENTATIONS, is_compilable
from lctrain.model.summary import LayerSummary, summarize
from lctrain.system import fork_client
from lctrain.system.machine import describe_machine
from lctrain.system.memory import format_shortage
from lctrain.system.progress import show_progress
from lctrain.system.subprocesses import run_in_process

TIMEOUT = 1800.0  # seconds for all cases of a model
PACKAGES = ("lctrain", "tensorflow", "keras", "numpy")

Choices = dict[str, int | str]  # implementation by layer
Costs = Mapping[int | str, Cost]  # of one layer, by implementation


@dataclass(frozen=True)
class Case:
    """One way to compute a training step of one layer, or of the whole model.

    Args:
        name: of the layer, or `WHOLE_MODEL`.
        choices: implementation of that layer, or of each tuned layer of the model.
        jit_compile: whether XLA compiles the step.
        input_shape: of the layer, without the batch.
    """

    name: str
    choices: Choices
    jit_compile: bool
    input_shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Timing:
    """How long a case's training step took.

    Args:
        case: what was measured.
        milliseconds: None where it could not be measured.
        reason: why not; empty where it was.
        is_remembered: whether it was measured earlier.
    """

    case: Case
    milliseconds: float | None
    reason: str = ""
    is_remembered: bool = False


@dataclass(frozen=True)
class Tuning:
    """What `tuned`, and with it `jit_compile: auto`, became.

    Args:
        config: with one implementation for each layer and a boolean `jit_compile`.
        timings: of every case that there was.
    """

    config: Config
    timings: Sequence[Timing]

    def as_table(self) -> dict[str, list[Any]]:
        """The timings, one list per column."""
        return {
            "layer": [timing.case.name for timing in self.timings],
            "implementation": [", ".join(map(str, timing.case.choices.values())) for timing in self.timings],
            "jit_compile": [timing.case.jit_compile for timing in self.timings],
            "train_step_ms": [timing.milliseconds for timing in self.timings],
            "remembered": [timing.is_remembered for timing in self.timings],
            "reason": [timing.reason for timing in self.timings],
        }


def needs_tuning(config: Config) -> bool:
    return any(_is_tuned(spec) for spec in config.model.layers.values())


def tune(config: Config, file: Path | None = None) -> Tuning:
    """Resolves `tuned` and `auto`; what the file does not remember is measured.

    Args:
        config: validated, with a tuned layer.
        file: that remembers; None is `lctrain.benchmark.cache.default_file()`.

    Raises:
        ConfigError: a model whose shapes do not fit together.
        UserError: no implementation of a layer could be measured, or the measuring process died.
    """
    measurements = Measurements(file or default_file())
    layers = [layer for layer in summarize(config).layers if _is_tuned(config.model.layers[layer.name])]
    costs = {layer.name: layer.costs for layer in layers}
    flags = _possible_flags(config)
    cases = [case for flag in flags for layer in layers for case in _layer_cases(config, layer, flag)]
    timings = list(_measure(config, cases, costs, measurements))
    fastest = {flag: {layer.name: _fastest(timings, layer.name, flag) for layer in layers} for flag in flags}
    complete = {flag: found for flag, found in fastest.items() if None not in found.values()}
    choices = cast(dict[bool, Choices], complete)
    if not choices:
        reasons = dict.fromkeys(timing.reason for timing in timings if timing.reason)
        raise UserError(f"`implementation` tuned found nothing that could be measured: {'; '.join(reasons)}")
    if len(choices) > 1:
        models = [Case(WHOLE_MODEL, choice, flag) for flag, choice in choices.items()]
        steps = list(_measure(config, models, costs, measurements))
        timings += steps
        best = min(steps, key=_by_milliseconds).case
        return Tuning(with_choices(config, best.choices, best.jit_compile), timings)
    ((flag, choice),) = choices.items()
    return Tuning(with_choices(config, choice, flag), timings)


def with_choices(config: Config, choices: Choices, jit_compile: bool) -> Config:
    """The configuration with these layers' implementations, also where they are applied once more."""
    layers = {}
    for name, spec in config.model.layers.items():
        origin = spec.get("shares") or name
        layers[name] = {**spec, "implementation": choices[origin]} if origin in choices else spec
    model = config.model.model_copy(update={"layers": layers})
    return config.model_copy(update={"model": model, "jit_compile": jit_compile})


def _is_tuned(spec: Mapping[str, Any]) -> bool:
    return spec.get("implementation") == "tuned" and not spec.get("shares")


def _possible_flags(config: Config) -> list[bool]:
    if not all(is_compilable(spec.get("implementation")) for spec in config.model.layers.values()):
        return [False]  # one such layer keeps XLA away from the whole step
    if config.strategy == "mirrored":
        return [False]  # XLA can't reach the weights on other devices
    if find_not_compilable(config):
        return [False]  # Keras would compile nothing, and tell the time of the plain step
    return [False, True] if config.jit_compile == "auto" else [config.jit_compile]


def _layer_cases(config: Config, layer: LayerSummary, jit_compile: bool) -> Iterator[Case]:
    sizes, input_shape = cast(LayerSizes, layer.facts.local), cast(tuple[int, ...], layer.input_shapes[0][1:])
    for row in IMPLEMENTATIONS.values():
        is_tried = not jit_compile or (row.is_compilable and not row.compiles_slowly)
        if is_tried and not row.is_hopeless(sizes):
            yield Case(layer.name, {layer.name: row.name}, jit_compile, input_shape)


def _fastest(timings: Sequence[Timing], name: str, jit_compile: bool) -> int | str | None:
    of_layer = [timing for timing in timings if (timing.case.name, timing.case.jit_compile) == (name, jit_compile)]
    best = min(of_layer, key=_by_milliseconds, default=None)
    return None if best is None or best.milliseconds is None else best.case.choices[name]


def _by_milliseconds(timing: Timing) -> float:
    """Orders timings; those that could not be measured come last."""
    return math.inf if timing.milliseconds is None else timing.milliseconds


def _measure(
    config: Config, cases: Sequence[Case], costs: Mapping[str, Costs], measurements: Measurements
) -> Iterator[Timing]:
    """The timings of these cases, in their order; what was measured now is remembered."""
    recalled = [measurements.recall(_what(config, case)) for case in cases]
    shared = fork_client.find_shared_bytes(fork_client.origin)
    refused = [
        format_shortage(sum(costs[name][choice].total for name, choice in case.choices.items()), shared)
        for case in cases
    ]
    new = [case for case, seen, reason in zip(cases, recalled, refused, strict=True) if seen is None and not reason]
    seen_now = iter(_measure_in_process(config, new) if new else [])
    for case, seen, reason in zip(cases, recalled, refused, strict=True):
        if seen is not None:
            yield Timing(case, seen, is_remembered=True)
        elif reason:
            yield Timing(case, None, reason)
        else:
            milliseconds, reason = next(seen_now)
            if milliseconds is not None:
                measurements.remember(_what(config, case), milliseconds)
            yield Timing(case, milliseconds, reason)


def _what(config: Config, case: Case) -> dict[str, Any]:
    """Everything that a case's time depends on: shapes, types, versions, hardware."""
    specs = with_choices(config, case.choices, case.jit_compile).model.layers
    if case.name == WHOLE_MODEL:
        sizes: dict[str, Any] = {"layers": specs, "inputs": config.model.inputs, "outputs": config.model.outputs}
        sizes |= {"optimizer": config.optimizer, "data_format": config.data_format}
    else:
        spec = {key: value for key, value in specs[case.name].items() if key != "inputs"}
        sizes = {"layer": spec, "input_shape": case.input_shape}
    return {
        **sizes,
        "batch_size": config.training.batch_size,
        "precision": config.precision,
        "jit_compile": case.jit_compile,
        "versions": {package: version(package) for package in PACKAGES},
        "device": config.device.model_dump(exclude={"index", "share", "memory_growth"}),
        "gpus": [gpu.name for gpu in list_gpus()] if config.device.name != "cpu" else [],
        "strategy": config.strategy,
        "machine": describe_machine(),
    }


def _measure_in_process(config: Config, cases: Sequence[Case]) -> list[tuple[float | None, str]]:
    with show_progress() as begin:
        begin(f"Measuring {len(cases)} ways to compute a training step, for `implementation: tuned`")
        # One process does not pay for a server of its own.
        outcome = run_in_process(measure_cases, config, list(cases), timeout=TIMEOUT, server=fork_client.origin)
    if outcome.error is not None:
        raise outcome.error
    if outcome.status != "done":
        raise UserError(f"`implementation` tuned could not be measured: {outcome.reason}. Name one, or use auto.")
    measured: list[tuple[float | None, str]] = outcome.value
    return measured


def measure_cases(config: Config, cases: Sequence[Case]) -> list[tuple[float | None, str]]:
    """Milliseconds of each case's training step, or None and why it failed; runs in a process of its own."""
    measured: list[tuple[float | None, str]] = []
    for case in cases:
        chosen = with_choices(config, case.choices, case.jit_compile)
        try:
            if case.name == WHOLE_MODEL:
                figures = measure_model(chosen)
            else:
                figures = measure_layer(chosen, case.name, case.input_shape)
            measured.append((figures["train_step_ms"], ""))
        except Exception as error:  # one candidate that fails is told, and the others go on
            measured.append((None, f"{type(error).__name__}: {error}".splitlines()[0]))
    return measured
