"""The one place where what users may spell in several ways becomes one form, before validation.

| written | becomes |
|---|---|
| `type: layer_locally_connected_2d`, `MaxPool2D`, `adamw` | `type: LocallyConnected2D`, `MaxPooling2D`, `AdamW` |
| `kernel_regularizer: l2` | `kernel_regularizer: {type: L2}` |
| `kernel_regularizer: {l2: 1e-4}` | `kernel_regularizer: {type: L2, l2: 1e-4}` |
| `kernel_constraint: {min_max_norm: {rate: 0.5}}` | `kernel_constraint: {type: MinMaxNorm, rate: 0.5}` |
| `bias_constraint: {class_name: MaxNorm, config: {max_value: 3}}` | `bias_constraint: {type: MaxNorm, max_value: 3}` |
| `flatten: Flatten` | `flatten: {type: Flatten}` |
| `inputs: lc1` | `inputs: [lc1]` |
| `metrics: [accuracy, auc]` | `metrics: {accuracy: {type: Accuracy}, auc: {type: AUC}}` |

What it does not know it leaves as it is: validation tells of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lctrain.config.allowlist import LIST_ARGUMENTS, ClassEntry, find_class, nested_group
from lctrain.errors import Problem

SERIALIZED = ("initializers", "regularizers", "constraints")  # groups whose objects may stand as Keras writes them
KEYS_OF_SERIALIZED = {"class_name", "config", "module", "registered_name"}


@dataclass
class Spelling:
    """A configuration in the one form, and how to say paths in it as the user wrote them.

    Args:
        config: the normalised configuration.
        written: for paths that the normal form spells otherwise, the path as written.
    """

    config: dict[str, Any]
    written: dict[str, str] = field(default_factory=dict)

    def as_written(self, problem: Problem) -> Problem:
        for path, written in self.written.items():
            if problem.path == path or problem.path.startswith(f"{path}."):
                return problem._replace(path=written + problem.path.removeprefix(path))
        return problem


def normalize(raw: Mapping[str, Any]) -> Spelling:
    """The configuration in the one form; what was given stays as it is."""
    spelling = Spelling(dict(raw))
    config = spelling.config
    model = config.get("model")
    if isinstance(model, Mapping) and isinstance(model.get("layers"), Mapping):
        layers = {
            name: _normalize_layer(spec, f"model.layers.{name}", spelling) for name, spec in model["layers"].items()
        }
        config["model"] = {**model, "layers": layers}
    if isinstance(config.get("optimizer"), str):
        entry = find_class("optimizers", config["optimizer"])
        config["optimizer"] = config["optimizer"] if entry is None else {"type": entry.name}
    elif isinstance(config.get("optimizer"), Mapping):
        config["optimizer"] = _normalize_arguments(config["optimizer"], "optimizer", "optimizers", spelling)
    data = config.get("data")
    if isinstance(data, Mapping) and isinstance(data.get("augmentation"), list):
        specs = enumerate(data["augmentation"])
        augmentation = [_normalize_object(spec, f"data.augmentation.{i}", "layers", spelling) for i, spec in specs]
        config["data"] = {**data, "augmentation": augmentation}
    training = config.get("training")
    if isinstance(training, Mapping):
        config["training"] = training = dict(training)
        if training.get("loss") is not None:
            training["loss"] = _normalize_object(training["loss"], "training.loss", "losses", spelling)
        if isinstance(training.get("metrics"), list | str):
            training["metrics"] = _name_metrics(training["metrics"], spelling)
        if isinstance(training.get("metrics"), Mapping):
            training["metrics"] = {
                name: _normalize_object(spec, f"training.metrics.{name}", "metrics", spelling)
                for name, spec in training["metrics"].items()
            }
    device = config.get("device")
    if isinstance(device, Mapping) and isinstance(device.get("index"), int):
        config["device"] = {**device, "index": [device["index"]]}
        spelling.written["device.index.0"] = "device.index"
    return spelling


def _normalize_layer(spec: Any, path: str, spelling: Spelling) -> Any:
    if isinstance(spec, Mapping) and isinstance(spec.get("inputs"), str):
        spelling.written[f"{path}.inputs.0"] = f"{path}.inputs"
        spec = {**spec, "inputs": [spec["inputs"]]}
    if isinstance(spec, Mapping) and "type" not in spec:
        return spec  # a short form would read a misspelt argument as a class
    return _normalize_object(spec, path, "layers", spelling)


def _normalize_object(spec: Any, path: str, group: str, spelling: Spelling) -> Any:
    """A spec with `type`, from a class's name or a short form."""
    if isinstance(spec, str):
        entry = find_class(group, spec)
        return spec if entry is None else {"type": entry.name}
    if not isinstance(spec, Mapping):
        return spec
    if "type" not in spec:
        expand = _expand_serialized if group in SERIALIZED and "class_name" in spec else _expand_short_form
        spec = expand(spec, path, group, spelling)
    return _normalize_arguments(spec, path, group, spelling)


