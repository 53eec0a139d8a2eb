"""Files as Keras 1.0 to 2.3 wrote them: documented fields of each layer by version, recorders of models, writers.

A layer of a recorded model holds what the file says of it, its weights in the file's names, order and layout, and a
NumPy function that tells what it computed.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

KERAS_1 = "name trainable"
OF_W = "init activation W_regularizer b_regularizer activity_regularizer W_constraint b_constraint bias@1.0.4"
OF_CONV = f"nb_filter nb_row nb_col border_mode subsample dim_ordering {OF_W}"
OF_CONV_1D = f"nb_filter filter_length border_mode subsample_length {OF_W} input_dim input_length"
OF_POOL_1D, OF_POOL = "stride pool_length border_mode", "pool_size border_mode strides dim_ordering"
OF_RNN_1 = "output_dim init inner_init activation W_regularizer U_regularizer b_regularizer dropout_W dropout_U"
OF_RNN_1 += " return_sequences go_backwards stateful unroll consume_less input_dim input_length"
FIELDS_1 = {  # class@since: its fields@since beside KERAS_1, as get_config of Keras 1.0.0 to 1.2.2 lists them
    "InputLayer": "batch_input_shape input_dtype sparse@1.1.0",
    "Dense": f"output_dim {OF_W} input_dim",
    "TimeDistributedDense": f"output_dim {OF_W} input_dim input_length",
    "Activation": "activation",
    "Dropout": "p",
    "SpatialDropout1D@1.1.2": "p",
    "SpatialDropout2D@1.0.8": "p",
    "SpatialDropout3D@1.0.8": "p",
    "Flatten": "",
    "Reshape": "target_shape",
    "Permute": "dims",
    "RepeatVector": "n",
    "ActivityRegularization": "l1 l2",
    "Masking": "mask_value",
    "Convolution1D": OF_CONV_1D,
    "AtrousConvolution1D@1.1.0": f"{OF_CONV_1D} atrous_rate",
    "Convolution2D": OF_CONV,
    "AtrousConvolution2D@1.0.6": f"{OF_CONV} atrous_rate",
    "Deconvolution2D@1.0.7": f"{OF_CONV} output_shape",
    "SeparableConvolution2D@1.0.6": "nb_filter nb_row nb_col init activation border_mode subsample depth_multiplier "
    "dim_ordering depthwise_regularizer pointwise_regularizer b_regularizer activity_regularizer depthwise_constraint "
    "pointwise_constraint b_constraint bias",
    "Convolution3D": f"nb_filter kernel_dim1 kernel_dim2 kernel_dim3 border_mode subsample dim_ordering {OF_W}",
    "LocallyConnected1D@1.0.6": OF_CONV_1D,
    "LocallyConnected2D@1.0.6": OF_CONV,
    "UpSampling1D": "length",
    **dict.fromkeys(["UpSampling2D", "UpSampling3D"], "size"),
    **dict.fromkeys(["ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"], "padding"),
    **dict.fromkeys(["Cropping1D@1.0.8", "Cropping2D@1.0.8", "Cropping3D@1.0.8"], "cropping"),
    **dict.fromkeys(["MaxPooling1D", "AveragePooling1D"], OF_POOL_1D),
    **dict.fromkeys(["MaxPooling2D", "AveragePooling2D", "MaxPooling3D", "AveragePooling3D"], OF_POOL),
    **dict.fromkeys(["GlobalMaxPooling1D@1.1.0", "GlobalAveragePooling1D@1.1.0"], ""),
    **dict.fromkeys(["GlobalMaxPooling2D@1.1.0", "GlobalAveragePooling2D@1.1.0"], "dim_ordering"),
    **dict.fromkeys(["GlobalMaxPooling3D@1.1.2", "GlobalAveragePooling3D@1.1.2"], "dim_ordering"),
    "SimpleRNN": OF_RNN_1,
    "LSTM": f"{OF_RNN_1} forget_bias_init inner_activation",
    "GRU": f"{OF_RNN_1} inner_activation",
    "ConvLSTM2D@1.1.2": "nb_filter nb_row nb_col init inner_init forget_bias_init activation dim_ordering border_mode "
    "inner_activation return_sequences go_backwards stateful",
    "Embedding": "input_dim output_dim init input_length mask_zero activity_regularizer W_regularizer W_constraint "
    "dropout",
    "BatchNormalization": "epsilon mode axis momentum gamma_regularizer@1.1.0 beta_regularizer@1.1.0",
    **dict.fromkeys(["LeakyReLU", "ELU"], "alpha"),
    "PReLU": "init",
    "ThresholdedReLU": "theta",
    "GaussianNoise": "sigma",
    "GaussianDropout": "p",
    "Merge": "mode mode_type concat_axis dot_axes output_shape output_shape_type output_mask@1.1.2 "
    "output_mask_type@1.1.2 arguments@1.1.2",
    "TimeDistributed": "layer",
    "Bidirectional@1.0.8": "layer merge_mode",
}

OF_KERNEL = "kernel_initializer bias_initializer kernel_regularizer bias_regularizer activity_regularizer "
OF_KERNEL += "kernel_constraint bias_constraint"
OF_CONV_2 = f"filters kernel_size strides padding activation use_bias {OF_KERNEL}"
OF_DEPTHWISE = "depth_multiplier depthwise_initializer depthwise_regularizer depthwise_constraint"
OF_SEPARABLE = f"filters kernel_size strides padding data_format dilation_rate activation use_bias {OF_DEPTHWISE} "
OF_SEPARABLE += "bias_initializer bias_regularizer activity_regularizer bias_constraint "
OF_SEPARABLE += "pointwise_initializer pointwise_regularizer pointwise_constraint"
OF_RNN_2 = f"activation use_bias {OF_KERNEL} recurrent_initializer recurrent_regularizer recurrent_constraint dropout "
OF_RNN_2 += "recurrent_dropout return_sequences return_state@2.0.9 go_backwards stateful unroll"
FIELDS_2 = {  # the same of Keras 2.0.0 to 2.3.1; `field<version` was there before it only
    "InputLayer": "batch_input_shape dtype sparse",
    "Dense": f"units activation use_bias {OF_KERNEL}",
    "Activation": "activation",
    "Dropout": "rate noise_shape@2.0.9 seed@2.0.9",
    **dict.fromkeys(["SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"], "rate noise_shape@2.0.9 seed@2.0.9"),
    "Flatten": "data_format@2.1.6",
    "Reshape": "target_shape",
    "Permute": "dims",
    "RepeatVector": "n",
    "ActivityRegularization": "l1 l2",
    "Masking": "mask_value",
    "Conv1D": f"{OF_CONV_2} data_format@2.2.2 dilation_rate",
    **dict.fromkeys(["Conv2D", "Conv3D"], f"{OF_CONV_2} data_format dilation_rate"),
    "Conv2DTranspose": f"{OF_CONV_2} data_format output_padding@2.2.2 dilation_rate@2.2.3",
    "Conv3DTranspose@2.0.9": f"{OF_CONV_2} data_format output_padding@2.2.2",
    "SeparableConv2D": OF_SEPARABLE,
    "SeparableConv1D@2.1.6": OF_SEPARABLE,
    "DepthwiseConv2D@2.1.6": f"kernel_size strides padding data_format dilation_rate activation use_bias "
    f"{OF_DEPTHWISE} bias_initializer bias_regularizer activity_regularizer bias_constraint",
    "LocallyConnected1D": OF_CONV_2,
    "LocallyConnected2D": f"{OF_CONV_2} data_format",
    "UpSampling1D": "size",
    "UpSampling2D": "size data_format interpolation@2.2.3",
    "UpSampling3D": "size data_format",
    "ZeroPadding1D": "padding",
    **dict.fromkeys(["ZeroPadding2D", "ZeroPadding3D"], "padding data_format"),
    "Cropping1D": "cropping",
    **dict.fromkeys(["Cropping2D", "Cropping3D"], "cropping data_format"),
    **dict.fromkeys(["MaxPooling1D", "AveragePooling1D"], "pool_size strides padding data_format@2.2.3"),
    **dict.fromkeys(["MaxPooling2D", "AveragePooling2D"], "pool_size strides padding data_format"),
    **dict.fromkeys(["MaxPooling3D", "AveragePooling3D"], "pool_size strides padding data_format"),
    **dict.fromkeys(["GlobalMaxPooling1D", "GlobalAveragePooling1D"], "data_format@2.2.3"),
    **dict.fromkeys(["GlobalMaxPooling2D", "GlobalAveragePooling2D"], "data_format"),
    **dict.fromkeys(["GlobalMaxPooling3D", "GlobalAveragePooling3D"], "data_format"),
    "SimpleRNN": f"units {OF_RNN_2} implementation<2.0.9",
    "LSTM": f"units {OF_RNN_2} recurrent_activation unit_forget_bias implementation",
    "GRU": f"units {OF_RNN_2} recurrent_activation implementation reset_after@2.1.6",
    "ConvLSTM2D": f"filters kernel_size strides padding data_format dilation_rate {OF_RNN_2} recurrent_activation "
    "unit_forget_bias implementation<2.1.6",
    "Embedding": "input_dim output_dim embeddings_initializer embeddings_regularizer activity_regularizer "
    "embeddings_constraint mask_zero input_length",
    "BatchNormalization": "axis momentum epsilon center scale beta_initializer gamma_initializer "
    "moving_mean_initializer moving_variance_initializer beta_regularizer gamma_regularizer beta_constraint "
    "gamma_constraint",
    **dict.fromkeys(["LeakyReLU", "ELU"], "alpha"),
    "PReLU": "alpha_initializer alpha_regularizer alpha_constraint shared_axes",
    "ThresholdedReLU": "theta",
    "Softmax@2.1.6": "axis",
    "ReLU@2.2.2": "max_value negative_slope@2.2.3 threshold@2.2.3",
    "GaussianNoise": "stddev",
    "GaussianDropout": "rate",
    "AlphaDropout@2.0.9": "rate",
    **dict.fromkeys(["Add", "Multiply", "Average", "Maximum", "Subtract@2.0.9", "Minimum@2.0.9"], ""),
    "Concatenate": "axis",
    "Dot": "axes normalize",
    "TimeDistributed": "layer",
    "Bidirectional": "layer merge_mode",
}
NO_TRAINABLE = ("InputLayer", "Merge")  # their configs of Keras 1, and that of InputLayer of Keras 2, have a name alone


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def existed(entry: str, version: str) -> bool:
    """Whether `name`, `name@since` or `name<until` was there in a version.

    >>> existed("bias@1.0.4", "1.0.0"), existed("implementation<2.0.9", "2.0.0"), existed("name", "2.3.1")
    (False, True, True)
    """
    if "<" in entry:
        return number(version) < number(entry.split("<")[1])
    return "@" not in entry or number(version) >= number(entry.split("@")[1])


def documented(version: str) -> dict[str, tuple[str, ...]]:
    """The layers of a version of Keras, each with the fields of its config."""
    found = {}
    for entry, fields in (FIELDS_1 if version < "2" else FIELDS_2).items():
        name = entry.split("@")[0]
        common = ["name"] if name in NO_TRAINABLE else ["name", "trainable"]
        common += ["dtype"] if version >= "2.2.5" and name != "InputLayer" else []
        if existed(entry, version):
            names = [one.split("@")[0].split("<")[0] for one in fields.split() if existed(one, version)]
            found[name] = (*common, *names)
    return found


def penalty(version: str, kind: str = "Weight", **values: float) -> dict[str, Any]:
    """A regularizer as a version writes it."""
    values = {"l1": 0.0, "l2": 0.0, **values}
    if version >= "2":
        return {"class_name": "L1L2", "config": values}
    return {"name": "L1L2Regularizer" if version >= "1.2" else f"{kind}Regularizer", **values}


def limit(version: str, name: str, **values: Any) -> dict[str, Any]:
    """A constraint as a version writes it."""
    return {"class_name": name, "config": values} if version >= "2" else {"name": name, **values}


def initializer(name: str, **values: Any) -> dict[str, Any]:
    return {"class_name": name, "config": values}


def scaling(scale: float = 1.0, mode: str = "fan_avg", distribution: str = "uniform") -> dict[str, Any]:
    return initializer("VarianceScaling", scale=scale, mode=mode, distribution=distribution, seed=None)


ZEROS, ONES = initializer("Zeros"), initializer("Ones")
USUAL = {  # what fields hold where nothing is given, by name
    "trainable": True,
    "dtype": "float32",
    "sparse": False,
    "activation": "linear",
    **dict.fromkeys(["bias", "use_bias", "center", "scale", "unit_forget_bias"], True),
    **dict.fromkeys(["border_mode", "padding"], "valid"),
    **dict.fromkeys(["subsample_length", "depth_multiplier", "atrous_rate"], 1),
    **dict.fromkeys(["input_dim", "input_length", "noise_shape", "seed", "output_padding", "shared_axes"], None),
    **dict.fromkeys(["return_sequences", "return_state", "go_backwards", "stateful", "unroll", "mask_zero"], False),
    **dict.fromkeys(["dropout", "dropout_W", "dropout_U", "recurrent_dropout"], 0.0),
    **dict.fromkeys(["output_shape", "output_mask"], None),
    **dict.fromkeys(["mode_type", "output_shape_type", "output_mask_type"], "raw"),
    **{"arguments": {}, "concat_axis": -1, "dot_axes": -1, "mask_value": 0.0, "momentum": 0.99, "l1": 0.0, "l2": 0.0},
    **{"inner_activation": "hard_sigmoid", "recurrent_activation": "hard_sigmoid", "consume_less": "cpu"},
    **{"interpolation": "nearest", "normalize": False, "reset_after": False, "max_value": None},
    **{"negative_slope": 0.0, "threshold": 0.0, "axis": -1, "axes": -1},
    **dict.fromkeys(["init", "forget_bias_init", "inner_init"], None),  # by class, below
}
INITS = {"init": "glorot_uniform", "inner_init": "orthogonal", "forget_bias_init": "one"}
INITIALIZERS = {
    **dict.fromkeys(["kernel", "depthwise", "pointwise"], scaling()),
    "recurrent": initializer("Orthogonal", gain=1.0, seed=None),
    "embeddings": initializer("RandomUniform", minval=-0.05, maxval=0.05, seed=None),
    **dict.fromkeys(["gamma", "moving_variance"], ONES),
    **dict.fromkeys(["bias", "beta", "moving_mean", "alpha"], ZEROS),
}


def usual(name: str, version: str) -> Any:
    """What a field holds where a model's author said nothing."""
    if name.endswith("_initializer"):
        return INITIALIZERS[name.removesuffix("_initializer")]
    if name.endswith(("_regularizer", "_constraint")):
        return None
    if name == "implementation":
        return 0 if version < "2.1" else 1
    return INITS.get(name, USUAL.get(name))


