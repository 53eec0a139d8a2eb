"""Today's layers in the words of Keras 2, as tf_keras reads them; what it computes otherwise is refused by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from lctrain import layers as own_layers
from lctrain.config.allowlist import classes
from lctrain.config.layer_arguments import list_arguments
from lctrain.config.retired import RENAMED_IN_KERAS_3
from lctrain.layers import OWN_ACTIVATIONS, BaseLocallyConnected
from lctrain.layers.sums import MERGES, find_use_shapes, misplaces_sum
from lctrain.legacy.errors import Obstacle
from lctrain.legacy.fields import LOCAL
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.old_weights import load_tf_keras_table
from lctrain.legacy.report import Report

OLD_NAMES = {(kind, new): old for (kind, old), new in RENAMED_IN_KERAS_3.items()}
ACTIVATIONS = {"legacy_hard_sigmoid": "hard_sigmoid", "silu": "swish"}
OTHERWISE = {"hard_sigmoid": "Keras 2 computes another function by this name"}
LOCAL_ARGUMENTS = ("name", "trainable", *(row.name for row in list_arguments(LOCAL[0]) if row.keras2 == "kept"))
NOT_THERE = {
    "SpectralNormalization": "must be a layer that Keras 2 has; tf_keras 2.21 fails to call this one",
    "RandomCrop": "must be a layer that computes the same in Keras 2; it crops outside of training too",
}
WHERE_TRUE = ("zero_output_for_mask",)  # arguments that Keras 2 writes where they are set alone
INPUTS = ("query", "value", "key")  # of MultiHeadAttention, whose shapes are part of its configuration there
# What an argument that Keras 2 lacks may be without being reported.
NO_LOSS: tuple[Any, ...] = (None, False, {}, [])


@dataclass
class OldLayer:
    """A layer in the words of Keras 2.

    Args:
        class_name: its class.
        config: its arguments.
        arrays: its weights in their order there, with their names.
        padding: of a local layer, as it was before zeros were put in front of it.
    """

    class_name: str
    config: dict[str, Any]
    arrays: list[tuple[str, np.ndarray]] = field(default_factory=list)
    padding: Any = "valid"

    def rename(self, name: str) -> None:
        """Gives the layer, and its arrays, a name."""
        self.config["name"] = name
        self.arrays = [(f"{name}/{old.partition('/')[2]}", array) for old, array in self.arrays]


def write_layer(layer: keras.layers.Layer, report: Report, obstacles: list[Obstacle]) -> list[OldLayer]:
    """The layers of Keras 2, one behind the other, that compute what a layer does: a padding may come first."""
    collector = IssueCollector(layer.name, report, obstacles)
    if isinstance(layer, BaseLocallyConnected):
        return write_local(layer, collector)
    if isinstance(layer, keras.layers.TimeDistributed) and isinstance(layer.layer, BaseLocallyConnected):
        made = write_local(layer.layer, collector.of(layer.layer.name))
        wrapped = [OldLayer("TimeDistributed", _wrap(one, layer, i), one.arrays) for i, one in enumerate(made)]
        wrapped[-1].config["name"] = layer.name
        return wrapped
    config = _write_config(type(layer).__name__, layer.get_config(), collector)
    _report_sum(layer, collector)
    if isinstance(layer, keras.layers.MultiHeadAttention):
        built = layer.get_build_config()["shapes_dict"]
        config |= {f"{name}_shape": list(built.get(f"{name}_shape") or built["value_shape"]) for name in INPUTS}
    return [OldLayer(type(layer).__name__, config, _name_arrays(layer))]


def _report_sum(layer: keras.layers.Layer, collector: IssueCollector) -> None:
    """What Keras 3 computes wrongly, and Keras 2 rightly, is an obstacle: see `lctrain.config.misplaced_sums`."""
    name = type(layer).__name__
    if not misplaces_sum(layer):
        return
    if name in MERGES and all(reads[0][0] is None for reads, _ in find_use_shapes(layer)):
        collector.translated("class_name", name, f"{name}; in some batches, as of one example, Keras 3.15 adds wrongly")
        return
    message = "must be built by lctrain, of `lctrain.model_to_config(model)`: Keras 3.15 adds along another axis here"
    collector.unsupported("class_name", name, message)


def _wrap(one: OldLayer, layer: keras.layers.Layer, number: int) -> dict[str, Any]:
    inner = {"class_name": one.class_name, "config": one.config}
    return {"name": f"{layer.name}_{number}", "trainable": layer.trainable, "dtype": "float32", "layer": inner}


def _write_config(class_name: str, config: Mapping[str, Any], collector: IssueCollector) -> dict[str, Any]:
    arguments = load_tf_keras_table()["layers"].get(class_name, load_tf_keras_table()["cells"].get(class_name))
    if arguments is None or class_name in NOT_THERE:
        collector.unsupported("class_name", class_name, NOT_THERE.get(class_name, "must be a layer that Keras 2 has"))
        return {"name": config.get("name")}
    defaults = {**classes("layers"), **classes("cells")}[class_name].optional
    made = {}
    for name, value in config.items():
        new_name = OLD_NAMES.get((class_name, name), name)
        if name in ("layer", "backward_layer", "cell"):
            made[name] = _write_nested(value, collector)
        elif name == "cells":
            made[name] = [_write_nested(one, collector) for one in value]
        elif name == "dtype":
            made[name] = write_dtype(value, collector)
        elif name in WHERE_TRUE and value is False:
            continue
        elif new_name in arguments or name in ("name", "trainable"):
            made[new_name] = write_value(name, value, collector)
        elif not any(
            value == one and type(value) is type(one) for one in (*NO_LOSS, defaults.get(name), "channels_last")
        ):
            if name == "seed" or value == 0 or class_name.startswith("Random"):
                collector.dropped(name, value, "Keras 2 has no such argument; it acts in training alone")
            elif name not in ("renorm_momentum", "value_dim"):
                collector.unsupported(name, value, f"is not an argument of Keras 2's {class_name}")
    if class_name == "Bidirectional":
        _drop_mirrored(made)
    return made


def _drop_mirrored(config: dict[str, Any]) -> None:
    """Leaves out the backward layer where Keras 2 makes the same of the forward one."""
    forward, backward = config["layer"]["config"], (config.get("backward_layer") or {}).get("config")
    if backward is None:
        config.pop("backward_layer", None)
        return
    turned = {**forward, "name": None, "go_backwards": not forward.get("go_backwards", False)}
    if turned == {**backward, "name": None}:
        del config["backward_layer"]


def _write_nested(value: Any, collector: IssueCollector) -> Any:
    if not isinstance(value, Mapping):
        return value
    name = value["class_name"]
    if name.startswith(("LocallyConnected", "LowRank")):
        collector.unsupported("layer", name, "must stand by itself or in TimeDistributed")
        return None
    inner = collector.of(value["config"].get("name", name))
    return {"class_name": name, "config": _write_config(name, value["config"], inner)}


def write_value(name: str, value: Any, collector: IssueCollector) -> Any:
    """An argument's value: objects by class and arguments, activations by their names there."""
    kind = name.rpartition("_")[2]
    if kind == "activation":
        return _write_activation(name, value, collector)
    if kind in ("initializer", "regularizer", "constraint") and isinstance(value, Mapping):
        class_name = value["class_name"]
        if class_name not in load_tf_keras_table()[f"{kind}s"] or not str(value.get("module")).startswith("keras"):
            if kind == "initializer":
                collector.dropped(name, class_name, "Keras 2 has no such initializer; the weights are given")
                return {"class_name": "Zeros", "config": {}}
            collector.dropped(name, class_name, f"Keras 2 has no such {kind}; it acts in training alone")
            return None
        config = {key: part for key, part in value["config"].items() if key not in ("input_axes", "output_axes")}
        config = {key: None if key == "seed" and isinstance(part, Mapping) else part for key, part in config.items()}
        return {"class_name": class_name, "config": config}
    if isinstance(value, Mapping):
        collector.unsupported(name, value.get("class_name", value), "must be a plain value")
    return value


