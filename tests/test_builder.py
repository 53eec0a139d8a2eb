import keras
import numpy as np
import pytest
from conftest import make_config

from lctrain.config import validate
from lctrain.config.allowlist import classes
from lctrain.config.heads import gives_probabilities
from lctrain.errors import ConfigError
from lctrain.model.build import build_model, build_optimizer, describe_layers


def build(**changes):
    return build_model(validate(make_config(**changes)))


def with_layers(**layers):
    return {"name": "small", "layers": layers}


FLATTEN = {"type": "Flatten"}
HEAD = {"type": "Dense", "units": 4, "activation": "softmax"}


def test_layers_are_stacked_in_order_on_the_shape_of_the_data():
    model = build(implementation=2)
    assert [layer.name for layer in model.layers[1:]] == ["lc1", "flatten", "head"]
    assert model.input_shape == (None, 5, 7, 2)
    assert model.name == "small"
    table = describe_layers(model)
    assert table["name"] == ["lc1", "flatten", "head"]
    assert table["type"] == ["LocallyConnected2D", "Flatten", "Dense"]
    assert table["output_shape"] == ["(None, 3, 6, 3)", "(None, 54)", "(None, 4)"]
    assert table["parameters"] == [18 * 12 * 3 + 54, 0, 54 * 4 + 4]
    assert table["implementation"] == ["2", None, None]


@pytest.mark.parametrize("implementation", [1, 2, 3, "batched"])
def test_a_fixed_batch_stands_in_the_shapes_and_takes_a_smaller_last_one(implementation):
    model = make_config()["model"] | {"batch_size": 16}
    built = build_model(validate(make_config(model=model, implementation=implementation)))
    assert (built.input_shape, built.output_shape) == ((16, 5, 7, 2), (16, 4))
    assert built.predict(np.zeros((19, 5, 7, 2), np.float32), batch_size=16, verbose=0).shape == (19, 4)


@pytest.mark.parametrize("number", ["", "_1", "_2", "_9999999999", "_123456"])
def test_layers_may_have_the_names_of_the_operations_that_make_masks(number, tmp_path):
    """Of which Keras names the first without a number, so that a new start is made with its counters."""
    keras.backend.clear_session()
    words = {"type": "Embedding", "input_dim": 9, "output_dim": 4, "mask_zero": True}
    masked, merged = f"not_equal{number}", f"concatenate{number}"
    layers = {
        masked: words | {"inputs": ["input"]},
        merged: {"type": "Concatenate", "axis": 1, "inputs": [masked, masked]},
        f"any{number}": {"type": "LSTM", "units": 3},
        "head": HEAD,
    }
    data = make_config()["data"] | {"input_shape": [5]}
    for _ in range(2):  # the second time beside the first one's names
        model = build(model=with_layers(**layers), data=data)
    assert len(model.operations) > len(model.layers)
    model.save(tmp_path / "model.keras")
    inputs = np.array([[1, 2, 0, 0, 0], [1, 2, 3, 4, 5]], "float32")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(inputs), model(inputs), rtol=1e-6)


def test_the_table_says_what_auto_became():
    assert describe_layers(build(implementation="auto"))["implementation"][0] == "2"


