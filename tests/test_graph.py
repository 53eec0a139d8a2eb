"""Graphs: how layers connect, what is told of those that do not, and the models that they become."""

import copy

import keras
import numpy as np
import pytest
from conftest import make_config

from lctrain.builder import build_model
from lctrain.config import validate
from lctrain.data import check_feeds
from lctrain.errors import ConfigError

DENSE = {"type": "Dense", "units": 6}
FLATTEN = {"type": "Flatten"}
HEAD = {"type": "Dense", "units": 4, "activation": "softmax"}
LOCAL = {"type": "LocallyConnected2D", "filters": 3, "kernel_size": 2}


def configure(layers, **model):
    return make_config(model={"name": "graph", "layers": layers, **model})


def sources_of(layers, **model):
    validated = validate(configure(layers, **model)).model
    return {name: spec["inputs"] for name, spec in validated.layers.items()}, validated.outputs


def problems_of(layers, **model):
    with pytest.raises(ConfigError, match="`model") as raised:
        validate(configure(layers, **model))
    return {problem.path: problem.message for problem in raised.value.problems}


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


def test_a_wrapped_layer_is_checked_with_its_path():
    wrapped = {"type": "TimeDistributed", "layer": {"type": "Dense", "unts": 3}}
    problems = problems_of({"a": wrapped, "flat": FLATTEN, "head": HEAD})
    assert problems == {
        "model.layers.a.layer": "has no `units`, which Dense needs.",
        "model.layers.a.layer.unts": "is not an argument of Dense. Did you mean `units`?",
    }
    problems = problems_of({"a": {"type": "TimeDistributed", "layer": DENSE | {"inputs": "b"}}, "b": HEAD})
    assert "is not an argument of Dense" in problems["model.layers.a.layer.inputs"]


@pytest.mark.parametrize(
    ("layers", "model", "path", "message"),
    [
        (
            {"a": FLATTEN | {"inputs": "c"}, "b": DENSE, "c": DENSE, "head": HEAD},
            {},
            "model.layers.a.inputs",
            "closes a cycle: `model.layers.a` -> `model.layers.b` -> `model.layers.c` -> `model.layers.a`.",
        ),
        ({"a": FLATTEN | {"inputs": "a"}}, {}, "model.layers.a.inputs", "`model.layers.a` -> `model.layers.a`."),
        (
            {"a": FLATTEN | {"after": "a"}},
            {},
            "model.layers.a.after",
            "`model.layers.a` can't be placed behind itself.",
        ),
        (
            {"a": FLATTEN, "b": DENSE | {"after": "c"}, "c": DENSE | {"after": "b"}},
            {},
            "model.layers.b.after",
            "closes a cycle: `model.layers.c` is itself placed behind it.",
        ),
        (
            {"a": FLATTEN, "side": DENSE, "head": HEAD | {"inputs": "a"}},
            {},
            "model.layers.side",
            "is unconnected: nothing leads from it to the output `model.layers.head`. Name it in the `inputs`",
        ),
        (
            {"a": FLATTEN | {"inputs": "x"}, "head": HEAD},
            {"inputs": {"x": [5, 7, 2], "y": [3]}},
            "model.inputs.y",
            "is unconnected: nothing leads from it to the output `model.layers.head`.",
        ),
        (
            {"a": FLATTEN, "head": HEAD},
            {"inputs": {"x": [5, 7, 2], "y": [3]}},
            "model.layers.a",
            "must say which of the model's inputs it reads. Add `inputs: x`.",
        ),
        (
            {"a": FLATTEN, "sum": {"type": "Add"}},
            {},
            "model.layers.sum.inputs",
            "must name 2 layers or more for Add; got `a`",
        ),
        (
            {"a": FLATTEN, "sum": {"type": "Subtract", "inputs": ["a", "a", "a"]}},
            {},
            "model.layers.sum.inputs",
            "must name 2 layers for Subtract; got ['a', 'a', 'a'].",
        ),
        (
            {"a": FLATTEN, "b": DENSE, "head": HEAD | {"inputs": ["a", "b"]}},
            {},
            "model.layers.head.inputs",
            "must name one layer for Dense; got ['a', 'b']. Merge them first with Concatenate.",
        ),
        (
            {"stem": FLATTEN, "head": HEAD | {"inputs": "setm"}},
            {},
            "model.layers.head.inputs",
            "must name a layer or an input of the model; got 'setm'. Did you mean `stem`?",
        ),
        (
            {"stem": FLATTEN, "head": HEAD | {"inputs": ["inptu"]}},
            {},
            "model.layers.head.inputs.0",
            "Did you mean `input`?",
        ),
        ({"stem": FLATTEN, "head": HEAD | {"inputs": []}}, {}, "model.layers.head.inputs", "got []."),
        ({"stem": FLATTEN, "head": HEAD | {"inputs": 3}}, {}, "model.layers.head.inputs", "got 3."),
        ({"stem": FLATTEN, "head": HEAD | {"after": "stme"}}, {}, "model.layers.head.after", "Did you mean `stem`?"),
        (
            {"stem": FLATTEN, "head": HEAD | {"after": "stem", "inputs": "stem"}},
            {},
            "model.layers.head.after",
            "can't go with `model.layers.head.inputs`",
        ),
        (
            {"input": FLATTEN, "head": HEAD},
            {},
            "model.layers.input",
            "must not have the name of an input of the model.",
        ),
        ({"a": FLATTEN, "head": HEAD}, {"outputs": ["haed"]}, "model.outputs.0", "Did you mean `head`?"),
        ({"a": FLATTEN, "head": HEAD}, {"outputs": ["head", "head"]}, "model.outputs", "must not name a layer twice"),
        ({"a": FLATTEN, "head": HEAD}, {"outputs": []}, "model.outputs", "must not be empty. Fill it in."),
        ({"a": FLATTEN, "head": HEAD}, {"outputs": "head"}, "model.outputs", "must be a list; got 'head'."),
        ({"a": FLATTEN, "head": HEAD}, {"inputs": {"x-y": [3]}}, "model.inputs.x-y", "must be an input name"),
        ({"a": FLATTEN, "head": HEAD}, {"inputs": {"x": [0]}}, "model.inputs.x.0", "must be greater than 0; got 0."),
        (
            {"a": FLATTEN, "b": {"shares": "aa"}, "head": HEAD},
            {},
            "model.layers.b.shares",
            "must name another layer; got 'aa'. Did you mean `a`?",
        ),
        (
            {"a": DENSE, "b": {"shares": "a", "units": 3}, "flat": FLATTEN, "head": HEAD},
            {},
            "model.layers.b.units",
            "can't be set in a layer that shares another. Set it in `model.layers.a`.",
        ),
        (
            {"a": DENSE, "b": {"shares": "a"}, "c": {"shares": "b"}, "flat": FLATTEN, "head": HEAD},
            {},
            "model.layers.c.shares",
            "must name a layer that shares no other; got 'b'. Name `a` itself.",
        ),
    ],
)
def test_what_does_not_connect_is_told(layers, model, path, message):
    problems = problems_of(layers, **model)
    assert path in problems, problems
    assert message in problems[path]
    assert len(problems) <= 2


