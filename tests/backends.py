"""Run by test_backends under another Keras backend: the layers against the oracle, in models, and what is refused."""

import sys
import warnings
from itertools import product

import keras
import numpy as np
from reference import check_against_reference

from lctrain.layers import (
    LocallyConnected1D,
    LocallyConnected2D,
    LocallyConnected3D,
    LowRankLocallyConnected2D,
    conv_to_local,
    convert_implementation,
)
from lctrain.layers.sums import SUMS

BACKEND = keras.backend.backend()
CLASSES = {1: LocallyConnected1D, 2: LocallyConnected2D, 3: LocallyConnected3D}
SPATIAL = {1: (11,), 2: (5, 6), 3: (4, 5, 3)}
CASES = {  # further arguments; many filters and strides take other ways through the operations
    "plain": {"filters": 3, "kernel_size": 2},
    "padded": {"filters": 3, "kernel_size": 2, "padding": "same", "strides": 2},
    "many filters": {"filters": 40, "kernel_size": 3, "strides": 2},
    "groups": {"filters": 4, "kernel_size": 2, "groups": 2, "dilation_rate": 2, "padding": "circular"},
}
DATA_FORMATS = ("channels_last", "channels_first")
CASES_OF = {1: CASES, 2: CASES, 3: ["padded"]}
generator = np.random.default_rng(0)


def differentiate(layer, inputs, upstream):
    """Outputs, and the gradients by the inputs and the weights, as the backend itself has them."""
    if BACKEND == "torch":
        inputs = keras.ops.convert_to_tensor(inputs).requires_grad_()
        weights = [weight.value for weight in layer.trainable_weights]
        outputs = layer(inputs)
        outputs.backward(keras.ops.convert_to_tensor(upstream))
        found = [outputs, inputs.grad, *(weight.grad for weight in weights)]
    else:
        import jax

        weights = [weight.value for weight in layer.trainable_weights]
        run = lambda inputs, weights: layer.stateless_call(weights, [], inputs)[0]  # noqa: E731
        run = jax.jit(run) if layer.filters == 40 else run
        outputs, back = jax.vjp(run, keras.ops.convert_to_tensor(inputs), weights)
        by_inputs, by_weights = back(keras.ops.convert_to_tensor(upstream))
        found = [outputs, by_inputs, *by_weights]
    return [keras.ops.convert_to_numpy(one) for one in found]


def check_values_and_gradients():
    for (rank, cases), name, data_format in product(CASES_OF.items(), (1, 2, "batched"), DATA_FORMATS):
        for case in cases:
            check_case(rank, name, data_format, CASES[case])


