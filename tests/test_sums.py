"""Sums that Keras misplaces on TensorFlow: what the builder makes instead computes them right, or they are refused."""

from functools import partial

import keras
import keras.src.backend.tensorflow.numpy as keras_numpy  # whose `add` it is
import numpy as np
import pytest
import tensorflow as tf
from conftest import make_config
from test_every_layer import ARGUMENTS, VALUES

import lctrain
from lctrain.config import validate
from lctrain.config.allowlist import classes
from lctrain.config.misplaced_sums import is_misplaced
from lctrain.errors import ConfigError
from lctrain.layers import LocallyConnected2D, conv_to_local
from lctrain.layers.sums import SUMS
from lctrain.model.build import build_layer, build_model, describe_layers
from lctrain.model.summary import summarize
from lctrain.training.warm_start import copy_weights

generator = np.random.default_rng(0)
SPATIAL = {1: (7,), 2: (4, 7), 3: (3, 4, 7)}
CONVOLUTIONS = {  # of 7 filters each on 7 columns, so that Keras takes one for the other
    "Conv1D": {"filters": 7, "kernel_size": 3},
    "Conv1D causal": {"filters": 7, "kernel_size": 2, "padding": "causal", "dilation_rate": 2},
    "Conv2D": {"filters": 7, "kernel_size": [3, 2], "activation": "tanh"},
    "Conv3D": {"filters": 7, "kernel_size": [2, 3, 1]},
    "Conv1DTranspose": {"filters": 7, "kernel_size": 3},
    "Conv2DTranspose": {"filters": 7, "kernel_size": [2, 3]},
    "Conv3DTranspose": {"filters": 7, "kernel_size": [2, 1, 3]},
    "DepthwiseConv1D": {"kernel_size": 3, "depth_multiplier": 7},
    "DepthwiseConv2D": {"kernel_size": [2, 3], "depth_multiplier": 7},
    "SeparableConv1D": {"filters": 7, "kernel_size": 3},
    "SeparableConv2D": {"filters": 7, "kernel_size": [2, 3]},
}
EINSUM = {"type": "EinsumDense", "equation": "abc,cd->abd", "output_shape": [5, 5], "bias_axes": "b"}


def make_spec(case, **changes):
    return {"type": case.split()[0], "padding": "same", "data_format": "channels_first", **CONVOLUTIONS[case]} | changes


def make_inputs(case, batch=2):
    name = case.split()[0]
    rank = next(int(letter) for letter in name if letter.isdecimal())
    return generator.standard_normal((batch, 1 if name.startswith("Depthwise") else 2, *SPATIAL[rank])).astype(
        "float32"
    )


def make_twin(case, layer, inputs):
    """Keras' own layer with the same weights, channels last, where its bias can't be misplaced."""
    arguments = {**make_spec(case, data_format="channels_last"), "dtype": layer.dtype_policy.name}
    twin = getattr(keras.layers, arguments.pop("type"))(**arguments)
    twin.build(np.moveaxis(inputs, 1, -1).shape)
    twin.set_weights(layer.get_weights())
    return twin


