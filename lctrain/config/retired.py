"""Words of Keras 1 and 2 that Keras 3 lacks: ONE table, by which old files are read and old words explained."""

from collections.abc import Collection, Mapping
from typing import Any

# Arguments that any layer may have had in Keras 1, and what Keras 2 calls them.
RENAMED = {
    **{"W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer"},
    **{"W_constraint": "kernel_constraint", "b_constraint": "bias_constraint", "bias": "use_bias"},
    **{"U_regularizer": "recurrent_regularizer", "init": "kernel_initializer", "inner_init": "recurrent_initializer"},
    **{"inner_activation": "recurrent_activation", "dropout_W": "dropout", "dropout_U": "recurrent_dropout"},
    **{"nb_filter": "filters", "border_mode": "padding", "dim_ordering": "data_format", "p": "rate", "sigma": "stddev"},
    **{"subsample": "strides", "subsample_length": "strides", "filter_length": "kernel_size"},
    **{"pool_length": "pool_size", "stride": "strides", "length": "size", "atrous_rate": "dilation_rate"},
    **{"beta_init": "beta_initializer", "gamma_init": "gamma_initializer", "output_dim": "units"},
}
OWN_NAMES = {  # those that one class of Keras 1 renames in its own way
    "Embedding": {
        **{"init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer"},
        **{"W_constraint": "embeddings_constraint", "output_dim": "output_dim", "input_dim": "input_dim"},
    },
    "PReLU": {"init": "alpha_initializer"},
    "RepeatVector": {},
    "UpSampling1D": {"length": "size"},
    "SeparableConvolution2D": {
        **{"init": "depthwise_initializer", "b_regularizer": "bias_regularizer", "b_constraint": "bias_constraint"},
    },
}
RENAMED_IN_KERAS_3 = {("LeakyReLU", "alpha"): "negative_slope"}
SIZES = {("nb_row", "nb_col"): "kernel_size", ("kernel_dim1", "kernel_dim2", "kernel_dim3"): "kernel_size"}
OF_THE_INPUT = ("input_dim", "input_length", "input_dtype", "batch_input_shape")  # in Keras 1
SHAPES_OF_THE_INPUT = ("batch_input_shape", "batch_shape", "input_shape", "input_dtype")  # in Keras 2
HOW_COMPUTED = ("consume_less", "autocast")  # what says how a layer is computed, never what
OF_OPTIMIZERS = {"lr": "learning_rate"}
OF_OBJECTS = {"m": "max_value", "low": "min_value", "high": "max_value"}  # of constraints of Keras 1
ELSEWHERE = {"alpha": "negative_slope", "pad": "padding", "out_channels": "filters", "out_features": "units"}
VALUES = {  # words of old, and of other libraries
    **{"th": "channels_first", "tf": "channels_last", "half": "mixed_float16", "fp16": "mixed_float16"},
    **{"float16": "mixed_float16", "bfloat16": "mixed_bfloat16", "bf16": "mixed_bfloat16", "fp32": "float32"},
}
OF_FIT = {  # arguments of a model's `fit`, and keys of ours
    **{"nb_epoch": "epochs", "validation_freq": "validation_frequency", "validation_split": "validation_fraction"},
    **{"verbose": "progress", "steps_per_epoch": "limit_batches"},
}

CLASSES_OF_KERAS_1 = {
    **{f"Convolution{rank}D": f"Conv{rank}D" for rank in (1, 2, 3)},
    **{f"AtrousConvolution{rank}D": f"Conv{rank}D" for rank in (1, 2)},
    **{"Deconvolution2D": "Conv2DTranspose", "SeparableConvolution2D": "SeparableConv2D"},
    "TimeDistributedDense": "Dense",
}
CLASSES_OF_KERAS_2 = {
    **{"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"},
    **{"SyncBatchNormalization": "BatchNormalization", "ThresholdedReLU": "ReLU"},
    **{"Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D"},
}
GONE = ("MaxoutDense", "Highway", "ParametricSoftplus", "SReLU", "Graph", "Siamese")
MERGE_MODES = {
    **{"sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average", "max": "Maximum"},
    **{"dot": "Dot", "cos": "Dot"},
}
OBJECTS = {  # what names of Keras 1 stand for
    "initializers": {
        **{"uniform": "RandomUniform", "normal": "RandomNormal", "zero": "Zeros", "one": "Ones"},
    },
    "regularizers": {"WeightRegularizer": "L1L2", "L1L2Regularizer": "L1L2"},
    "metrics": {"acc": "Accuracy"},
    "constraints": {"maxnorm": "MaxNorm", "nonneg": "NonNeg", "unitnorm": "UnitNorm"},
}