def check_case(rank, name, data_format, arguments):
    layer = CLASSES[rank](**arguments, implementation=name, data_format=data_format)
    inputs = generator.standard_normal((2, *SPATIAL[rank], 2)).astype("float32")
    to, back = ((-1, 1), (1, -1)) if data_format == "channels_first" else ((0, 0), (0, 0))
    layer.build(np.moveaxis(inputs, *to).shape)
    kernel, bias = (generator.standard_normal(weight.shape).astype("float32") for weight in layer.weights)
    layer.set_weights([kernel, bias])

    def compute(inputs, kernel, bias, upstream, layer=layer, to=to, back=back):
        found = differentiate(layer, *(np.moveaxis(one, *to).astype("float32") for one in (inputs, upstream)))
        return [*(np.moveaxis(one, *back) for one in found[:2]), *found[2:]]

    window = layer.window
    oracle = {"dilation_rate": window.dilations, "padding": layer.padding, "groups": layer.groups}
    live = 1 if window.live_taps is None else np.repeat(window.live_taps, kernel.shape[1] // window.num_taps, axis=1)
    kernel = kernel * (live if window.live_taps is None else live[..., None])
    layer.set_weights([kernel, bias])
    arrays = inputs, kernel, bias, layer.kernel_size, layer.strides
    check_against_reference(compute, *arrays, tolerance=1e-3, **oracle)


def check_training(folder):
    """Every implementation, wrapped and not, learns in fit as the others do, and is saved and loaded."""
    inputs, targets = generator.standard_normal((6, 4, 5, 6, 2)), generator.standard_normal((6, 4))
    for data_format in ("channels_last", "channels_first"):
        trained = []
        for name in (1, 2, "batched", "auto", "low rank"):
            local = make_local(name, data_format)
            wrapped = [keras.layers.TimeDistributed(local), keras.layers.TimeDistributed(keras.layers.Flatten())]
            model = keras.Sequential(
                [keras.Input((4, 5, 6, 2)), *wrapped, keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(4)]
            )
            drawn = np.random.default_rng(1)
            model.set_weights([drawn.standard_normal(weight.shape) / 5 for weight in model.weights])
            before = model.get_weights()
            model.compile(keras.optimizers.SGD(0.1), "mse")
            model.fit(inputs, targets, batch_size=3, epochs=2, shuffle=False, verbose=0)
            assert all(np.any(one != other) for one, other in zip(model.get_weights(), before, strict=True))
            predicted = model.predict(inputs, verbose=0)
            model.save(folder + "/model.keras")
            again = keras.models.load_model(folder + "/model.keras")
            np.testing.assert_allclose(again.predict(inputs, verbose=0), predicted, rtol=1e-5, atol=1e-6)
            trained.append(predicted)
            if name != "low rank":
                assert local.resolved_implementation in (1, 2, "batched")
        for predicted in trained[1:-1]:
            np.testing.assert_allclose(predicted, trained[0], rtol=1e-3, atol=1e-4)


def make_local(name, data_format):
    arguments = {"data_format": data_format, "kernel_regularizer": "l2", "kernel_constraint": "max_norm"}
    if name == "low rank":
        return LowRankLocallyConnected2D(3, 2, rank=2, **arguments)
    return LocallyConnected2D(3, 2, implementation=name, **arguments)


def check_conversions(is_plain):
    conv = (keras.layers.Conv2D if is_plain else SUMS["Conv2D"])(3, 2, data_format="channels_first")
    model = keras.Sequential([keras.Input((2, 5, 4)), conv])  # as many columns as filters, which matters to TensorFlow
    model.set_weights([generator.standard_normal(weight.shape) for weight in model.weights])
    inputs = generator.standard_normal((2, 2, 5, 4)).astype("float32")
    plain = keras.layers.Conv2D(3, 2, data_format="channels_last")
    plain.build((None, 5, 4, 2))
    plain.set_weights(model.get_weights())
    expected = np.moveaxis(keras.ops.convert_to_numpy(plain(np.moveaxis(inputs, 1, -1))), -1, 1)
    for other in (model, conv_to_local(model), convert_implementation(conv_to_local(model), 1)):
        np.testing.assert_allclose(other.predict(inputs, verbose=0), expected, rtol=1e-4, atol=1e-5)
    check_refused(lambda: convert_implementation(conv_to_local(model), 3))
    check_refused(lambda: conv_to_local(model, implementation=3))
    check_refused(lambda: LocallyConnected1D(3, 2, implementation=3, name="conv2d"))


def check_refused(make):
    try:
        make()
    except ValueError as error:
        assert f"must not be 3 under the Keras backend '{BACKEND}'" in str(error)  # noqa: PT017 - raised, as checked
        assert "'batched'" in str(error)  # noqa: PT017
    else:
        raise AssertionError("implementation 3 was not refused")


def check_inputs():
    numbers = generator.integers(0, 5, (3, 5, 6, 2))
    layers = [make_local(name, "channels_last") for name in (1, 2, "batched", "low rank")]
    for layer in layers:
        expected = keras.ops.convert_to_numpy(layer(numbers.astype("float32")))
        held = (
            numbers,
            numbers.tolist(),
            keras.Variable(numbers.astype("float32")),
            keras.ops.convert_to_tensor(numbers),
        )
        for one in held:
            np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(one)), expected, rtol=1e-5, atol=1e-6)


if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)  # of ours: no sum is misplaced here
    check_values_and_gradients()
    assert "tensorflow" not in sys.modules  # which Keras itself loads where it saves
    check_training(sys.argv[1])
    check_conversions(is_plain=True)
    check_conversions(is_plain=False)
    check_inputs()
    assert "lctrain.ops.own_gradient" not in sys.modules  # the one module of `lctrain.ops` that is TensorFlow's
    print(BACKEND, "ok")
