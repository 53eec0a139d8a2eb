"""Old models as a whole: masks, states, merges at the start, models in models, layers that are used more than once."""

from functools import partial

import numpy as np
import pytest
import reference_legacy as oracle
from made_keras1_layers import batch_norm_1, conv_1, dense_1, embedding, recurrent_1
from made_keras2_layers import batch_norm_2, conv_2, dense_2, recurrent_2
from made_legacy import (
    Author,
    Graph,
    Layer,
    chain,
    nest,
    sequential_config,
    write_architecture,
    write_graph,
    write_model,
    write_sequential,
    write_weights,
)
from made_old_layers import SEQUENCE, each_step, identity
from made_old_models import as_input, branch, check, compare, draw_inputs

from lctrain import legacy


def masked(layer, mask_of):
    """A recurrent layer that sees a mask."""
    layer.forward = partial(layer.forward, mask=mask_of)
    return layer


def test_a_file_in_yaml_of_keras_1_with_an_embedding_that_masks(tmp_path):
    author = Author("1.2.2")
    words = np.array([[3, 0, 5, 0, 1, 0], [0, 2, 2, 8, 0, 0]], np.int32)
    shape = (None, 6)
    first = embedding(author, mask_zero=True, input_length=6, batch_input_shape=shape, input_dtype="int32")
    layers = [first]
    for fused, more in ((True, {"return_sequences": True, "input_dim": 3}), (False, {"input_dim": 3})):
        layers.append(masked(lstm_of(author, fused, **more), words != 0))
    layers.append(dense_1(author, inputs=3, activation="sigmoid", W_constraint={"name": "NonNeg"}))
    config = [layer.described for layer in layers]
    config[1]["config"]["W_regularizer"] = config[1]["config"]["U_regularizer"] = {
        "name": "L1L2Regularizer",
        "l1": 0.5,
        "l2": 0.0,
    }
    path = write_architecture(tmp_path / "old.yaml", author, "Sequential", config)
    assert all(part in path.read_text() for part in ("!!python/tuple", "&id001", "*id001"))
    model = legacy.load_model(path, weights=write_weights(tmp_path / "old.h5", author, layers))
    assert compare(model(words, training=False).numpy(), chain(layers, words)) is None


def lstm_of(author, fused, **more):
    """An LSTM of 3 units that reads 3 channels."""
    kernel, inner, bias = author.draw(3, 12), author.draw(3, 12), author.draw(12)
    weights = {"W": kernel, "U": inner, "b": bias}
    if not fused:
        weights = {
            f"{key}_{gate}": np.split(weights[key], 4, -1)["ifco".index(gate)] for gate in "icfo" for key in "WUb"
        }
    forward = partial(oracle.lstm, kernel=kernel, inner=inner, bias=bias, sequences=more.get("return_sequences", False))
    given = {"output_dim": 3, "activation": "tanh", "consume_less": "gpu" if fused else "mem", **more}
    return author.make("LSTM", forward, weights, **given)


def test_a_file_in_yaml_of_keras_2_with_a_mask(tmp_path):
    author = Author("2.1.6")
    x = draw_inputs(*SEQUENCE)
    x[0, 3:5] = x[1, 0] = x[1, 9:] = 0
    mask = (x != 0).any(-1)
    layers = [
        author.make("Masking", identity, mask_value=0.0, batch_input_shape=(None, *SEQUENCE), dtype="float32"),
        masked(recurrent_2(author, "GRU", return_sequences=True, reset_after=True), mask),
        masked(recurrent_2(author, "LSTM", inputs=3), mask),
    ]
    path = write_architecture(tmp_path / "old.yaml", author, "Sequential", [layer.described for layer in layers])
    model = legacy.load_model(path, weights=write_weights(tmp_path / "old.h5", author, layers))
    assert compare(model(x, training=False).numpy(), chain(layers, x)) is None


@pytest.mark.parametrize("version", ["1.2.2", "2.3.1"])
def test_states_that_are_kept_between_batches(version, tmp_path):
    author = Author(version)
    one = author.is_keras_1
    shape = {"batch_input_shape": [2, *SEQUENCE], ("input_dtype" if one else "dtype"): "float32", "stateful": True}
    layer = (recurrent_1 if one else recurrent_2)(author, "LSTM", return_sequences=True, **shape)
    path = write_sequential(tmp_path / "old.h5", author, [layer])
    model = legacy.load_model(path)
    x = draw_inputs(11, 2)
    long = chain([layer], np.concatenate([x, x], axis=1))
    assert compare(np.asarray(model(x)), long[:, :11]) is None
    assert compare(np.asarray(model(x)), long[:, 11:]) is None


@pytest.mark.parametrize("has_shape", [True, False])
def test_a_sequential_that_was_built_by_its_input(has_shape, tmp_path):
    author = Author("2.2.5")
    layers = [dense_2(author, 5, "relu"), dense_2(author, 4)]
    shape = {"build_input_shape": [None, 5]} if has_shape else {}
    path = write_sequential(tmp_path / "old.h5", author, layers, **shape)
    model = legacy.load_model(path, **({} if has_shape else {"input_shape": (5,)}))
    x = draw_inputs(5)
    assert compare(model(x).numpy(), chain(layers, x)) is None


