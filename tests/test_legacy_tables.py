"""What lctrain knows of tf_keras, compared with tf_keras; and what it expects of arrays, with Keras."""

import json

import keras
import pytest
from generate_tf_keras import TABLE, as_text, make_table
from test_shapes import SAMPLES as SAMPLES_OF_STACKS
from test_shapes_of_graphs import SAMPLES as SAMPLES_OF_GRAPHS
from test_shapes_of_graphs import complete

from lctrain.config.allowlist import with_defaults
from lctrain.legacy.loading import stored_variables
from lctrain.legacy.masks import KEPT, KEPT_NOW
from lctrain.legacy.old_weights import ADAPTED, find_old_weights, load_tf_keras_table
from lctrain.model.build import build_layer
from lctrain.model.shapes import FAMILIES, infer_layer

IMAGE, SEQUENCE, VOLUME, ROW = (None, 5, 7, 4), (None, 6, 4), (None, 5, 6, 7, 4), (None, 4)
LSTM = {"type": "LSTM", "units": 3}
GRU_CELL = {"type": "GRUCell", "units": 3}
LAYERS = [
    ({"type": "Dense", "units": 3}, [SEQUENCE]),
    ({"type": "EinsumDense", "equation": "abc,cd->abd", "output_shape": [None, 3], "bias_axes": "d"}, [SEQUENCE]),
    ({"type": "EinsumDense", "equation": "abc,bcd->abd", "output_shape": [6, 3], "bias_axes": "b"}, [SEQUENCE]),
    ({"type": "Conv1D", "filters": 6, "kernel_size": 3, "groups": 2}, [SEQUENCE]),
    ({"type": "Conv2D", "filters": 3, "kernel_size": [3, 2], "data_format": "channels_first"}, [IMAGE]),
    ({"type": "Conv3D", "filters": 3, "kernel_size": [3, 2, 1], "use_bias": False}, [VOLUME]),
    ({"type": "Conv1DTranspose", "filters": 3, "kernel_size": 2}, [SEQUENCE]),
    ({"type": "Conv2DTranspose", "filters": 3, "kernel_size": [3, 2]}, [IMAGE]),
    ({"type": "Conv3DTranspose", "filters": 3, "kernel_size": [3, 2, 1]}, [VOLUME]),
    ({"type": "DepthwiseConv1D", "kernel_size": 3, "depth_multiplier": 2}, [SEQUENCE]),
    ({"type": "DepthwiseConv2D", "kernel_size": [3, 2], "depth_multiplier": 2}, [IMAGE]),
    ({"type": "SeparableConv1D", "filters": 3, "kernel_size": 3, "depth_multiplier": 2}, [SEQUENCE]),
    ({"type": "SeparableConv2D", "filters": 3, "kernel_size": [3, 2]}, [IMAGE]),
    ({"type": "LocallyConnected1D", "filters": 3, "kernel_size": 2, "padding": [[1, 0]]}, [SEQUENCE]),
    ({"type": "LocallyConnected2D", "filters": 3, "kernel_size": [3, 2], "strides": [2, 1]}, [IMAGE]),
    ({"type": "ConvLSTM1D", "filters": 3, "kernel_size": 2}, [IMAGE]),
    ({"type": "ConvLSTM2D", "filters": 3, "kernel_size": [3, 2]}, [VOLUME]),
    ({"type": "ConvLSTM3D", "filters": 3, "kernel_size": [3, 2, 1]}, [(None, 2, 5, 6, 7, 4)]),
    ({"type": "Embedding", "input_dim": 9, "output_dim": 3}, [ROW]),
    ({"type": "BatchNormalization", "axis": 2, "scale": False}, [IMAGE]),
    ({"type": "LayerNormalization", "axis": [1, 3]}, [IMAGE]),
    ({"type": "GroupNormalization", "groups": 2}, [IMAGE]),
    ({"type": "PReLU", "shared_axes": [1]}, [IMAGE]),
    ({"type": "SimpleRNN", "units": 3}, [SEQUENCE]),
    ({"type": "GRU", "units": 3, "reset_after": True}, [SEQUENCE]),
    ({"type": "GRU", "units": 3, "reset_after": False}, [SEQUENCE]),
    (LSTM, [SEQUENCE]),
    (
        {"type": "RNN", "cell": {"type": "StackedRNNCells", "cells": [GRU_CELL, {"type": "LSTMCell", "units": 2}]}},
        [SEQUENCE],
    ),
    ({"type": "Attention", "use_scale": True, "score_mode": "concat"}, [SEQUENCE, SEQUENCE]),
    ({"type": "AdditiveAttention"}, [SEQUENCE, SEQUENCE]),
    ({"type": "MultiHeadAttention", "num_heads": 2, "key_dim": 3, "value_dim": 5}, [SEQUENCE, (None, 8, 7)]),
    ({"type": "Bidirectional", "layer": LSTM}, [SEQUENCE]),
    ({"type": "TimeDistributed", "layer": {"type": "Dense", "units": 3}}, [IMAGE]),
]


