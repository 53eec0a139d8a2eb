"""A layer of Keras 2 or tf.keras, or one of Keras 1 in their words, as a layer of today's.

Source: the get_config methods of Keras 2.0 to 2.3.1 and of tf.keras up to 2.21.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lctrain.config.allowlist import ClassEntry, find_class, left_out
from lctrain.legacy import keras1
from lctrain.legacy.objects import translate_activation, translate_dtype, translate_object
from lctrain.legacy.source import Source
from lctrain.legacy.telling import Teller

MODELS = ("Sequential", "Model", "Functional", "Network")
LOCAL = ("LocallyConnected1D", "LocallyConnected2D")
CLASSES = {  # what today's Keras calls otherwise
    **{"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"},
    **{"SyncBatchNormalization": "BatchNormalization", "ThresholdedReLU": "ReLU"},
    **{"Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D"},
}
OTHERWISE = {
    "RandomCrop": "must be another layer: outside of training Keras 3 leaves it out, Keras 2 crops to the centre",
    "HashedCrossing": "must be another layer: it takes whole numbers, and the inputs of configurations are float32",
}
OF_TRAINING = {  # what any layer could have, and the values by which it does nothing
    **{
        "trainable": (True, None),
        "activity_regularizer": (None,),
        "noise_shape": (None,),
        "unroll": (True, False, None),
    },
    "seed": (None,),
}
OBJECTS = {"initializer": "initializers", "regularizer": "regularizers", "constraint": "constraints"}
TF_BILINEAR = (2, 3)  # from here on tf.keras' bilinear upsampling has half-pixel centres, as Keras 3's
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A layer of today's model, made of one of the old or of a part of it.

    Args:
        spec: its `type` and arguments; None where it can't be made.
        original: the class and configuration, in the words of Keras 2, that its weights were stored by.
        expected_output: the shape that the old layer said it gives, without the batch; None where it said nothing.
    """

    spec: Arguments | None
    original: tuple[str, Mapping[str, Any]]
    expected_output: tuple[Any, ...] | None = None


@dataclass
class _Reading:
    """One layer's fields on their way."""

    class_name: str
    config: Mapping[str, Any]
    source: Source
    teller: Teller
    entry: ClassEntry | None = None
    spec: Arguments = field(default_factory=dict)


def translate_layer(class_name: Any, config: Any, source: Source, teller: Teller) -> list[Part]:
    """Today's layers, one behind the other, that compute what an old one does; most often one.

    What they can't is told as an obstacle.
    """
    if not isinstance(class_name, str) or not isinstance(config, Mapping):
        teller.unsupported("class_name", class_name, "must be the name of a layer's class, with a mapping as `config`")
        return [Part(None, ("", {}))]
    if class_name == "TimeDistributed" and isinstance(config.get("layer"), Mapping):
        inner = config["layer"].get("class_name")
        if inner in MODELS:
            return _distribute_model(config, source, teller)
    if source.keras_major == 1:
        class_name, config = keras1.upgrade(class_name, config, source.dim_orderings, teller)
    config = dict(config)
    is_cosine, expected = config.pop("legacy_cosine", False), config.pop("legacy_output_shape", None)
    spec = _translate(class_name, config, source, teller)
    expected = tuple(expected[1:]) if isinstance(expected, list) else None
    parts = [Part(spec, (class_name, config), expected)]
    if is_cosine:
        parts.append(Part({"type": "Reshape", "target_shape": [1, 1]}, ("Reshape", {})))
    return parts


def _translate(class_name: str, config: Mapping[str, Any], source: Source, teller: Teller) -> Arguments | None:
    new_class = CLASSES.get(class_name, class_name)
    entry = find_class("layers", new_class)
    if class_name in OTHERWISE:
        teller.unsupported("class_name", class_name, OTHERWISE[class_name])
        return None
    if entry is None or entry.name != new_class:
        if class_name not in keras1.GONE:
            reason = left_out().get(class_name)
            why = (
                f"{class_name} {reason}"
                if reason
                else "must be a layer that Keras 3 still has and configurations may name"
            )
            teller.unsupported("class_name", class_name, why)
        return None
    if new_class != class_name:
        teller.translated("class_name", class_name, new_class)
    reading = _Reading(class_name, config, source, teller, entry)
    for name, value in config.items():
        if name != "name":
            _translate_field(reading, str(name), value)
    for name in entry.required:
        if name not in reading.spec and name not in config:
            teller.unsupported(name, None, f"is missing, which {class_name} needs")
    if any(name not in reading.spec for name in entry.required):
        return None
    if new_class in FINISH:
        FINISH[new_class](reading)
    return {"type": new_class, **reading.spec}


