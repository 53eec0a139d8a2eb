"""Every layer that a configuration may name is built from one, by the builder that users' models go through."""

import re

import keras
import pytest
from conftest import make_config

import lctrain.layers
from lctrain.config import validate
from lctrain.config.allowlist import classes
from lctrain.model.build import build_model

SHAPES = {1: [12, 3], 2: [9, 7, 3], 3: [5, 6, 4, 3]}  # by the rank in a class's name
IMAGE, SEQUENCE, VECTOR = [9, 7, 3], [6, 5], [8]
CELL = {"type": "LSTMCell", "units": 4}
ARGUMENTS = {
    "Activation": {"activation": "relu"},
    "Bidirectional": {"layer": {"type": "GRU", "units": 4}},
    "CategoryEncoding": {"num_tokens": 5},
    "CenterCrop": {"height": 4, "width": 3},
    "Discretization": {"bin_boundaries": [0.0, 0.5]},
    "Dot": {"axes": 1},
    "EinsumDense": {"equation": "abc,cd->abd", "output_shape": [6, 4], "bias_axes": "d"},
    "Embedding": {"input_dim": 10, "output_dim": 4},
    "GroupNormalization": {"groups": 3},
    "GroupQueryAttention": {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2},
    "HashedCrossing": {"num_bins": 5},
    "Hashing": {"num_bins": 5, "salt": [3, 4], "output_mode": "one_hot"},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 3},
    "Normalization": {"mean": 0.5, "variance": 2.0},
    "Permute": {"dims": [2, 1]},
    "Pipeline": {"layers": [{"type": "RandomFlip"}, {"type": "Rescaling", "scale": 0.5}]},
    "RNN": {"cell": CELL},
    "RandomCrop": {"height": 4, "width": 3},
    "RandomPosterization": {"factor": 4},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": [-0.1, 0.1]},
    "RandomZoom": {"height_factor": 0.1},
    "RepeatVector": {"n": 3},
    "Rescaling": {"scale": 0.5},
    "Reshape": {"target_shape": [4, -1]},
    "Resizing": {"height": 4, "width": 3},
    "ReversibleEmbedding": {"input_dim": 10, "output_dim": 4},
    "SpectralNormalization": {"layer": {"type": "Dense", "units": 4}},
    "TimeDistributed": {"layer": {"type": "Dense", "units": 4}},
}
VALUES = {  # of required arguments, where a class has none of its own above
    "filters": 4,
    "units": 4,
    "kernel_size": 2,
    "pool_size": 2,
    "output_size": 2,
    "rate": 0.2,
    "stddev": 0.2,
    "factor": 0.2,
    "addition_factor": 0.2,
}
INPUTS = {
    **dict.fromkeys(
        ["Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"], [VECTOR] * 2
    ),
    **dict.fromkeys(["Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"], [SEQUENCE] * 2),
    **{key: [SEQUENCE] for key in ["Bidirectional", "EinsumDense", "GRU", "LSTM", "SimpleRNN", "RNN", "Masking"]},
    **{key: [SEQUENCE] for key in ["Permute", "TimeDistributed", "LayerNormalization"]},
    **{key: [VECTOR] for key in ["RepeatVector", "Reshape", "SpectralNormalization", "CategoryEncoding", "Dense"]},
    **{key: [VECTOR] for key in ["Embedding", "ReversibleEmbedding", "Normalization"]},
    "HashedCrossing": [[1], [1]],
    "MelSpectrogram": [[4000]],
    "STFTSpectrogram": [[4000, 1]],
}


def input_shapes(name):
    if name in INPUTS:
        return INPUTS[name]
    rank = re.search(r"([123])D", name)
    if name.startswith("ConvLSTM"):
        return [[4, *SHAPES[int(rank[1])]]]
    return [SHAPES[int(rank[1])] if rank else IMAGE]


@pytest.mark.parametrize("name", sorted(classes("layers")))
def test_a_layer_is_built_from_its_spec(name):
    required = {argument: VALUES.get(argument) for argument in classes("layers")[name].required}
    shapes = {f"x{i}": shape for i, shape in enumerate(input_shapes(name))}
    spec = {"type": name, **required, **ARGUMENTS.get(name, {}), "inputs": list(shapes)}
    flatten = {"type": "GlobalAveragePooling1D" if name == "Masking" else "Flatten"}  # the latter would lose the mask
    layers = {"it": spec, "flat": flatten, "head": {"type": "Dense", "units": 4}}
    config = make_config(model={"name": "one", "layers": layers, "inputs": shapes})
    model = build_model(validate(config))
    assert isinstance(model.get_layer("it"), getattr(lctrain.layers, name, getattr(keras.layers, name, None)))
    assert model.output_shape == (None, 4)
