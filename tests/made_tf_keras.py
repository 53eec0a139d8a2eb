"""Models of real tf_keras with random weights, saved to old files, and comparisons of other models with them."""

import contextlib
import functools
import itertools
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
import yaml

SHAPES = {  # of the inputs by name, without the batch; all sizes differ within each
    "row": (6,),
    "other_row": (6,),
    "steps": (7, 2),
    "more_steps": (5, 2),
    "long_steps": (11, 2),
    "steps_first": (2, 7),
    "long_steps_first": (2, 11),
    "image": (5, 7, 2),
    "other_image": (5, 7, 2),
    "wide_image": (5, 7, 6),
    "image_first": (2, 5, 7),
    "volume": (4, 5, 7, 2),
    "volume_first": (2, 4, 5, 7),
    "film": (3, 4, 5, 7, 2),
    "words": (7,),
    "numbers": (1,),
    "other_numbers": (1,),
}
WHOLE_NUMBERS = {"words": 5, "numbers": 9, "other_numbers": 9}  # inputs of these, from 0 up to below what stands here
BATCH = 3
TOLERANCE = 1e-5  # as the issue has it, of predictions in float32
KEPT = ("mean", "variance", "count", "summary")  # of layers that are adapted to data
Branches = Mapping[str, tuple]  # by name: what is called, and the names of its inputs


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Lets tf_keras, TensorFlow and TFLite warn of their own age."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def make_model(branches: Branches, batch_size: int | None = None, **shapes: tuple[int, ...]) -> tf_keras.Model:
    """A functional model with one output for each branch, all independent, its weights random.

    Args:
        branches: by name, a layer or function of tensors, and the names of the inputs in SHAPES that it is called on.
        batch_size: of all inputs, where layers need to know it.
    """
    inputs, outputs = {}, []
    with quiet():
        for call, *sources in branches.values():
            for source in sources:
                if source not in inputs:
                    kind = "int32" if source in WHOLE_NUMBERS else "float32"
                    shape = shapes.get(source, SHAPES.get(source))
                    inputs[source] = tf_keras.Input(shape, batch_size, dtype=kind, name=source)
            tensors = [inputs[source] for source in sources]
            outputs.append(call(tensors[0] if len(tensors) == 1 else tensors))
        return randomize(tf_keras.Model(list(inputs.values()), outputs))


def chain(*calls: Callable) -> Callable:
    """One branch of several layers, one after the other."""

    def call(tensor):
        for one in calls:
            tensor = one(tensor)
        return tensor

    return call


def randomize(model: Any, seed: int = 0) -> Any:
    """Sets all weights of a model of tf_keras or Keras 3, biases too, to random values; variances are positive."""
    generator = np.random.default_rng(seed)
    arrays = []
    for weight in model.weights:
        kind, array = weight.name.split("/")[-1].split(":")[0], weight.numpy()
        if np.issubdtype(array.dtype, np.floating) and kind not in KEPT:
            array = generator.normal(0, 0.5, array.shape)
            array = np.abs(array) + 0.5 if kind == "moving_variance" else array
        arrays.append(array)
    model.set_weights(arrays)
    return model


def make_inputs(model: Any, seed: int = 1) -> list[np.ndarray]:
    """A small batch for each input of a model, whole numbers where it takes those."""
    generator = np.random.default_rng(seed)
    arrays = []
    for tensor in tf.nest.flatten(model.inputs):
        shape = (BATCH, *tensor.shape[1:])
        name = tensor.name.split(":")[0]
        if name in WHOLE_NUMBERS:
            arrays.append(generator.integers(0, WHOLE_NUMBERS[name], shape).astype("int32"))
        else:
            arrays.append(generator.standard_normal(shape).astype(tf.as_dtype(tensor.dtype).as_numpy_dtype))
    return arrays