def find_new_name(class_name: str, argument: str, known: Collection[str]) -> str | None:
    """What an argument of old is called today in a class that has arguments of these names; None where it is not known.

    >>> find_new_name("LocallyConnected2D", "nb_row", ["kernel_size"]), find_new_name("ELU", "p", ["alpha"])
    ('kernel_size', None)
    """
    sizes = {part: name for parts, name in SIZES.items() for part in parts}
    tables = (OWN_NAMES.get(class_name, {}), sizes, RENAMED, OF_OPTIMIZERS, OF_OBJECTS, ELSEWHERE)
    in_tables = [table.get(name) for name in (argument, argument.casefold()) for table in tables]
    names = [RENAMED_IN_KERAS_3.get((class_name, argument)), *in_tables]
    return next((name for name in names if name in known), None)


def explain_argument(class_name: str, argument: str, known: Collection[str], spec: Mapping[str, Any]) -> str:
    """What has become of an argument of old, and what to write; empty where it is none.

    Args:
        class_name: today's.
        argument: that the class does not have.
        known: those that it has.
        spec: all that was given to the class, for the values of others.

    >>> explain_argument("LocallyConnected2D", "border_mode", ["padding"], {})
    '`border_mode` is `padding` today.'
    """
    new_name = find_new_name(class_name, argument, known)
    if argument in [part for parts in SIZES for part in parts] and new_name:
        parts = next(parts for parts in SIZES if argument in parts)
        sizes = ", ".join(str(spec.get(part, part)) for part in parts)
        return f"`{'`, `'.join(parts)}` are one today: `{new_name}: [{sizes}]`."
    if argument == "dim_ordering" and new_name:
        return f"`{argument}` is `{new_name}` today: th is channels_first, tf is channels_last."
    if new_name:
        return f"`{argument}` is `{new_name}` today."
    if argument == "decay" and "learning_rate" in known:
        if not spec["decay"]:
            return "It was the learning rate's decay, and 0 was none: leave it out."
        rate = f"initial_learning_rate: {spec.get('learning_rate', 0.001)}, decay_steps: 1, decay_rate: {spec['decay']}"
        return f"It was the learning rate's decay. Write `learning_rate: {{type: InverseTimeDecay, {rate}}}`."
    if argument in (*OF_THE_INPUT, *SHAPES_OF_THE_INPUT):
        return "The model's input says it (`model.inputs`, in Python keras.Input): leave it out."
    if argument == "weights":
        return "A run's or a file's are taken by `init_from`, in Python by `layer.set_weights`: leave it out."
    if argument in HOW_COMPUTED or (class_name, argument) == ("BatchNormalization", "mode"):
        return "It said how the layer is computed, never what: leave it out."
    return ""


def explain_value(value: Any, known: Collection[Any]) -> str:
    """What to write for a word of old, behind a blank; empty where it is none.

    >>> explain_value("th", ["channels_last", "channels_first"])
    ' Write channels_first.'
    """
    new_value = VALUES.get(value) if isinstance(value, str) else None
    return f" Write {new_value}." if new_value in known else ""


def explain_class(group: str, name: str) -> str:
    """What has become of a class of old; empty where it is none.

    >>> explain_class("layers", "AtrousConvolution1D")
    '`AtrousConvolution1D` is `Conv1D` today, its `atrous_rate` is `dilation_rate`.'
    """
    if group != "layers":
        new_name = OBJECTS.get(group, {}).get(name)
        return f"`{name}` is `{new_name}` today." if new_name else ""
    if name == "Merge":
        modes = ", ".join(f"{mode} is {new_name}" for mode, new_name in MERGE_MODES.items())
        return f"Today each `mode` of it is a layer: {modes}."
    if name in GONE:
        return "Keras 2 has dropped it; build what it did of other layers, such as Dense, Multiply and Maximum."
    new_name = (CLASSES_OF_KERAS_2 | CLASSES_OF_KERAS_1).get(name)
    more = {"ThresholdedReLU": ", its `theta` is `threshold`"}.get(name, "")
    more = ", its `atrous_rate` is `dilation_rate`" if name.startswith("Atrous") else more
    return f"`{name}` is `{new_name}` today{more}." if new_name else ""
