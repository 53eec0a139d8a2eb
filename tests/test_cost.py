import keras
import pytest

from lctrain.cost import LayerSizes, choose_implementation, train_step_cost
from lctrain.geometry import Window
from lctrain.implementations import DENSE_MATRIX_LIMIT
from lctrain.layers import LocallyConnected2D


@pytest.mark.parametrize("use_bias", [True, False, "shared"])
@pytest.mark.parametrize("groups", [1, 2])
def test_parameters_are_those_of_the_built_layer(use_bias, groups):
    layer = LocallyConnected2D(4, (3, 2), strides=(1, 2), padding="same", use_bias=use_bias, groups=groups)
    layer.build((None, 5, 7, 6))
    sizes = LayerSizes(layer.window, in_channels=6, filters=4, groups=groups, use_bias=use_bias)
    assert sizes.parameters == layer.count_params()
    assert sizes.kernel - sizes.live_kernel == (~layer.window.live_taps).sum() * 6 // groups * 4


def test_dense_matrix_is_input_by_output():
    sizes = LayerSizes(Window((5, 7), (3, 2), (1, 2)), in_channels=2, filters=3)
    assert sizes.dense_matrix == (5 * 7 * 2) * (3 * 3 * 3)
    assert sizes.live_kernel == sizes.kernel == 9 * 6 * 2 * 3


def test_bytes_and_flops_are_those_of_the_sizes():
    sizes = LayerSizes(Window((5, 7), (3, 2), (1, 2)), in_channels=2, filters=3)
    costs = {
        name: train_step_cost(sizes, name, batch_size=11, itemsize=8, num_slots=1) for name in (1, 2, 3, "batched")
    }
    parameters = 9 * (6 * 2 * 3 + 3)
    for cost in costs.values():
        assert (cost.weights, cost.gradients, cost.slots) == (8 * parameters,) * 3
        assert cost.total == 3 * 8 * parameters + cost.matrix + cost.patches
    assert costs[2].matrix == 2 * 8 * 70 * 27
    assert costs["batched"].patches == 8 * 9 * 6 * 2 * 11
    assert costs["batched"].flops == 3 * 2 * 11 * 9 * 6 * 2 * 3
    assert costs[2].flops / costs["batched"].flops == 70 / 12
    assert costs[3].matrix == 9 * 6 * 2 * 3 * (16 + 4 + 2 * 8)


def test_slots_are_those_of_the_optimizer():
    layer = LocallyConnected2D(4, 3)
    model = keras.Sequential([keras.Input((6, 7, 2)), layer])
    sizes = LayerSizes(layer.window, in_channels=2, filters=4)
    for optimizer, num_slots in ((keras.optimizers.Adam(), 2), (keras.optimizers.SGD(momentum=0.9), 1)):
        optimizer.build(model.trainable_variables)
        stored = sum(variable.value.shape.num_elements() for variable in optimizer.variables if variable.shape.rank > 0)
        assert train_step_cost(sizes, "batched", batch_size=1, num_slots=num_slots).slots == 4 * stored


def test_auto_follows_the_rule_up_to_its_limit():
    window = Window((16,), (1,), (1,))
    at_limit = LayerSizes(window, in_channels=16, filters=32)
    assert at_limit.dense_matrix == DENSE_MATRIX_LIMIT
    assert choose_implementation(at_limit) == 2
    assert choose_implementation(LayerSizes(window, in_channels=16, filters=33)) == "batched"
    assert train_step_cost(at_limit, "auto", batch_size=3) == train_step_cost(at_limit, 2, batch_size=3)


def test_the_layer_resolves_auto_when_it_is_built():
    small, large = LocallyConnected2D(3, 2), LocallyConnected2D(64, 3)
    keras.Sequential([keras.Input((5, 7, 2)), small])
    large.build((None, 32, 32, 3))
    assert (small.resolved_implementation, large.resolved_implementation) == (2, "batched")
    assert large.get_config()["implementation"] == "auto"