def predict(model: Any, inputs: list[np.ndarray], is_compiled: bool = False) -> list[np.ndarray]:
    """All outputs of a model of tf_keras or Keras 3, not in training.

    Args:
        is_compiled: by XLA, which has convolutions of channels_first on CPUs; TensorFlow itself has not.
    """
    arrays = inputs[0] if len(inputs) == 1 else inputs
    with quiet():
        call = tf.function(lambda given: model(given, training=False), jit_compile=True) if is_compiled else None
        outputs = model(arrays, training=False) if call is None else call(arrays)
        return [np.asarray(output) for output in tf.nest.flatten(outputs)]


def load(path: Path) -> tf_keras.Model:
    """What tf_keras itself reads in a file."""
    with quiet():
        return tf_keras.models.load_model(path, compile=False)


def save(model: tf_keras.Model, path: Path) -> Path:
    """The whole model as HDF5, as tf_keras writes it."""
    with quiet():
        model.save(path, save_format="h5")
    return path


def save_in_parts(model: tf_keras.Model, folder: Path, kind: str) -> dict[str, Path]:
    """The architecture as JSON or YAML, and the weights alone as HDF5: arguments of `load_model`."""
    architecture, weights = folder / f"architecture.{kind}", folder / "only_weights.h5"
    with quiet():
        text = model.to_json()
        model.save_weights(weights, save_format="h5")
    architecture.write_text(text if kind == "json" else yaml.safe_dump(json.loads(text)))
    return {"path": architecture, "weights": weights}


def check_equal(expected: list[np.ndarray], got: list[np.ndarray], names: list[str], tolerance: float = TOLERANCE):
    """Asserts that all outputs are equal, and names every one that is not."""
    assert len(expected) == len(got) == len(names)
    wrong = []
    for name, one, other in zip(names, expected, got, strict=True):
        if one.shape != other.shape:
            wrong.append(f"{name}: shape {other.shape} for {one.shape}")
        elif not np.allclose(one, other, rtol=tolerance, atol=tolerance):
            wrong.append(f"{name}: off by {np.abs(np.asarray(one, float) - other).max():.2g}")
    assert not wrong, "\n".join(wrong)


def check_same_predictions(old: Any, new: Any, names: list[str] | None = None, is_compiled: bool = False):
    """Asserts that two models predict the same from the same inputs."""
    inputs = make_inputs(old)
    expected = predict(old, inputs, is_compiled)
    names = [f"output {number}" for number in range(len(expected))] if names is None else names
    check_equal(expected, predict(new, inputs, is_compiled), names)


def class_names(config: Any) -> set[str]:
    """All classes that a model's configuration names, however deep."""
    if isinstance(config, Mapping):
        found = {config["class_name"]} if isinstance(config.get("class_name"), str) else set()
        return found.union(*map(class_names, config.values()))
    return set().union(*map(class_names, config)) if isinstance(config, list | tuple) else set()


# Locally connected layers

LOCAL = {  # by rank: what its layers differ in, besides what layers of all ranks do
    1: {"kernel_size": (3, 4), "strides": (1, 2, 3)},
    2: {"kernel_size": ((3, 2), (2, 4)), "strides": ((1, 1), (2, 1), (1, 3))},
}
LOCAL_INPUTS = {
    (1, "channels_last"): "long_steps",
    (1, "channels_first"): "long_steps_first",
    (2, "channels_last"): "image",
    (2, "channels_first"): "image_first",
}


def local_combinations(rank: int, data_format: str) -> dict[str, dict[str, Any]]:
    """The arguments, by a name that tells them, of every locally connected layer of a rank and data format."""
    choices = {"implementation": (1, 2, 3), "padding": ("valid", "same"), "use_bias": (True, False), **LOCAL[rank]}
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    return {
        " ".join(f"{name}={value}" for name, value in one.items()): {"filters": 3, "data_format": data_format, **one}
        for one in combinations
    }


# Layers that Keras 3 still has

L = tf_keras.layers
ACTIVATIONS = (
    *("elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear", "log_softmax", "mish", "relu", "relu6"),
    *("selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh"),
)