@pytest.mark.parametrize("version", ["1.0.8", "1.2.2"])
def test_a_sequential_that_starts_with_a_merge(version, tmp_path):
    """The branches' layers have groups of their own, on one level with the others'."""
    author = Author(version)
    left, right, third = branch(author), branch(author, 3), branch(author, 2)
    inner = author.make("Merge", lambda a, b: a * b, mode="mul")
    inner.config["layers"] = [model_of(author, branch_) for branch_ in (left, right)]
    outer = author.make("Merge", lambda a, b: np.concatenate([a, b], -1), mode="concat")
    nested = {"class_name": "Sequential", "config": [inner.described, dense_1(author, inputs=4).described]}
    tail_of_inner = last_dense(author, nested["config"][1]["config"])
    outer.config["layers"] = [nested, model_of(author, third)]
    end = dense_1(author, inputs=8, activation="softmax")
    flattened = [*left, *right, tail_of_inner, *third, end]
    path = write_model(tmp_path / "old.h5", author, "Sequential", [outer.described, end.described], flattened)
    model = legacy.load_model(path)
    arrays = [draw_inputs(size) for size in (5, 3, 2)]
    a, b, c = (chain(layers, x) for layers, x in zip((left, right, third), arrays, strict=True))
    wanted = end.forward(np.concatenate([tail_of_inner.forward(a * b), c], -1))
    assert compare(model(arrays).numpy(), wanted) is None


def model_of(author, layers):
    return {"class_name": "Sequential", "config": sequential_config(author.version, layers)}


def last_dense(author, config):
    """The Dense of a config, with weights."""
    kernel, offset = author.draw(4, 4), author.draw(4)
    weights = {author.weight_name(config["name"], key): one for key, one in (("W", kernel), ("b", offset))}
    return Layer("Dense", config, lambda x: x @ kernel + offset, weights)


@pytest.mark.parametrize(("version", "index"), [("1.2.2", 1), ("2.0.0", 1), ("2.3.1", 1), ("2.3.1", 0)])
def test_models_in_models(version, index, tmp_path):
    """Their weights stand in one group: all trained ones, then all others; frozen layers' are among the others."""
    author = Author(version)
    inner = branch(author)
    frozen = dense_1(author, inputs=4) if author.is_keras_1 else dense_2(author, 4)
    frozen.config["trainable"] = False
    inner += [frozen, batch_norm_1(author, 4) if author.is_keras_1 else batch_norm_2(author, 4)]
    stack = nest("Sequential", "stack", sequential_config(version, inner, "stack"), inner, lambda x: chain(inner, x))
    small = Graph(author, "small")
    small.input("small_input", 4)
    deeper = branch(author, 4)
    deep = nest("Sequential", "deep", sequential_config(version, deeper, "deep"), deeper, lambda x: chain(deeper, x))
    small.first_index = {"deep": index}
    small.add(deep, "small_input", output=False)
    small.add(dense_1(author, inputs=4) if author.is_keras_1 else dense_2(author, 4), "deep")
    graph = Graph(author, first_index={"stack": index, "small": index})
    graph.input("vector", 5)
    graph.add(stack, "vector")
    graph.add(small.as_layer(), "stack")
    check(legacy.load_model(write_graph(tmp_path / "old.h5", graph)), graph)


@pytest.mark.parametrize("version", ["1.1.2", "2.2.2"])
def test_layers_and_models_that_are_called_more_than_once(version, tmp_path):
    author = Author(version)
    graph = Graph(author, first_index={"twin": 1})
    graph.input("left", 5)
    graph.input("right", 5)
    shared = dense_1(author, inputs=5) if author.is_keras_1 else dense_2(author, 5)
    inner = branch(author)
    twin = nest("Sequential", "twin", sequential_config(version, inner, "twin"), inner, lambda x: chain(inner, x))
    for layer in (shared, twin):
        for source in ("left", "right"):
            graph.add(layer, source)
    join = ("Merge", {"mode": "concat"}) if author.is_keras_1 else ("Concatenate", {})
    for layer in (shared, twin):
        both = author.make(join[0], lambda a, b: np.concatenate([a, b], -1), **join[1])
        graph.add(both, (layer.name, 1), (layer.name, 0))
    check(legacy.load_model(write_graph(tmp_path / "old.h5", graph)), graph)


@pytest.mark.parametrize("version", ["1.2.2", "2.2.5"])
def test_a_model_at_each_step_of_time(version, tmp_path):
    author = Author(version, first=True, backend="theano")
    conv = conv_1(author, (3, 2)) if author.is_keras_1 else conv_2(author, (3, 2))
    conv.config |= as_input(author, 2, 5, 7)
    norm = (batch_norm_1 if author.is_keras_1 else batch_norm_2)(author, 3, axis=1)
    inner = [conv, norm]
    model = nest("Sequential", "each", sequential_config(version, inner, "each"), inner, lambda x: chain(inner, x))
    wrapper = author.make("TimeDistributed", each_step(model), layer=model.described, **as_input(author, 4, 2, 5, 7))
    wrapper.weights = model.weights
    path = write_sequential(tmp_path / "old.h5", author, [wrapper])
    x = draw_inputs(4, 2, 5, 7)
    loaded = legacy.load_model(path, **({"backend": "theano"} if author.is_keras_1 else {}))
    assert compare(loaded(x, training=False).numpy(), chain([wrapper], x)) is None
