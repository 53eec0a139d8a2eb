"""From a plain mapping to a validated, complete `Config`; everything wrong is told at once."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from lctrain.config.allowlist import LIST_ARGUMENTS, find_class, nested_group, require_class
from lctrain.config.augmentation import complete_augmentation, find_problems_in_augmentation
from lctrain.config.devices import find_problems_in_devices
from lctrain.config.graph import WIRING, Graph, GraphError, connect, share_layers
from lctrain.config.heads import complete_heads, trace_back
from lctrain.config.limits import TOO_DEEP, find_problems_in_values
from lctrain.config.monitors import find_problems_in_monitors
from lctrain.config.objectives import find_problems_in_objectives
from lctrain.config.schema import Config
from lctrain.config.specs import find_problems_in_spec
from lctrain.config.spelling import normalize
from lctrain.config.task_metrics import choose_metrics
from lctrain.config.tasks import find_problems_in_task
from lctrain.config.wording import as_problem
from lctrain.errors import ConfigError, Problem, is_one_edit, suggest, suggest_near
from lctrain.implementations import IMPLEMENTATIONS

INPUT = "input"  # the name of the model's input where it declares none: the arrays of the data set
MAX_NAME = 64  # of a layer, after which files are named
LAYER_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{,{MAX_NAME - 1}}}")
CHANNELS_AXIS = (  # layers whose default `axis`, the last, means the channels
    "BatchNormalization",
    "Concatenate",
    "GroupNormalization",
    "LayerNormalization",
    "Softmax",
    "UnitNormalization",
)
CHANNELS_LAST_ONLY = (
    "Cropping1D",
    "RandomColorJitter",
    "RandomContrast",
    "SpatialDropout1D",
    "UpSampling1D",
)
KEYS = ("type", *WIRING)  # of every layer
HASHES = ("HashedCrossing", "Hashing")
OVER_LAST_AXIS = ("softmax", "log_softmax", "sparsemax")  # activations that compare channels


def validate(raw: Mapping[str, Any], problems: Sequence[Problem] = ()) -> Config:
    """The validated configuration, with what its layers inherit from the top level written into each of them.

    Args:
        raw: the composed and resolved configuration as plain mappings, lists and scalars.
        problems: what is known to be wrong already; nothing more is said of those places.

    Raises:
        ConfigError: holds every problem found, each with its dotted path.
    """
    problems = list(dict.fromkeys([*problems, *find_problems_in_values(raw)]))
    if any(TOO_DEEP in problem.message for problem in problems):
        raise ConfigError(problems)  # what walks the values from here on does so by recursion
    spelling = normalize(raw)
    raw = spelling.config
    if isinstance(raw.get("training"), Mapping):
        raw["training"] = choose_metrics(raw["training"], _mapping_at(raw, "data"))
    found = []
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        is_name = isinstance(raw.get("optimizer"), str)  # which is told as a spec
        details = [one for one in error.errors() if not (is_name and one["loc"] == ("optimizer",))]
        found = [as_problem(one, raw) for one in details if one["loc"][-1] != "[key]"]  # names of inputs: told below
    found += _find_problems_in_specs(raw)
    graph, unconnected = _connect(raw)
    found = [spelling.as_written(problem) for problem in [*found, *unconnected]]
    known = {problem.path for problem in problems}
    problems = [*problems, *(problem for problem in found if problem.path not in known)]
    if problems or graph is None:  # where layers can't be connected, there are problems
        raise ConfigError(problems)
    return _complete(config, graph)


def _complete(config: Config, graph: Graph) -> Config:
    """The configuration in which every layer is explicit, in topological order."""
    model, layers = config.model, {}
    specs, _ = share_layers(complete_heads(config, graph))
    if len(specs) > len(model.layers):
        graph = connect(specs, list(model.inputs or [INPUT]), model.outputs)
    for name, sources in graph.sources.items():
        layers[name] = {**_inherit(specs[name], config), "inputs": sources}
        layers[name].pop("after", None)
    for name in graph.outputs if config.precision.startswith("mixed") else ():
        for step in trace_back(layers, name):
            origin = layers[step].get("shares") or step
            for spec in [layers[origin], *(spec for spec in layers.values() if spec.get("shares") == origin)]:
                _make_precise(spec, specs[origin])
    inputs = _complete_inputs(model.inputs or {INPUT: config.data.input_shape}, config.data.input_shape)
    changes = {"layers": layers, "inputs": inputs, "outputs": graph.outputs}
    augmentation = complete_augmentation(config.data.augmentation, config.data_format, config.precision)
    data = config.data.model_copy(update={"augmentation": augmentation})
    config = config.model_copy(update={"model": model.model_copy(update=changes), "data": data})
    if config.jit_compile == "auto" and not any(spec.get("implementation") == "tuned" for spec in layers.values()):
        return config.model_copy(update={"jit_compile": False})  # auto is measured, where something is
    return config


def _complete_inputs(inputs: Mapping[str, Sequence[int | None]], data_shape: Sequence[int]) -> dict[str, list[int]]:
    """The shapes of the model's inputs, sizes that are null filled with those of the data.

    Raises:
        ConfigError: where they can't be.
    """
    complete, problems = {}, []
    for name, shape in inputs.items():
        sizes = list(shape)
        if None in sizes and len(inputs) == 1 and len(sizes) == len(data_shape):
            sizes = [other if size is None else size for size, other in zip(sizes, data_shape, strict=True)]
        if None in sizes:
            why = f"the data has the shape {list(data_shape)}" if len(inputs) == 1 else "the model has several inputs"
            fix = f"Write the size, or give `lctrain.build` the argument input_shape={{{name!r}: ...}}."
            problems.append(Problem(f"model.inputs.{name}", f"can't be null in {sizes}, where {why}. {fix}"))
        complete[name] = [size for size in sizes if size is not None]
    if problems:
        raise ConfigError(problems)
    return complete


def _make_precise(spec: dict[str, Any], written: Mapping[str, Any]) -> None:
    """Lets a layer and what it wraps compute in float32 where nothing else was written.

    A softmax and its logarithm in half precision lose the small scores.
    """
    if written.get("dtype") is None:
        spec["dtype"] = "float32"
    if isinstance(written.get("layer"), Mapping):
        _make_precise(spec["layer"], written["layer"])


def _connect(raw: Mapping[str, Any]) -> tuple[Graph | None, list[Problem]]:
    """How the layers connect, where all of them are layers; and what is wrong with it."""
    model = _mapping_at(raw, "model")
    layers = model.get("layers")
    if not isinstance(layers, Mapping) or not layers:
        return None, []
    inputs, outputs = model.get("inputs"), model.get("outputs")
    layers, _ = share_layers(layers)
    are_layers = all(
        isinstance(name, str) and isinstance(spec, Mapping) and find_class("layers", spec.get("type"))
        for name, spec in layers.items()
    )
    are_names = outputs is None or (isinstance(outputs, list) and all(isinstance(name, str) for name in outputs))
    if not are_layers or not are_names or (inputs is not None and (not isinstance(inputs, Mapping) or not inputs)):
        return None, []  # which other checks have told
    try:
        return connect(layers, [INPUT] if inputs is None else [str(name) for name in inputs], outputs), []
    except GraphError as error:
        return None, error.problems


def _mapping_at(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What a group holds; nothing where it is no mapping, which the schema tells."""
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}