def test_the_table_of_tf_keras_is_what_would_be_written():
    assert TABLE.read_text() == as_text(json.loads(json.dumps(make_table()))), "run python tests/generate_tf_keras.py"


def has_weights(name, sample):
    shapes, arguments = sample
    return bool(infer_layer(name, complete(name, arguments), shapes if isinstance(shapes, list) else [shapes]).weights)


def test_every_family_is_compared():
    samples = {**SAMPLES_OF_STACKS, **SAMPLES_OF_GRAPHS}
    with_weights = {name for name in FAMILIES if any(map(has_weights, [name] * len(samples[name]), samples[name]))}
    assert {spec["type"] for spec, _ in LAYERS} == with_weights & set(load_tf_keras_table()["layers"]) - {*ADAPTED}


@pytest.mark.parametrize(("spec", "shapes"), LAYERS, ids=[str(spec["type"]) for spec, _ in LAYERS])
def test_expected_arrays_are_those_of_keras(spec, shapes):
    layer = build_layer("layer", spec)
    inputs = [keras.Input(shape[1:]) for shape in shapes]
    layer(*inputs) if spec["type"] == "MultiHeadAttention" else layer(inputs if len(inputs) > 1 else inputs[0])
    whole = with_defaults("layers", spec)
    expected = find_old_weights(whole, shapes)
    assert [weight.shape for weight in expected] == [tuple(one.shape) for one in stored_variables(layer)]
    assert [weight.is_trainable for weight in expected] == [one.trainable for one in stored_variables(layer)]
    parameters = sum(one.numpy().size for one in stored_variables(layer))
    assert parameters == infer_layer(spec["type"], whole, shapes).parameters


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ({"type": "RMSNormalization"}, IMAGE),
        ({"type": "LocallyConnected2D", "filters": 4, "kernel_size": 2, "groups": 2}, IMAGE),
        ({"type": "LocallyConnected2D", "filters": 4, "kernel_size": 2, "use_bias": "shared"}, IMAGE),
        ({"type": "TimeDistributed", "layer": {"type": "RMSNormalization"}}, IMAGE),
        ({"type": "TimeDistributed", "layer": {"type": "Normalization"}}, IMAGE),
    ],
)
def test_what_no_old_layer_had_makes_up_other_weights(spec, shape):
    whole = with_defaults("layers", spec)
    assert (
        sum(weight.size for weight in find_old_weights(whole, [shape]))
        != infer_layer(spec["type"], whole, [shape]).parameters
    )


def test_masks_go_where_both_kerases_let_them():
    then, now = (set(make_table()[f"masks_kept_{when}"]) for when in ("then", "now"))
    assert then == KEPT
    assert now - then == KEPT_NOW