def unusual(name: str, version: str) -> Any:
    """Another legal value of a field that no prediction depends on, or None where a field isn't such."""
    if name.endswith("activity_regularizer"):
        return penalty(version, "Activity", l1=0.03125)
    if name.endswith("_regularizer"):
        return penalty(version, l1=0.125 if name[0] in "Wkd" else 0.0, l2=0.25)
    if name in ("b_constraint", "bias_constraint", "alpha_constraint", "beta_constraint"):
        return limit(version, "NonNeg")
    if name.endswith("_constraint"):
        return limit(version, "UnitNorm", axis=0) if name[0] in "pg" else most(version)
    others = {"depthwise": scaling(2.0, "fan_in", "normal"), "pointwise": initializer("Constant", value=0.5)}
    others |= {"kernel": scaling(2.0, "fan_in", "normal"), "recurrent": scaling(0.5, "fan_in")}
    others |= {"bias": initializer("RandomNormal", mean=0.0, stddev=0.5, seed=3), "embeddings": scaling(1.0, "fan_out")}
    if name.endswith("_initializer"):
        noise = initializer("TruncatedNormal", mean=0.0, stddev=0.25, seed=None)
        return others.get(name.removesuffix("_initializer"), noise)
    plain = {"init": "he_normal", "inner_init": "identity", "forget_bias_init": "zero", "unit_forget_bias": False}
    plain |= dict.fromkeys(["dropout", "dropout_W", "dropout_U", "recurrent_dropout"], 0.25)
    plain |= {
        "momentum": 0.75,
        "consume_less": "mem",
        "unroll": True,
        "trainable": False,
        "seed": 5,
        "implementation": 2,
    }
    return plain.get(name)


