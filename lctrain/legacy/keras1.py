"""From the words of Keras 1.0 to 1.2 to those of Keras 2, layer by layer.

Source: the constructors and get_config methods of Keras 1.0.6 to 1.2.2.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lctrain.config.retired import CLASSES_OF_KERAS_1, GONE, MERGE_MODES, OF_THE_INPUT, OWN_NAMES, RENAMED, SIZES
from lctrain.legacy.issues import IssueCollector

DATA_FORMATS = {"tf": "channels_last", "th": "channels_first", "default": None}
WITHOUT_ORDERING = tuple(  # whose get_config left it out in some version
    f"{kind}{rank}D" for kind in ("UpSampling", "ZeroPadding", "Cropping") for rank in (2, 3)
)


def upgrade(
    class_name: str, config: Mapping[str, Any], orderings: frozenset[str], collector: IssueCollector
) -> tuple[str, dict[str, Any]]:
    """A layer's class and arguments in the words of Keras 2.

    Args:
        class_name: as Keras 1 wrote it.
        config: likewise.
        orderings: what the model's layers hold as their dim_ordering, where they do.
        collector: of the layer.

    What Keras 1 computes and Keras 2 does not is an obstacle.
    """
    if class_name in GONE:
        collector.unsupported("class_name", class_name, "must be a layer that Keras 3 still has")
    if class_name == "Merge":
        return _upgrade_merge(config, collector)
    new_class = CLASSES_OF_KERAS_1.get(class_name, class_name)
    if new_class != class_name:
        collector.translated("class_name", class_name, new_class)
    made: dict[str, Any] = {}
    for fields, name in SIZES.items():
        if all(field in config for field in fields):
            made[name] = [config[field] for field in fields]
            collector.translated(" x ".join(fields), made[name], name)
    consumed = {field for fields in SIZES for field in fields if all(one in config for one in fields)}
    names = RENAMED | OWN_NAMES.get(class_name, {})
    for field, value in config.items():
        if field in consumed:
            continue
        special = SPECIAL.get((class_name, field)) or SPECIAL.get(field)
        if special is not None:
            made |= special(field, value, collector)
        elif field in OF_THE_INPUT and field not in OWN_NAMES.get(class_name, {}):
            _note_input(field, value, collector)
        elif field in names and names[field] != field:
            collector.translated(field, value, names[field])
            collector.written[names[field]] = field
            made[names[field]] = value
        else:
            made[field] = value
    if new_class == "GRU":
        made["reset_after"] = False
    if new_class == "ConvLSTM2D" and "strides" not in made:
        collector.assumed("subsample", None, "1, as Keras 1 read it: it wrote none, whatever the layer had")
    if class_name in WITHOUT_ORDERING and "dim_ordering" not in config:
        made |= _find_ordering(orderings, collector)
    return new_class, made


def _find_ordering(orderings: frozenset[str], collector: IssueCollector) -> dict[str, Any]:
    """Keras 1 left it out for some layers; all that have it got it from the same setting."""
    if len(orderings) != 1:
        message = "is not written, and no other layer says it" if not orderings else "is not written, and others differ"
        collector.unsupported("dim_ordering", None, message)
        return {}
    (value,) = orderings
    collector.assumed("dim_ordering", None, f"data_format: {DATA_FORMATS[value]}, as the model's other layers say")
    return {"data_format": DATA_FORMATS[value]}


def _note_input(field: str, value: Any, collector: IssueCollector) -> None:
    if value is not None:
        collector.translated(field, value, "said by the shape of the model's input")


def _data_format(field: str, value: Any, collector: IssueCollector) -> dict[str, Any]:
    if value not in DATA_FORMATS:
        collector.unsupported(field, value, "must be tf or th")
        return {}
    collector.translated(field, value, f"data_format: {DATA_FORMATS[value]}")
    collector.written["data_format"] = field
    return {"data_format": DATA_FORMATS[value]}


def _consume_less(field: str, value: Any, collector: IssueCollector) -> dict[str, Any]:
    collector.translated(field, value, "how it was computed, never what; `gpu` stored the gates' arrays as one")
    return {field: value}


def _forget_bias(field: str, value: Any, collector: IssueCollector) -> dict[str, Any]:
    if value in ("one", "ones", "zero", "zeros"):
        collector.translated(field, value, f"unit_forget_bias: {str(value.startswith('one')).lower()}")
        return {"unit_forget_bias": value.startswith("one")}
    collector.approximated(field, value, "unit_forget_bias: true; how weights are born, not what they are now")
    return {}


def _mode(field: str, value: Any, collector: IssueCollector) -> dict[str, Any]:
    if value != 0:
        message = "must be 0, feature-wise with the moving averages; Keras 3 has no sample-wise one nor one by batch"
        collector.unsupported(field, value, f"{message} alone")
    else:
        collector.translated(field, value, "feature-wise, as BatchNormalization is today")
    return {}


def _embedding_dropout(field: str, value: Any, collector: IssueCollector) -> dict[str, Any]:
    if value:
        collector.dropped(field, value, "Keras 3's Embedding drops no rows; it acts in training alone")
    return {}


def _weights(field: str, value: Any, collector: IssueCollector) -> dict[str, Any]:
    if value is not None:
        collector.dropped(field, value, "initial arrays; the stored ones are taken")
    return {}


def _output_shape(field: str, value: Any, collector: IssueCollector) -> dict[str, Any]:
    """Deconvolution2D's, which follows from the other arguments; whether it does is seen from the shapes."""
    collector.translated(field, value, "follows from the input's shape, kernel_size, strides and padding")
    return {"legacy_output_shape": value}


