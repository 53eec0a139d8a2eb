"""What DL4J's importer of Keras models documents, and nothing more.

Source: DL4J's list of supported features for Keras model import, version 1.0.0-M1.1.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lctrain.legacy.errors import Obstacle, shorten
from lctrain.legacy.keras2 import OldLayer

LAYERS = {
    *("Dense", "Activation", "Dropout", "Flatten", "Reshape", "Permute", "RepeatVector", "Masking"),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("Conv1D", "Conv2D", "Conv3D", "SeparableConv2D", "Conv2DTranspose", "Cropping1D", "Cropping2D", "Cropping3D"),
    *("UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
    *("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
    *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"),
    *("LocallyConnected1D", "LocallyConnected2D", "SimpleRNN", "LSTM", "Embedding"),
    *("Add", "Multiply", "Subtract", "Average", "Maximum", "Concatenate"),
    *("LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "BatchNormalization"),
    *("GaussianNoise", "GaussianDropout", "AlphaDropout", "Bidirectional"),
}
ACTIVATIONS = {
    *("softmax", "elu", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "hard_sigmoid", "linear"),
}
OBJECTS = {
    "initializer": {
        *("Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling"),
        *("Orthogonal", "Identity", "LecunUniform", "LecunNormal", "GlorotNormal", "GlorotUniform", "HeNormal"),
        "HeUniform",
    },
    "regularizer": {"L1", "L2", "L1L2"},
    "constraint": {"MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"},
}
NEW_NAMES = ("implementation", "groups", "synchronized", "keepdims", "time_major")  # that tf.keras added to Keras 2


def find_obstacles(layers: Sequence[OldLayer]) -> Iterator[Obstacle]:
    """Everything in a model of Keras 2 that DL4J's importer does not document; arguments that it does not know go."""
    for layer in layers:
        name = layer.config["name"]
        if layer.class_name not in LAYERS:
            yield Obstacle(name, "class_name", shorten(layer.class_name), "must be a layer that DL4J imports")
            continue
        if layer.padding != "valid":
            yield Obstacle(name, "padding", shorten(layer.padding), "must be valid for DL4J")
        if layer.class_name.startswith("LocallyConnected") and layer.config["data_format"] != "channels_last":
            message = "must be channels_last for DL4J, whose kernels are (positions, taps * channels, filters)"
            yield Obstacle(name, "data_format", shorten(layer.config["data_format"]), message)
        yield from _find_obstacles(name, layer.config)


def _find_obstacles(name: str, config: dict[str, Any]) -> Iterator[Obstacle]:
    for field in NEW_NAMES:
        value = config.get(field)
        if value not in (None, False, 1):
            yield Obstacle(name, field, shorten(value), "is no argument that DL4J imports")
        config.pop(field, None)
    for field, value in list(config.items()):
        kind = field.rpartition("_")[2]
        if kind == "activation" and value is not None and value not in ACTIVATIONS:
            yield Obstacle(name, field, shorten(value), f"must be one of {', '.join(sorted(ACTIVATIONS))} for DL4J")
        elif kind in OBJECTS and isinstance(value, Mapping) and value["class_name"] not in OBJECTS[kind]:
            yield Obstacle(name, field, shorten(value["class_name"]), f"must be a {kind} that DL4J imports")
        elif field == "dtype" and value != "float32":
            yield Obstacle(name, field, shorten(value), "must be float32 for DL4J")
        elif field in ("layer", "backward_layer") and isinstance(value, Mapping):
            if value["class_name"] not in ("LSTM", "SimpleRNN"):
                yield Obstacle(name, field, shorten(value["class_name"]), "must be LSTM or SimpleRNN for DL4J")
            yield from _find_obstacles(f"{name}/{value['config'].get('name')}", value["config"])