def most(version: str) -> dict[str, Any]:
    """A bound of norms as a version spells it."""
    if version >= "2":
        return limit(version, "MinMaxNorm", min_value=0.25, max_value=2.0, rate=0.5, axis=0)
    if version >= "1.2":
        return limit(version, "MinMaxNorm", low=0.25, high=2.0, rate=0.5, axis=0)
    return limit(version, "MaxNorm", m=2, axis=0)


@dataclass
class Layer:
    """One layer of a file.

    Args:
        weights: by the names that the file gives them, as it stores them, in its order.
        num_trainable: how many of them are trained; None is all.
        forward: the layer's inputs to its output, as arrays.
    """

    class_name: str
    config: Any
    forward: Callable[..., np.ndarray]
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    num_trainable: int | None = None
    name: str = ""

    def __post_init__(self):
        self.name = self.name or self.config["name"]

    @property
    def described(self) -> dict[str, Any]:
        return {"class_name": self.class_name, "config": self.config}


class Author:
    """Makes the layers of one file: counts their names, draws their weights, spells their configs.

    Args:
        version: of Keras.
        first: whether channels come first (`th`, `channels_first`).
        backend: `"theano"` convolves with kernels turned by 180 degrees.
        decorated: whether fields that don't matter for predictions hold unusual values.
    """

    def __init__(self, version: str, first: bool = False, backend: str = "tensorflow", decorated: bool = False):
        self.version, self.first, self.backend, self.decorated = version, first, backend, decorated
        self.fields = documented(version)
        self.is_keras_1 = version < "2"
        self.generator = np.random.default_rng([len(version), first, decorated])
        self.counts: dict[str, int] = {}

    def draw(self, *shape: int) -> np.ndarray:
        """Random numbers, none of them small, as a file stores them."""
        signs = self.generator.choice([-1, 1], shape)
        return (signs * self.generator.uniform(0.1, 0.6, shape)).astype(np.float32)

    def has(self, class_name: str, field_name: str | None = None) -> bool:
        return class_name in self.fields and (field_name is None or field_name in self.fields[class_name])

    def new_name(self, class_name: str) -> str:
        snake = class_name.lower() if self.is_keras_1 else to_snake_case(class_name)
        self.counts[snake] = self.counts.get(snake, 0) + 1
        return f"{snake}_{self.counts[snake]}"

    def make(
        self,
        class_name: str,
        forward: Callable[..., np.ndarray],
        weights: dict[str, np.ndarray] | None = None,
        /,
        num_trainable: int | None = None,
        **given: Any,
    ) -> Layer:
        """A layer with all the fields that this version documents; `given` says what isn't usual."""
        name = given.pop("name", None) or self.new_name(class_name)
        batch_input = {key: given.pop(key) for key in ("batch_input_shape", "input_dtype", "dtype") if key in given}
        if class_name == "InputLayer":
            given, batch_input = {**given, **batch_input}, {}
        unknown = set(given) - set(self.fields[class_name])
        assert not unknown, (class_name, unknown)
        config = {key: self.choose(key, class_name, given) for key in self.fields[class_name]}
        stored = {self.weight_name(name, key): array for key, array in (weights or {}).items()}
        return Layer(class_name, {**config, **batch_input, "name": name}, forward, stored, num_trainable)

    def choose(self, key: str, class_name: str, given: dict[str, Any]) -> Any:
        if key in given:
            return given[key]
        other = unusual(key, self.version) if self.decorated and class_name != "InputLayer" else None
        return usual(key, self.version) if other is None else other

    def weight_name(self, layer: str, key: str) -> str:
        """`dense_1_W` of Keras 1, `dense_1/kernel` of Keras 2, with TensorFlow's `:0`."""
        joined = f"{layer}_{key}" if self.is_keras_1 else f"{layer}/{key}"
        return joined + (":0" if self.backend == "tensorflow" else "")