def _write_activation(name: str, value: Any, collector: IssueCollector) -> Any:
    if isinstance(value, Mapping):
        package, _, own = str(value.get("config")).partition(">")
        value = own if package == "lctrain" and own in OWN_ACTIVATIONS else value
    if isinstance(value, str) and value in OTHERWISE:
        collector.unsupported(name, value, OTHERWISE[value])
        return value
    new = ACTIVATIONS.get(value, value) if isinstance(value, str) else None
    if new not in load_tf_keras_table()["activations"]:
        collector.unsupported(name, value, "must be one of Keras 2's activations")
    elif new != value:
        collector.translated(name, value, str(new))
    return new


def write_dtype(value: Any, collector: IssueCollector) -> Any:
    """A dtype policy: its name, or what Keras 2 writes of a mixed one."""
    name = value["config"]["name"] if isinstance(value, Mapping) else value
    if str(name).startswith("mixed"):
        return {"class_name": "Policy", "config": {"name": name}}
    if name not in ("float32", "float64", "float16", "bfloat16"):
        collector.unsupported("dtype", name, "must be a dtype policy that Keras 2 has")
    return name


def _name_arrays(layer: keras.layers.Layer) -> list[tuple[str, np.ndarray]]:
    """The weights under names that Keras 2 gives them: the layer's, those of the layers in it, and their own."""
    from lctrain.legacy.loading import stored_variables

    named: dict[str, np.ndarray] = {}
    for variable in stored_variables(layer):
        inner = variable.path.split("/")
        inner = inner[inner.index(layer.name) + 1 :] if layer.name in inner else inner[-1:]
        name = "/".join([layer.name, *inner])
        while f"{name}:0" in named:
            name += "_"
        named[f"{name}:0"] = keras.ops.convert_to_numpy(variable)
    return list(named.items())