def core():
    named = {name: (L.Activation(name), "image") for name in ACTIVATIONS}
    return named | {
        "Dense": (L.Dense(4, activation="tanh"), "row"),
        "Dense on steps, no bias": (L.Dense(4, use_bias=False), "steps"),
        "Dense with a swish": (L.Dense(4, activation=tf_keras.activations.swish), "image"),
        "EinsumDense": (L.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d"), "steps"),
        "Identity": (L.Identity(), "row"),
        "Flatten": (L.Flatten(), "image"),
        "Flatten channels_first": (L.Flatten(data_format="channels_first"), "image_first"),
        "Reshape": (L.Reshape((2, -1, 5)), "image"),
        "Permute": (L.Permute((3, 1, 2)), "image"),
        "RepeatVector": (L.RepeatVector(4), "row"),
        "ActivityRegularization": (L.ActivityRegularization(0.01, 0.02), "row"),
        "Dropout": (L.Dropout(0.4, noise_shape=(None, 1, 2), seed=3), "steps"),
        "SpatialDropout1D": (L.SpatialDropout1D(0.4), "steps"),
        "SpatialDropout2D": (L.SpatialDropout2D(0.4, data_format="channels_first"), "image_first"),
        "SpatialDropout3D": (L.SpatialDropout3D(0.4), "volume"),
        "GaussianNoise": (L.GaussianNoise(0.4), "row"),
        "GaussianDropout": (L.GaussianDropout(0.4), "row"),
        "AlphaDropout": (L.AlphaDropout(0.4), "row"),
        "LeakyReLU": (L.LeakyReLU(0.2), "image"),
        "LeakyReLU by default": (L.LeakyReLU(), "image"),
        "PReLU": (L.PReLU(), "image"),
        "PReLU with shared axes": (L.PReLU(shared_axes=(1, 2)), "image"),
        "ELU": (L.ELU(0.7), "image"),
        "ReLU": (L.ReLU(), "image"),
        "ReLU with everything": (L.ReLU(max_value=1.2, negative_slope=0.1, threshold=0.3), "image"),
        "ThresholdedReLU": (L.ThresholdedReLU(0.4), "image"),
        "Softmax": (L.Softmax(axis=1), "image"),
        "Softmax over two axes": (L.Softmax(axis=(1, 2)), "image"),
    }


def convolutions():
    dilated = {"dilation_rate": (1, 2), "activation": "relu"}
    separable = {"depth_multiplier": 2, "use_bias": True}
    return {
        "Conv1D": (L.Conv1D(4, 3, strides=2, activation="selu"), "steps"),
        "Conv1D causal": (L.Conv1D(4, 3, padding="causal", dilation_rate=2), "steps"),
        "Conv1D same": (L.Conv1D(4, 4, strides=2, padding="same"), "steps"),
        "Conv2D": (L.Conv2D(3, (3, 2), strides=(2, 1)), "image"),
        "Conv2D same": (L.Conv2D(3, (3, 2), strides=(2, 3), padding="same", use_bias=False), "image"),
        "Conv2D groups": (L.Conv2D(4, (3, 2), groups=2), "image"),
        "Conv2D dilated": (L.Conv2D(3, (3, 2), **dilated), "image"),
        "Conv3D": (L.Conv3D(3, (2, 3, 4), padding="same", strides=(1, 2, 3)), "volume"),
        "Conv1DTranspose": (L.Conv1DTranspose(4, 3, strides=2), "steps"),
        "Conv1DTranspose same": (L.Conv1DTranspose(4, 3, strides=2, padding="same", output_padding=1), "steps"),
        "Conv2DTranspose": (L.Conv2DTranspose(3, (3, 2), strides=(2, 3), activation="elu"), "image"),
        "Conv2DTranspose same": (L.Conv2DTranspose(3, (3, 2), strides=(2, 3), padding="same"), "image"),
        "Conv2DTranspose padded": (L.Conv2DTranspose(3, (3, 4), strides=(2, 3), output_padding=(1, 2)), "image"),
        "Conv3DTranspose": (L.Conv3DTranspose(3, (2, 3, 4), strides=(1, 2, 2), padding="same"), "volume"),
        "DepthwiseConv1D": (L.DepthwiseConv1D(3, depth_multiplier=2, padding="same"), "steps"),
        "DepthwiseConv2D": (L.DepthwiseConv2D((3, 2), depth_multiplier=2, activation="tanh"), "image"),
        "DepthwiseConv2D strided": (L.DepthwiseConv2D((3, 2), strides=2, padding="same", use_bias=False), "image"),
        "SeparableConv1D": (L.SeparableConv1D(4, 3, strides=2, **separable), "steps"),
        "SeparableConv2D": (L.SeparableConv2D(3, (3, 2), padding="same", **separable), "image"),
    }


def channels_first():
    first = {"data_format": "channels_first"}
    return {
        "Conv1D": (L.Conv1D(5, 3, strides=2, padding="same", **first), "steps_first"),
        "Conv2D": (L.Conv2D(3, (3, 2), strides=(2, 1), **first), "image_first"),
        "Conv2D same": (L.Conv2D(4, (3, 2), strides=(2, 3), padding="same", **first), "image_first"),
        "Conv3D": (L.Conv3D(3, (2, 3, 4), **first), "volume_first"),
        "Conv2DTranspose": (L.Conv2DTranspose(3, (3, 2), strides=(2, 3), **first), "image_first"),
        "SeparableConv2D": (L.SeparableConv2D(3, (3, 2), **first), "image_first"),
        "DepthwiseConv2D": (L.DepthwiseConv2D((3, 2), **first), "image_first"),
        "MaxPooling1D": (L.MaxPooling1D(2, strides=3, **first), "steps_first"),
        "AveragePooling2D": (L.AveragePooling2D((3, 2), **first), "image_first"),
        "MaxPooling2D": (L.MaxPooling2D((3, 2), strides=(1, 2), **first), "image_first"),
        "MaxPooling3D": (L.MaxPooling3D((2, 3, 1), **first), "volume_first"),
        "GlobalAveragePooling1D": (L.GlobalAveragePooling1D(**first), "steps_first"),
        "GlobalMaxPooling2D": (L.GlobalMaxPooling2D(keepdims=True, **first), "image_first"),
        "ZeroPadding2D": (L.ZeroPadding2D(((1, 2), (3, 0)), **first), "image_first"),
        "Cropping2D": (L.Cropping2D(((1, 2), (3, 0)), **first), "image_first"),
        "UpSampling2D": (L.UpSampling2D((2, 3), **first), "image_first"),
        "ZeroPadding3D": (L.ZeroPadding3D(((1, 2), (3, 0), (0, 1)), **first), "volume_first"),
        "Cropping3D": (L.Cropping3D(((1, 2), (3, 0), (0, 1)), **first), "volume_first"),
        "UpSampling3D": (L.UpSampling3D((2, 3, 1), **first), "volume_first"),
        "BatchNormalization": (L.BatchNormalization(axis=1), "image_first"),
    }


def pooling():
    windows = {1: (3,), 2: (3, 2), 3: (2, 3, 4)}
    sources = {1: "steps", 2: "image", 3: "volume"}
    found = {}
    for rank, source in sources.items():
        for kind in ("Max", "Average"):
            pooled, whole = getattr(L, f"{kind}Pooling{rank}D"), getattr(L, f"Global{kind}Pooling{rank}D")
            strides = tuple(range(1, rank + 1))
            found |= {
                f"{kind} {rank}D": (pooled(windows[rank]), source),
                f"{kind} {rank}D same": (pooled(windows[rank], strides=strides, padding="same"), source),
                f"{kind} {rank}D global": (whole(), source),
                f"{kind} {rank}D global, dimensions kept": (whole(keepdims=True), source),
            }
    return found


def reshaping():
    return {
        "ZeroPadding1D": (L.ZeroPadding1D((2, 1)), "steps"),
        "ZeroPadding2D": (L.ZeroPadding2D(((1, 2), (3, 0))), "image"),
        "ZeroPadding2D of numbers": (L.ZeroPadding2D((1, 2)), "image"),
        "ZeroPadding3D": (L.ZeroPadding3D(((1, 2), (3, 0), (0, 1))), "volume"),
        "Cropping1D": (L.Cropping1D((2, 1)), "steps"),
        "Cropping2D": (L.Cropping2D(((1, 2), (3, 0))), "image"),
        "Cropping3D": (L.Cropping3D(((1, 2), (3, 0), (0, 1))), "volume"),
        "UpSampling1D": (L.UpSampling1D(3), "steps"),
        "UpSampling2D": (L.UpSampling2D((2, 3)), "image"),
        "UpSampling2D bilinear": (L.UpSampling2D((2, 3), interpolation="bilinear"), "image"),
        "UpSampling3D": (L.UpSampling3D((2, 3, 1)), "volume"),
        "Rescaling": (L.Rescaling(0.5, offset=-1.0), "image"),
        "Rescaling by channel": (L.Rescaling([0.5, 2.0], offset=[-1.0, 3.0]), "image"),
        "Resizing": (L.Resizing(9, 4), "image"),
        "Resizing nearest": (L.Resizing(9, 4, interpolation="nearest"), "image"),
        "Resizing bicubic": (L.Resizing(9, 4, interpolation="bicubic"), "image"),
        "Resizing cropped": (L.Resizing(9, 4, crop_to_aspect_ratio=True), "image"),
        "CenterCrop": (L.CenterCrop(3, 4), "image"),
    }


def normalizations():
    with quiet():
        adapted, by_place, inverse = L.Normalization(), L.Normalization(axis=(1, 2)), L.Normalization(invert=True)
        for layer, scale in ((adapted, 3), (by_place, 4), (inverse, 2)):
            layer.adapt(np.random.default_rng(4).standard_normal((20, 7, 2)) * scale + 5)
    frozen = L.BatchNormalization(trainable=False)
    return {
        "BatchNormalization": (L.BatchNormalization(epsilon=0.01), "image"),
        "BatchNormalization of rows": (L.BatchNormalization(axis=1), "image"),
        "BatchNormalization of columns": (L.BatchNormalization(axis=-2), "image"),
        "BatchNormalization without center": (L.BatchNormalization(center=False), "steps"),
        "BatchNormalization without scale": (L.BatchNormalization(scale=False), "steps"),
        "BatchNormalization of neither": (L.BatchNormalization(center=False, scale=False), "row"),
        "BatchNormalization frozen": (frozen, "volume"),
        "LayerNormalization": (L.LayerNormalization(epsilon=0.01), "image"),
        "LayerNormalization over three axes": (L.LayerNormalization(axis=(1, 2, 3)), "image"),
        "LayerNormalization without center": (L.LayerNormalization(center=False), "steps"),
        "LayerNormalization without scale": (L.LayerNormalization(scale=False), "steps"),
        "GroupNormalization": (L.GroupNormalization(groups=3), "wide_image"),
        "GroupNormalization of one": (L.GroupNormalization(groups=-1, center=False), "wide_image"),
        "UnitNormalization": (L.UnitNormalization(), "image"),
        "UnitNormalization over rows": (L.UnitNormalization(axis=1), "image"),
        "Normalization adapted": (adapted, "steps"),
        "Normalization adapted by place": (by_place, "steps"),
        "Normalization inverse": (inverse, "steps"),
        "Normalization given": (L.Normalization(mean=[1.0, 2.0], variance=[3.0, 4.0]), "image"),
    }


def recurrent():
    found = {}
    for gate in ("sigmoid", "hard_sigmoid"):
        found |= {
            f"LSTM {gate}": (L.LSTM(4, recurrent_activation=gate), "steps"),
            f"GRU {gate}": (L.GRU(4, recurrent_activation=gate), "steps"),
            f"GRU reset before, {gate}": (L.GRU(4, recurrent_activation=gate, reset_after=False), "steps"),
        }
    backwards = {"go_backwards": True, "return_sequences": True}
    for kind in (L.SimpleRNN, L.LSTM, L.GRU):
        found |= {
            f"{kind.__name__} sequences": (kind(4, return_sequences=True), "steps"),
            f"{kind.__name__} backwards": (kind(4, **backwards), "steps"),
            f"{kind.__name__} no bias": (kind(4, use_bias=False, activation="relu"), "steps"),
            f"{kind.__name__} unrolled": (kind(4, unroll=True, dropout=0.2, recurrent_dropout=0.3), "steps"),
        }
    cells = [L.LSTMCell(4), L.GRUCell(3, reset_after=False), L.SimpleRNNCell(5)]
    return found | {
        "RNN": (L.RNN(L.LSTMCell(4)), "steps"),
        "RNN of GRU cells": (L.RNN(L.GRUCell(4), return_sequences=True, go_backwards=True), "steps"),
        "RNN of several cells": (L.RNN(cells, return_sequences=True), "steps"),
        "RNN of stacked cells": (L.RNN(L.StackedRNNCells([L.GRUCell(4), L.LSTMCell(3)])), "steps"),
    }


def convolutional_recurrent():
    return {
        "ConvLSTM1D": (L.ConvLSTM1D(3, 2, return_sequences=True), "image"),
        "ConvLSTM1D sigmoid": (L.ConvLSTM1D(3, 2, recurrent_activation="sigmoid", use_bias=False), "image"),
        "ConvLSTM2D": (L.ConvLSTM2D(3, (3, 2), strides=(1, 2)), "volume"),
        "ConvLSTM2D same": (L.ConvLSTM2D(3, (3, 2), padding="same", return_sequences=True), "volume"),
        "ConvLSTM2D backwards": (L.ConvLSTM2D(3, (3, 2), go_backwards=True, activation="relu"), "volume"),
        "ConvLSTM3D": (L.ConvLSTM3D(3, (2, 3, 4)), "film"),
    }


def wrappers():
    merged = {
        f"Bidirectional {mode}": (L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode=mode), "steps")
        for mode in ("concat", "sum", "mul", "ave")
    }
    other_way = L.LSTM(4, go_backwards=True, recurrent_activation="hard_sigmoid")
    with quiet():
        inner = tf_keras.Sequential([L.Input((7, 2)), L.Conv1D(3, 2), L.BatchNormalization(), L.LSTM(4)])
    return merged | {
        "Bidirectional of two": (L.Bidirectional(L.LSTM(4), backward_layer=other_way), "steps"),
        "Bidirectional of RNN": (L.Bidirectional(L.RNN(L.LSTMCell(4))), "steps"),
        "Bidirectional of ConvLSTM2D": (L.Bidirectional(L.ConvLSTM2D(3, (3, 2))), "volume"),
        "TimeDistributed Dense": (L.TimeDistributed(L.Dense(4, activation="relu")), "steps"),
        "TimeDistributed Conv2D": (L.TimeDistributed(L.Conv2D(3, (3, 2))), "volume"),
        "TimeDistributed of a model": (L.TimeDistributed(inner), "image"),
        "TimeDistributed of a wrapper": (L.TimeDistributed(L.Bidirectional(L.LSTM(4))), "image"),
    }