def to_snake_case(name: str) -> str:
    """Keras 2's own: `Conv2DTranspose` is `conv2d_transpose`, `LSTM` is `lstm`.

    >>> [to_snake_case(name) for name in ("Conv2DTranspose", "LSTM", "LocallyConnected1D", "TimeDistributed")]
    ['conv2d_transpose', 'lstm', 'locally_connected1d', 'time_distributed']
    """
    words = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()


@dataclass
class Graph:
    """A functional model: its layers in topological order, each with its inputs, by name.

    Args:
        calls: for each layer the sources of each of its calls; a shared layer has several.
        first_index: by layer, the node index of its first call, as references to it count.
    """

    author: Author
    name: str = "model_1"
    layers: list[Layer] = field(default_factory=list)
    calls: dict[str, list[list[tuple[str, int]]]] = field(default_factory=dict)
    outputs: list[tuple[str, int]] = field(default_factory=list)
    first_index: dict[str, int] = field(default_factory=dict)

    def input(self, name: str, *shape: int, dtype: str = "float32") -> str:
        key = "input_dtype" if self.author.is_keras_1 else "dtype"
        layer = self.author.make("InputLayer", lambda x: x, name=name, batch_input_shape=[None, *shape], **{key: dtype})
        self.layers.append(layer)
        self.calls[name] = []
        return name

    def add(self, layer: Layer, *sources: str | tuple[str, int], output: bool = True) -> str:
        """Calls a layer; a second call of the same one shares it."""
        if layer.name not in self.calls:
            self.layers.append(layer)
        calls = self.calls.setdefault(layer.name, [])
        calls.append([(source, 0) if isinstance(source, str) else source for source in sources])
        if output:
            self.outputs.append((layer.name, len(calls) - 1))
        return layer.name

    @property
    def inputs(self) -> list[str]:
        return [layer.name for layer in self.layers if layer.class_name == "InputLayer"]

    @property
    def config(self) -> dict[str, Any]:
        more = [] if self.author.is_keras_1 else [{}]

        def refer(name: str, call: int) -> list[Any]:
            return [name, call + self.first_index.get(name, 0), 0]

        layers = [
            {
                "name": layer.name,
                **layer.described,
                "inbound_nodes": [[[*refer(*source), *more] for source in call] for call in self.calls[layer.name]],
            }
            for layer in self.layers
        ]
        ends = {"input_layers": [refer(name, 0) for name in self.inputs]}
        return {"name": self.name, "layers": layers, **ends, "output_layers": [refer(*end) for end in self.outputs]}

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs, by the oracle, in float64."""
        done = {(name, 0): np.asarray(array, float) for name, array in zip(self.inputs, arrays, strict=True)}
        for layer in self.layers:
            for number_of_call, call in enumerate(self.calls[layer.name]):
                done[layer.name, number_of_call] = layer.forward(*(done[source] for source in call))
        return [done[output] for output in self.outputs]

    def as_layer(self, name: str | None = None) -> Layer:
        """This model as one layer of another."""
        return nest("Model", name or self.name, self.config, self.layers, lambda *arrays: self.run(*arrays)[0])


def chain(layers: Sequence[Layer], x: np.ndarray) -> np.ndarray:
    """What a Sequential computes, by the oracle."""
    x = np.asarray(x, float)
    for layer in layers:
        x = layer.forward(x)
    return x


def sequential_config(version: str, layers: Sequence[Layer], name: str = "sequential_1", **more: Any) -> Any:
    """A list of layers up to Keras 2.2.2, since then a mapping."""
    described = [layer.described for layer in layers]
    return described if number(version) < (2, 2, 3) else {"name": name, "layers": described, **more}


def nest(class_name: str, name: str, config: Any, layers: Sequence[Layer], forward: Callable[..., np.ndarray]) -> Layer:
    """A model as a layer, whose weights stand in one group: all that are trained, then all others."""
    trained, others = {}, {}
    for layer in layers:
        is_trained = not isinstance(layer.config, dict) or layer.config.get("trainable", True)
        count = 0 if not is_trained else len(layer.weights) if layer.num_trainable is None else layer.num_trainable
        pairs = list(layer.weights.items())
        trained.update(pairs[:count])
        others.update(pairs[count:])
    return Layer(class_name, config, forward, {**trained, **others}, len(trained), name)


def encode(names: Sequence[str]) -> np.ndarray:
    return np.array([name.encode() for name in names]) if names else np.array([], dtype="S1")


def write_names(group: h5py.Group, key: str, names: Sequence[str], chunks: int = 1) -> None:
    """Names as an attribute, or as several, as Keras 2.1 and later split those of over 64 kB."""
    if chunks == 1:
        group.attrs[key] = encode(names)
    else:
        for count, part in enumerate(np.array_split(encode(names), chunks)):
            group.attrs[f"{key}{count}"] = part


def write_groups(group: h5py.Group, author: Author, layers: Sequence[Layer], chunks: int = 1) -> None:
    """A group for each layer, as every Keras up to 2.3 writes them."""
    write_names(group, "layer_names", [layer.name for layer in layers], chunks)
    if not author.is_keras_1:
        group.attrs["backend"] = author.backend.encode()
        group.attrs["keras_version"] = author.version.encode()
    for layer in layers:
        own = group.create_group(layer.name)
        write_names(own, "weight_names", list(layer.weights), min(chunks, max(len(layer.weights), 1)))
        for name, array in layer.weights.items():
            own.create_dataset(name, data=array)


def write_model(
    path: Path, author: Author, class_name: str, config: Any, layers: Sequence[Layer], chunks: int = 1
) -> Path:
    """A whole model, as `model.save` writes it since Keras 1.0.7."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = author.version.encode()
        if not author.is_keras_1:
            file.attrs["backend"] = author.backend.encode()
        file.attrs["model_config"] = json.dumps({"class_name": class_name, "config": config}).encode()
        write_groups(file.create_group("model_weights"), author, layers, chunks)
    return path


