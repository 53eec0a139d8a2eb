"""Graphs: how layers connect, what is told of those that do not, and the models that they become."""

import copy

import keras
import numpy as np
import pytest
from conftest import make_config

from lctrain.config import validate
from lctrain.model.build import build_model

DENSE = {"type": "Dense", "units": 6}
FLATTEN = {"type": "Flatten"}
HEAD = {"type": "Dense", "units": 4, "activation": "softmax"}
LOCAL = {"type": "LocallyConnected2D", "filters": 3, "kernel_size": 2}


def configure(layers, **model):
    return make_config(model={"name": "graph", "layers": layers, **model})


def sources_of(layers, **model):
    validated = validate(configure(layers, **model)).model
    return {name: spec["inputs"] for name, spec in validated.layers.items()}, validated.outputs


def test_without_inputs_each_layer_reads_the_one_above():
    sources, outputs = sources_of({"a": FLATTEN, "b": DENSE, "c": HEAD})
    assert sources == {"a": ["input"], "b": ["a"], "c": ["b"]}
    assert outputs == ["c"]


def test_branches_and_merges():
    layers = {
        "stem": FLATTEN,
        "left": DENSE,
        "right": DENSE | {"inputs": "stem"},
        "sum": {"type": "Add", "inputs": ["left", "right"]},
        "head": HEAD,
    }
    sources, _ = sources_of(layers)
    assert sources == {
        "stem": ["input"],
        "left": ["stem"],
        "right": ["stem"],
        "sum": ["left", "right"],
        "head": ["sum"],
    }
    model = build_model(validate(configure(layers)))
    inputs = np.random.default_rng(0).standard_normal((3, 5, 7, 2)).astype("float32")
    flat = inputs.reshape(3, -1)
    left, right, head = (model.get_layer(name) for name in ("left", "right", "head"))
    expected = head(left(flat) + right(flat))
    np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, rtol=1e-5)


def test_layers_are_sorted_whatever_the_order_written():
    layers = {"head": HEAD | {"inputs": "b"}, "b": DENSE | {"inputs": "a"}, "a": FLATTEN | {"inputs": "input"}}
    sources, outputs = sources_of(layers, outputs=["head"])
    assert list(sources.items()) == [("a", ["input"]), ("b", ["a"]), ("head", ["b"])]
    assert outputs == ["head"]
    assert build_model(validate(configure(layers, outputs=["head"]))).output_shape == (None, 4)


def test_after_places_a_layer_between_another_and_all_that_it_feeds():
    layers = {
        "stem": FLATTEN,
        "left": DENSE,
        "right": DENSE | {"inputs": "stem"},
        "sum": {"type": "Add", "inputs": ["left", "right"]},
        "head": HEAD,
        "extra": {"type": "Dropout", "rate": 0.2, "after": "stem"},
        "more": {"type": "Dropout", "rate": 0.3, "after": "extra"},
        "last": {"type": "Softmax", "after": "head"},
    }
    sources, outputs = sources_of(layers)
    assert sources["extra"] == ["stem"]
    assert sources["more"] == ["extra"]
    assert sources["left"] == sources["right"] == ["more"]
    assert sources["last"] == ["head"]
    assert outputs == ["last"]
    assert [layer.name for layer in build_model(validate(configure(layers))).layers][1:4] == ["stem", "extra", "more"]


def test_after_leaves_layers_that_name_it_themselves():
    layers = {
        "stem": FLATTEN,
        "sum": {"type": "Add", "inputs": ["stem", "extra"]},
        "head": HEAD,
        "extra": {"type": "Dropout", "rate": 0.2, "after": "stem"},
    }
    sources, _ = sources_of(layers)
    assert sources["sum"] == ["stem", "extra"]


def test_after_the_input_is_before_all_layers():
    sources, _ = sources_of({"a": FLATTEN, "b": HEAD, "scale": {"type": "Rescaling", "scale": 2, "after": "input"}})
    assert sources == {"scale": ["input"], "a": ["scale"], "b": ["a"]}


def test_several_inputs_shared_layers_and_several_outputs():
    layers = {
        "left": LOCAL | {"inputs": "one"},
        "right": {"shares": "left", "inputs": "two"},
        "both": {"type": "Concatenate", "inputs": ["left", "right"]},
        "flat": FLATTEN,
        "classes": HEAD,
        "place": {"type": "Dense", "units": 2, "inputs": "flat"},
    }
    model = {"inputs": {"one": [5, 7, 2], "two": [5, 7, 2]}, "outputs": ["classes", "place"]}
    config = validate(configure(layers, **model))
    assert config.model.layers["right"]["shares"] == "left"
    assert config.model.layers["right"]["type"] == "LocallyConnected2D"
    built = build_model(config)
    assert [tuple(tensor.shape) for tensor in built.inputs] == [(None, 5, 7, 2)] * 2
    assert [tuple(tensor.shape) for tensor in built.outputs] == [(None, 4), (None, 2)]
    assert [layer.name for layer in built.layers if isinstance(layer, keras.layers.Dense)] == ["classes", "place"]
    num_shared = 24 * 8 * 3 + 24 * 3
    assert built.count_params() == num_shared + (24 * 6 * 4 + 4) + (24 * 6 * 2 + 2)
    first, second = np.random.default_rng(0).standard_normal((2, 3, 5, 7, 2)).astype("float32")
    forth, _ = built.predict([first, second], verbose=0)
    merged = keras.ops.concatenate([built.get_layer("left")(first), built.get_layer("left")(second)], axis=-1)
    expected = built.get_layer("classes")(keras.ops.reshape(merged, (3, -1)))
    np.testing.assert_allclose(forth, expected, rtol=1e-5)


