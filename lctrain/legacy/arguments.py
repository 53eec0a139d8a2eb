"""A layer of Keras 2 or tf.keras, or one of Keras 1 in their words, as a layer of today's.

Source: the get_config methods of Keras 2.0 to 2.3.1 and of tf.keras up to 2.21.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lctrain.config.allowlist import find_class, left_out
from lctrain.config.retired import CLASSES_OF_KERAS_2, GONE
from lctrain.errors import Problem
from lctrain.legacy import keras1
from lctrain.legacy.fields import FIELDS, FINISH, Arguments, Reading, report_origin
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.objects import translate_activation, translate_dtype, translate_object
from lctrain.legacy.source import Source

MODELS = ("Sequential", "Model", "Functional", "Network")
OTHERWISE = {
    "RandomCrop": "must be another layer: outside of training Keras 3 leaves it out, Keras 2 crops to the centre",
    "HashedCrossing": "must be another layer: it takes whole numbers, and the inputs of configurations are float32",
}
OF_TRAINING = {  # what any layer could have, and the values by which it does nothing
    **{"trainable": (True, None), "activity_regularizer": (None,), "noise_shape": (None,)},
    **{"unroll": (True, False, None), "seed": (None,)},
}
OBJECTS = {"initializer": "initializers", "regularizer": "regularizers", "constraint": "constraints"}


@dataclass(frozen=True)
class Part:
    """A layer of today's model, made of one of the old or of a part of it.

    Args:
        spec: its `type` and arguments; None where it can't be made.
        original: the class and configuration, in the words of Keras 2, that its weights were stored by.
        expected_output: what the old layer stated as its shape, without the batch; None where it stated none.
        suffix: of its name, where it only helps the layer that has the name.
        problems: of the spec, at paths such as `layer.units`.
    """

    spec: Arguments | None
    original: tuple[str, Mapping[str, Any]]
    expected_output: tuple[Any, ...] | None = None
    suffix: str | None = None
    problems: tuple[Problem, ...] = ()


def translate_layer(class_name: Any, config: Any, source: Source, collector: IssueCollector) -> list[Part]:
    """Today's layers, one behind the other, that compute what an old one does; most often one.

    What they can't is an obstacle.
    """
    if not isinstance(class_name, str) or not isinstance(config, Mapping):
        message = "must be the name of a layer's class, with a mapping as `config`"
        collector.unsupported("class_name", class_name, message)
        return [Part(None, ("", {}))]
    if class_name == "TimeDistributed" and isinstance(config.get("layer"), Mapping):
        inner = config["layer"].get("class_name")
        if inner in MODELS:
            return _distribute_model(config, source, collector)
    if source.keras_major == 1:
        class_name, config = keras1.upgrade(class_name, config, source.dim_orderings, collector)
    config = dict(config)
    is_cosine, expected = config.pop("legacy_cosine", False), config.pop("legacy_output_shape", None)
    spec = _translate(class_name, config, source, collector)
    expected = tuple(expected[1:]) if isinstance(expected, list) else None
    parts = [Part(spec, (class_name, config), expected)]
    if is_cosine:
        parts.append(Part({"type": "Reshape", "target_shape": [1, 1]}, ("Reshape", {})))
    return parts


def _translate(
    class_name: str, config: Mapping[str, Any], source: Source, collector: IssueCollector
) -> Arguments | None:
    new_class = CLASSES_OF_KERAS_2.get(class_name, class_name)
    entry = find_class("layers", new_class)
    if class_name in OTHERWISE:
        collector.unsupported("class_name", class_name, OTHERWISE[class_name])
        return None
    if entry is None or entry.name != new_class:
        if class_name not in GONE:
            reason = left_out().get(class_name)
            known = "must be a layer that Keras 3 still has and configurations may name"
            collector.unsupported("class_name", class_name, f"{class_name} {reason}" if reason else known)
        return None
    if new_class != class_name:
        collector.translated("class_name", class_name, new_class)
    reading = Reading(class_name, config, source, collector, entry)
    for name, value in config.items():
        if name != "name":
            _translate_field(reading, str(name), value)
    for name in entry.required:
        if name not in reading.spec and name not in config:
            collector.unsupported(name, None, f"is missing, which {class_name} needs")
    if any(name not in reading.spec for name in entry.required):
        return None
    if new_class in FINISH:
        FINISH[new_class](reading)
    return {"type": new_class, **reading.spec}


def _translate_field(reading: Reading, name: str, value: Any) -> None:
    special = (
        NESTED.get((reading.class_name, name)) or FIELDS.get((reading.class_name, name)) or FIELDS.get(("*", name))
    )
    if special is not None:
        reading.spec |= special(reading, name, value)
        return
    if name not in reading.entry.arguments and name in OF_TRAINING:
        if value not in OF_TRAINING[name]:
            reading.collector.dropped(name, value, "this layer has no such argument now; it acts in training alone")
        return
    if name not in reading.entry.arguments:
        reading.collector.unsupported(name, value, f"is not an argument of {reading.class_name} that is known")
        return
    kind = name.rpartition("_")[2]
    if kind in OBJECTS:
        made = translate_object(OBJECTS[kind], name, value, reading.collector)
    elif kind == "activation":
        made = translate_activation(name, value, reading.collector)
    elif name == "dtype":
        made = translate_dtype(name, value, reading.collector)
    else:
        made = value
    if made is not None or name in reading.entry.required:
        reading.spec[name] = made


def _distribute_model(config: Mapping[str, Any], source: Source, collector: IssueCollector) -> list[Part]:
    """TimeDistributed around a stack of layers: around each of them."""
    inner = config["layer"]
    layers = find_layers(inner.get("config"))
    if inner.get("class_name") != "Sequential" or layers is None:
        message = "must hold a layer or a Sequential; a graph of layers can't be distributed over time"
        collector.unsupported("layer", inner.get("class_name"), message)
        return [Part(None, ("", {}))]
    collector.translated("layer", "Sequential", "a TimeDistributed around each of its layers")
    parts = []
    for layer in layers:
        if not isinstance(layer, Mapping) or layer.get("class_name") == "InputLayer":
            continue
        wrapped = {"name": config.get("name"), "layer": layer}
        parts += translate_layer("TimeDistributed", wrapped, source, collector)
    return parts


def find_layers(config: Any) -> list[Any] | None:
    """The layers of a Sequential: the configuration itself up to Keras 2.2.2, then under `layers`."""
    layers = config.get("layers") if isinstance(config, Mapping) else config
    return layers if isinstance(layers, list) else None


def _nested_layer(reading: Reading, name: str, value: Any) -> Arguments:
    """The layer that a wrapper holds."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not isinstance(value.get("config"), Mapping):
        reading.collector.unsupported(name, value, "must be a layer, `class_name` and `config`")
        return {}
    config = value["config"]
    inner = reading.collector.of(str(config.get("name", name)))
    report_origin(value, inner)
    if value.get("class_name") in MODELS:
        inner.unsupported(name, value["class_name"], f"must be a layer; {reading.class_name} can't hold a model here")
        return {}
    parts = translate_layer(value.get("class_name"), config, reading.source, inner)
    if len(parts) != 1 or parts[0].spec is None:
        return {}
    return {name: parts[0].spec}


