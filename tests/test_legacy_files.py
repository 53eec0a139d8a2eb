"""How old files hold versions and weights, and what follows where they leave it open."""

import numpy as np
import pytest
import reference_legacy as oracle
from made_keras1_layers import batch_norm_1, conv_1, conv_1d_1
from made_keras2_layers import dense_2, recurrent_2
from made_legacy import (
    Author,
    Graph,
    chain,
    sequential_config,
    without_version,
    write_architecture,
    write_graph,
    write_model,
    write_sequential,
    write_weights,
)
from made_old_layers import SEQUENCE, flat
from made_old_models import as_input, branch, check, compare, draw_inputs, load_unless_refused

from lctrain import legacy


def test_names_that_were_split_among_attributes(tmp_path):
    author = Author("2.1.6")
    graph = Graph(author)
    graph.input("vector", 5)
    previous = "vector"
    for _ in range(5):
        previous = graph.add(dense_2(author, 5 if previous == "vector" else 4), previous)
    check(legacy.load_model(write_graph(tmp_path / "old.h5", graph, chunks=3)), graph)


def test_a_whole_model_that_does_not_say_its_version_is_of_keras_1(tmp_path):
    author = Author("1.0.8")
    layers = [conv_1d_1(author, activation="relu", **as_input(author, *SEQUENCE)), author.make("Flatten", flat)]
    path = without_version(write_sequential(tmp_path / "old.h5", author, layers))
    x = draw_inputs(*SEQUENCE)
    assert compare(legacy.load_model(path)(x).numpy(), chain(layers, x)) is None
    seen = legacy.inspect(path)
    assert (seen.keras_version, seen.keras_major) == (None, 1)


@pytest.mark.parametrize(("version", "whole"), [("1.1.2", False), ("2.2.5", True)])
def test_weights_in_a_file_of_their_own_count_by_their_order(version, whole, tmp_path):
    """As load_weights does it: their names may be those of another session, their file may be of a whole model."""
    author = Author(version)
    layers = branch(author)
    path = write_architecture(tmp_path / "old.json", author, "Sequential", sequential_config(version, layers))
    later = Author(version)
    later.counts = {"dense": 6, "batchnormalization": 2, "batch_normalization": 2}
    renamed = branch(later)
    weights = (write_sequential if whole else write_weights)(tmp_path / "later.h5", later, renamed)
    x = draw_inputs(5)
    assert compare(legacy.load_model(path, weights=weights)(x, training=False).numpy(), chain(renamed, x)) is None


@pytest.mark.parametrize("version", ["1.0.0", "1.0.4", "1.0.6"])
def test_deviations_of_keras_before_1_0_6_are_not_taken_for_variances(version, tmp_path):
    """Architectures say their version from 1.0.4 on; where none is said, it must be told."""
    author = Author(version)
    layer = batch_norm_1(author, 5)
    layer.config |= as_input(author, 5)
    path = write_architecture(tmp_path / "old.json", author, "Sequential", [layer.described])
    weights = write_weights(tmp_path / "old.h5", author, [layer])
    known = {}
    if version == "1.0.0":
        known = {"keras_version": version}
        with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=f"{layer.name}.*keras_version"):
            legacy.load_model(path, weights=weights)
    x = draw_inputs(5)
    model = legacy.load_model(path, weights=weights, **known)
    assert compare(model(x, training=False).numpy(), chain([layer], x)) is None


def test_the_state_that_a_layer_returns(tmp_path):
    """Right or refused: a layer of several outputs."""
    author = Author("2.2.5")
    graph = Graph(author)
    graph.input("sequence", *SEQUENCE)
    layer = recurrent_2(author, "LSTM", return_state=True)
    graph.add(layer, "sequence")
    config = graph.config
    config["output_layers"] = [[layer.name, 0, 0], [layer.name, 0, 1]]
    path = write_model(tmp_path / "old.h5", author, "Model", config, graph.layers)
    model = load_unless_refused(path, layer)
    x = draw_inputs(*SEQUENCE)
    assert model is None or [compare(np.asarray(one), layer.forward(x)) for one in model(x)] == [None, None]


def test_the_comparison_sees_what_it_must():
    author = Author("1.2.2", first=True, backend="theano")
    layer = conv_1(author, (3, 2))
    x = draw_inputs(2, 5, 7)
    stored, bias = layer.weights.values()
    unturned = oracle.conv(np.moveaxis(x, 1, -1), np.moveaxis(stored, (0, 1), (-1, -2)), bias)
    assert compare(np.moveaxis(unturned, -1, 1), layer.forward(x)).startswith("off by")
    assert compare(unturned, layer.forward(x)).startswith("shape")