def write_graph(path: Path, graph: Graph, chunks: int = 1) -> Path:
    return write_model(path, graph.author, "Model", graph.config, graph.layers, chunks)


def write_sequential(path: Path, author: Author, layers: Sequence[Layer], **more: Any) -> Path:
    return write_model(path, author, "Sequential", sequential_config(author.version, layers, **more), layers)


def write_weights(path: Path, author: Author, layers: Sequence[Layer]) -> Path:
    """The weights alone, as `save_weights` writes them: groups at the root."""
    with h5py.File(path, "w") as file:
        write_groups(file, author, layers)
    return path


def write_architecture(path: Path, author: Author, class_name: str, config: Any) -> Path:
    """`to_json` or `to_yaml`, by the suffix; before Keras 1.0.4 without a version."""
    document = {"class_name": class_name, "config": config}
    if number(author.version) >= (1, 0, 4):
        document["keras_version"] = author.version
    if not author.is_keras_1:
        document["backend"] = author.backend
    if path.suffix == ".json":
        path.write_text(json.dumps(document))
    else:
        path.write_text(yaml.dump(document, default_flow_style=None))
    return path


def write_optimizer(path: Path) -> None:
    """Adds a training configuration and an optimizer's state to a whole model."""
    optimizer = {"class_name": "RMSprop", "config": {"lr": 0.001, "rho": 0.9, "decay": 0.0, "epsilon": 1e-8}}
    training = {"optimizer_config": optimizer, "loss": "mse", "metrics": [], "sample_weight_mode": None}
    with h5py.File(path, "a") as file:
        file.attrs["training_config"] = json.dumps({**training, "loss_weights": None}).encode()
        group = file.create_group("optimizer_weights")
        write_names(group, "weight_names", ["rmsprop/variable:0"])
        group.create_dataset("rmsprop/variable:0", data=np.ones((3, 2), np.float32))


def without_version(path: Path) -> Path:
    """Takes the version out of a whole model, as files between two releases of Keras 1.0 are said to be."""
    with h5py.File(path, "a") as file:
        del file.attrs["keras_version"]
    return path
