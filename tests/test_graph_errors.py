"""What is told of layers that do not connect, and of models that a data set can not feed: both ends, by their paths."""

import pytest
from conftest import make_config

from lctrain.config import validate
from lctrain.data import check_feeds
from lctrain.errors import ConfigError
from lctrain.model.build import build_model

DENSE = {"type": "Dense", "units": 6}
FLATTEN = {"type": "Flatten"}
HEAD = {"type": "Dense", "units": 4, "activation": "softmax"}
LOCAL = {"type": "LocallyConnected2D", "filters": 3, "kernel_size": 2}


def configure(layers, **model):
    return make_config(model={"name": "graph", "layers": layers, **model})


def problems_of(layers, **model):
    with pytest.raises(ConfigError, match="`model") as raised:
        validate(configure(layers, **model))
    return {problem.path: problem.message for problem in raised.value.problems}


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