def _translate_field(reading: _Reading, name: str, value: Any) -> None:
    special = FIELDS.get((reading.class_name, name)) or FIELDS.get(("*", name))
    if special is not None:
        reading.spec |= special(reading, name, value)
        return
    if name not in reading.entry.arguments and name in OF_TRAINING:
        if value not in OF_TRAINING[name]:
            reading.teller.dropped(name, value, "this layer has no such argument now; it acts in training alone")
        return
    if name not in reading.entry.arguments:
        reading.teller.unsupported(name, value, f"is not an argument of {reading.class_name} that is known")
        return
    kind = name.rpartition("_")[2]
    if kind in OBJECTS:
        made = translate_object(OBJECTS[kind], name, value, reading.teller)
    elif kind == "activation":
        made = translate_activation(name, value, reading.teller)
    elif name == "dtype":
        made = translate_dtype(name, value, reading.teller)
    else:
        made = value
    if made is not None or name in reading.entry.required:
        reading.spec[name] = made


def _distribute_model(config: Mapping[str, Any], source: Source, teller: Teller) -> list[Part]:
    """TimeDistributed around a stack of layers: around each of them."""
    inner = config["layer"]
    layers = layers_of(inner.get("config"))
    if inner.get("class_name") != "Sequential" or layers is None:
        told = "must hold a layer or a Sequential; a graph of layers can't be distributed over time"
        teller.unsupported("layer", inner.get("class_name"), told)
        return [Part(None, ("", {}))]
    teller.translated("layer", "Sequential", "a TimeDistributed around each of its layers")
    parts = []
    for layer in layers:
        if not isinstance(layer, Mapping) or layer.get("class_name") == "InputLayer":
            continue
        wrapped = {"name": config.get("name"), "layer": layer}
        parts += translate_layer("TimeDistributed", wrapped, source, teller)
    return parts


def layers_of(config: Any) -> list[Any] | None:
    """The layers of a Sequential: the configuration itself up to Keras 2.2.2, then under `layers`."""
    layers = config.get("layers") if isinstance(config, Mapping) else config
    return layers if isinstance(layers, list) else None


# Each function below translates one field: from its reading, name and value to today's arguments.


def _absorb(note: str) -> Callable[[_Reading, str, Any], Arguments]:
    def translate(reading: _Reading, name: str, value: Any) -> Arguments:
        if value is not None:
            reading.teller.translated(name, value, note)
        return {}

    return translate


def _require(*allowed: Any, note: str, message: str) -> Callable[[_Reading, str, Any], Arguments]:
    """A field that has no counterpart: it must have one of the values that today's layers compute by."""

    def translate(reading: _Reading, name: str, value: Any) -> Arguments:
        if any(value == one and type(value) is type(one) for one in allowed):
            if value is not None and value is not False:
                reading.teller.translated(name, value, note)
        else:
            reading.teller.unsupported(name, value, message)
        return {}

    return translate


def _drop(note: str) -> Callable[[_Reading, str, Any], Arguments]:
    def translate(reading: _Reading, name: str, value: Any) -> Arguments:
        if value is not None and value is not False:
            reading.teller.dropped(name, value, note)
        return {}

    return translate


def _rename(new_name: str) -> Callable[[_Reading, str, Any], Arguments]:
    def translate(reading: _Reading, name: str, value: Any) -> Arguments:
        reading.teller.translated(name, value, new_name)
        return {new_name: value}

    return translate


def _implementation(reading: _Reading, name: str, value: Any) -> Arguments:
    """Of a local layer; how it is computed is chosen anew."""
    if reading.source.is_tf_keras and value in (1, 2, 3) and not isinstance(value, bool):
        reading.teller.translated(name, value, "auto: how it is computed, never what")
    elif value != 1:
        allowed = "1, 2 or 3" if reading.source.is_tf_keras else "1, the only one before tf.keras"
        reading.teller.unsupported(name, value, f"must be {allowed}")
    return {}


def _local_padding(reading: _Reading, name: str, value: Any) -> Arguments:
    """tf.keras' own "same" pads kernel_size // 2 before; it is made explicit once the input's shape is known."""
    if isinstance(value, str) and value.lower() == "valid":
        return {name: "valid"}
    implementation = reading.config.get("implementation", 1)
    if value != "same" or not reading.source.is_tf_keras or implementation == 1:
        told = "must be valid; same exists in tf.keras' implementations 2 and 3"
        reading.teller.unsupported(name, value, told)
        return {name: "valid"}
    reading.teller.translated(name, value, "explicit zeros: kernel_size // 2 of them before, as tf.keras has them")
    return {name: "same"}


