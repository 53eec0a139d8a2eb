"""Shapes and parameters from arithmetic equal Keras' for every layer that a configuration may name."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from lctrain import layers as own_layers
from lctrain.config.allowlist import classes
from lctrain.legacy.loading import stored_variables
from lctrain.model.shapes import infer_layer

SEQUENCE, IMAGE, VOLUME = (None, 11, 6), (None, 9, 13, 6), (None, 7, 9, 11, 6)
OF_RANK = {1: SEQUENCE, 2: IMAGE, 3: VOLUME}


def of_ranks(template, ranks, *samples):
    """The same samples for each rank; `per_axis` values are cut to the rank's number of axes."""
    return {template.format(rank): [(OF_RANK[rank], _cut(sample, rank)) for sample in samples] for rank in ranks}


def _cut(sample, rank):
    return {name: value[:rank] if isinstance(value, list) else value for name, value in sample.items()}


CONV = [
    {"filters": 4, "kernel_size": 3},
    {"filters": 4, "kernel_size": [3, 2, 4], "strides": [2, 3, 1], "padding": "same", "use_bias": False},
    {"filters": 4, "kernel_size": 2, "dilation_rate": [3, 2, 4], "groups": 2, "activation": "relu"},
]
DEPTHWISE = [
    {"kernel_size": 3, "strides": 2, "depth_multiplier": 3},
    {"kernel_size": [3, 2], "padding": "same", "use_bias": False},
]
POOLING = [{"pool_size": 2}, {"pool_size": [3, 2, 4], "strides": [2, 3, 1], "padding": "same"}]
LOCAL = [
    {"filters": 4, "kernel_size": 3},
    {"filters": 4, "kernel_size": [3, 2, 4], "strides": [2, 3, 1], "padding": "same", "use_bias": "shared"},
    {"filters": 4, "kernel_size": 2, "dilation_rate": 2, "groups": 2, "padding": "circular", "use_bias": False},
    {"filters": 4, "kernel_size": 3, "padding": [[1, 0], [0, 2], [3, 1]]},
]
SAMPLES = {
    **of_ranks("Conv{}D", (1, 2, 3), *CONV),
    **of_ranks("DepthwiseConv{}D", (1, 2), *DEPTHWISE),
    **of_ranks("SeparableConv{}D", (1, 2), *({"filters": 4, **sample} for sample in DEPTHWISE)),
    **of_ranks("AveragePooling{}D", (1, 2, 3), *POOLING),
    **of_ranks("MaxPooling{}D", (1, 2, 3), {}, *POOLING),
    **of_ranks("GlobalAveragePooling{}D", (1, 2, 3), {}, {"keepdims": True}),
    **of_ranks("GlobalMaxPooling{}D", (1, 2, 3), {}, {"keepdims": True}),
    **of_ranks("LocallyConnected{}D", (1, 2, 3), *LOCAL),
    "LowRankLocallyConnected2D": [
        (IMAGE, {"filters": 4, "kernel_size": [3, 2], "rank": 5}),
        (IMAGE, {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False}),
    ],
    **of_ranks(
        "Cropping{}D", (2, 3), {}, {"cropping": 2}, {"cropping": [1, 0, 2]}, {"cropping": [[1, 2], [0, 3], [1, 1]]}
    ),
    "Cropping1D": [(SEQUENCE, {}), (SEQUENCE, {"cropping": 2}), (SEQUENCE, {"cropping": [1, 3]})],
    **of_ranks(
        "ZeroPadding{}D", (2, 3), {}, {"padding": 2}, {"padding": [1, 0, 2]}, {"padding": [[1, 2], [0, 3], [1, 1]]}
    ),
    "ZeroPadding1D": [(SEQUENCE, {}), (SEQUENCE, {"padding": 2}), (SEQUENCE, {"padding": [1, 3]})],
    **of_ranks("UpSampling{}D", (2, 3), {}, {"size": [2, 3, 4]}),
    "UpSampling1D": [(SEQUENCE, {}), (SEQUENCE, {"size": 3})],
    "Flatten": [(IMAGE, {})],
    "Permute": [(IMAGE, {"dims": [3, 1, 2]})],
    "RepeatVector": [((None, 6), {"n": 4})],
    "Reshape": [(IMAGE, {"target_shape": [13, -1, 2]}), (IMAGE, {"target_shape": [702]})],
    "Dense": [((None, 6), {"units": 4}), (IMAGE, {"units": 4, "use_bias": False})],
    "BatchNormalization": [(IMAGE, {}), (IMAGE, {"axis": 1, "scale": False})],
    "GroupNormalization": [(IMAGE, {"groups": 3}), (IMAGE, {"groups": 13, "axis": 2, "center": False})],
    "LayerNormalization": [(IMAGE, {}), (IMAGE, {"axis": [1, 3], "center": False})],
    "PReLU": [
        (IMAGE, {}),
        (IMAGE, {"shared_axes": [1, 2]}),
        (IMAGE, {"shared_axes": 3}),
        (IMAGE, {"shared_axes": [-1]}),
    ],
    "Softmax": [(IMAGE, {}), (IMAGE, {"axis": [1, 2]})],
    "UnitNormalization": [(IMAGE, {}), (IMAGE, {"axis": 1})],
    **of_ranks("SpatialDropout{}D", (1, 2, 3), {"rate": 0.2}),
    "Activation": [(IMAGE, {"activation": "relu"})],
    "ActivityRegularization": [(IMAGE, {"l2": 0.1})],
    "AlphaDropout": [(IMAGE, {"rate": 0.2})],
    "Dropout": [(IMAGE, {"rate": 0.2})],
    "GaussianDropout": [(IMAGE, {"rate": 0.2})],
    "GaussianNoise": [(IMAGE, {"stddev": 0.2})],
    "ELU": [(IMAGE, {})],
    "Identity": [(IMAGE, {})],
    "LeakyReLU": [(IMAGE, {})],
    "ReLU": [(IMAGE, {"max_value": 6.0})],
    "Rescaling": [(IMAGE, {"scale": 0.5})],
}
CASES = [
    pytest.param(name, shape, arguments, id=f"{name}-{index}")
    for name, samples in SAMPLES.items()
    for index, (shape, arguments) in enumerate(samples)
]


