"""The layers against the oracle, against tf_keras, and against Keras' own Conv and Dense."""

import inspect
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import check_against_reference, locally_connected

from lctrain.implementations import IMPLEMENTATIONS
from lctrain.layers import LocallyConnected1D, LocallyConnected2D, LocallyConnected3D
from lctrain.ops.batch_last import FEW_ROWS, MANY_FILTERS

IMPLEMENTATION_NAMES = [*IMPLEMENTATIONS, "auto"]
CASES = {
    "1D": (LocallyConnected1D, (9,), (4,), (2,)),
    "1D strided": (LocallyConnected1D, (23,), (8,), (3,)),
    "1D overlapping": (LocallyConnected1D, (8,), (3,), (1,)),
    "2D": (LocallyConnected2D, (5, 7), (3, 2), (1, 2)),
    "2D gaps": (LocallyConnected2D, (7, 6), (2, 1), (3, 2)),
    "1D patches of many rows": (LocallyConnected1D, (37,), (34,), (2,)),
}


def random_case(input_spatial, kernel_size, strides, seed=0, batch=3, in_channels=2, filters=5):
    generator = np.random.default_rng(seed)
    output_spatial = [(n - k) // s + 1 for n, k, s in zip(input_spatial, kernel_size, strides, strict=True)]
    inputs = generator.standard_normal((batch, *input_spatial, in_channels))
    kernel = generator.standard_normal((np.prod(output_spatial), np.prod(kernel_size) * in_channels, filters))
    bias = generator.standard_normal((*output_spatial, filters))
    return inputs, kernel, bias


def to_format(array, data_format):
    return array if data_format == "channels_last" else np.moveaxis(array, -1, 1)


def to_channels_last(array, data_format):
    return array if data_format == "channels_last" else np.moveaxis(array, 1, -1)


def run_layer(layer, inputs, kernel, bias, output_gradient, compiled=False):
    """Outputs and gradients (input, kernel, bias) of a layer, channels_last."""
    data_format = layer.data_format
    inputs, output_gradient = to_format(inputs, data_format), to_format(output_gradient, data_format)
    layer.build(inputs.shape)
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)

    @tf.function(jit_compile=compiled)
    def step(inputs, output_gradient):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        sources = [inputs, layer.kernel.value, layer.bias.value]
        return outputs, tape.gradient(outputs, sources, output_gradient)

    outputs, (by_input, by_kernel, by_bias) = step(tf.constant(inputs), tf.constant(output_gradient))
    return (
        to_channels_last(outputs.numpy(), data_format),
        to_channels_last(by_input.numpy(), data_format),
        by_kernel,
        by_bias,
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("implementation", IMPLEMENTATION_NAMES)
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_equal_the_reference(case, implementation, data_format):
    layer_class, input_spatial, kernel_size, strides = CASES[case]

    def compute(*arrays):
        layer = layer_class(
            5, kernel_size, strides, data_format=data_format, implementation=implementation, dtype="float64"
        )
        return run_layer(layer, *arrays)

    check_against_reference(compute, *random_case(input_spatial, kernel_size, strides), kernel_size, strides)


def test_the_check_against_the_reference_notices_a_flipped_kernel():
    _, input_spatial, kernel_size, strides = CASES["2D"]

    def flipped(inputs, kernel, bias, output_gradient):
        layer = LocallyConnected2D(5, kernel_size, strides, dtype="float64")
        return run_layer(layer, inputs, kernel[:, ::-1], bias, output_gradient)

    with pytest.raises(AssertionError, match="outputs"):
        check_against_reference(flipped, *random_case(input_spatial, kernel_size, strides), kernel_size, strides)


@st.composite
def legal_arguments(draw):
    """A layer class, legal arguments and input sizes; most sizes differ."""
    rank = draw(st.integers(1, 3))
    spatial = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    kernel_size, strides, dilation_rate = spatial(1, 3), spatial(1, 3), spatial(1, 2)
    extent = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation_rate, strict=True)]
    paddings = ["valid", "same", "circular", "reflect", "explicit"] + ["causal"] * (rank == 1)
    padding = draw(st.sampled_from(paddings))
    input_spatial = tuple(e + draw(st.integers(0, 3 if rank < 3 else 1)) for e in extent)
    if padding == "explicit":
        padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank))
    groups = draw(st.integers(1, 3))
    many = draw(st.sampled_from(["", "", "", "channels", "filters"]))  # which the operations lay out in another way
    arguments = {
        "filters": groups * (MANY_FILTERS if many == "filters" else draw(st.integers(1, 2))),
        "kernel_size": kernel_size,
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation_rate,
        "groups": groups,
        "use_bias": draw(st.sampled_from([True, "shared"])),
        "data_format": draw(st.sampled_from(["channels_last", "channels_first"])),
    }
    layer_class = (LocallyConnected1D, LocallyConnected2D, LocallyConnected3D)[rank - 1]
    channels = FEW_ROWS if many == "channels" else draw(st.integers(1, 2))
    shape = (draw(st.integers(1, 3)), *input_spatial, groups * channels)
    return layer_class, arguments, shape


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(legal_arguments())
def test_any_legal_arguments_give_the_reference_under_every_implementation(case):
    layer_class, arguments, shape = case
    generator = np.random.default_rng(0)
    template = layer_class(**(arguments | {"data_format": "channels_last"}))
    template.build((None, *shape[1:]))
    kernel = generator.standard_normal(template.kernel.shape)
    bias = generator.standard_normal(template.bias.shape)
    oracle = {name: arguments[name] for name in ("kernel_size", "strides", "dilation_rate", "padding", "groups")}
    for implementation in IMPLEMENTATION_NAMES:

        def compute(*arrays, implementation=implementation):
            return run_layer(layer_class(**arguments, implementation=implementation, dtype="float64"), *arrays)

        check_against_reference(compute, generator.standard_normal(shape), kernel, bias, **oracle)


