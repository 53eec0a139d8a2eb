"""What becomes of single fields of layers of Keras 2 and tf.keras, where they are not taken as they stand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lctrain.config.allowlist import ClassEntry, require_class
from lctrain.config.layer_arguments import list_arguments
from lctrain.config.retired import RENAMED_IN_KERAS_3, SHAPES_OF_THE_INPUT
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.objects import is_own, translate_dtype
from lctrain.legacy.source import Source

Arguments = dict[str, Any]
LOCAL = ("LocallyConnected1D", "LocallyConnected2D")  # that Keras 2 has
TF_BILINEAR = (2, 3)  # from here on tf.keras' bilinear upsampling has half-pixel centres, as Keras 3's


@dataclass
class Reading:
    """One layer's fields on their way."""

    class_name: str
    config: Mapping[str, Any]
    source: Source
    collector: IssueCollector
    entry: ClassEntry
    spec: Arguments = field(default_factory=dict)


def report_origin(entry: Mapping[str, Any], collector: IssueCollector) -> None:
    """A layer that is somebody's own, by the name of one of Keras', is an obstacle."""
    if not is_own(entry):
        registered = entry.get("registered_name")
        got = registered if registered is not None else f"{entry.get('module')}.{entry.get('class_name')}"
        collector.unsupported(
            "registered_name", got, "must be of Keras' own classes; this one is somebody's, of the same name"
        )


# Each function below translates one field: from its reading, name and value to today's arguments.


def _absorb(note: str) -> Callable[[Reading, str, Any], Arguments]:
    def translate(reading: Reading, name: str, value: Any) -> Arguments:
        if value is not None:
            reading.collector.translated(name, value, note)
        return {}

    return translate


def _require(*allowed: Any, note: str, message: str) -> Callable[[Reading, str, Any], Arguments]:
    """A field that has no counterpart: it must have one of the values that today's layers compute by."""

    def translate(reading: Reading, name: str, value: Any) -> Arguments:
        if any(value == one and type(value) is type(one) for one in allowed):
            if value not in (None, False, 1):
                reading.collector.translated(name, value, note)
        else:
            reading.collector.unsupported(name, value, message)
        return {}

    return translate


def _drop(note: str) -> Callable[[Reading, str, Any], Arguments]:
    def translate(reading: Reading, name: str, value: Any) -> Arguments:
        if value is not None and value is not False:
            reading.collector.dropped(name, value, note)
        return {}

    return translate


def _rename(new_name: str) -> Callable[[Reading, str, Any], Arguments]:
    def translate(reading: Reading, name: str, value: Any) -> Arguments:
        reading.collector.translated(name, value, new_name)
        return {new_name: value}

    return translate


def _implementation(reading: Reading, name: str, value: Any) -> Arguments:
    """Of a local layer; how it is computed is chosen anew."""
    if reading.source.is_tf_keras and value in (1, 2, 3) and not isinstance(value, bool):
        reading.collector.translated(name, value, "auto: how it is computed, never what")
    elif value != 1:
        allowed = "1, 2 or 3" if reading.source.is_tf_keras else "1, the only one before tf.keras"
        reading.collector.unsupported(name, value, f"must be {allowed}")
    return {}


def _local_padding(reading: Reading, name: str, value: Any) -> Arguments:
    """tf.keras' own "same" pads kernel_size // 2 before; it is made explicit once the input's shape is known."""
    if isinstance(value, str) and value.lower() == "valid":
        return {name: "valid"}
    implementation = reading.config.get("implementation", 1)
    if value != "same" or not reading.source.is_tf_keras or implementation == 1:
        message = "must be valid; same exists in tf.keras' implementations 2 and 3"
        reading.collector.unsupported(name, value, message)
        return {name: "valid"}
    reading.collector.translated(name, value, "explicit zeros: kernel_size // 2 of them before, as tf.keras has them")
    return {name: "same"}


def _keep_kernel_fans(reading: Reading) -> None:
    """A local kernel's initializer, and constraints along its positions, act otherwise now; on training alone."""
    spec = reading.spec
    drawn = spec.get("kernel_initializer", {"type": "GlorotUniform"})["type"]
    if drawn.startswith(("Glorot", "He", "Lecun", "VarianceScaling")):
        if reading.source.keras_major == 2 and reading.config.get("implementation", 1) == 1:
            spec["kernel_fans"] = "legacy"
            note = "with kernel_fans: legacy, the variance that new weights were drawn with"
            reading.collector.translated("kernel_initializer", drawn, note)
        else:
            note = "fans of one position; the old ones were others. It matters to weights that are drawn anew"
            reading.collector.approximated("kernel_initializer", drawn, note)
    constraint = spec.get("kernel_constraint")
    if constraint and "axis" in require_class("constraints", constraint["type"]).arguments:
        message = "per position and filter; the old one ran over the stored kernel's axes. It acts in training alone"
        reading.collector.approximated("kernel_constraint", constraint["type"], message)
        spec["kernel_constraint"] = {key: part for key, part in constraint.items() if key != "axis"}


