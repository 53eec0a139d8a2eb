"""What Keras 3 has no equal for is refused by the name of its layer."""

import numpy as np
import pytest
from made_keras1_layers import batch_norm_1, local_1d_1, local_2d_1
from made_keras2_layers import local_2
from made_legacy import Author, Graph, Layer, write_graph, write_sequential
from made_old_layers import IMAGE, SEQUENCE, identity
from made_old_models import as_input

from lctrain import legacy


def code():
    """A lambda as Keras 1 stores it."""
    return ["c\x01\x00\x00", None, None]


LAMBDA = {
    "function": code(),
    "function_type": "lambda",
    "output_shape": None,
    "output_shape_type": "raw",
    "arguments": {},
}


OF_W = {"init": "zero", "activation": "linear", "bias": True, "input_dim": None}


OF_W |= dict.fromkeys(["W_regularizer", "b_regularizer", "activity_regularizer", "W_constraint", "b_constraint"])


GONE = {
    "Lambda": (LAMBDA, {}),
    "MaxoutDense": ({**OF_W, "output_dim": 4, "nb_feature": 3}, {"W": (3, 5, 4), "b": (3, 4)}),
    "Highway": (OF_W, {"W": (5, 5), "W_carry": (5, 5), "b": (5,), "b_carry": (5,)}),
    "ParametricSoftplus": ({"alpha_init": 0.2, "beta_init": 5.0}, {"alphas": (5,), "betas": (5,)}),
    "SReLU": (
        {"t_left_init": "zero", "a_left_init": "zero", "t_right_init": "one", "a_right_init": "one"},
        {"t_left": (5,), "a_left": (5,), "t_right": (5,), "a_right": (5,)},
    ),
}


@pytest.mark.parametrize("class_name", GONE)
def test_a_layer_that_is_gone_is_refused_by_name(class_name, tmp_path):
    author = Author("1.2.2")
    config, shapes = GONE[class_name]
    name = f"{class_name.lower()}_1"
    weights = {author.weight_name(name, key): author.draw(*shape) for key, shape in shapes.items()}
    layer = Layer(class_name, {**config, "name": name, "trainable": True, **as_input(author, 5)}, identity, weights)
    path = write_sequential(tmp_path / "old.h5", author, [layer])
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=class_name) as caught:
        legacy.load_model(path)
    assert caught.value.layer == name
    assert name in str(caught.value)
    seen = legacy.inspect(path)
    assert class_name in str(seen.problems)


def test_a_merge_by_a_function_is_refused(tmp_path):
    author = Author("1.2.2")
    graph = Graph(author)
    graph.input("vector", 5)
    graph.input("other", 5)
    graph.add(author.make("Merge", np.add, mode=code(), mode_type="lambda", output_shape=[5]), "vector", "other")
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match="mode") as caught:
        legacy.load_model(write_graph(tmp_path / "old.h5", graph))
    assert caught.value.layer == "merge_1"
    assert caught.value.field in ("mode", "mode_type")


def refuse(path, layer, key, value, **known):
    """Asserts that a file is refused for a field's value, with all three named."""
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=key) as caught:
        legacy.load_model(path, **known)
    assert (caught.value.layer, caught.value.field) == (layer.name, key)
    assert caught.value.value in (value, repr(value))
    assert all(str(part) in str(caught.value) for part in (layer.name, key, value))


@pytest.mark.parametrize("mode", [1, 2])
def test_a_batch_normalization_by_the_batch_alone_is_refused(mode, tmp_path):
    author = Author("1.2.2")
    layer = batch_norm_1(author, 5)
    layer.config |= {**as_input(author, 5), "mode": mode}
    refuse(write_sequential(tmp_path / "old.h5", author, [layer]), layer, "mode", mode)


@pytest.mark.parametrize(
    ("version", "rank", "key", "value"),
    [
        ("1.2.2", 1, "border_mode", "same"),
        ("1.2.2", 2, "border_mode", "same"),
        ("2.0.0", 1, "padding", "same"),
        ("2.3.1", 2, "padding", "same"),
        ("2.3.1", 1, "implementation", 2),
        ("2.3.1", 2, "implementation", 3),
    ],
)
def test_what_no_local_layer_of_a_version_could_be_is_refused(version, rank, key, value, tmp_path):
    author = Author(version)
    if author.is_keras_1:
        layer = local_1d_1(author) if rank == 1 else local_2d_1(author)
    else:
        layer = local_2(author, *[(SEQUENCE[:1], (4,), (2,)), (IMAGE[:2], (3, 2), (2, 1))][rank - 1])
    layer.config |= {**as_input(author, *(SEQUENCE if rank == 1 else IMAGE)), key: value}
    refuse(write_sequential(tmp_path / "old.h5", author, [layer]), layer, key, value)