@pytest.mark.parametrize("implementation", [1, 2, "batched"])
def test_compiled_and_not_compiled_agree(implementation):
    layer_class, input_spatial, kernel_size, strides = CASES["2D"]

    def compute(*arrays):
        layer = layer_class(5, kernel_size, strides, implementation=implementation, dtype="float64")
        assert layer.supports_jit
        return run_layer(layer, *arrays, compiled=True)

    check_against_reference(compute, *random_case(input_spatial, kernel_size, strides), kernel_size, strides)


def test_the_sparse_implementation_says_that_it_cannot_be_compiled():
    assert not LocallyConnected1D(2, 3, implementation=3).supports_jit


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_equal_tf_keras(case, data_format):
    tf_keras = pytest.importorskip("tf_keras")
    layer_class, input_spatial, kernel_size, strides = CASES[case]
    inputs, kernel, bias = random_case(input_spatial, kernel_size, strides)
    peer_class = getattr(tf_keras.layers, layer_class.__name__)
    peer = peer_class(5, kernel_size, strides, data_format=data_format, implementation=1, dtype="float64")
    peer_inputs = tf.constant(to_format(inputs, data_format))
    peer.build(peer_inputs.shape)
    in_channels, taps = inputs.shape[-1], int(np.prod(kernel_size))
    peer_kernel, peer_bias = kernel, bias
    if data_format == "channels_first":  # tf_keras then stores the channels before the taps, and reshapes the bias
        peer_kernel = kernel.reshape(-1, taps, in_channels, 5).swapaxes(1, 2).reshape(kernel.shape)
        peer_bias = np.moveaxis(bias, -1, 0).reshape(bias.shape)
    peer.set_weights([peer_kernel, peer_bias])
    with tf.GradientTape() as tape:
        tape.watch(peer_inputs)
        expected = peer(peer_inputs)
    output_gradient = np.random.default_rng(3).standard_normal(to_channels_last(expected.numpy(), data_format).shape)
    upstream = tf.constant(to_format(output_gradient, data_format))
    by_input, by_kernel = tape.gradient(expected, [peer_inputs, peer.kernel], upstream)
    by_kernel = by_kernel.numpy()
    if data_format == "channels_first":
        by_kernel = by_kernel.reshape(-1, in_channels, taps, 5).swapaxes(1, 2).reshape(kernel.shape)
    for implementation in IMPLEMENTATION_NAMES:
        layer = layer_class(
            5, kernel_size, strides, data_format=data_format, implementation=implementation, dtype="float64"
        )
        got = run_layer(layer, inputs, kernel, bias, output_gradient)
        np.testing.assert_allclose(got[0], to_channels_last(expected.numpy(), data_format), rtol=1e-10)
        np.testing.assert_allclose(got[1], to_channels_last(by_input.numpy(), data_format), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(got[2], by_kernel, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATION_NAMES)
def test_tied_weights_equal_conv(implementation):
    inputs = np.random.default_rng(0).standard_normal((3, 5, 7, 2))
    conv = keras.layers.Conv2D(4, (3, 2), strides=(1, 2), dtype="float64")
    expected = conv(inputs)
    layer = LocallyConnected2D(4, (3, 2), strides=(1, 2), implementation=implementation, dtype="float64")
    layer.build(inputs.shape)
    tied = np.reshape(conv.kernel, (1, -1, 4))
    layer.set_weights([np.repeat(tied, 9, axis=0), np.broadcast_to(conv.bias, (3, 3, 4))])
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATION_NAMES)
def test_a_kernel_that_covers_the_input_equals_dense(implementation):
    inputs = np.random.default_rng(0).standard_normal((3, 5, 2))
    layer = LocallyConnected1D(4, 5, implementation=implementation, dtype="float64")
    got = np.asarray(layer(inputs))
    np.testing.assert_allclose(got[:, 0], inputs.reshape(3, -1) @ np.asarray(layer.kernel)[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATION_NAMES)
def test_parameters_of_the_documented_example(implementation):
    layer = LocallyConnected2D(64, (3, 3), implementation=implementation)
    layer.build((None, 32, 32, 3))
    assert layer.count_params() == (30 * 30) * (3 * 3 * 3 * 64) + (30 * 30) * 64
    assert layer.compute_output_shape((None, 32, 32, 3)) == (None, 30, 30, 64)


def test_defaults_are_those_of_tf_keras_but_for_implementation():
    tf_keras = pytest.importorskip("tf_keras")
    for layer_class in (LocallyConnected1D, LocallyConnected2D):
        ours = inspect.signature(layer_class).parameters
        theirs = inspect.signature(getattr(tf_keras.layers, layer_class.__name__)).parameters
        assert [name for name in ours if name in theirs] == list(theirs)
        assert list(ours)[len(theirs) - 1 : -1] == ["dilation_rate", "groups", "kernel_fans", "weights"]
        different = {name for name in theirs if ours[name].default not in (theirs[name].default, 1, (1, 1))}
        assert different == {"implementation"}
        assert ours["implementation"].default == "auto"
        assert ours["strides"].default == 1


@pytest.mark.parametrize("initializer", ["glorot_uniform", "he_normal", "lecun_uniform"])
def test_initial_kernels_have_the_fans_of_one_position_and_no_implementation_changes_them(initializer):
    kernels = []
    for implementation in IMPLEMENTATION_NAMES:
        keras.utils.set_random_seed(5)
        layer = LocallyConnected2D(8, 3, kernel_initializer=initializer, implementation=implementation)
        layer.build((None, 20, 21, 4))
        kernels.append(np.asarray(layer.kernel))
    for kernel in kernels[1:]:
        np.testing.assert_array_equal(kernel, kernels[0])
    fan_in, fan_out = 9 * 4, 9 * 8
    variance = {
        "glorot_uniform": 2 / (fan_in + fan_out),
        "he_normal": 2 / fan_in,
        "lecun_uniform": 1 / fan_in,
    }[initializer]
    assert np.var(kernels[0]) == pytest.approx(variance, rel=0.03)
    assert layer.get_config()["kernel_initializer"]["config"]["input_axes"] is None


@pytest.mark.parametrize("implementation", IMPLEMENTATION_NAMES)
def test_penalties_see_the_stored_weights_alone(implementation):
    layer = LocallyConnected1D(
        3, 2, kernel_regularizer="l2", bias_initializer="ones", bias_regularizer="l1", implementation=implementation
    )
    layer.build((None, 6, 2))
    penalty = 0.01 * np.sum(np.square(layer.kernel)) + 0.01 * 5 * 3
    assert float(sum(layer.losses)) == pytest.approx(penalty, rel=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_shared_bias_is_added_per_filter_where_positions_and_filters_are_as_many(data_format):
    layer = LocallyConnected1D(2, 1, use_bias="shared", data_format=data_format, weights=[np.zeros((2, 1, 2)), [3, 5]])
    outputs = layer(np.zeros((1, 2, 1) if data_format == "channels_last" else (1, 1, 2)))
    np.testing.assert_array_equal(to_channels_last(np.asarray(outputs), data_format), [[[3, 5], [3, 5]]])


def test_without_bias_there_is_none():
    layer = LocallyConnected2D(3, 2, use_bias=False, implementation="batched", dtype="float64")
    inputs, kernel, bias = random_case((4, 5), (2, 2), (1, 1), filters=3)
    layer.build(inputs.shape)
    layer.set_weights([kernel])
    np.testing.assert_allclose(layer(inputs), locally_connected(inputs, kernel, 0 * bias, (2, 2), (1, 1)), rtol=1e-10)


def test_config_round_trip_keeps_every_argument():
    arguments = {
        "filters": 3,
        "kernel_size": (3, 2),
        "strides": (1, 2),
        "padding": ((1, 0), (0, 2)),
        "data_format": "channels_first",
        "activation": "tanh",
        "use_bias": False,
        "kernel_initializer": keras.initializers.HeNormal(seed=3),
        "bias_initializer": "ones",
        "kernel_regularizer": keras.regularizers.L2(0.5),
        "bias_regularizer": "l1",
        "activity_regularizer": keras.regularizers.L1(0.25),
        "kernel_constraint": "non_neg",
        "bias_constraint": "unit_norm",
        "implementation": 3,
        "dilation_rate": (2, 1),
        "groups": 3,
        "kernel_fans": "legacy",
        "name": "local",
        "trainable": False,
        "dtype": "float64",
    }
    layer = LocallyConnected2D(**arguments)
    config = layer.get_config()
    assert set(arguments) == set(config)
    again = LocallyConnected2D.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    assert again.padding == ((1, 0), (0, 2))
    assert (again.kernel_initializer.seed, float(again.kernel_regularizer.l2)) == (3, 0.5)
    missing = [name for name in inspect.signature(LocallyConnected2D).parameters if name not in config]
    assert missing == ["weights", "kwargs"]


def test_saved_under_one_implementation_loads_under_another_in_a_new_process(tmp_path, run_python):
    inputs = np.random.default_rng(0).standard_normal((3, 5, 7, 2)).astype("float32")
    np.save(tmp_path / "inputs.npy", inputs)
    model = keras.Sequential(
        [
            keras.Input((5, 7, 2)),
            LocallyConnected2D(3, 2, implementation=2),
            LocallyConnected2D(2, (3, 2), 2, implementation=1),
        ]
    )
    model.layers[0].bias.assign(np.random.default_rng(1).standard_normal(model.layers[0].bias.shape))
    model.save(tmp_path / "saved.keras")
    run_python(
        """
import lctrain, keras, numpy as np
inputs = np.load("inputs.npy")
np.save("as_saved.npy", keras.models.load_model("saved.keras").predict(inputs, verbose=0))
for other in (1, 3, "batched", "auto"):
    LocallyConnected2D = lctrain.layers.LocallyConnected2D
    model = keras.Sequential([keras.Input((5, 7, 2)), LocallyConnected2D(3, 2, implementation=other),
                              LocallyConnected2D(2, (3, 2), 2, implementation=other)])
    model.load_weights("saved.keras")
    np.save(f"as_{other}.npy", model.predict(inputs, verbose=0))
""",
        folder=tmp_path,
    )
    expected = model.predict(inputs, verbose=0)
    for name in ("saved", "1", "3", "batched", "auto"):
        np.testing.assert_allclose(np.load(tmp_path / f"as_{name}.npy"), expected, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "`filters` must be a positive integer; got 0"),
        ({"kernel_size": (3, 0)}, r"`kernel_size` must be a positive integer or 2 positive integers; got \(3, 0\)"),
        ({"strides": -1}, "`strides` must be .*; got -1"),
        ({"padding": "full"}, "`padding` must be one of 'valid', 'same', 'circular', 'reflect' or 2 .*; got 'full'"),
        ({"padding": "causal"}, "`padding` must be one of .*; got 'causal'"),
        ({"padding": None}, "`padding` must be one of .*; got None"),
        ({"padding": ((1, 2),)}, r"`padding` must be one of .* 2 \(before, after\) pairs .*; got \(\(1, 2\),\)"),
        ({"padding": ((1, 2), (0, -1))}, "`padding` must be one of .* non-negative integers; got .*-1"),
        ({"dilation_rate": 0}, "`dilation_rate` must be .*; got 0"),
        ({"dilation_rate": (1, 2, 3)}, r"`dilation_rate` must be .*; got \(1, 2, 3\)"),
        ({"groups": 0}, "`groups` must be a positive integer; got 0"),
        ({"groups": 2}, "`groups` must divide the filters, 3; got 2"),
        ({"use_bias": "sharde"}, "`use_bias` must be one of True, False, 'shared'; got 'sharde'"),
        ({"use_bias": 1}, "`use_bias` must be one of True, False, 'shared'; got 1"),
        ({"kernel_fans": "keras"}, "`kernel_fans` must be one of 'position', 'legacy'; got 'keras'"),
        ({"data_format": "channel_last"}, "`data_format` must be .*; got 'channel_last'"),
        ({"implementation": 7}, "`implementation` must be one of 1, 2, 3, 'batched', 'auto'; got 7"),
        ({"implementation": True}, "`implementation` must be one of .*; got True"),
        ({"implementation": [1]}, r"`implementation` must be one of .*; got \[1\]"),
        ({"implementation": "bached"}, "got 'bached'. Did you mean `batched`"),
        ({"kernel_initializer": "foo"}, "`kernel_initializer` must be .* Keras initializer.*; got 'foo'"),
        ({"bias_initializer": 5}, "`bias_initializer` must be .*; got 5"),
        ({"kernel_regularizer": "foo"}, "`kernel_regularizer` must be .*; got 'foo'"),
        ({"activity_regularizer": 4}, "`activity_regularizer` must be .*; got 4"),
        ({"bias_constraint": "foo"}, "`bias_constraint` must be .*; got 'foo'"),
        ({"activation": "relou"}, "`activation` must be .*; got 'relou'"),
        ({"weights": 5}, "`weights` must be a list of arrays.*; got 5"),
    ],
)
def test_wrong_arguments_are_refused_by_name_and_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocallyConnected2D(**({"filters": 3, "kernel_size": 2} | arguments))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, None, 7, 2), r"2 spatial sizes, all known .*\(None, None, 7, 2\)"),
        ((None, 5, 7), r"2 spatial sizes, all known .*\(None, 5, 7\)"),
        ((None, 5, 7, None), r"known number of channels, at least 1; got input shape \(None, 5, 7, None\)"),
        ((None, 5, 2, 2), r"`kernel_size` must not exceed .*\(5, 2\); got \(3, 3\)"),
    ],
)
def test_wrong_input_shapes_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        LocallyConnected2D(3, 3).build(shape)


