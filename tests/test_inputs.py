"""What the layers may be called on, under every implementation, rank and data format."""

import re
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from lctrain.implementations import IMPLEMENTATIONS
from lctrain.layers import LocallyConnected1D, LocallyConnected2D, LocallyConnected3D, LowRankLocallyConnected2D

CLASSES = {1: LocallyConnected1D, 2: LocallyConnected2D, 3: LocallyConnected3D}
SPATIAL = {1: (9,), 2: (5, 6), 3: (4, 5, 3)}
LAYERS = [(rank, name, first) for first in (False, True) for rank in CLASSES for name in [*IMPLEMENTATIONS, "auto"]]
LAYERS += [(2, "low rank", False), (2, "low rank", True)]
BUILTIN_INFO = {  # by what holds the numbers: how to make it of a float64 array
    "NumPy, float32": lambda numbers: numbers.astype("float32"),
    "NumPy, float64": lambda numbers: numbers,
    "NumPy, int32": lambda numbers: numbers.astype("int32"),
    "NumPy, uint8": lambda numbers: numbers.astype("uint8"),
    "list": lambda numbers: numbers.tolist(),
    "list of whole numbers": lambda numbers: numbers.astype(int).tolist(),
    "tuple": lambda numbers: tuple(numbers.tolist()),
    "tensor": lambda numbers: tf.constant(numbers, "float32"),
    "tensor, float64": tf.constant,
    "tensor, int64": lambda numbers: tf.constant(numbers, "int64"),
    "tf.Variable": lambda numbers: tf.Variable(numbers, dtype="float32"),
    "tf.Variable, float64": tf.Variable,
    "tf.Variable, int32": lambda numbers: tf.Variable(numbers.astype("int32")),
    "keras.Variable": keras.Variable,
    "keras.Variable, float64": lambda numbers: keras.Variable(numbers, dtype="float64"),
}
REFUSED = {  # by the kind that errors name: how to make it
    "RaggedTensor": lambda numbers: tf.RaggedTensor.from_tensor(numbers),
    "SparseTensor": lambda numbers: tf.sparse.from_dense(numbers),
    "IndexedSlices": lambda numbers: tf.IndexedSlices(tf.constant(numbers), tf.constant([0, 1, 2])),
    "a list of 3 (EagerTensor)": lambda numbers: [tf.constant(one) for one in numbers],
    "a list of 3 (ndarray)": list,
    "a list whose rows are of several lengths": lambda _: [[1, 2], [3]],
    "None": lambda _: None,
    "'numbers'": lambda _: "numbers",
}


def make_layer(rank, name, first):
    data_format = "channels_first" if first else "channels_last"
    if name == "low rank":
        return LowRankLocallyConnected2D(3, 2, rank=2, data_format=data_format, activation="tanh")
    return CLASSES[rank](3, 2, implementation=name, data_format=data_format, activation="tanh")


def make_numbers(rank, first):
    """Whole ones, which every dtype holds."""
    shape = (2, *SPATIAL[rank]) if first else (*SPATIAL[rank], 2)
    return np.random.default_rng(0).integers(0, 5, (3, *shape)).astype("float64")


@pytest.mark.parametrize(("rank", "name", "first"), LAYERS)
def test_whatever_holds_the_numbers_the_outputs_are_the_same(rank, name, first):
    layer, numbers = make_layer(rank, name, first), make_numbers(rank, first)
    expected = layer(tf.constant(numbers, "float32"))
    for kind, make in BUILTIN_INFO.items():
        for one in (layer, type(layer).from_config(layer.get_config())):  # the second is built of this input
            one(make(numbers)) if not one.built else None
            one.set_weights(layer.get_weights())
            outputs = one(make(numbers))
            assert outputs.dtype == "float32", kind
            np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6, err_msg=kind)


@pytest.mark.parametrize(
    ("rank", "name", "first", "how"),
    [(*layer, how) for layer in LAYERS for how in ("eager", "graph", "XLA") if how != "XLA" or layer[1] != 3],
)
def test_a_variable_has_the_gradient_of_the_tensor_that_it_holds(rank, name, first, how):
    """As when the image that excites a filter most is looked for; XLA knows no sparse matrices, those of 3."""
    layer, numbers = make_layer(rank, name, first), make_numbers(rank, first)
    tensor, variable = tf.constant(numbers, "float32"), tf.Variable(numbers, dtype="float32")
    kept = keras.Variable(numbers)
    layer(tensor)

    def differentiate(inputs, source):
        with tf.GradientTape() as tape:
            tape.watch(source)
            loss = tf.reduce_sum(layer(inputs) ** 2)
        return tape.gradient(loss, [source, *(weight.value for weight in layer.trainable_weights)])

    expected = differentiate(tensor, tensor)
    for inputs, source in ((variable, variable), (kept, kept.value)):
        run = partial(differentiate, inputs, source)
        got = (run if how == "eager" else tf.function(lambda run=run: run(), jit_compile=how == "XLA"))()
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("is_built", [False, True])
@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize(("rank", "name", "first"), [(1, "batched", True), (2, 2, False), (3, 1, False), LAYERS[-1]])
def test_what_is_no_dense_array_is_refused_by_name(rank, name, first, kind, is_built):
    layer, numbers = make_layer(rank, name, first), make_numbers(rank, first)
    if is_built:
        layer.build(numbers.shape)
    message = (
        rf"The input of `{type(layer).__name__}` `{layer.name}` must be one dense .*; got (an? )?{re.escape(kind)}"
    )
    with pytest.raises(ValueError, match=message):
        layer(REFUSED[kind](numbers))


def test_inputs_of_a_model_that_are_sparse_are_refused():
    inputs = keras.Input((5, 6, 2), sparse=True)
    with pytest.raises(ValueError, match=r"`LocallyConnected2D` `local` must be one dense .*; got a sparse or ragged"):
        LocallyConnected2D(3, 2, name="local")(inputs)


def test_whole_numbers_are_taken_in_mixed_precision_too():
    layer = LocallyConnected2D(3, 2, dtype="mixed_bfloat16")
    numbers = make_numbers(2, False)
    expected = layer(numbers)
    assert expected.dtype == "bfloat16"
    np.testing.assert_array_equal(layer(numbers.astype("int32")), expected)