def write_local(layer: BaseLocallyConnected, collector: IssueCollector) -> list[OldLayer]:
    """A locally connected layer as implementation 1 with padding valid, behind the zeros that it needs."""
    window, name, num_obstacles = layer.window, layer.name, len(collector.obstacles)
    if type(layer).__name__ not in LOCAL:
        collector.unsupported("class_name", type(layer).__name__, f"must be {' or '.join(LOCAL)} in Keras 2")
    own_class = f"LocallyConnected{layer.rank}D"
    default = getattr(own_layers, own_class)(filters=1, kernel_size=1)
    for row in list_arguments(own_class):
        value, allowed = getattr(layer, row.name), getattr(default, row.name)
        if row.keras2 == "absent" and value != allowed:
            collector.unsupported(row.name, value, f"must be {allowed} in Keras 2")
    if layer.padding in ("circular", "reflect"):
        collector.unsupported("padding", layer.padding, "must be valid, same, causal or zeros in Keras 2")
    if len(collector.obstacles) > num_obstacles:
        return [OldLayer(type(layer).__name__, {"name": name})]
    config = layer.get_config()
    made = {key: write_value(key, config[key], collector) for key in LOCAL_ARGUMENTS}
    made |= {"padding": "valid", "implementation": 1, "use_bias": bool(layer.use_bias)}
    made["dtype"] = write_dtype(config["dtype"], collector)
    collector.translated("implementation", layer.implementation, "1, whose layout the kernel has")
    _report_training_differences(layer, config, collector)
    arrays = [(f"{name}/kernel:0", _to_rows(layer))]
    if layer.use_bias:
        arrays.append((f"{name}/bias:0", _to_bias(layer)))
        if layer.use_bias == "shared":
            collector.translated("use_bias", "shared", "true: a copy at each position")
    margins = window.margins
    if not any(map(any, margins)):
        return [OldLayer(type(layer).__name__, made, arrays)]
    collector.translated("padding", layer.padding, f"ZeroPadding{layer.rank}D of {margins}, then valid")
    return [*_write_zeros(layer, margins), OldLayer(type(layer).__name__, made, arrays, layer.padding)]


def _report_training_differences(
    layer: BaseLocallyConnected, config: Mapping[str, Any], collector: IssueCollector
) -> None:
    """What acts otherwise there, in training alone."""
    if layer.kernel_fans != "legacy":
        collector.approximated("kernel_fans", layer.kernel_fans, "legacy; it matters to weights that are drawn anew")
    if config["kernel_constraint"] is not None and "axis" in config["kernel_constraint"]["config"]:
        message = "along the stored kernel's axis; here it is per position and filter"
        collector.approximated("kernel_constraint", config["kernel_constraint"]["class_name"], message)


def _write_zeros(layer: BaseLocallyConnected, margins: Sequence[tuple[int, int]]) -> list[OldLayer]:
    """The zeros around a local layer's input; Keras 2's ZeroPadding1D knows channels_last alone."""
    base = {"trainable": True, "dtype": "float32"}
    name = f"{layer.name}_padding"
    if layer.rank == 2:
        config = {**base, "name": name, "padding": [list(pair) for pair in margins], "data_format": layer.data_format}
        return [OldLayer("ZeroPadding2D", config)]
    zeros = OldLayer("ZeroPadding1D", {**base, "name": name, "padding": list(margins[0])})
    if layer.data_format == "channels_last":
        return [zeros]
    before, after = (
        {**base, "name": f"{layer.name}_{which}", "dims": [2, 1]} for which in ("steps_first", "steps_last")
    )
    return [OldLayer("Permute", before), zeros, OldLayer("Permute", after)]


def _to_rows(layer: BaseLocallyConnected) -> np.ndarray:
    """The kernel as implementation 1 stores it: under channels_first its rows are channels, then taps."""
    kernel: np.ndarray = keras.ops.convert_to_numpy(layer.kernel)
    if layer.window.live_taps is not None:  # taps on zeros compute nothing, whatever their weights are
        live = np.repeat(layer.window.live_taps, kernel.shape[1] // layer.window.num_taps, axis=1)
        kernel = kernel * live[..., None]
    if layer.data_format == "channels_last":
        return kernel
    positions, rows, filters = kernel.shape
    parts = kernel.reshape(positions, layer.window.num_taps, rows // layer.window.num_taps, filters)
    return np.ascontiguousarray(parts.transpose(0, 2, 1, 3)).reshape(positions, rows, filters)


def _to_bias(layer: BaseLocallyConnected) -> np.ndarray:
    """The bias as every version stores it: under channels_first reshaped, not moved."""
    shape = (*layer.window.output_spatial, layer.filters)
    bias = np.broadcast_to(keras.ops.convert_to_numpy(layer.bias), shape)
    if layer.data_format == "channels_last":
        return np.ascontiguousarray(bias)
    return np.ascontiguousarray(np.moveaxis(bias, -1, 0)).reshape(shape)