def test_padding_is_case_insensitive():
    assert LocallyConnected1D(3, 2, padding="VALID").padding == "valid"


def test_graph_size_of_batched_does_not_depend_on_positions():
    def count_operations(size):
        layer = LocallyConnected2D(3, 2, implementation="batched")
        layer.build((None, size, size, 2))

        @tf.function
        def step(inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = layer(inputs)
            return tape.gradient(outputs, [inputs, layer.kernel.value])

        return len(step.get_concrete_function(tf.TensorSpec((None, size, size, 2))).graph.get_operations())

    assert count_operations(9) <= count_operations(40) == count_operations(70)  # small ones are folded in one piece


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dilation_rate": 3}, r"`kernel_size` must not exceed .*\(5, 7\); got \(3, 3\) \(dilated to \(7, 7\)\)"),
        ({"groups": 3}, "`groups` must divide the input's channels, 2; got 3"),
        (
            {"padding": "reflect", "kernel_size": (5, 9), "dilation_rate": (3, 1)},
            "`padding` 'reflect' needs .* more than 6",
        ),
        ({"weights": [np.zeros((2, 2))]}, r"`weights` must be arrays of shapes .*; got \[\(2, 2\)\]"),
    ],
)
def test_arguments_that_do_not_fit_the_input_are_refused(arguments, message):
    layer = LocallyConnected2D(**({"filters": 3, "kernel_size": 3} | arguments))
    with pytest.raises(ValueError, match=message):
        layer.build((None, 5, 7, 2))