def differentiate(layer, inputs, upstream, how):
    """Outputs, and the gradients by the inputs and the weights."""

    def run(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        sources = [inputs, *(weight.value for weight in layer.trainable_weights)]
        return [outputs, *tape.gradient(outputs, sources, tf.cast(upstream, outputs.dtype))]

    compiled = {"eager": run, "graph": tf.function(run), "XLA": tf.function(run, jit_compile=True)}[how]
    return [np.asarray(tf.cast(one, "float64")) for one in compiled(tf.constant(inputs))]


def randomize(layer):
    layer.set_weights([generator.standard_normal(weight.shape) for weight in layer.weights])
    return layer


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_keras_still_misplaces_the_bias_of_a_convolution(case):
    """Fails once Keras is mended for all versions that lctrain takes: then `lctrain.layers.sums` can go."""
    spec, inputs = make_spec(case), make_inputs(case)
    plain = getattr(keras.layers, spec.pop("type"))(**spec)
    plain.build(inputs.shape)
    randomize(plain)
    expected = np.moveaxis(make_twin(case, plain, inputs)(np.moveaxis(inputs, 1, -1)), -1, 1)
    assert expected.shape[1] == expected.shape[-1] == 7
    assert np.max(np.abs(plain(inputs) - expected)) > 0.1


@pytest.mark.parametrize("how", ["eager", "graph", "XLA"])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions_have_the_values_and_gradients_of_channels_last(case, how):
    inputs = make_inputs(case)
    layer = build_layer("conv", make_spec(case))
    layer.build(inputs.shape)
    twin = make_twin(case, randomize(layer), inputs)
    upstream = generator.standard_normal(layer.compute_output_shape(inputs.shape))
    got = differentiate(layer, inputs, upstream, how)
    expected = differentiate(twin, np.moveaxis(inputs, 1, -1), np.moveaxis(upstream, 1, -1), "eager")
    expected[:2] = (np.moveaxis(one, -1, 1) for one in expected[:2])
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16"])
def test_half_precision_is_kept(dtype):
    inputs = make_inputs("Conv2D")
    layer = build_layer("conv", make_spec("Conv2D", dtype=dtype))
    layer.build(inputs.shape)
    twin = make_twin("Conv2D", randomize(layer), inputs)
    outputs = layer(inputs)
    assert outputs.dtype == "bfloat16"
    np.testing.assert_array_equal(outputs, np.moveaxis(twin(np.moveaxis(inputs, 1, -1)), -1, 1))


def build(layers, shapes, **changes):
    model = {"name": "sums", "layers": layers, "inputs": shapes}
    return build_model(validate(make_config(model=model, **changes)), must_fit_task=False)


def make_shared(data_format, shape):
    conv = {"type": "Conv2D", "filters": 7, "kernel_size": 3, "padding": "same", "data_format": data_format}
    layers = {
        "conv": {**conv, "inputs": "one"},
        "again": {"shares": "conv", "inputs": "two"},
        "sum": {"type": "Add", "inputs": ["conv", "again"]},
    }
    return build(layers, {"one": shape, "two": shape})


def make_wrapped(data_format, shape):
    conv = {"type": "Conv1D", "filters": 7, "kernel_size": 3, "padding": "same", "data_format": data_format}
    return build({"frames": {"type": "TimeDistributed", "layer": conv}}, {"one": shape})


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("make", "shape", "axis"), [(make_shared, [2, 4, 7], 1), (make_wrapped, [5, 2, 7], 2)])
def test_shared_and_wrapped_convolutions_train_as_channels_last_ones_do(make, shape, axis, jit_compile):
    first = make("channels_first", shape)
    last = make("channels_last", list(np.moveaxis(np.empty((1, *shape)), axis, -1).shape[1:]))
    weights = [generator.standard_normal(weight.shape) for weight in last.weights]
    inputs = [generator.standard_normal((6, *shape)).astype("float32") for _ in first.inputs]
    targets = generator.standard_normal((6, *first.output_shape[1:])).astype("float32")
    got = []
    for model, source in ((first, axis), (last, -1)):
        turned = [np.moveaxis(one, axis, source) for one in inputs]
        turned = turned if len(turned) > 1 else turned[0]
        model.set_weights(weights)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        model.fit(turned, np.moveaxis(targets, axis, source), batch_size=3, epochs=2, shuffle=False, verbose=0)
        predicted = model.predict(turned, batch_size=4, verbose=0)
        got.append([*model.get_weights(), np.moveaxis(predicted, source, axis)])
    for one, other in zip(*got, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_models_of_them_are_keras_own_but_for_the_class(tmp_path):
    model = randomize(build({"conv": make_spec("Conv2D")}, {"one": [2, 4, 7]}))
    own = model.get_layer("conv")
    plain = keras.layers.Conv2D(7, (3, 2), padding="same", data_format="channels_first", activation="tanh", name="conv")
    assert (type(own), own.get_config()) == (SUMS["Conv2D"], plain.get_config())
    assert describe_layers(model)["type"] == ["Conv2D"]
    inputs = make_inputs("Conv2D")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (again, clone):
        assert type(other.get_layer("conv")) is SUMS["Conv2D"]
        np.testing.assert_allclose(other(inputs), model(inputs), rtol=1e-6)


@pytest.mark.parametrize("change", [{"data_format": "channels_last"}, {"use_bias": False}])
def test_where_nothing_can_be_misplaced_the_layers_are_keras_own(change):
    assert type(build_layer("conv", make_spec("Conv2D", **change))) is keras.layers.Conv2D
    assert type(build_layer("it", {**EINSUM, "bias_axes": "d"})) is keras.layers.EinsumDense
    model = build({"sum": {"type": "Add", "inputs": ["one", "two"]}}, {"one": [5, 5], "two": [5, 5]})
    assert type(model.get_layer("sum")) is keras.layers.Add


@pytest.mark.parametrize("bias_axes", ["b", "bd"])
def test_the_bias_of_an_einsum_lies_along_its_own_axis(bias_axes):
    layer = build_layer("it", {**EINSUM, "bias_axes": bias_axes})
    inputs = generator.standard_normal((2, 5, 3)).astype("float32")
    layer.build(inputs.shape)
    kernel, bias = (np.asarray(weight) for weight in randomize(layer).weights)
    np.testing.assert_allclose(layer(inputs), inputs @ kernel + bias, rtol=1e-5, atol=1e-5)
    plain = keras.layers.EinsumDense("abc,cd->abd", output_shape=(5, 5), bias_axes=bias_axes)
    plain.build(inputs.shape)
    plain.set_weights([kernel, bias])
    is_right = np.allclose(plain(inputs), inputs @ kernel + bias, rtol=1e-4, atol=1e-4)
    assert is_right == (bias_axes == "bd"), "Keras has changed: see lctrain.layers.sums"


MERGED = {  # shapes of three arrays; those that Keras misplaces in batches of one example, and of five
    "behind": ([5, 5], [5, 1], [1, 5]),
    "of vectors": ([5], [1], [5]),
    "of other ranks": ([4, 5, 5], [5, 1], [4, 1, 1]),
}


@pytest.mark.parametrize(
    ("case", "is_shared"), [("behind", False), ("of vectors", False), ("of other ranks", False), ("behind", True)]
)
@pytest.mark.parametrize("name", ["Add", "Average"])
def test_merges_spread_sizes_of_1_along_their_own_axes(name, case, is_shared):
    shapes = dict(zip(("one", "two", "three"), MERGED[case], strict=True))
    layers = {"it": {"type": name, "inputs": list(shapes)}}
    if is_shared:
        layers = {"equal": {"type": name, "inputs": ["one", "one"]}, "it": {"shares": "equal", "inputs": list(shapes)}}
        layers["all"] = {"type": "Concatenate", "inputs": ["equal", "it"]}
    model, plain = build(layers, shapes), getattr(keras.layers, name)()
    was_wrong = False
    for batch in (1, 5, 3):
        arrays = [generator.standard_normal((batch, *shape)).astype("float32") for shape in shapes.values()]
        ndim = max(one.ndim for one in arrays)
        expected = sum(one.reshape(batch, *(1,) * (ndim - one.ndim), *one.shape[1:]) for one in arrays)
        expected = expected / 3 if name == "Average" else expected
        for got in (model(arrays), model.predict(arrays, batch_size=batch, verbose=0)):
            np.testing.assert_allclose(np.asarray(got)[..., -expected.shape[-1] :], expected, rtol=1e-5, atol=1e-6)
        was_wrong = was_wrong or not np.allclose(plain(arrays), expected, atol=1e-4)
    assert was_wrong, "Keras has changed: see lctrain.layers.sums"


# Models of a user's own that hold layers of Keras' own


def make_plain(wrap=False):
    conv = keras.layers.Conv1D(7, 3, padding="same", data_format="channels_first", name="conv")
    inputs = keras.Input((3, 2, 7) if wrap else (2, 7))
    return randomize(
        keras.Model(inputs, keras.layers.TimeDistributed(conv, name="frames")(inputs) if wrap else conv(inputs))
    )


def compute_right(model, inputs):
    """What a model of one convolution is meant to compute, from the same layer channels last."""
    twin = keras.layers.Conv1D(7, 3, padding="same")
    twin.build((None, 7, 2))
    twin.set_weights(model.get_weights())
    frames = np.swapaxes(inputs, -1, -2).reshape(-1, 7, 2)
    return np.swapaxes(np.reshape(twin(frames), (*inputs.shape[:-2], 7, 7)), -1, -2)


@pytest.mark.parametrize("wrap", [False, True])
def test_local_layers_made_of_keras_own_convolutions_are_right_and_the_difference_is_told(wrap):
    model = make_plain(wrap)
    inputs = generator.standard_normal((2, *model.input_shape[1:])).astype("float32")
    with pytest.warns(UserWarning, match=r"`conv`: Keras 3\.15 adds its bias along the columns"):
        local = conv_to_local(model)
    np.testing.assert_allclose(local(inputs), compute_right(model, inputs), rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(model(inputs) - local(inputs))) > 0.1


@pytest.mark.parametrize("wrap", [False, True])
def test_configurations_of_keras_own_convolutions_build_right_ones_and_the_difference_is_told(wrap):
    model = make_plain(wrap)
    inputs = generator.standard_normal((2, *model.input_shape[1:])).astype("float32")
    with pytest.warns(UserWarning, match=r"`conv`: Keras 3\.15 may add along another axis"):
        config = lctrain.model_to_config(model)
    built = lctrain.build(config, input_shape=model.input_shape[1:])
    built.set_weights(model.get_weights())
    np.testing.assert_allclose(built(inputs), compute_right(model, inputs), rtol=1e-4, atol=1e-5)
    assert lctrain.model_to_config(built)["layers"] == config["layers"]  # without a warning, which would be an error


def test_convolutions_that_were_built_right_become_local_ones_of_the_same_function():
    model = randomize(build({"conv": {**make_spec("Conv2D"), "inputs": "one"}}, {"one": [2, 4, 7]}))
    inputs = make_inputs("Conv2D")
    local = conv_to_local(model)
    assert type(local.get_layer("conv")) is LocallyConnected2D
    np.testing.assert_allclose(local(inputs), model(inputs), rtol=1e-4, atol=1e-5)
    start = {**make_spec("Conv2D"), "type": "LocallyConnected2D", "inputs": "one"}
    started = build({"conv": start}, {"one": [2, 4, 7]})
    assert copy_weights(model, started) == {"conv": "copied to every position"}
    np.testing.assert_allclose(started(inputs), model(inputs), rtol=1e-4, atol=1e-5)


HEADS = {
    "MultiHeadAttention": {"num_heads": 3, "key_dim": 1},
    "GroupQueryAttention": {"head_dim": 1, "num_query_heads": 3, "num_key_value_heads": 3},
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_one_element_on_as_many_steps_are_refused_by_name(name):
    def attend(steps, **changes):
        spec = {"type": name, **HEADS[name], **changes, "inputs": ["words", "words"]}
        head = {"flat": "Flatten", "head": {"type": "Dense", "units": 4}}
        model = {"name": "sums", "layers": {"attend": spec, **head}, "inputs": {"words": [steps, 6]}}
        return validate(make_config(model=model))

    for refuse in (summarize, build_model):
        with pytest.raises(ConfigError, match=r"attend.*bias of shape \(3, 1\) to an array of shape \(None, 3, 3, 1\)"):
            refuse(attend(3))
    for config in (attend(4), attend(3, use_bias=False)):
        assert build_model(config).output_shape == (None, 4)


def test_keras_still_misplaces_the_biases_of_heads():
    layer = keras.layers.MultiHeadAttention(3, 1)
    inputs = generator.standard_normal((2, 3, 6)).astype("float32")
    layer.build(inputs.shape, inputs.shape)
    randomize(layer)
    (kernel, bias), got = layer._value_dense.weights, layer._value_dense(inputs)
    assert not np.allclose(got, np.einsum("btc,chd->bthd", inputs, kernel) + bias, atol=1e-3)


MERGES = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate", "Dot", "Attention"]
MERGES += ["AdditiveAttention"]
OF_OTHER_SIZES = ["Dot", "Hashing", "HashedCrossing", "RandomHue", "RandomSaturation", "STFTSpectrogram"]


@pytest.mark.parametrize("name", sorted(set(classes("layers")) - {*HEADS, *OF_OTHER_SIZES}))
def test_no_other_layer_misplaces_a_sum(name, monkeypatch):
    """All sizes are 4, those of batches too, which is when a vector may be taken for one along another axis."""
    misplaced, add = [], keras_numpy.add

    def watch(x1, x2):
        shapes = [tuple(getattr(one, "shape", ())) for one in (x1, x2)]
        misplaced.extend([shapes] if shapes[0] and is_misplaced(*shapes) else [])
        return add(x1, x2)

    monkeypatch.setattr(keras_numpy, "add", watch)
    arguments = {**VALUES, "kernel_size": 1, "pool_size": 1}
    spec = {argument: arguments.get(argument) for argument in classes("layers")[name].required}
    spec |= ARGUMENTS.get(name, {}) | {"GroupNormalization": {"groups": 2}, "EinsumDense": EINSUM}.get(name, {})
    spec = {"type": name, **spec, **({"output_shape": [4, 4]} if name == "EinsumDense" else {})}
    num_traced = 0
    for data_format, rank in [(one, rank) for one in ("channels_first", "channels_last") for rank in range(1, 6)]:
        known = {"data_format": data_format} if "data_format" in classes("layers")[name].arguments else {}
        for batch in (1, 4):
            layer = build_layer("it", {**spec, **known})
            shape = tf.TensorSpec((batch, *(4,) * rank))
            reads = [shape, tf.TensorSpec((batch, 1, *(4,) * (rank - 1)))] if name in MERGES else shape
            num_traced += trace(layer, reads)
    assert num_traced
    assert misplaced == []


def trace(layer, reads):
    """Whether a layer can be traced on such an input, and in training; few take inputs of every rank."""
    try:
        for options in [{}, {"training": True}] if layer._call_has_training_arg else [{}]:
            tf.function(partial(layer, **options)).get_concrete_function(reads)
    except Exception:  # whatever Keras and TensorFlow say of a rank that is not the layer's
        return False
    return True
