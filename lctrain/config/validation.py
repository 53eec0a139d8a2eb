"""From a plain mapping to a validated, complete `Config`; everything wrong is told at once."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lctrain.config.allowlist import find_class
from lctrain.config.arguments import check_spec
from lctrain.config.schema import Config
from lctrain.errors import ConfigError, Problem, suggest

LAYER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
CHANNELS_AXIS = (  # layers whose default `axis`, the last, means the channels
    "BatchNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "Softmax",
    "UnitNormalization",
)
CHANNELS_LAST_ONLY = ("Cropping1D", "SpatialDropout1D", "UpSampling1D")  # steps are their axis 1, without a choice
OVER_LAST_AXIS = ("softmax", "log_softmax", "sparsemax")  # activations that compare channels


def validate(raw: Mapping[str, Any], problems: Sequence[Problem] = ()) -> Config:
    """The validated configuration, with what its layers inherit from the top level written into each of them.

    Args:
        raw: the composed and resolved configuration as plain mappings, lists and scalars.
        problems: what is known to be wrong already; nothing more is said of those places.

    Raises:
        ConfigError: holds every problem found, each with its dotted path.
    """
    found = []
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        found = [_as_problem(details, raw) for details in error.errors()]
    found += _check_specs(raw)
    known = {problem.path for problem in problems}
    problems = [*problems, *(problem for problem in found if problem.path not in known)]
    if problems:
        raise ConfigError(problems)
    layers = {name: _inherit(spec, config) for name, spec in config.model.layers.items()}
    if config.precision.startswith("mixed") and raw["model"]["layers"][name := list(layers)[-1]].get("dtype") is None:
        layers[name]["dtype"] = "float32"  # a softmax and its logarithm in half precision lose the small scores
    return config.model_copy(update={"model": config.model.model_copy(update={"layers": layers})})


def _check_specs(raw: Mapping[str, Any]) -> list[Problem]:
    """Problems in the specs of the layers and of the optimizer, which the schema leaves open."""
    problems = []
    model = raw.get("model")
    layers = model.get("layers") if isinstance(model, Mapping) else None
    for name, spec in layers.items() if isinstance(layers, Mapping) else ():
        path = f"model.layers.{name}"
        if not isinstance(name, str) or not LAYER_NAME.fullmatch(name):
            expected = "must be a layer name of letters, digits and underscores that starts with a letter"
            problems.append(Problem(path, f"{expected}; got {name!r}."))
        found = check_spec(spec, path, "layers")
        if isinstance(spec, Mapping) and "type" not in spec and len(layers) > 1:
            others = suggest(str(name), [str(other) for other in layers if other != name])
            found = [Problem(path, f"has no `type`: name its class, or one of the model's other layers. {others}")]
        problems += found or _check_with_top_level(spec, path, raw)
    if raw.get("jit_compile") is True and isinstance(layers, Mapping):
        sparse = [f"`model.layers.{name}`" for name, spec in layers.items() if _uses_sparse(spec, raw)]
        if sparse:
            expected = "must be false with implementation 3, whose sparse matmul XLA can't compile"
            problems.append(Problem("jit_compile", f"{expected}; got true ({', '.join(sparse)})."))
    if isinstance(raw.get("optimizer"), Mapping):
        problems += check_spec(raw["optimizer"], "optimizer", "optimizers")
    return problems


def _check_with_top_level(spec: Mapping[str, Any], path: str, raw: Mapping[str, Any]) -> list[Problem]:
    """What is right in a layer by itself, but not under the run's data_format or precision."""
    problems = []
    name = find_class("layers", spec["type"]).name
    if raw.get("data_format") == "channels_first":
        if name in CHANNELS_LAST_ONLY:
            problems.append(Problem(path, f"({name}) knows no data_format; use data_format=channels_last."))
        if spec.get("activation") in OVER_LAST_AXIS and "data_format" in find_class("layers", name).arguments:
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


def _uses_sparse(spec: Any, raw: Mapping[str, Any]) -> bool:
    entry = find_class("layers", str(spec.get("type"))) if isinstance(spec, Mapping) else None
    if entry is None or "implementation" not in entry.arguments:
        return False
    return (raw.get("implementation") if spec.get("implementation") is None else spec["implementation"]) == 3


def _inherit(spec: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The spec with the top-level choices that it does not make itself: a complete, explicit one."""
    entry = find_class("layers", spec["type"])
    complete = {**spec, "type": entry.name}
    if isinstance(complete.get("padding"), str):
        complete["padding"] = complete["padding"].lower()  # of Keras' layers some take capitals, some don't
    for name in ("implementation", "data_format"):
        if name in entry.arguments and complete.get(name) is None:
            complete[name] = getattr(config, name)
    if "dtype" in entry.arguments and complete.get("dtype") is None:
        complete["dtype"] = config.precision
    if entry.name in CHANNELS_AXIS and config.data_format == "channels_first":
        complete.setdefault("axis", 1)
    return complete


def _as_problem(details: Any, raw: Mapping[str, Any]) -> Problem:
    """One of pydantic's errors in our words."""
    location = _location_as_written(details["loc"])
    path, got, context = ".".join(map(str, location)), details["input"], details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            prefix = path.removesuffix(str(location[-1]))
            known = [prefix + key for key in _known_keys(location[:-1], raw)]
            return Problem(path, f"is not a known key. {suggest(path, known)}")
        case "missing":
            return Problem(path, "is missing.")
        case "literal_error":
            hint = f" {suggest(got, _quoted_names(context['expected']))}" if isinstance(got, str) else ""
            return Problem(path, f"must be one of {_comma_separated(context['expected'])}; got {got!r}.{hint}")
        case "union_tag_invalid":
            hint = suggest(str(context["tag"]), _quoted_names(context["expected_tags"]))
            return Problem(f"{path}.name", f"must be one of {context['expected_tags']}; got {context['tag']}. {hint}")
        case "union_tag_not_found":
            return Problem(f"{path}.name", "is missing.")
        case "model_type" | "dict_type" | "model_attributes_type":
            return Problem(path, f"must be a mapping; got {got!r}.")
        case "too_short" | "string_too_short":
            return Problem(path, "must not be empty.")
        case "invalid_key":
            return Problem(path, "is not a known key; keys are text.")
        case "string_pattern_mismatch":
            expected = "must start with a letter and hold letters, digits, `_`, `-` and `.` alone"
            return Problem(path, f"{expected}; got {got!r}.")
    expected = re.sub(r"^\w+ should", "must", details["msg"])
    return Problem(path, f"{expected}; got {got!r}.")


def _location_as_written(location: tuple) -> tuple:
    """Pydantic's location without the tag that it adds behind `data`."""
    return (location[0], *location[2:]) if location[0] == "data" and len(location) > 2 else location


def _comma_separated(expected: str) -> str:
    return expected.replace(" or ", ", ")


def _quoted_names(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _known_keys(location: tuple, raw: Mapping[str, Any]) -> list[str]:
    """The keys of the group at this location."""
    group = Config
    for key in location:
        candidates = _models(group.model_fields[key].annotation)
        by_name = {get_args(kind.model_fields["name"].annotation): kind for kind in candidates}
        group = candidates[0] if len(candidates) == 1 else by_name[(raw[key]["name"],)]
    return list(group.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    return list(get_args(annotation)) or [annotation]