def _keep_kernel_fans(reading: _Reading) -> None:
    """A local kernel's initializer, and constraints along its positions, act otherwise now; on training alone."""
    spec = reading.spec
    drawn = spec.get("kernel_initializer", {"type": "GlorotUniform"})["type"]
    if drawn.startswith(("Glorot", "He", "Lecun", "VarianceScaling")):
        if reading.source.keras_major == 2 and reading.config.get("implementation", 1) == 1:
            spec["kernel_fans"] = "legacy"
            note = "with kernel_fans: legacy, the variance that new weights were drawn with"
            reading.teller.translated("kernel_initializer", drawn, note)
        else:
            note = "fans of one position; the old ones were others. It matters to weights that are drawn anew"
            reading.teller.approximated("kernel_initializer", drawn, note)
    constraint = spec.get("kernel_constraint")
    if constraint and "axis" in find_class("constraints", constraint["type"]).arguments:
        told = "per position and filter; the old one ran over the stored kernel's axes. It acts in training alone"
        reading.teller.approximated("kernel_constraint", constraint["type"], told)


def _keep(reading: _Reading, name: str, value: Any) -> Arguments:
    return {name: value}


def _axis(reading: _Reading, name: str, value: Any) -> Arguments:
    """One axis where tf.keras writes a list of one."""
    if isinstance(value, list) and len(value) == 1:
        return {name: value[0]}
    if isinstance(value, list) and reading.entry.name == "BatchNormalization":
        reading.teller.unsupported(name, value, "must be one axis in Keras 3")
    return {name: value}


def _integer_dtype(reading: _Reading, name: str, value: Any) -> Arguments:
    """Of layers that give integers, or one-hot rows, whatever is said."""
    return {} if value == "int64" else {name: translate_dtype(name, value, reading.teller)}


def _interpolation(reading: _Reading, name: str, value: Any) -> Arguments:
    if value == "bilinear" and (not reading.source.is_tf_keras or reading.source.version[:2] < TF_BILINEAR):
        told = "must be nearest before tf.keras 2.3, whose bilinear one had no half-pixel centres"
        reading.teller.unsupported(name, value, told)
    return {name: value}