@pytest.mark.parametrize("padding", ["same", "valid", "causal"])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "dilation_rate"), [(4, 1, 1), (3, 2, 1), (2, 3, 1), (3, 1, 2), (4, 1, 3)]
)
@pytest.mark.parametrize("size", [10, 11])
def test_paddings_are_exactly_those_of_conv(padding, kernel_size, strides, dilation_rate, size):
    inputs = np.random.default_rng(0).standard_normal((2, size, 2))
    arguments = {"strides": strides, "dilation_rate": dilation_rate, "padding": padding, "dtype": "float64"}
    conv = keras.layers.Conv1D(3, kernel_size, **arguments)
    expected = np.asarray(conv(inputs))
    layer = LocallyConnected1D(3, kernel_size, **arguments, use_bias="shared")
    assert layer.compute_output_shape(inputs.shape) == expected.shape
    layer.build(inputs.shape)
    layer.set_weights([np.repeat(np.reshape(conv.kernel, (1, -1, 3)), expected.shape[1], axis=0), conv.bias])
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATION_NAMES)
def test_taps_on_zero_padding_are_born_zero_and_stay_so(implementation):
    layer = LocallyConnected1D(3, 3, padding="same", kernel_initializer="ones", implementation=implementation)
    model = keras.Sequential([keras.Input((5, 2)), layer, keras.layers.Flatten(), keras.layers.Dense(1)])
    assert np.sum(layer.kernel) == (3 * 5 - 2) * 2 * 3
    model.compile("adam", "mse")
    inputs = np.random.default_rng(0).standard_normal((8, 5, 2))
    model.fit(inputs, np.ones((8, 1)), epochs=2, verbose=0)
    dead = np.asarray(layer.kernel)[0, :2], np.asarray(layer.kernel)[-1, -2:]
    np.testing.assert_array_equal(dead, 0)
    assert np.abs(layer.kernel).max() > 1