def _expand_serialized(spec: Mapping[str, Any], path: str, group: str, spelling: Spelling) -> Mapping[str, Any]:
    """What Keras writes of its own objects: `{class_name: L2, config: {l2: 0.01}}`."""
    arguments = {} if spec.get("config") is None else spec["config"]
    module = spec.get("module")
    is_own = (module is None or str(module).partition(".")[0] == "keras") and spec.get("registered_name") is None
    if not isinstance(arguments, Mapping) or set(spec) - KEYS_OF_SERIALIZED or not is_own or "type" in arguments:
        return spec
    spelling.written |= {f"{path}.type": f"{path}.class_name", path: f"{path}.config"}
    return {"type": spec["class_name"], **arguments}


def _expand_short_form(spec: Mapping[str, Any], path: str, group: str, spelling: Spelling) -> Mapping[str, Any]:
    """`{l2: 1e-4}`: one class, with its first argument or a mapping of several; `{l1: 1e-4, l2: 1e-4}` too."""
    if group == "regularizers" and set(spec) == {"l1", "l2"}:
        return {"type": "L1L2", **spec}
    entry = find_class(group, next(iter(spec))) if len(spec) == 1 else None
    if entry is None:
        return spec
    ((key, value),) = spec.items()
    if isinstance(value, Mapping):
        spelling.written[path] = f"{path}.{key}"
        return {"type": entry.name, **value}
    first = first_argument(entry)
    if first is None:
        return spec
    if first != key:
        spelling.written[f"{path}.{first}"] = f"{path}.{key}"
    return {"type": entry.name, first: value}


def first_argument(entry: ClassEntry) -> str | None:
    """The argument that a short form gives alone; None where a class has none of its own."""
    own = [name for name in entry.arguments if name not in ("trainable", "dtype")]
    return own[0] if own else None


def _normalize_arguments(spec: Mapping[str, Any], path: str, group: str, spelling: Spelling) -> dict[str, Any]:
    entry = find_class(group, spec.get("type"))
    normal = dict(spec)
    if entry is None:
        return normal
    normal["type"] = entry.name
    if isinstance(normal.get("padding"), str):
        normal["padding"] = normal["padding"].lower()  # of Keras' layers some take capitals, some don't
    for name, value in spec.items():
        kind = nested_group(name) if name in entry.arguments else None
        if kind is None or value is None:
            continue
        if name in LIST_ARGUMENTS and isinstance(value, list):
            normal[name] = [_normalize_object(one, f"{path}.{name}.{i}", kind, spelling) for i, one in enumerate(value)]
        else:
            normal[name] = _normalize_object(value, f"{path}.{name}", kind, spelling)
    return normal


def _name_metrics(specs: list[Any] | str, spelling: Spelling) -> dict[str, Any]:
    """Metrics without names of their own get those of their classes, as the user spelt them."""
    named: dict[str, Any] = {}
    for i, spec in enumerate([specs] if isinstance(specs, str) else specs):
        described = spec.get("type", next(iter(spec), "metric")) if isinstance(spec, Mapping) else spec
        name = str(described).lower()
        while name in named:
            name += "_"
        named[name] = spec
        spelling.written[f"training.metrics.{name}"] = "training.metrics" + ("" if specs is spec else f".{i}")
    return named
