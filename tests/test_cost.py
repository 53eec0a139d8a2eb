import keras
import pytest

from lctrain.cost import DENSE_MATRIX_LIMIT, choose_implementation, count_dense_matrix, count_parameters
from lctrain.geometry import Window
from lctrain.layers import LocallyConnected2D


@pytest.mark.parametrize("use_bias", [True, False])
def test_parameters_are_those_of_the_built_layer(use_bias):
    layer = LocallyConnected2D(3, (3, 2), strides=(1, 2), use_bias=use_bias)
    layer.build((None, 5, 7, 2))
    assert count_parameters(layer.window, in_channels=2, filters=3, use_bias=use_bias) == layer.count_params()


def test_dense_matrix_is_input_by_output():
    window = Window((5, 7), (3, 2), (1, 2))
    assert count_dense_matrix(window, in_channels=2, filters=3) == (5 * 7 * 2) * (3 * 3 * 3)


def test_auto_follows_the_rule_up_to_its_limit():
    window = Window((16,), (1,), (1,))
    assert count_dense_matrix(window, in_channels=16, filters=16) == DENSE_MATRIX_LIMIT
    assert choose_implementation(window, in_channels=16, filters=16) == 2
    assert choose_implementation(window, in_channels=16, filters=17) == "batched"


def test_the_layer_resolves_auto_when_it_is_built():
    small, large = LocallyConnected2D(3, 2), LocallyConnected2D(64, 3)
    keras.Sequential([keras.Input((5, 7, 2)), small])
    large.build((None, 32, 32, 3))
    assert (small.resolved_implementation, large.resolved_implementation) == (2, "batched")
    assert large.get_config()["implementation"] == "auto"