def test_legacy_fans_are_those_of_implementation_1_of_tf_keras():
    tf_keras = pytest.importorskip("tf_keras")
    theirs = tf_keras.layers.LocallyConnected1D(8, 3, implementation=1)
    theirs.build((None, 100, 5))
    ours = LocallyConnected1D(8, 3, kernel_fans="legacy")
    ours.build((None, 100, 5))
    assert np.std(ours.kernel) == pytest.approx(np.std(theirs.kernel.numpy()), rel=0.03)
    position = LocallyConnected1D(8, 3)
    position.build((None, 100, 5))
    assert np.std(position.kernel) / np.std(ours.kernel) > 2


@pytest.mark.parametrize(("channels", "filters"), [(2, 3), (1, 7)])
def test_orthogonal_kernels_are_orthogonal_at_each_position(channels, filters):
    layer = LocallyConnected1D(filters, 2, kernel_initializer=keras.initializers.Orthogonal(gain=2.0, seed=1))
    layer.build((None, 5, channels))
    kernel = np.asarray(layer.kernel)
    for matrix in kernel:
        small = matrix @ matrix.T if matrix.shape[0] < filters else matrix.T @ matrix
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)
    assert not np.allclose(kernel[0], kernel[1])


def test_identity_kernels_are_the_identity_at_each_position():
    layer = LocallyConnected1D(4, 2, kernel_initializer="identity")
    layer.build((None, 5, 2))
    np.testing.assert_array_equal(layer.kernel, np.broadcast_to(np.eye(4), (4, 4, 4)))