def masked():
    def embedded():
        return L.Embedding(5, 4, mask_zero=True)

    return {
        "Embedding": (L.Embedding(5, 4), "words"),
        "Embedding with a mask": (chain(embedded(), L.LSTM(3)), "words"),
        "Embedding with a mask, sequences": (chain(embedded(), L.GRU(3, return_sequences=True), L.LSTM(4)), "words"),
        "Embedding with a mask, both ways": (chain(embedded(), L.Bidirectional(L.LSTM(3))), "words"),
        "Embedding with a mask, averaged": (chain(embedded(), L.GlobalAveragePooling1D()), "words"),
        "Embedding with a mask, dropped out": (chain(embedded(), L.Dropout(0.2), L.SimpleRNN(4)), "words"),
        "Masking": (chain(L.ReLU(threshold=0.5), L.Masking(0.0), L.LSTM(4)), "steps"),
        "Masking of another value": (chain(L.ReLU(max_value=0.25), L.Masking(0.25), L.GRU(4)), "steps"),
        "Masking through TimeDistributed": (
            chain(L.ReLU(threshold=0.5), L.Masking(), L.TimeDistributed(L.Dense(4)), L.LSTM(3)),
            "steps",
        ),
    }


def attention():
    several = {"num_heads": 2, "key_dim": 3}

    def call_on_two(layer):
        return lambda tensors: layer(tensors[0], tensors[1])

    def call_by_name(layer):
        return lambda tensors: layer(query=tensors[0], value=tensors[1], key=tensors[1])

    return {
        "Attention": (L.Attention(), "steps", "more_steps"),
        "Attention scaled": (L.Attention(use_scale=True), "steps", "more_steps"),
        "Attention concat": (L.Attention(use_scale=True, score_mode="concat"), "steps", "more_steps"),
        "Attention of three": (L.Attention(), "steps", "more_steps", "more_steps"),
        "AdditiveAttention": (L.AdditiveAttention(), "steps", "more_steps"),
        "AdditiveAttention unscaled": (L.AdditiveAttention(use_scale=False), "steps", "more_steps"),
        "MultiHeadAttention": (call_on_two(L.MultiHeadAttention(**several)), "steps", "more_steps"),
        "MultiHeadAttention with itself": (lambda tensor: L.MultiHeadAttention(**several)(tensor, tensor), "steps"),
        "MultiHeadAttention of another size": (
            call_by_name(L.MultiHeadAttention(**several, value_dim=4, output_shape=5, use_bias=False)),
            *("steps", "more_steps"),
        ),
        "MultiHeadAttention of images": (
            lambda tensor: L.MultiHeadAttention(**several, attention_axes=(1, 2))(tensor, tensor),
            "image",
        ),
    }