def _find_problems_in_specs(raw: Mapping[str, Any]) -> list[Problem]:
    """Problems in the specs of layers, optimizer, loss and metrics, which the schema leaves open."""
    problems = []
    model = _mapping_at(raw, "model")
    layers = model.get("layers")
    if isinstance(layers, Mapping):
        for name in model["inputs"] if isinstance(model.get("inputs"), Mapping) else ():
            problems += _find_problems_in_name(name, f"model.inputs.{name}", "an input name")
        _, unshared = share_layers(layers)
        problems += unshared
        problems += [problem for name in layers for problem in _find_problems_in_layer(name, layers, raw)]
    sizes = [group.get("batch_size") for group in (model, _mapping_at(raw, "training"))]
    if None not in sizes and sizes[0] != sizes[1]:
        expected = f"must be that of the training, {sizes[1]!r}"
        problems.append(Problem("model.batch_size", f"{expected}; got {sizes[0]!r}. Write ${{training.batch_size}}."))
    if raw.get("jit_compile") is True and isinstance(layers, Mapping):
        for row in IMPLEMENTATIONS.values():
            names = [name for name, spec in layers.items() if not row.is_compilable and _uses(spec, row.name, raw)]
            if names:
                expected = f"must be false with implementation {row.name}, whose {row.module} matmul XLA can't compile"
                listed = ", ".join(f"`model.layers.{name}`" for name in names)
                problems.append(Problem("jit_compile", f"{expected}; got true ({listed})."))
    problems += find_problems_in_devices(raw)
    if isinstance(raw.get("optimizer"), Mapping | str):
        problems += find_problems_in_spec(raw["optimizer"], "optimizer", "optimizers")
    data = _mapping_at(raw, "data")
    problems += [*find_problems_in_task(data), *find_problems_in_augmentation(data)] if data else []
    if isinstance(raw.get("training"), Mapping):
        problems += find_problems_in_objectives(raw["training"], data)
        problems += find_problems_in_monitors(raw["training"], raw.get("optimizer"))
    return problems


