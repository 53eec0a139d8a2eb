"""Writes lctrain/config/classes.json from Keras' and lctrain's own signatures: `python tests/generate_classes.py`.

The lists below are what a configuration may name: positive lists, so that what is not here cannot be named. Nothing
here runs code given in a configuration or opens a path. tests/test_classes.py compares the file with what this would
write.
"""

import importlib
import inspect
import json
from pathlib import Path

CLASSES_FILE = Path(__file__).parent.parent / "lctrain" / "config" / "classes.json"

LAYERS = [
    *["Activation", "ActivityRegularization", "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D"],
    *["AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "Add"],
    *["AdditiveAttention", "AlphaDropout", "Attention", "AugMix", "AutoContrast", "Average", "AveragePooling1D"],
    *["AveragePooling2D", "AveragePooling3D", "BatchNormalization", "Bidirectional", "CategoryEncoding"],
    *["CenterCrop", "Concatenate", "ContrastLimitedAdaptiveHistogramEqualization", "Conv1D", "Conv1DTranspose"],
    *["Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"],
    *["Cropping1D", "Cropping2D", "Cropping3D", "CutMix", "Dense", "DepthwiseConv1D", "DepthwiseConv2D"],
    *["Discretization", "Dot", "Dropout", "ELU", "EinsumDense", "Embedding", "Flatten", "GRU"],
    *["GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D"],
    *["GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"],
    *["GroupNormalization", "GroupQueryAttention", "HashedCrossing", "Hashing", "Identity", "LSTM"],
    *["LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum"],
    *["MelSpectrogram", "Minimum", "MixUp", "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute"],
    *["Pipeline", "RMSNormalization", "RNN", "RandAugment", "RandomBrightness", "RandomColorDegeneration"],
    *["RandomColorJitter", "RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomErasing", "RandomFlip"],
    *["RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective"],
    *["RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear"],
    *["RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing"],
    *["ReversibleEmbedding", "STFTSpectrogram", "SeparableConv1D", "SeparableConv2D", "SimpleRNN", "Softmax"],
    *["Solarization", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "SpectralNormalization"],
    *["Subtract", "TimeDistributed", "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D"],
    *["ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"],
]
OWN_LAYERS = ["LocallyConnected1D", "LocallyConnected2D", "LocallyConnected3D", "LowRankLocallyConnected2D"]
CELLS = ["GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"]
OPTIMIZERS = [
    *[
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "Adam",
        "AdamW",
        "Adamax",
        "Ftrl",
        "Lamb",
        "Lion",
        "Muon",
        "Nadam",
        "RMSprop",
    ],
    *["SGD", "ScheduleFreeAdamW"],
]
SCHEDULES = [
    *["CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay"],
    *["PolynomialDecay"],
]
INITIALIZERS = [
    *["Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "LecunNormal", "LecunUniform"],
    *["Ones", "Orthogonal", "RandomNormal", "RandomUniform", "STFT", "TruncatedNormal", "VarianceScaling", "Zeros"],
]
REGULARIZERS = ["L1", "L1L2", "L2", "OrthogonalRegularizer"]
CONSTRAINTS = ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"]
LOSSES = [
    *["BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy"],
    *["CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "Circle", "CosineSimilarity", "Dice", "Hinge", "Huber"],
    *["KLDivergence", "LogCosh", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError"],
    *["MeanSquaredLogarithmicError", "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky"],
]
METRICS = [
    *["AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy", "CategoricalCrossentropy"],
    *["CategoricalHinge", "ConcordanceCorrelation", "CosineSimilarity", "F1Score", "FBetaScore", "FalseNegatives"],
    *["FalsePositives", "Hinge", "IoU", "KLDivergence", "LogCoshError", "MeanAbsoluteError"],
    *["MeanAbsolutePercentageError", "MeanIoU", "MeanSquaredError", "MeanSquaredLogarithmicError", "OneHotIoU"],
    *["OneHotMeanIoU", "PearsonCorrelation", "Poisson", "Precision", "PrecisionAtRecall", "R2Score", "Recall"],
    *["RecallAtPrecision", "RootMeanSquaredError", "SensitivityAtSpecificity", "SparseCategoricalAccuracy"],
    *["SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity", "SquaredHinge"],
    *["TopKCategoricalAccuracy", "TrueNegatives", "TruePositives"],
]
ACTIVATIONS = [
    *["celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish"],
    *["hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid"],
    *["silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax"],
    *["squareplus", "swish", "tanh", "tanh_shrink"],
]
OWN_ACTIVATIONS = ["legacy_hard_sigmoid"]

NOT_NAMED = {  # what Keras has beside these, and why a configuration can't name it; a test finds what is forgotten
    **dict.fromkeys(["Lambda", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "MeanMetricWrapper"], "runs given code"),
    "TFSMLayer": "loads a program from a path",
    **dict.fromkeys(["StringLookup", "IntegerLookup", "TextVectorization"], "opens its vocabulary by a path"),
    **dict.fromkeys(
        ["Layer", "Wrapper", "InputLayer", "InputSpec", "Optimizer", "Initializer"], "is nothing by itself"
    ),
    **dict.fromkeys(["Regularizer", "Constraint", "Loss", "Metric", "LearningRateSchedule"], "is nothing by itself"),
    **dict.fromkeys(
        ["LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"], "wraps others; `precision` says what it does"
    ),
    "MaxNumBoundingBoxes": "takes boxes, which no input gives",
    "CTC": "compares sequences of labels; a data set has one label per example",
    "Equalization": "is left out of models by Keras 3.15, without a word",
    "BinaryIoU": "compares one label per output, not one score per class",
    **dict.fromkeys(["Mean", "Sum"], "averages values; compares nothing with labels"),
}

LAYER_ARGUMENTS = {"trainable": True, "dtype": None}  # behind **kwargs; `name` is the mapping's key
BEHIND_KWARGS = {name: {"zero_output_for_mask": False} for name in ("SimpleRNN", "GRU", "LSTM")}
EXCLUDED_ARGUMENTS = {
    *["lora_rank", "lora_alpha", "quantization_config", "name", "loss_scale_factor", "synchronized", "weights"],
    *["renorm", "renorm_clipping", "renorm_momentum", "input_axes", "output_axes", "gain_initializer"],
    *[
        "gptq_unpacked_column_size",
        "reduction",
        "return_state",
        "reverse_dtype",
        "vocabulary_dtype",
        "exclude_layers",
        "sparse",
    ],
}
SAMPLES = {  # of arguments without a default, for layers that may say that XLA can't compile them
    **{"height": 5, "width": 7, "num_bins": 11, "num_tokens": 4, "units": 3},
    **dict.fromkeys(["factor", "height_factor", "width_factor"], 1),
}
R_NAMES = {f"layer_locally_connected_{rank}d": f"LocallyConnected{rank}D" for rank in (1, 2, 3)}


def make_table() -> dict:
    """The whole allowlist, as stored."""
    import keras

    import lctrain.layers

    for name in ACTIVATIONS:
        keras.activations.get(name)
    groups = {
        "layers": (keras.layers, LAYERS),
        "cells": (keras.layers, CELLS),
        "optimizers": (keras.optimizers, OPTIMIZERS),
        "schedules": (keras.optimizers.schedules, SCHEDULES),
        "initializers": (keras.initializers, INITIALIZERS),
        "regularizers": (keras.regularizers, REGULARIZERS),
        "constraints": (keras.constraints, CONSTRAINTS),
        "losses": (keras.losses, LOSSES),
        "metrics": (keras.metrics, METRICS),
    }
    table = {
        group: {name: _arguments(getattr(module, name)) for name in names} for group, (module, names) in groups.items()
    }
    table["layers"] |= {name: _arguments(getattr(lctrain.layers, name)) for name in OWN_LAYERS}
    table["activations"] = ACTIVATIONS + OWN_ACTIVATIONS
    table["aliases"] = {group: _aliases(group, module, names) for group, (module, names) in groups.items()}
    table["aliases"]["layers"] |= R_NAMES
    table["left_out"] = NOT_NAMED
    table["not_compilable"] = [name for name in LAYERS if not _is_compilable(getattr(keras.layers, name))]
    return table


def _is_compilable(cls) -> bool:
    """Whether XLA compiles a layer, and those that it makes for itself, wherever it is computed."""
    parameters = inspect.signature(cls).parameters.values()
    required = [one.name for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    required += [one.name for one in parameters if one.name in ("num_tokens", "num_bins")]  # whose defaults are refused
    if not set(required) <= set(SAMPLES):
        assert "supports_jit = False" not in inspect.getsource(cls), f"SAMPLES lacks arguments of {cls.__name__}"
        return True
    layer = cls(**{name: SAMPLES[name] for name in required})
    return all(one.supports_jit for one in layer._flatten_layers())


def _aliases(group: str, module, names: list[str]) -> dict[str, str]:
    """What else Keras calls its classes: other names in the module, and the strings that `get` takes."""
    classes = {getattr(module, name): name for name in names}
    found = {alias: classes[value] for alias, value in vars(module).items() if _is_key(value, classes)}
    if group not in ("layers", "cells"):
        package = importlib.import_module(module.__name__.replace("keras.", "keras.src.", 1).replace("_v2", ""))
        strings = getattr(package, "ALL_OBJECTS_DICT", {})
        found |= {alias: classes[value] for alias, value in strings.items() if _is_key(value, classes)}
        functions = {cls().fn: name for cls, name in classes.items() if group == "losses" and hasattr(cls(), "fn")}
        found |= {alias: functions[value] for alias, value in strings.items() if _is_key(value, functions)}
    return {alias: name for alias, name in sorted(found.items()) if alias != name}


def _is_key(value, table: dict) -> bool:
    return callable(value) and value in table


def _arguments(cls) -> dict:
    from keras.layers import Layer

    required, optional = [], {}
    parameters = inspect.signature(cls).parameters
    if issubclass(cls, Layer) and any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        optional |= LAYER_ARGUMENTS | BEHIND_KWARGS.get(cls.__name__, {})
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD or name in EXCLUDED_ARGUMENTS:
            continue
        if parameter.default is parameter.empty:
            required.append(name)
        else:
            optional[name] = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    return {"required": required, "optional": optional}


def as_text(table: dict) -> str:
    """The table as JSON with one class or alias per line."""
    groups = []
    for group, content in table.items():
        if isinstance(content, list):
            groups.append(f"{json.dumps(group)}: {json.dumps(content)}")
            continue
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
        groups.append(f"{json.dumps(group)}: {{\n{lines}\n}}")
    return "{\n" + ",\n".join(groups) + "\n}\n"


if __name__ == "__main__":
    from lctrain.devices.runtime import load_tensorflow

    load_tensorflow()
    CLASSES_FILE.write_text(as_text(make_table()))