def _cell(reading: Reading, name: str, value: Any) -> Arguments:
    spec = _translate_cell(value, name, reading)
    return {} if spec is None else {name: spec}


def _translate_cell(value: Any, name: str, reading: Reading) -> Arguments | None:
    is_object = isinstance(value, Mapping) and isinstance(value.get("config"), Mapping)
    entry = find_class("cells", value.get("class_name")) if is_object else None
    if entry is None:
        got = value.get("class_name") if is_object else value
        reading.collector.unsupported(name, got, "must be a cell that Keras 3 still has")
        return None
    config = value["config"]
    report_origin(value, reading.collector.of(str(config.get("name", name))))
    inner = Reading(entry.name, config, reading.source, reading.collector.of(str(config.get("name", name))), entry)
    if entry.name == "StackedRNNCells":
        cells = config.get("cells")
        made = [_translate_cell(cell, "cells", inner) for cell in cells] if isinstance(cells, list) else []
        if not made or None in made:
            return None
        return {"type": entry.name, "cells": made}
    for key, part in config.items():
        if key != "name":
            _translate_field(inner, str(key), part)
    if entry.name == "GRUCell":
        inner.spec.setdefault("reset_after", False)
    return {"type": entry.name, **inner.spec}


NESTED: dict[tuple[str, str], Callable[[Reading, str, Any], Arguments]] = {
    ("TimeDistributed", "layer"): _nested_layer,
    ("Bidirectional", "layer"): _nested_layer,
    ("Bidirectional", "backward_layer"): _nested_layer,
    ("SpectralNormalization", "layer"): _nested_layer,
    ("RNN", "cell"): _cell,
}
