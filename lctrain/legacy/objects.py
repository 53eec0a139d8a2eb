"""Initializers, regularizers, constraints, activations and dtypes of old configurations as specs of today's."""

from collections.abc import Mapping
from typing import Any

from lctrain.config.allowlist import activations, find_class
from lctrain.config.arguments import PRECISIONS
from lctrain.config.retired import OBJECTS, OF_OBJECTS
from lctrain.config.specs import find_problems_in_spec
from lctrain.legacy.issues import IssueCollector

OFF_THE_LIST = "it is none of Keras' own that configurations may name"
LOST = {  # what dropping an object of a group means
    "initializers": "the stored weights are taken; what is drawn anew is drawn by default",
    "regularizers": "the penalty acts in training alone",
    "constraints": "the constraint acts in training alone",
}
OWN_MODULES = ("keras", "tf_keras", "tensorflow")
KEYS = {"class_name", "config", "module", "registered_name", "shared_object_id", "build_config"}
# Fields of old objects that change no number.
OWN_FIELDS = ("dtype", "name", "partition_info", "verify_shape")
FAMILY = {  # VarianceScaling's names, by (scale, mode, distribution)
    (1.0, "fan_avg", "uniform"): "GlorotUniform",
    (1.0, "fan_avg", "normal"): "GlorotNormal",
    (1.0, "fan_avg", "truncated_normal"): "GlorotNormal",
    (1.0, "fan_in", "uniform"): "LecunUniform",
    (1.0, "fan_in", "normal"): "LecunNormal",
    (1.0, "fan_in", "truncated_normal"): "LecunNormal",
    (2.0, "fan_in", "uniform"): "HeUniform",
    (2.0, "fan_in", "normal"): "HeNormal",
    (2.0, "fan_in", "truncated_normal"): "HeNormal",
}
HARD_SIGMOID = "legacy_hard_sigmoid"
ACTIVATION_NAMES = {"hard_sigmoid": HARD_SIGMOID, "swish": "silu"}


def is_own(entry: Mapping[str, Any]) -> bool:
    """Whether a layer or object is Keras' own, where the file holds whose it is."""
    module, registered = entry.get("module", "keras"), entry.get("registered_name")
    is_kerases = isinstance(module, str) and module.split(".")[0] in OWN_MODULES
    return is_kerases and registered in (None, entry.get("class_name"))


def translate_object(group: str, field: str, value: Any, collector: IssueCollector) -> Any:
    """The spec of an initializer, regularizer or constraint; None where there is none, or none that is known.

    What draws weights, or acts in training alone, changes no prediction: what is not known is dropped.
    """
    if value is None:
        return None
    spec = _translate_known(group, value)
    problems = [] if spec is None else [str(one) for one in find_problems_in_spec(spec, field, group)]
    if spec is None or problems:
        problems = problems or [OFF_THE_LIST]
        collector.dropped(field, value, f"{LOST[group]}; {problems[0].rstrip('.')}")
        return None
    return _simplify(group, spec)


def _translate_known(group: str, value: Any) -> dict[str, Any] | None:
    """The spec of one of Keras' own; None for anything else."""
    name, config = _split(value)
    unknown = set(value) - KEYS if isinstance(value, Mapping) and "class_name" in value else ()
    if not isinstance(config, Mapping) or unknown:
        return None
    entry = find_class(group, OBJECTS.get(group, {}).get(name, name) if isinstance(name, str) else name)
    if entry is None or (isinstance(value, Mapping) and not is_own({**value, "class_name": name})):
        return None
    names: dict[Any, Any] = {key: OF_OBJECTS.get(key, key) for key in config}
    kept = {new: config[key] for key, new in names.items() if new in entry.arguments or key not in OWN_FIELDS}
    return {"type": entry.name, **kept}


def _split(value: Any) -> tuple[Any, Any]:
    """Class name and arguments, of `{class_name, config}`, Keras 1's `{name, ...}` or a name alone."""
    if not isinstance(value, Mapping):
        return value, {}
    if "class_name" in value:
        return value["class_name"], value.get("config", {})
    return value.get("name"), {key: part for key, part in value.items() if key != "name"}


def _simplify(group: str, spec: dict[str, Any]) -> Any:
    """The shorter name of the same object."""
    if spec["type"] == "VarianceScaling":
        key = spec.get("scale", 1.0), spec.get("mode", "fan_in"), spec.get("distribution", "truncated_normal")
        name = FAMILY.get(key) if all(isinstance(part, int | float | str) for part in key) else None
        if name is not None:
            seed = {} if spec.get("seed") is None else {"seed": spec["seed"]}
            return {"type": name, **seed}
    if spec["type"] == "L1L2" and {"l1", "l2"} <= set(spec):
        kept = {name: spec[name] for name in ("l1", "l2") if spec[name] != 0}
        if not kept:
            return None
        if len(kept) == 1:
            return {"type": next(iter(kept)).upper(), **kept}
    return spec


def translate_activation(field: str, value: Any, collector: IssueCollector) -> Any:
    """The name of an activation that computes the same; None where there is none."""
    if value is None:
        return None
    if isinstance(value, Mapping) and value.get("class_name") == "function" and value.get("registered_name") is None:
        value = value.get("config")
    name = ACTIVATION_NAMES.get(value, value) if isinstance(value, str) else None
    if name not in activations():
        collector.unsupported(field, value, "must be one of Keras' own activations, by its name")
        return None
    if name == HARD_SIGMOID:
        collector.translated(field, value, f"{HARD_SIGMOID}: Keras 3's hard_sigmoid is another function")
    elif name != value:
        collector.translated(field, value, name)
    return name


def translate_dtype(field: str, value: Any, collector: IssueCollector) -> str | None:
    """The dtype policy; None for float32, today's default."""
    if isinstance(value, Mapping):
        config = value.get("config")
        value = config.get("name") if isinstance(config, Mapping) else value
    if value in (None, "float32"):
        return None
    if value not in PRECISIONS:
        collector.unsupported(field, value, f"must be one of {', '.join(PRECISIONS)}")
        return None
    return str(value)