def _keep(reading: Reading, name: str, value: Any) -> Arguments:
    return {name: value}


def _axis(reading: Reading, name: str, value: Any) -> Arguments:
    """One axis where tf.keras writes a list of one."""
    if isinstance(value, list) and len(value) == 1:
        return {name: value[0]}
    if isinstance(value, list) and reading.entry.name == "BatchNormalization":
        reading.collector.unsupported(name, value, "must be one axis in Keras 3")
    return {name: value}


def _integer_dtype(reading: Reading, name: str, value: Any) -> Arguments:
    """Of layers that give integers, or one-hot rows, whatever the file holds."""
    return {} if value == "int64" else {name: translate_dtype(name, value, reading.collector)}


def _interpolation(reading: Reading, name: str, value: Any) -> Arguments:
    if value == "bilinear" and (not reading.source.is_tf_keras or reading.source.version[:2] < TF_BILINEAR):
        message = "must be nearest before tf.keras 2.3, whose bilinear one had no half-pixel centres"
        reading.collector.unsupported(name, value, message)
    return {name: value}


def _reset_after(reading: Reading) -> None:
    if "reset_after" not in reading.config:
        reading.collector.translated("reset_after", None, "false, as it was before the argument was there")
    reading.spec.setdefault("reset_after", False)


def _theta(reading: Reading, name: str, value: Any) -> Arguments:
    reading.collector.assumed(name, value, "threshold; no input equals it, which is kept now, and was set to 0")
    return {"threshold": value}


def _return_state(reading: Reading, name: str, value: Any) -> Arguments:
    if value:
        reading.collector.translated(name, value, "the states are not used by the model")
    return {}


def _noop_of_unused(reading: Reading, name: str, value: Any) -> Arguments:
    """Arguments of Conv that its separable and depthwise kin write and never use."""
    if value is not None:
        reading.collector.translated(name, value, "is not used by this layer")
    return {}


def _merge_mode(reading: Reading, name: str, value: Any) -> Arguments:
    if value is None:
        reading.collector.unsupported(name, value, "must be sum, mul, concat or ave; two outputs can't be wired")
    return {name: value}


HOW_COMPUTED = "says how it was computed, never what"
OF_THE_INPUT = "said by the shape of the model's input"
FOUND_ANEW = "is found from the shapes"
FIELDS_OF_LOCAL = {"chosen_anew": _implementation, "explicit_zeros": _local_padding}
FIELDS: dict[tuple[str, str], Callable[[Reading, str, Any], Arguments]] = {
    **{("*", name): _absorb(OF_THE_INPUT) for name in SHAPES_OF_THE_INPUT},
    ("*", "ragged"): _require(None, False, note="", message="must be false"),
    ("*", "sparse"): _require(None, False, note="", message="must be false"),
    ("*", "autocast"): _absorb(HOW_COMPUTED),
    ("*", "rng_type"): _absorb("says how noise is drawn in training"),
    ("*", "force_generator"): _absorb("says how noise is drawn in training"),
    ("*", "implementation"): _absorb(HOW_COMPUTED),
    ("*", "consume_less"): lambda *_: {},  # of Keras 1, reported where its words are translated
    ("*", "time_major"): _require(None, False, note="", message="must be false: the batch comes first"),
    ("*", "return_state"): _return_state,
    ("*", "interpolation"): _interpolation,
    **{
        (kind, "interpolation"): _keep
        for kind in ("Resizing", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomHeight", "RandomWidth")
    },
    **{
        (kind, row.name): FIELDS_OF_LOCAL[row.keras2]
        for kind in LOCAL
        for row in list_arguments(kind)
        if row.keras2 in FIELDS_OF_LOCAL
    },
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
    ("LeakyReLU", "alpha"): _rename(RENAMED_IN_KERAS_3["LeakyReLU", "alpha"]),
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
    ("Bidirectional", "merge_mode"): _merge_mode,
    ("RNN", "num_constants"): _require(None, 0, note="", message="must be 0"),
    ("Concatenate", "axis"): _axis,
}
FINISH: dict[str, Callable[[Reading], None]] = {
    **dict.fromkeys(LOCAL, _keep_kernel_fans),
    "GRU": _reset_after,
}