def make_layer(name, arguments):
    tuples = {key: _as_tuple(value) for key, value in arguments.items()}
    return getattr(own_layers if hasattr(own_layers, name) else keras.layers, name)(**tuples)


def _as_tuple(value):
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


def complete(name, arguments):
    return classes("layers")[name].optional | arguments


@pytest.mark.parametrize(("name", "shape", "arguments"), CASES)
def test_shapes_and_parameters_are_those_of_keras(name, shape, arguments):
    formats = ["channels_last"]
    if "data_format" in classes("layers")[name].arguments:
        formats.append("channels_first")
    for data_format in formats:
        given = arguments | ({"data_format": data_format} if len(formats) > 1 else {})
        input_shape = shape if data_format == "channels_last" else (None, shape[-1], *shape[1:-1])
        layer = make_layer(name, given)
        layer.build(input_shape)
        facts = infer_layer(name, complete(name, given), [input_shape])
        assert facts.output_shape == tuple(layer.compute_output_shape(input_shape))
        assert facts.parameters == layer.count_params()
        check_weights(facts, layer)


def check_weights(facts, layer):
    """The weights of a layer's facts are those of the built layer: names, shapes, their order, what is trained."""
    variables = stored_variables(layer)
    assert [weight.shape for weight in facts.weights] == [tuple(variable.shape) for variable in variables]
    assert [weight.is_trainable for weight in facts.weights] == [variable.trainable for variable in variables]
    assert [weight.name.split("/")[-1] for weight in facts.weights] == [variable.name for variable in variables]


@pytest.mark.parametrize(
    ("name", "shape", "arguments"),
    [
        ("Conv2D", (9, 13, 6), {"filters": 4, "kernel_size": [3, 2], "groups": 2, "kernel_initializer": "ones"}),
        ("Conv1D", (11, 6), {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "kernel_initializer": "ones"}),
        ("DepthwiseConv2D", (9, 13, 6), {"kernel_size": [3, 2], "depthwise_initializer": "ones"}),
        ("LocallyConnected2D", (9, 13, 6), {"filters": 4, "kernel_size": [3, 2], "kernel_initializer": "ones"}),
        ("AveragePooling2D", (9, 13, 6), {"pool_size": [3, 2], "strides": 1}),
        ("GlobalAveragePooling2D", (9, 13, 6), {}),
        ("Dense", (9, 13, 6), {"units": 4, "kernel_initializer": "ones"}),
    ],
)
def test_taps_are_the_inputs_that_an_output_depends_on(name, shape, arguments):
    import tensorflow as tf

    layer = make_layer(name, arguments)
    inputs = tf.ones((1, *shape))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        one_output = tf.reshape(layer(inputs), (-1,))[1]
    read = np.count_nonzero(tape.gradient(one_output, inputs))
    assert infer_layer(name, complete(name, arguments), [(None, *shape)]).taps == read