def test_a_layer_may_be_shared_before_it_is_declared():
    layers = {
        "right": {"shares": "left", "inputs": "input"},
        "left": DENSE | {"inputs": "scaled"},
        "scaled": {"type": "Rescaling", "scale": 2, "inputs": "input"},
        "sum": {"type": "Add", "inputs": ["left", "right"]},
        "flat": FLATTEN,
        "head": HEAD,
    }
    model = build_model(validate(configure(layers)))
    assert sorted(layer.name for layer in model.layers) == ["flat", "head", "input", "left", "scaled", "sum"]
    assert model.get_layer("left").count_params() == 2 * 6 + 6


def test_channels_first_concatenates_channels_and_turns_every_input():
    layers = {
        "left": LOCAL | {"inputs": "one"},
        "right": LOCAL | {"inputs": "two"},
        "both": {"type": "Concatenate", "inputs": ["left", "right"]},
        "flat": FLATTEN,
        "head": HEAD,
    }
    config = configure(layers, inputs={"one": [5, 7, 2], "two": [5, 7, 3]}) | {"data_format": "channels_first"}
    model = build_model(validate(config))
    assert [tuple(tensor.shape) for tensor in model.inputs] == [(None, 2, 5, 7), (None, 3, 5, 7)]
    assert tuple(model.get_layer("both").output.shape) == (None, 6, 4, 6)


def test_attention_takes_its_inputs_in_keras_order():
    layers = {
        "rows": {"type": "Reshape", "target_shape": [7, 10]},
        "attention": {"type": "MultiHeadAttention", "num_heads": 2, "key_dim": 3, "inputs": ["rows", "rows"]},
        "flat": FLATTEN,
        "head": HEAD,
    }
    model = build_model(validate(configure(layers)))
    assert tuple(model.get_layer("attention").output.shape) == (None, 7, 10)


def test_wrappers_hold_layers_and_what_these_inherit():
    nested = {"type": "layer_locally_connected_1d", "filters": 3, "kernel_size": 2, "kernel_regularizer": {"l2": 0.1}}
    layers = {
        "rows": {"type": "TimeDistributed", "layer": nested},
        "merged": {"type": "Reshape", "target_shape": [5, 18]},
        "lstm": {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 3}, "merge_mode": "sum"},
        "stack": {
            "type": "RNN",
            "cell": {
                "type": "StackedRNNCells",
                "cells": [{"type": "GRUCell", "units": 2}, {"type": "GRUCell", "units": 5}],
            },
            "inputs": "merged",
        },
        "both": {"type": "Concatenate", "inputs": ["lstm", "stack"]},
        "head": HEAD,
    }
    config = validate(configure(layers) | {"implementation": "batched"})
    assert config.model.layers["rows"]["layer"]["implementation"] == "batched"
    assert config.model.layers["rows"]["layer"]["type"] == "LocallyConnected1D"
    model = build_model(config)
    rows = model.get_layer("rows")
    assert tuple(rows.output.shape) == (None, 5, 6, 3)
    assert rows.layer.resolved_implementation == "batched"
    assert rows.layer.name == "rows_layer"
    assert float(rows.layer.kernel_regularizer.l2) == pytest.approx(0.1)
    assert tuple(model.get_layer("both").output.shape) == (None, 3 + 5)


def test_outputs_stay_precise_in_mixed_precision():
    layers = {
        "a": FLATTEN,
        "one": HEAD,
        "two": {"shares": "one", "inputs": "a"},
        "three": HEAD | {"inputs": "a"},
        "side": DENSE | {"inputs": "a"},
    }
    config = configure(layers, outputs=["two", "three", "one", "side"]) | {"precision": "mixed_bfloat16"}
    model = build_model(validate(config))
    assert [tensor.dtype for tensor in model.outputs] == ["float32"] * 4
    assert model.get_layer("a").compute_dtype == "bfloat16"


def test_the_normal_form_is_a_fixed_point():
    layers = {
        "stem": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": 2, "kernel_regularizer": "l2"},
        "again": {"type": "MaxPool2D", "pool_size": 1, "after": "stem"},
        "left": LOCAL,
        "right": {"shares": "left", "inputs": "again"},
        "sum": {"type": "Add", "inputs": ["left", "right"]},
        "rows": {"type": "TimeDistributed", "layer": {"type": "Dense", "units": 3}},
        "flat": FLATTEN,
        "head": HEAD,
    }
    for changes in ({}, {"data_format": "channels_first"}, {"precision": "mixed_bfloat16"}):
        once = validate(configure({name: copy.deepcopy(layers[name]) for name in layers if name != "rows"}) | changes)
        twice = validate(once.model_dump())
        assert twice == once