def test_channels_first_computes_the_same_from_transposed_arrays():
    inputs = np.random.default_rng(0).standard_normal((3, 5, 7, 2)).astype("float32")
    last, first = build(), build(data_format="channels_first")
    assert first.input_shape == (None, 2, 5, 7)
    first.set_weights(last.get_weights())
    transposed = np.moveaxis(inputs, -1, 1)
    np.testing.assert_allclose(first.predict(transposed, verbose=0), last.predict(inputs, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float64", "mixed_float16", "mixed_bfloat16"])
def test_precision_reaches_every_layer_and_the_scores_stay_precise(precision):
    model = build(precision=precision)
    assert model.get_layer("lc1").dtype_policy.name == precision
    assert model.output.dtype == ("float64" if precision == "float64" else "float32")


def test_nested_objects_are_built_with_their_arguments():
    layers = {
        "flatten": FLATTEN,
        "head": {
            "type": "Dense",
            "units": 4,
            "kernel_initializer": {"type": "RandomNormal", "stddev": 0.5, "seed": 3},
            "kernel_regularizer": {"type": "l2", "l2": 0.25},
            "bias_initializer": "ones",
            "kernel_constraint": "max_norm",
        },
    }
    head = build(model=with_layers(**layers)).get_layer("head")
    assert isinstance(head.kernel_initializer, keras.initializers.RandomNormal)
    assert (head.kernel_initializer.stddev, head.kernel_initializer.seed) == (0.5, 3)
    assert float(head.kernel_regularizer.l2) == 0.25
    assert np.all(np.asarray(head.bias) == 1)
    assert isinstance(head.kernel_constraint, keras.constraints.MaxNorm)


@pytest.mark.parametrize(("activation", "probable"), [("softmax", True), (None, False), ("linear", False)])
def test_the_head_gives_probabilities_or_logits(activation, probable):
    layers = with_layers(flatten=FLATTEN, head=HEAD | {"activation": activation})
    assert gives_probabilities(validate(make_config(model=layers))) == probable
    layers = with_layers(flatten=FLATTEN, head=HEAD | {"activation": None}, last={"type": "Softmax"})
    assert gives_probabilities(validate(make_config(model=layers)))


@pytest.mark.parametrize("name", sorted(classes("optimizers")))
def test_whole_numbers_are_taken_where_optimizers_want_floats(name):
    spec = {"type": name, "learning_rate": 1, "weight_decay": 0, "clipnorm": 2}
    assert float(build_optimizer(spec).learning_rate) == 1.0


def test_optimizer_arguments_that_exclude_each_other_are_told():
    with pytest.raises(ConfigError, match=r"`optimizer` \(Adam\) can't be made: .*clip"):
        build_optimizer({"type": "Adam", "clipnorm": 1.0, "clipvalue": 1.0})


def test_the_optimizer_takes_its_arguments():
    optimizer = build_optimizer({"type": "adamw", "learning_rate": 0.5, "weight_decay": 0.25})
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert (float(optimizer.learning_rate), optimizer.weight_decay) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("layers", "path", "message"),
    [
        (
            {"lc1": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": 6}, "flatten": FLATTEN, "head": HEAD},
            "model.layers.lc1.kernel_size",
            r"must not exceed the input's spatial size \(5, 7\); got \(6, 6\)",
        ),
        (
            {"lc1": {"type": "LocallyConnected1D", "filters": 3, "kernel_size": 2}, "flatten": FLATTEN, "head": HEAD},
            "model.layers.lc1",
            r"\(LocallyConnected1D\) can't be built on an input of shape \(None, 5, 7, 2\)",
        ),
        (
            {"conv": {"type": "Conv2D", "filters": 3, "kernel_size": 6}, "flatten": FLATTEN, "head": HEAD},
            "model.layers.conv",
            r"\(Conv2D\) can't be built on an input of shape \(None, 5, 7, 2\)",
        ),
        ({"head": HEAD}, "model.layers.head", r"must give one score per class.*\(None, 4\); got \(None, 5, 7, 4\)"),
        ({"flatten": FLATTEN, "head": {"type": "Dense", "units": 3}}, "model.layers.head", r"got \(None, 3\)"),
        (
            {"flatten": FLATTEN, "head": {"type": "Dense", "units": 4, "activation": "relu"}},
            "model.layers.head",
            "must end in probabilities .* or logits .*; got activation 'relu'",
        ),
        (
            {"norm": {"type": "BatchNormalization", "axis": 7}, "flatten": FLATTEN, "head": HEAD},
            "model.layers.norm",
            r"\(BatchNormalization\) can't be built on an input of shape \(None, 5, 7, 2\)",
        ),
        (
            {"flatten": FLATTEN, "head": HEAD | {"kernel_constraint": {"type": "MaxNorm", "axis": 5}}},
            "model.layers.head",
            r"\(Dense\) can't be built",
        ),
    ],
)
def test_layers_that_do_not_fit_are_told_with_their_path(layers, path, message):
    with pytest.raises(ConfigError, match=message) as raised:
        build(model=with_layers(**layers))
    assert [problem.path for problem in raised.value.problems] == [path]