def _nested_layer(reading: _Reading, name: str, value: Any) -> Arguments:
    """The layer that a wrapper holds."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not isinstance(value.get("config"), Mapping):
        reading.teller.unsupported(name, value, "must be a layer, `class_name` and `config`")
        return {}
    config = value["config"]
    inner = reading.teller.of(str(config.get("name", name)))
    if value.get("class_name") in MODELS:
        inner.unsupported(name, value["class_name"], f"must be a layer; {reading.class_name} can't hold a model here")
        return {}
    parts = translate_layer(value.get("class_name"), config, reading.source, inner)
    if len(parts) != 1 or parts[0].spec is None:
        return {}
    return {name: parts[0].spec}


def _cell(reading: _Reading, name: str, value: Any) -> Arguments:
    spec = _translate_cell(value, name, reading)
    return {} if spec is None else {name: spec}


def _translate_cell(value: Any, name: str, reading: _Reading) -> Arguments | None:
    is_object = isinstance(value, Mapping) and isinstance(value.get("config"), Mapping)
    entry = find_class("cells", value.get("class_name")) if is_object else None
    if entry is None:
        got = value.get("class_name") if is_object else value
        reading.teller.unsupported(name, got, "must be a cell that Keras 3 still has")
        return None
    config = value["config"]
    inner = _Reading(entry.name, config, reading.source, reading.teller.of(str(config.get("name", name))), entry)
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


def _reset_after(reading: _Reading) -> None:
    if "reset_after" not in reading.config:
        reading.teller.translated("reset_after", None, "false, as it was before the argument was there")
    reading.spec.setdefault("reset_after", False)


def _theta(reading: _Reading, name: str, value: Any) -> Arguments:
    reading.teller.approximated(name, value, "threshold; an input that equals it is kept, where it was set to 0")
    return {"threshold": value}


def _return_state(reading: _Reading, name: str, value: Any) -> Arguments:
    if value:
        reading.teller.translated(name, value, "the states are not used by the model")
    return {}


def _noop_of_unused(reading: _Reading, name: str, value: Any) -> Arguments:
    """Arguments of Conv that its separable and depthwise kin write and never use."""
    if value is not None:
        reading.teller.translated(name, value, "is not used by this layer")
    return {}


def _merge_mode(reading: _Reading, name: str, value: Any) -> Arguments:
    if value is None:
        reading.teller.unsupported(name, value, "must be sum, mul, concat or ave; two outputs can't be wired")
    return {name: value}


SAYS_HOW = "says how it was computed, never what"
OF_THE_INPUT = "said by the shape of the model's input"
FOUND_ANEW = "is found from the shapes"
FIELDS: dict[tuple[str, str], Callable[[_Reading, str, Any], Arguments]] = {
    ("*", "batch_input_shape"): _absorb(OF_THE_INPUT),
    ("*", "batch_shape"): _absorb(OF_THE_INPUT),
    ("*", "input_shape"): _absorb(OF_THE_INPUT),
    ("*", "input_dtype"): _absorb(OF_THE_INPUT),
    ("*", "ragged"): _require(None, False, note="", message="must be false"),
    ("*", "sparse"): _require(None, False, note="", message="must be false"),
    ("*", "autocast"): _absorb(SAYS_HOW),
    ("*", "rng_type"): _absorb("says how noise is drawn in training"),
    ("*", "force_generator"): _absorb("says how noise is drawn in training"),
    ("*", "implementation"): _absorb(SAYS_HOW),
    ("*", "consume_less"): lambda *_: {},  # of Keras 1, told where its words are translated
    ("*", "time_major"): _require(None, False, note="", message="must be false: the batch comes first"),
    ("*", "return_state"): _return_state,
    ("*", "interpolation"): _interpolation,
    **{
        (kind, "interpolation"): _keep
        for kind in ("Resizing", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomHeight", "RandomWidth")
    },
    **{(kind, "implementation"): _implementation for kind in LOCAL},
    **{(kind, "padding"): _local_padding for kind in LOCAL},
    **{
        (kind, name): _drop("Keras 3 chooses by itself; it computes the same")
        for kind in ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization")
        for name in ("fused", "synchronized")
    },
    **{
        (kind, name): _require(None, False, note="", message="must be null: Keras 3 has no such batches")
        for kind in ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2")
        for name in ("renorm", "virtual_batch_size", "adjustment")
    },
    **{
        (kind, name): _absorb("belongs to `renorm`, which is off")
        for kind in ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2")
        for name in ("renorm_clipping", "renorm_momentum")
    },
    **{
        (kind, "axis"): _axis
        for kind in (
            *("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"),
            *("LayerNormalization", "UnitNormalization", "Softmax"),
        )
    },
    **{(kind, "dtype"): _integer_dtype for kind in ("Hashing", "HashedCrossing", "Discretization", "CategoryEncoding")},
    ("Embedding", "input_length"): _absorb(OF_THE_INPUT),
    ("LeakyReLU", "alpha"): _rename("negative_slope"),
    ("ThresholdedReLU", "theta"): _theta,
    **{
        (kind, name): _noop_of_unused
        for kind in ("SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D")
        for name in ("kernel_initializer", "kernel_regularizer", "kernel_constraint", "filters")
        if not (kind.startswith("Separable") and name == "filters")
    },
    **{
        (kind, "groups"): _require(None, 1, note="is what this layer does", message="must be 1")
        for kind in (
            *("SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D", "ConvLSTM1D", "ConvLSTM2D"),
            *("ConvLSTM3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
        )
    },
    **{("MultiHeadAttention", f"{name}_shape"): _absorb(FOUND_ANEW) for name in ("query", "key", "value")},
    ("MultiHeadAttention", "softmax_robust_masking"): _absorb("matters to masked rows alone"),
    ("Softmax", "robust_masking"): _absorb("matters to masked rows alone"),
    ("Attention", "causal"): _require(None, False, note="", message="must be false"),
    ("AdditiveAttention", "causal"): _require(None, False, note="", message="must be false"),
    ("TimeDistributed", "layer"): _nested_layer,
    ("Bidirectional", "layer"): _nested_layer,
    ("Bidirectional", "backward_layer"): _nested_layer,
    ("Bidirectional", "merge_mode"): _merge_mode,
    ("SpectralNormalization", "layer"): _nested_layer,
    ("RNN", "cell"): _cell,
    ("RNN", "num_constants"): _require(None, 0, note="", message="must be 0"),
    ("Concatenate", "axis"): _axis,
}
FINISH: dict[str, Callable[[_Reading], None]] = {
    **dict.fromkeys(LOCAL, _keep_kernel_fans),
    "GRU": _reset_after,
}