def _find_problems_in_layer(name: Any, layers: Mapping[Any, Any], raw: Mapping[str, Any]) -> list[Problem]:
    spec, path = layers[name], f"model.layers.{name}"
    problems = _find_problems_in_name(name, path, "a layer name")
    if isinstance(spec, Mapping) and spec.get("shares") is not None:
        return problems
    found = find_problems_in_spec(spec, path, "layers", WIRING)
    if isinstance(spec, Mapping) and "type" not in spec and len(layers) > 1:
        others = suggest(str(name), [str(other) for other in layers if other != name])
        misspelt = [str(key) for key in spec if any(is_one_edit(str(key), known) and key != known for known in KEYS)]
        near = [suggest_near(key, KEYS) for key in misspelt]
        message = f"has no `type`: name its class, or one of the model's other layers. {others}{''.join(near)}"
        found = [Problem(path, message)]
    return [*problems, *(found or _find_problems_with_top_level(spec, path, raw))]


def _find_problems_in_name(name: Any, path: str, kind: str) -> list[Problem]:
    if isinstance(name, str) and LAYER_NAME.fullmatch(name):
        return []
    expected = f"must be {kind} of at most {MAX_NAME} letters, digits and underscores that starts with a letter"
    return [Problem(path, f"{expected}; got {name!r}.")]


def _find_problems_with_top_level(spec: Mapping[str, Any], path: str, raw: Mapping[str, Any]) -> list[Problem]:
    """What is right in a layer by itself, but not under the run's data_format or precision."""
    problems = []
    name = spec["type"]
    for argument, value in spec.items():
        if nested_group(argument) == "layers":
            nested = value if isinstance(value, list) else [value]
            problems += [
                found
                for one in nested
                if one
                for found in _find_problems_with_top_level(one, f"{path}.{argument}", raw)
            ]
    if raw.get("data_format") == "channels_first":
        if name in CHANNELS_LAST_ONLY:
            problems.append(Problem(path, f"({name}) knows no data_format; use data_format=channels_last."))
        if spec.get("activation") in OVER_LAST_AXIS and "data_format" in require_class("layers", name).arguments:
            fix = (
                "Put a Softmax layer behind it" if spec["activation"] == "softmax" else "Use data_format=channels_last"
            )
            expected = "compares along the last axis, which under channels_first is not the channels"
            problems.append(Problem(f"{path}.activation", f"{expected}; got {spec['activation']!r}. {fix}."))
    dtype = spec.get("dtype") or raw.get("precision")
    penalized = spec.get("activity_regularizer") is not None or name == "ActivityRegularization"
    if penalized and str(dtype).startswith("mixed"):
        where = path if name == "ActivityRegularization" else f"{path}.activity_regularizer"
        problems.append(Problem(where, f"can't be used under {dtype}. Give the layer `dtype: float32`."))
    return problems


def _uses(spec: Any, implementation: int | str, raw: Mapping[str, Any]) -> bool:
    """Whether a layer, or one that it holds, computes by an implementation."""
    entry = find_class("layers", spec.get("type")) if isinstance(spec, Mapping) else None
    if entry is None:
        return False
    if "implementation" not in entry.arguments:
        return any(_uses(value, implementation, raw) for value in spec.values())
    own = spec.get("implementation")
    return bool((raw.get("implementation") if own is None else own) == implementation)


def _without_tuned(config: Config) -> Config:
    """What layers inside of others inherit: there is no measuring them by themselves."""
    return config.model_copy(update={"implementation": "auto"}) if config.implementation == "tuned" else config


def _inherit(spec: Mapping[str, Any], config: Config, group: str = "layers") -> dict[str, Any]:
    """The spec with the top-level choices that it does not make itself: a complete, explicit one."""
    entry = require_class(group, spec["type"])
    complete = dict(spec)
    for name, value in spec.items():
        kind = nested_group(name)
        if kind not in ("layers", "cells") or value is None:
            continue
        is_list = name in LIST_ARGUMENTS and isinstance(value, list)
        config = _without_tuned(config)
        complete[name] = [_inherit(one, config, kind) for one in value] if is_list else _inherit(value, config, kind)
    for name in ("implementation", "data_format"):
        if name in entry.arguments and complete.get(name) is None:
            complete[name] = getattr(config, name)
    gives_integers = entry.name in HASHES and complete.get("output_mode", "int") == "int"
    if "dtype" in entry.arguments and complete.get("dtype") is None and not gives_integers:
        complete["dtype"] = config.precision
    if entry.name in CHANNELS_AXIS and config.data_format == "channels_first":
        complete.setdefault("axis", 1)
    return complete
