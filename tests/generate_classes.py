"""Writes lctrain/config/classes.json from Keras' and lctrain's own signatures: `python tests/generate_classes.py`.

The lists below are what a configuration may name: positive lists, so that what is not here cannot be named. Nothing
here runs code given in a configuration or opens a path. tests/test_classes.py compares the file with what this would
write.
"""

import inspect
import json
from pathlib import Path

CLASSES_FILE = Path(__file__).parent.parent / "lctrain" / "config" / "classes.json"

LAYERS = [
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dropout",
    "ELU",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "Identity",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "PReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]
OWN_LAYERS = ["LocallyConnected1D", "LocallyConnected2D", "LocallyConnected3D", "LowRankLocallyConnected2D"]
OPTIMIZERS = ["Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lamb", "Lion", "Nadam", "RMSprop", "SGD"]
INITIALIZERS = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
]
REGULARIZERS = [
    "L1",
    "L1L2",
    "L2",
]
CONSTRAINTS = ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"]
ACTIVATIONS = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
]

LAYER_ARGUMENTS = {"trainable": True, "dtype": None}  # behind **kwargs; `name` is the mapping's key
EXCLUDED_ARGUMENTS = {
    *["lora_rank", "lora_alpha", "quantization_config", "name", "loss_scale_factor", "synchronized", "weights"],
    *["renorm", "renorm_clipping", "renorm_momentum", "input_axes", "output_axes", "gain_initializer"],
}


def make_table() -> dict:
    """The whole allowlist, as stored."""
    import keras

    import lctrain.layers

    layers = {name: _arguments(getattr(keras.layers, name)) for name in LAYERS}
    layers |= {name: _arguments(getattr(lctrain.layers, name)) for name in OWN_LAYERS}
    for name in ACTIVATIONS:
        keras.activations.get(name)
    return {
        "layers": layers,
        "optimizers": {name: _arguments(getattr(keras.optimizers, name)) for name in OPTIMIZERS},
        "initializers": {name: _arguments(getattr(keras.initializers, name)) for name in INITIALIZERS},
        "regularizers": {name: _arguments(getattr(keras.regularizers, name)) for name in REGULARIZERS},
        "constraints": {name: _arguments(getattr(keras.constraints, name)) for name in CONSTRAINTS},
        "activations": ACTIVATIONS,
    }


def _arguments(cls) -> dict:
    from keras.layers import Layer

    required, optional = [], {}
    parameters = inspect.signature(cls).parameters
    if issubclass(cls, Layer) and any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        optional |= LAYER_ARGUMENTS
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD or name in EXCLUDED_ARGUMENTS:
            continue
        if parameter.default is parameter.empty:
            required.append(name)
        else:
            optional[name] = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    return {"required": required, "optional": optional}


if __name__ == "__main__":
    CLASSES_FILE.write_text(json.dumps(make_table(), indent=1) + "\n")
