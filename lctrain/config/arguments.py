"""What each argument of an allowed class may hold, and the check of a whole spec (`type` and arguments)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from lctrain.config.allowlist import ClassEntry, activations, classes, find_class
from lctrain.errors import Problem, suggest

IMPLEMENTATIONS = (1, 2, 3, "batched", "auto")
DATA_FORMATS = ("channels_last", "channels_first")
PRECISIONS = ("float32", "float64", "mixed_float16", "mixed_bfloat16")

Check = Callable[[Any], str | None]  # what was expected, or None if the value is right


def check_spec(spec: Any, path: str, group: str) -> list[Problem]:
    """Everything wrong in one spec: a mapping of `type`, a class of the group, and its arguments.

    Args:
        spec: what the configuration holds at `path`.
        path: where it stands, dotted.
        group: "layers", "optimizers", "initializers", "regularizers" or "constraints".
    """
    if not isinstance(spec, Mapping):
        return [Problem(path, f"must be a mapping with `type` and arguments; got {spec!r}.")]
    if "type" not in spec:
        example = next(iter(classes(group)))
        return [Problem(path, f"has no `type`. Name the class, as in `type: {example}`.")]
    entry = find_class(group, spec["type"]) if isinstance(spec["type"], str) else None
    if entry is None:
        hint = suggest(str(spec["type"]), classes(group))
        return [Problem(f"{path}.type", f"must be a class that configurations may name; got {spec['type']!r}. {hint}")]
    problems = [
        Problem(path, f"has no `{name}`, which {entry.name} needs.") for name in entry.required if name not in spec
    ]
    for name, value in spec.items():
        if name != "type":
            problems += _check_argument(entry, group, name, value, f"{path}.{name}")
    return problems


def _check_argument(entry: ClassEntry, group: str, name: Any, value: Any, path: str) -> list[Problem]:
    if name not in entry.arguments:
        return [Problem(path, f"is not an argument of {entry.name}. {suggest(str(name), entry.arguments)}")]
    if name in entry.optional and value is None and entry.optional[name] is None:
        return []
    for suffix, kind in (
        ("_initializer", "initializers"),
        ("_regularizer", "regularizers"),
        ("_constraint", "constraints"),
    ):
        if name.endswith(suffix):
            return _check_named_object(value, path, kind)
    expected = find_check(entry.name, group, name)(value)
    return [] if expected is None else [Problem(path, f"must be {expected}; got {value!r}.{_hint(name, value)}")]


def _check_named_object(value: Any, path: str, group: str) -> list[Problem]:
    """An initializer, regularizer or constraint: a name, or a mapping of `type` and arguments."""
    if not isinstance(value, str):
        return check_spec(value, path, group)
    if find_class(group, value) is not None:
        return []
    kind = group.removesuffix("s")
    return [Problem(path, f"must name a Keras {kind}; got {value!r}. {suggest(value, classes(group))}")]


def _hint(name: str, value: Any) -> str:
    if name in ("strides", "dilation_rate", "groups"):
        return " Use 1 for the default."
    if name == "activation" and isinstance(value, str):
        return " " + suggest(value, activations())
    if name == "implementation" and isinstance(value, str):
        return " " + suggest(value, ["batched", "auto"])
    return ""


def find_check(class_name: str, group: str, argument: str) -> Check:
    """The check of one argument; a KeyError means that the tables below lack an argument of the allowlist."""
    rank = int(class_name[-2]) if class_name[-2:] in ("1D", "2D", "3D") else None
    if (class_name, argument) in CHECKS_OF_CLASSES:
        return CHECKS_OF_CLASSES[class_name, argument]
    if argument in ("kernel_size", "strides", "pool_size", "dilation_rate", "size"):
        return _sizes(rank)
    if argument == "padding" and class_name.startswith("ZeroPadding"):
        return _margins(rank)
    if argument == "cropping":
        return _margins(rank)
    if argument == "padding":
        return _padding(class_name, rank)
    return CHECKS_OF_GROUPS.get((group, argument)) or CHECKS[argument]


def one_of(*allowed: Any) -> Check:
    expected = f"one of {', '.join(map(repr, allowed))}"

    def check(value: Any) -> str | None:
        is_allowed = any(value == option and type(value) is type(option) for option in allowed)
        return None if is_allowed else expected

    return check


def _is_integer(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive_integer(value: Any) -> str | None:
    return None if _is_integer(value, least=1) else "a positive integer"


def _seed(value: Any) -> str | None:
    return None if _is_integer(value, least=0) and value < 2**32 else "an integer from 0 up to 2**32 - 1"


def _accumulation_steps(value: Any) -> str | None:
    return None if _is_integer(value, least=2) else "an integer from 2 on, or null for none"


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _number(value: Any) -> str | None:
    return None if _is_number(value) else "a finite number"


def _non_negative(value: Any) -> str | None:
    return None if _is_number(value) and value >= 0 else "a non-negative number"


def _positive(value: Any) -> str | None:
    return None if _is_number(value) and value > 0 else "a positive number"


def _fraction(value: Any) -> str | None:
    return None if _is_number(value) and 0 <= value < 1 else "a number from 0 up to, not including, 1"


def _number_or_numbers(value: Any) -> str | None:
    values = value if isinstance(value, list) else [value]
    return None if values and all(map(_is_number, values)) else "a finite number or a list of them"


def _axes(value: Any) -> str | None:
    values = value if isinstance(value, list) else [value]
    is_right = values and all(isinstance(axis, int) and not isinstance(axis, bool) for axis in values)
    return None if is_right else "an axis (an integer) or a list of axes"


def _shape(value: Any) -> str | None:
    is_right = isinstance(value, list) and value and all(_is_integer(size, least=1) or size == -1 for size in value)
    return None if is_right else "a list of positive integers (-1 for one that follows from the others)"


def _positive_integers(value: Any) -> str | None:
    is_right = isinstance(value, list) and value and all(_is_integer(size, least=1) for size in value)
    return None if is_right else "a list of positive integers"


def _noise_shape(value: Any) -> str | None:
    is_right = isinstance(value, list) and all(size is None or _is_integer(size, least=1) for size in value)
    return None if is_right else "a list of positive integers or nulls"


def _activation(value: Any) -> str | None:
    return None if value in activations() else "the name of a Keras activation"


def _sizes(rank: int) -> Check:
    def check(value: Any) -> str | None:
        sizes = value if isinstance(value, list) else [value] * rank
        if len(sizes) == rank and all(_is_integer(size, least=1) for size in sizes):
            return None
        return "a positive integer" if rank == 1 else f"a positive integer or {rank} positive integers"

    return check


def _margins(rank: int) -> Check:
    """What ZeroPadding and Cropping take: one margin, one per axis, or a (before, after) pair per axis."""

    def is_margin(value: Any) -> bool:
        is_pair = isinstance(value, list) and len(value) == 2 and all(_is_integer(side, least=0) for side in value)
        return _is_integer(value, least=0) or is_pair

    def check(value: Any) -> str | None:
        if rank == 1:
            return None if is_margin(value) else "a non-negative integer or a pair of them (before, after)"
        margins = value if isinstance(value, list) else [value] * rank
        if len(margins) == rank and all(map(is_margin, margins)):
            return None
        return f"a non-negative integer, {rank} of them, or {rank} pairs of them (before, after)"

    return check


def _padding(class_name: str, rank: int) -> Check:
    allowed = ["valid", "same"]
    if class_name in ("Conv1D", "LocallyConnected1D"):
        allowed.append("causal")
    is_local = class_name.startswith("LocallyConnected")
    if is_local:
        allowed += ["circular", "reflect"]
    check_name = one_of(*allowed)

    def check(value: Any) -> str | None:
        if is_local and isinstance(value, list):
            is_right = len(value) == rank and all(isinstance(pair, list) for pair in value)
            is_right = is_right and _margins(rank)(value if rank > 1 else value[0]) is None
            return None if is_right else f"a name or {rank} (before, after) pair{'s' * (rank > 1)} of zeros"
        return check_name(value.lower() if isinstance(value, str) else value)

    return check


CHECKS: dict[str, Check] = {
    **dict.fromkeys(["filters", "units", "depth_multiplier", "groups", "n"], _positive_integer),
    **dict.fromkeys(["ema_overwrite_frequency", "rank"], _positive_integer),
    "gradient_accumulation_steps": _accumulation_steps,
    "kernel_fans": one_of("position", "legacy"),
    **dict.fromkeys(["use_bias", "center", "scale", "keepdims", "trainable"], _boolean),
    **dict.fromkeys(["use_ema", "amsgrad", "centered", "nesterov"], _boolean),
    **dict.fromkeys(["rate", "momentum", "rho", "beta_1", "beta_2", "ema_momentum"], _fraction),
    **dict.fromkeys(["epsilon", "learning_rate", "clipnorm", "clipvalue", "global_clipnorm"], _positive),
    **dict.fromkeys(["stddev", "l1", "l2", "factor", "weight_decay", "initial_accumulator_value"], _non_negative),
    **dict.fromkeys(["max_value", "min_value", "negative_slope", "threshold", "alpha"], _non_negative),
    **dict.fromkeys(["gain", "mean", "minval", "maxval", "value"], _number),
    **dict.fromkeys(["axis", "shared_axes"], _axes),
    "activation": _activation,
    "seed": _seed,
    "data_format": one_of(*DATA_FORMATS),
    "dtype": one_of(*PRECISIONS),
    "implementation": one_of(*IMPLEMENTATIONS),
    "interpolation": one_of("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"),
    "distribution": one_of("truncated_normal", "untruncated_normal", "normal", "uniform"),
    "noise_shape": _noise_shape,
    "target_shape": _shape,
    "dims": _positive_integers,
    "offset": _number_or_numbers,
}
CHECKS_OF_GROUPS: dict[tuple[str, str], Check] = {("initializers", "scale"): _positive}
CHECKS_OF_CLASSES: dict[tuple[str, str], Check] = {
    **{(f"LocallyConnected{rank}D", "use_bias"): one_of(True, False, "shared") for rank in (1, 2, 3)},
    ("UpSampling1D", "size"): _positive_integer,
    ("GaussianNoise", "stddev"): lambda value: (
        None if _is_number(value) and 0 <= value <= 1 else "a number from 0 to 1"
    ),
    ("Lion", "beta_1"): lambda value: None if _is_number(value) and 0 < value < 1 else "a number between 0 and 1",
    ("Rescaling", "scale"): _number_or_numbers,
    ("VarianceScaling", "mode"): one_of("fan_in", "fan_out", "fan_avg"),
    ("MinMaxNorm", "rate"): lambda value: None if _is_number(value) and 0 <= value <= 1 else "a number from 0 to 1",
}
