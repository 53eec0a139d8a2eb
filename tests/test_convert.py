"""Models turned into others, and the layers inside every kind of model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lctrain.layers import (
    LocallyConnected1D,
    LocallyConnected2D,
    LowRankLocallyConnected2D,
    conv_to_local,
    convert_implementation,
)

INPUTS = np.random.default_rng(0).standard_normal((3, 6, 7, 2)).astype("float32")


def perturb(model):
    generator = np.random.default_rng(1)
    model.set_weights([generator.standard_normal(weights.shape) / 3 for weights in model.get_weights()])
    return model


def nested_model():
    inner = keras.Sequential([keras.Input((4, 5, 3)), LocallyConnected2D(2, 2, implementation=1, name="inner_lc")])
    inputs = keras.Input((6, 7, 2))
    outputs = inner(LocallyConnected2D(3, 3, padding="valid", implementation=2, name="outer_lc")(inputs))
    return perturb(keras.Model(inputs, keras.layers.Flatten()(outputs)))


@pytest.mark.parametrize("to", [1, 2, 3, "batched", "auto"])
def test_converted_models_predict_the_same(to):
    model = nested_model()
    converted = convert_implementation(model, to)
    layers = [layer for layer in converted._flatten_layers() if isinstance(layer, LocallyConnected2D)]
    assert [layer.implementation for layer in layers] == [to, to]
    np.testing.assert_allclose(converted(INPUTS), model(INPUTS), rtol=1e-4, atol=1e-5)
    assert [layer.implementation for layer in model._flatten_layers() if isinstance(layer, LocallyConnected2D)] != [
        to,
        to,
    ]


def test_conversion_reaches_wrapped_layers():
    model = keras.Sequential(
        [keras.Input((4, 6, 2)), keras.layers.TimeDistributed(LocallyConnected1D(3, 2, implementation=2))]
    )
    inputs = np.random.default_rng(0).standard_normal((3, 4, 6, 2))
    converted = convert_implementation(model, "batched")
    assert converted.layers[0].layer.implementation == "batched"
    np.testing.assert_allclose(converted(inputs), model(inputs), rtol=1e-4, atol=1e-6)


def test_an_unknown_implementation_is_refused():
    with pytest.raises(ValueError, match=r"`implementation` must be one of .*; got 'fast'"):
        convert_implementation(nested_model(), "fast")


def conv_model():
    return perturb(
        keras.Sequential(
            [
                keras.Input((6, 7, 2)),
                keras.layers.Conv2D(4, 3, padding="same", strides=2, activation="tanh", name="first"),
                keras.layers.Conv2D(6, (2, 1), groups=2, dilation_rate=(2, 1), use_bias=False, name="second"),
                keras.layers.Flatten(),
                keras.layers.Dense(2),
            ]
        )
    )


@pytest.mark.parametrize("use_bias", [True, "shared"])
def test_conv_layers_become_local_ones_that_compute_the_same(use_bias):
    model = conv_model()
    local = conv_to_local(model, use_bias=use_bias, implementation="batched")
    assert [type(layer).__name__ for layer in local.layers[:2]] == ["LocallyConnected2D"] * 2
    assert [layer.use_bias for layer in local.layers[:2]] == [use_bias, False]
    np.testing.assert_allclose(local(INPUTS), model(INPUTS), rtol=1e-4, atol=1e-5)
    first = local.layers[0]
    assert np.all(np.asarray(first.kernel)[-1].reshape(3, 3, 2, 4)[-1, -1] == 0) == (first.window.live_taps is not None)


def test_wrapped_conv_layers_become_local_ones_too():
    inside = keras.Sequential([keras.layers.Conv2D(3, 2), keras.layers.ReLU()])
    wrapped = [keras.layers.TimeDistributed(layer) for layer in (keras.layers.Conv2D(4, 3), inside)]
    model = keras.Sequential([keras.Input((3, 6, 7, 2)), *wrapped])
    local = conv_to_local(model)
    assert isinstance(local.layers[0].layer, LocallyConnected2D)
    assert isinstance(local.layers[1].layer.layers[0], LocallyConnected2D)
    inputs = np.random.default_rng(0).standard_normal((2, 3, 6, 7, 2))
    np.testing.assert_allclose(local(inputs), model(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 6, 6), r"must have 2 spatial sizes.*; got input shape \(None, 6, 6\)"),
        ((None, 6, 6, 6, 2), r"must have 2 spatial sizes.*; got input shape \(None, 6, 6, 6, 2\)"),
        ((None, 6, 6, 0), r"must have a known number of channels, at least 1; got \(None, 6, 6, 0\)"),
        ((None, 6, 6, None), r"must have a known number of channels, at least 1; got \(None, 6, 6, None\)"),
    ],
)
def test_low_rank_layers_refuse_inputs_that_are_no_images(shape, message):
    with pytest.raises(ValueError, match=message):
        LowRankLocallyConnected2D(4, 3).build(shape)


def test_only_the_chosen_conv_layers_are_converted():
    model = conv_model()
    local = conv_to_local(model, layers=["second"])
    assert [type(layer).__name__ for layer in local.layers[:2]] == ["Conv2D", "LocallyConnected2D"]
    np.testing.assert_allclose(local(INPUTS), model(INPUTS), rtol=1e-4, atol=1e-5)
    with pytest.raises(
        ValueError, match=r"`layers` must name Conv layers of the model; got 'secnd'. Did you mean `second`"
    ):
        conv_to_local(model, layers=["secnd"])


def test_layers_work_in_time_distributed():
    layer = LocallyConnected1D(3, 2)
    inputs = np.random.default_rng(0).standard_normal((3, 4, 6, 2)).astype("float32")
    outputs = keras.layers.TimeDistributed(layer)(inputs)
    np.testing.assert_allclose(np.asarray(outputs)[:, 1], layer(inputs[:, 1]), rtol=1e-5)


def test_layers_work_in_subclassed_models_of_any_batch_size():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.local = LocallyConnected2D(3, 2, padding="same", implementation="batched")

        def call(self, inputs):
            return self.local(inputs)

    model = Model()
    whole = model.predict(INPUTS, verbose=0)
    np.testing.assert_allclose(model.predict(INPUTS[:1], verbose=0), whole[:1], rtol=1e-5)
    assert model(INPUTS[:0]).shape == (0, 6, 7, 3)


@pytest.mark.parametrize("implementation", [1, 2, 3, "batched"])
def test_an_empty_batch_gives_an_empty_output(implementation):
    layer = LocallyConnected2D(3, 2, implementation=implementation)
    assert layer(INPUTS[:0]).shape == (0, 5, 6, 3)


def test_clones_are_independent():
    model = nested_model()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone(INPUTS), model(INPUTS), rtol=1e-6)
    assert clone.layers[1] is not model.layers[1]


@pytest.mark.parametrize("implementation", [1, 2, 3, "batched"])
def test_exported_models_predict_the_same(tmp_path, implementation):
    model = convert_implementation(nested_model(), implementation)
    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(served.serve(INPUTS), model(INPUTS), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("implementation", [1, 2, "batched"])
def test_models_convert_to_litert(implementation):
    model = convert_implementation(nested_model(), implementation)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], INPUTS[:1])
    interpreter.invoke()
    got = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(got, model(INPUTS[:1]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_low_rank_layers_mix_their_shared_kernels(data_format):
    layer = LowRankLocallyConnected2D(
        4, (3, 2), rank=3, strides=(1, 2), data_format=data_format, combining_initializer="random_normal"
    )
    inputs = INPUTS if data_format == "channels_last" else np.moveaxis(INPUTS, -1, 1)
    outputs = np.asarray(layer(inputs))
    layer.bias_rows.assign(np.random.default_rng(2).standard_normal(layer.bias_rows.shape))
    outputs = np.asarray(layer(inputs))
    if data_format == "channels_first":
        outputs = np.moveaxis(outputs, 1, -1)
    mixture = np.einsum("yxr,klcrf->yxklcf", layer.combining_weights(), np.reshape(layer.basis, (3, 2, 2, 3, 4)))
    local = LocallyConnected2D(4, (3, 2), strides=(1, 2))
    local.build(INPUTS.shape)
    bias = np.broadcast_to(np.asarray(layer.bias_rows), local.bias.shape)
    local.set_weights([mixture.reshape(local.kernel.shape), bias])
    np.testing.assert_allclose(outputs, local(INPUTS), rtol=1e-4, atol=1e-5)


def test_low_rank_layers_of_rank_1_are_convolutions():
    layer = LowRankLocallyConnected2D(4, 3, padding="same")
    conv = keras.layers.Conv2D(4, 3, padding="same")
    layer.build(INPUTS.shape)
    conv.build(INPUTS.shape)
    conv.set_weights([layer.basis, np.zeros(4)])
    np.testing.assert_allclose(layer(INPUTS), conv(INPUTS), rtol=1e-5, atol=1e-6)
    assert np.std(LowRankKernels(50)) == pytest.approx(np.sqrt(2 / (9 * 20 + 9 * 30)), rel=0.03)


def LowRankKernels(rank):  # noqa: N802
    layer = LowRankLocallyConnected2D(30, 3, rank=rank)
    layer.build((None, 5, 5, 20))
    return np.asarray(layer.basis)


def test_low_rank_layers_round_trip(tmp_path):
    model = keras.Sequential([keras.Input((6, 7, 2)), LowRankLocallyConnected2D(3, 2, rank=2, activation="tanh")])
    perturb(model).save(tmp_path / "low_rank.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "low_rank.keras")(INPUTS), model(INPUTS), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"use_bias": "no"}, "`use_bias` must be one of True, False; got 'no'"),
        ({"rank": 0}, "`rank` must be a positive integer; got 0"),
        ({"combining_initializer": "foo"}, "`combining_initializer` must be .*; got 'foo'"),
        ({"padding": "circular"}, "`padding` of a low-rank layer must be 'valid' or 'same'; got 'circular'"),
        ({"strides": 2, "dilation_rate": 2}, "`strides` of a low-rank layer.*; got 2 and dilation_rate=2"),
    ],
)
def test_wrong_low_rank_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LowRankLocallyConnected2D(**({"filters": 3, "kernel_size": 2} | arguments))