def test_multiplications_are_those_of_the_matmuls():
    arguments = complete("Conv2D", {"filters": 4, "kernel_size": [3, 2]})
    conv = infer_layer("Conv2D", arguments, [IMAGE])
    assert conv.multiplications == (7 * 12) * (3 * 2 * 6) * 4
    assert conv.flops == 2 * conv.multiplications
    local = infer_layer("LocallyConnected2D", complete("LocallyConnected2D", arguments), [IMAGE])
    assert local.multiplications == conv.multiplications
    assert infer_layer("Dense", complete("Dense", {"units": 4}), [IMAGE]).multiplications == 9 * 13 * 6 * 4


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "message"),
    [
        (
            "Conv2D",
            IMAGE,
            {"filters": 4, "kernel_size": 10},
            r"`kernel_size` must not exceed .*\(9, 13\).*got \(10, 10\)",
        ),
        ("Conv2D", IMAGE, {"filters": 5, "kernel_size": 2, "groups": 2}, "`groups` must divide the filters, 5; got 2"),
        ("LocallyConnected1D", SEQUENCE, {"filters": 4, "kernel_size": 2, "groups": 4}, "input's channels, 6; got 4"),
        (
            "LocallyConnected1D",
            IMAGE,
            {"filters": 4, "kernel_size": 2},
            r"input of 3 axes.*got shape \(None, 9, 13, 6\)",
        ),
        ("MaxPooling1D", SEQUENCE, {"pool_size": 12}, r"`pool_size` must not exceed .*\(11,\); got \(12,\)"),
        ("Reshape", IMAGE, {"target_shape": [5, -1]}, r"`target_shape` must hold the 702 elements.*got \(5, -1\)"),
        ("Reshape", IMAGE, {"target_shape": [-1, -1]}, r"`target_shape` must hold .*got \(-1, -1\)"),
        ("Permute", IMAGE, {"dims": [1, 2]}, r"`dims` must be the axes 1 to 3 .*got \(1, 2\)"),
        ("Cropping1D", SEQUENCE, {"cropping": [5, 6]}, r"`cropping` must leave something .*got \(\(5, 6\),\)"),
        ("BatchNormalization", IMAGE, {"axis": 4}, r"`axis` must be one of .*got 4"),
        ("GroupNormalization", IMAGE, {"groups": 4}, "`groups` must divide .*6; got 4"),
        ("PReLU", IMAGE, {"shared_axes": [4]}, "`shared_axes` must be axes of .*got 4"),
        ("RepeatVector", IMAGE, {"n": 2}, r"input of 2 axes.*got shape \(None, 9, 13, 6\)"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_as_keras_refuses_it(name, shape, arguments, message):
    with pytest.raises(ValueError, match=message):
        infer_layer(name, complete(name, arguments), [shape])
    layer_error = None
    try:
        make_layer(name, arguments)(keras.Input(shape[1:]))
    except Exception as error:  # Keras raises IndexError, ValueError and more
        layer_error = error
    assert layer_error is not None


def test_the_comparison_of_weights_finds_a_wrong_one():
    layer = make_layer("Dense", {"units": 4})
    layer.build((None, 6))
    facts = infer_layer("Dense", complete("Dense", {"units": 4}), [(None, 6)])
    kernel, bias = facts.weights
    check_weights(facts, layer)
    for wrong, message in (
        ((bias, kernel), r"assert \[\(4,\), \(6, 4\)\] == \[\(6, 4\), \(4,\)\]"),
        ((kernel,), r"assert \[\(6, 4\)\] == "),
        ((replace(kernel, shape=(4, 6)), bias), r"assert \[\(4, 6\), \(4,\)\] == "),
        ((replace(kernel, name="basis"), bias), r"assert \['basis', 'bias'\] == "),
        ((replace(kernel, is_trainable=False), bias), r"assert \[False, True\] == "),
    ):
        with pytest.raises(AssertionError, match=message):
            check_weights(replace(facts, weights=wrong), layer)


def test_a_layer_of_one_input_refuses_two():
    with pytest.raises(ValueError, match="takes one input; got 2, of shapes"):
        infer_layer("Flatten", {}, [IMAGE, SEQUENCE])