@pytest.mark.parametrize(
    ("merge", "message"),
    [
        (
            {"type": "Add"},
            r"don't fit together in Add: \(None, 4, 6, 3\) from `model.layers.left` and \(None, 3, 5, 3\)",
        ),
        (
            {"type": "Concatenate"},
            r"don't fit together in Concatenate: .* from `model.layers.left` and .* from `model.layers.right`",
        ),
        (
            {"type": "Dot", "axes": 1},
            r"don't fit together in Dot: .* from `model.layers.left` and .* from `model.layers.right`",
        ),
    ],
)
def test_a_merge_of_unequal_shapes_names_both_ends(merge, message):
    layers = {
        "left": LOCAL,
        "right": LOCAL | {"kernel_size": 3, "inputs": "input"},
        "merge": merge | {"inputs": ["left", "right"]},
        "flat": FLATTEN,
        "head": HEAD,
    }
    with pytest.raises(ConfigError, match=f"`model.layers.merge.inputs` {message}"):
        build_model(validate(configure(layers)))


def test_a_shared_layer_on_another_shape_is_told():
    layers = {"left": DENSE, "flat": FLATTEN, "right": {"shares": "left"}, "head": HEAD}
    with pytest.raises(ConfigError, match=r"`model.layers.right` \(Dense\) can't be built on .* \(None, 210\)"):
        build_model(validate(configure(layers)))


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


def test_a_data_set_feeds_one_input_and_one_output():
    layers = {"a": FLATTEN | {"inputs": "x"}, "b": DENSE | {"inputs": "y"}, "c": FLATTEN}
    layers |= {"both": {"type": "Concatenate", "inputs": ["a", "c"]}, "head": HEAD, "side": DENSE | {"inputs": "both"}}
    model = {"inputs": {"x": [5, 7, 2], "y": [5, 7, 2]}, "outputs": ["head", "side"]}
    config = validate(configure(layers, **model))
    assert len(build_model(config).inputs) == 2
    with pytest.raises(ConfigError, match="2 problems") as raised:
        check_feeds(config)
    assert {problem.path: problem.message for problem in raised.value.problems} == {
        "model.inputs": "must be one input to be trained on `synthetic`, which gives one array; got ['x', 'y'].",
        "model.outputs": "must be one layer to be trained on `synthetic`, which gives one label; got ['head', 'side'].",
    }


def test_a_data_set_feeds_its_own_shape_alone():
    check_feeds(validate(configure({"a": FLATTEN, "head": HEAD}, inputs={"x": [5, 7, 2]})))
    config = validate(configure({"a": FLATTEN, "head": HEAD}, inputs={"x": [5, 7, 3]}))
    with pytest.raises(ConfigError, match=r"`model.inputs.x` must be \[5, 7, 2\], .* `synthetic`; got \[5, 7, 3\]"):
        check_feeds(config)