def merges():
    two, rows = ("image", "other_image"), ("row", "other_row")
    simple = (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Concatenate)
    return {kind.__name__: (kind(), *two) for kind in simple} | {
        "Add of three": (L.Add(), *two, "image"),
        "Add of a smaller one": (chain(lambda pair: [pair[0], L.Cropping2D(((2, 2), 0))(pair[1])], L.Add()), *two),
        "Concatenate rows": (L.Concatenate(axis=1), *two),
        "Dot": (L.Dot(axes=1), *rows),
        "Dot with normalize": (L.Dot(axes=1, normalize=True), *rows),
        "Dot of matrices": (L.Dot(axes=(2, 1)), "image", "steps"),
        "Dot of steps": (L.Dot(axes=2, normalize=True), "steps", "more_steps"),
    }


def preprocessing():
    with quiet():
        adapted = L.Discretization(num_bins=4)
        adapted.adapt(np.random.default_rng(5).standard_normal((50, 6)))
    images = {
        "RandomBrightness": L.RandomBrightness(0.2),
        "RandomContrast": L.RandomContrast(0.2),
        "RandomFlip": L.RandomFlip("vertical"),
        "RandomRotation": L.RandomRotation(0.2),
        "RandomTranslation": L.RandomTranslation(0.1, (-0.2, 0.3)),
        "RandomZoom": L.RandomZoom(0.2),
    }
    return {name: (layer, "image") for name, layer in images.items()} | {
        "CategoryEncoding one_hot": (L.CategoryEncoding(9, output_mode="one_hot"), "numbers"),
        "CategoryEncoding multi_hot": (L.CategoryEncoding(9), "words"),
        "CategoryEncoding count": (L.CategoryEncoding(9, output_mode="count"), "words"),
        "Discretization": (L.Discretization([-0.5, 0.0, 0.7]), "row"),
        "Discretization multi_hot": (L.Discretization([-0.5, 0.7], output_mode="multi_hot"), "row"),
        "Discretization adapted": (adapted, "row"),
        "Hashing": (L.Hashing(4), "words"),
        "Hashing with a salt": (L.Hashing(4, salt=(7, 8)), "words"),
    }


GROUPS = {
    group.__name__: group
    for group in (
        *(core, convolutions, pooling, reshaping, normalizations, recurrent, convolutional_recurrent, wrappers, masked),
        *(attention, merges, preprocessing, channels_first),
    )
}


@functools.cache
def make_group(group: str) -> tuple[list[str], tf_keras.Model]:
    """The names of the branches of one of GROUPS, and the model that has them all."""
    branches = GROUPS[group]()
    return list(branches), make_model(branches)