def test_norm_constraints_act_per_position_and_filter():
    layer = LocallyConnected1D(3, 2, kernel_constraint=keras.constraints.UnitNorm())
    layer.build((None, 5, 2))
    constrained = layer.kernel.constraint(layer.kernel.value)
    np.testing.assert_allclose(np.linalg.norm(constrained, axis=1), 1, rtol=1e-5)
    assert layer.get_config()["kernel_constraint"]["config"]["axis"] == 0


def test_initial_arrays_become_the_weights():
    inputs, kernel, bias = random_case((5, 7), (3, 2), (1, 1))
    layer = LocallyConnected2D(5, (3, 2), weights=[kernel, bias], dtype="float64")
    np.testing.assert_allclose(layer(inputs), locally_connected(inputs, kernel, bias, (3, 2), (1, 1)), rtol=1e-9)


@pytest.mark.parametrize("size", [3, 7])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("implementation", IMPLEMENTATION_NAMES)
def test_half_precision_is_as_exact_as_conv(policy, implementation, size):
    generator = np.random.default_rng(0)
    rows, columns = 13 - size, 14 - size
    inputs, upstream = generator.standard_normal((4, 12, 13, 16)), generator.standard_normal((4, rows, columns, 8))
    shared = generator.standard_normal((size, size, 16, 8)) / (4 * size)
    inputs, upstream, shared = (
        np.asarray(tf.cast(tf.cast(a, "bfloat16"), "float64")) for a in (inputs, upstream, shared)
    )

    def run(layer, kernel):
        layer.build((None, 12, 13, 16))
        layer.kernel.assign(kernel)
        x = tf.constant(inputs, layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x)
        return outputs, tape.gradient(outputs, x, tf.cast(upstream, outputs.dtype))

    tied = np.repeat(shared.reshape(1, -1, 8), rows * columns, axis=0)
    exact = run(keras.layers.Conv2D(8, size, dtype="float64"), shared)
    conv = run(keras.layers.Conv2D(8, size, dtype=policy), shared)
    local = run(LocallyConnected2D(8, size, implementation=implementation, dtype=policy), tied)
    for name, reference, theirs, ours in zip(("outputs", "input gradient"), exact, conv, local, strict=True):
        assert ours.dtype == theirs.dtype
        errors = [np.sqrt(np.mean((np.asarray(tf.cast(a, "float64")) - reference) ** 2)) for a in (theirs, ours)]
        assert errors[1] <= 2 * errors[0], (name, errors)