def _margins(field: str, value: Any, collector: IssueCollector) -> dict[str, Any]:
    """Keras 1's paddings: one number per axis, or (before, after) by name or in a row."""
    if isinstance(value, Mapping):
        rows = ("top_pad", "bottom_pad") if "top_pad" in value else ()
        flat = [value.get(name, 0) for name in (*rows, "left_pad", "right_pad")]
        collector.translated(field, value, "(before, after) pairs")
        return {field: flat if len(flat) == 2 else [flat[:2], flat[2:]]}
    if isinstance(value, list) and len(value) == 4:
        collector.translated(field, value, "(before, after) pairs")
        return {field: [value[:2], value[2:]]}
    return {field: value}


SPECIAL: dict[Any, Callable[[str, Any, IssueCollector], dict[str, Any]]] = {
    "dim_ordering": _data_format,
    "consume_less": _consume_less,
    "forget_bias_init": _forget_bias,
    "weights": _weights,
    ("BatchNormalization", "mode"): _mode,
    ("Embedding", "dropout"): _embedding_dropout,
    ("Deconvolution2D", "output_shape"): _output_shape,
    ("ZeroPadding1D", "padding"): _margins,
    ("ZeroPadding2D", "padding"): _margins,
}


def _upgrade_merge(config: Mapping[str, Any], collector: IssueCollector) -> tuple[str, dict[str, Any]]:
    mode = config.get("mode", "sum")
    if config.get("mode_type", "raw") != "raw" or mode not in MERGE_MODES:
        message = f"must be one of {', '.join(MERGE_MODES)}; other modes are code"
        collector.unsupported("mode", mode, message)
        return "Add", {"name": config.get("name")}
    new_class = MERGE_MODES[mode]
    collector.translated("mode", mode, new_class)
    made: dict[str, Any] = {"name": config.get("name")}
    if new_class == "Concatenate":
        made["axis"] = config.get("concat_axis", -1)
        collector.translated("concat_axis", made["axis"], "axis")
    if new_class == "Dot":
        made["axes"] = _dot_axes(config.get("dot_axes", -1))
        collector.translated("dot_axes", config.get("dot_axes", -1), "axes")
        made["normalize"] = mode == "cos"
        made["legacy_cosine"] = mode == "cos"
    for field in ("output_shape", "output_mask", "arguments", "trainable", *OF_THE_INPUT):
        value = config.get(field)
        if field == "trainable" or not value or field in OF_THE_INPUT:
            continue
        collector.translated(field, value, "follows from the inputs")
    known = {
        *("name", "mode", "mode_type", "concat_axis", "dot_axes", "layers", "trainable", "output_shape"),
        *("output_shape_type", "output_mask", "output_mask_type", "arguments", "node_indices", "tensor_indices"),
        *OF_THE_INPUT,
    }
    for field in set(config) - known:
        collector.unsupported(field, config[field], "is not an argument of Merge")
    return new_class, made


def _dot_axes(value: Any) -> Any:
    """An axis, or one of each input: Keras 1 has lists of lists too."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(one, list) and len(one) == 1 for one in value):
        return [value[0][0], value[1][0]]
    return value
