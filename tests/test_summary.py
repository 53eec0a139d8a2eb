"""A model's summary is arithmetic, and equal to the model that Keras builds."""

import keras
import numpy as np
import pytest
from conftest import make_config, make_graph

from lctrain.config import validate
from lctrain.config.allowlist import classes
from lctrain.cost import LayerSizes, train_step_cost
from lctrain.errors import ConfigError
from lctrain.geometry import Window
from lctrain.model.build import build_model, build_optimizer, describe_layers
from lctrain.model.summary import count_slots, summarize

HEAD = {"type": "Dense", "units": 4, "activation": "softmax"}


def test_a_summary_agrees_with_the_model_that_is_built():
    for data_format in ("channels_last", "channels_first"):
        config = validate(make_config(data_format=data_format))
        summary, table = summarize(config), describe_layers(build_model(config))
        assert [layer.name for layer in summary.layers] == table["name"]
        assert [layer.type for layer in summary.layers] == table["type"]
        assert [str(layer.facts.output_shape) for layer in summary.layers] == table["output_shape"]
        assert [layer.facts.parameters for layer in summary.layers] == table["parameters"]
        assert summary.layers[0].implementation == "auto"
        assert str(summary.layers[0].resolved) == table["implementation"][0]
        assert [layer.inputs for layer in summary.layers] == [("input",), ("lc1",), ("flatten",)]


def test_costs_are_those_of_the_cost_model_at_the_runs_batch_and_optimizer():
    config = validate(make_config(precision="float64", implementation=3))
    local, flatten, _ = summarize(config).layers
    sizes = LayerSizes(Window((5, 7), (3, 2), (1, 1)), in_channels=2, filters=3)
    assert local.facts.local == sizes
    assert local.costs == {
        choice: train_step_cost(sizes, choice, batch_size=16, itemsize=8, num_slots=2)
        for choice in (1, 2, 3, "batched")
    }
    assert (local.implementation, local.resolved) == (3, 3)
    assert (flatten.costs, flatten.implementation, flatten.resolved) == ({}, None, None)


@pytest.mark.parametrize(
    ("layers", "path", "message"),
    [
        ({"lc1": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": 6}}, "lc1.kernel_size", "must not exceed"),
        ({"lc1": {"type": "Conv3D", "filters": 3, "kernel_size": 1}}, "lc1", r"\(Conv3D\) can't be built on .*5, 7, 2"),
        ({"head": HEAD}, "head", r"must give one score per class.*got \(None, 5, 7, 4\)"),
    ],
)
def test_layers_that_do_not_fit_are_told_with_their_path(layers, path, message):
    config = validate(make_config(model={"name": "small", "layers": layers}))
    with pytest.raises(ConfigError, match=message) as raised:
        summarize(config)
    with pytest.raises(ConfigError, match=message.split(".*")[0]) as built:
        build_model(config)
    paths = [[problem.path for problem in error.value.problems] for error in (raised, built)]
    assert paths == [[f"model.layers.{path}"]] * 2


def test_a_summary_of_a_graph_agrees_with_the_model_that_is_built():
    for data_format in ("channels_last", "channels_first"):
        config = validate(make_graph(data_format=data_format))
        summary, model = summarize(config), build_model(config)
        assert list(summary.inputs.values()) == [tensor.shape for tensor in model.inputs]
        layers = {layer.name: layer for layer in summary.layers}
        assert [layers[name].facts.output_shape for name in summary.outputs] == [each.shape for each in model.outputs]
        for name in set(layers) - {"again"}:
            assert layers[name].facts.output_shape == model.get_layer(name).output.shape
            assert layers[name].parameters == model.get_layer(name).count_params()
        assert layers["again"].parameters == 0
        assert summary.parameters == model.count_params()


def test_a_graph_is_summarized_in_topological_order_with_its_wiring():
    summary = summarize(validate(make_graph()))
    assert not summary.is_stack
    assert summarize(validate(make_config())).is_stack
    read = {layer.name: layer.inputs for layer in summary.layers}
    assert list(read) == ["local", "again", "sum", "steps", "flat", "pooled", "drop", "both", "head"]
    assert read["again"] == ("local",)
    assert (read["drop"], read["both"]) == (("flat",), ("drop", "pooled"))
    layers = {layer.name: layer for layer in summary.layers}
    assert layers["both"].input_shapes == ((None, 50), (None, 3))
    assert "inputs" not in layers["local"].arguments


def test_wrapped_and_shared_layers_have_costs_of_their_own():
    config = validate(make_graph(implementation=2))
    layers = {layer.name: layer for layer in summarize(config).layers}
    wrapped, sizes = layers["steps"], LayerSizes(Window((7,), (3,), (1,)), in_channels=2, filters=2)
    assert (wrapped.implementation, wrapped.resolved, wrapped.facts.local) == (3, 3, sizes)
    assert wrapped.costs[3] == train_step_cost(sizes, 3, batch_size=16 * 5, num_slots=2)  # five frames of each example
    first, again = layers["local"].costs[2], layers["again"].costs[2]
    assert (again.weights, again.gradients, again.slots) == (0, 0, 0)
    assert (again.matrix, again.flops) == (first.matrix, first.flops)


@pytest.mark.parametrize(
    ("layer", "changes", "path", "message"),
    [
        ("sum", {"inputs": ["local", "frames"]}, "sum.inputs", r"Add: .* \(None, 5, 7, 2\) from `model.inputs.frames`"),
        ("both", {"inputs": ["flat", "sum"]}, "both.inputs", r"\(None, 50\) from `model.layers.drop` and .*rs.sum`"),
        ("again", {"inputs": "frames"}, "again", r"\(LocallyConnected1D\) can't be built on .*\(None, 5, 7, 2\)"),
        ("steps", {"layer": {"type": "LSTM", "units": 3}, "inputs": "left"}, "steps", "takes an input of 3 axes"),
    ],
)
def test_ends_that_do_not_fit_are_told_by_both_paths(layer, changes, path, message):
    config = make_graph()
    config["model"]["layers"][layer] = {**config["model"]["layers"][layer], **changes}
    config["model"]["layers"]["rest"] = {"type": "Flatten", "inputs": "frames"}
    config["model"]["outputs"] = ["head", "sum", "again", "pooled", "rest"]
    with pytest.raises(ConfigError, match=message) as raised:
        summarize(validate(config))
    with pytest.raises(ConfigError) as built:
        build_model(validate(config))
    assert [problem.path for problem in raised.value.problems] == [f"model.layers.{path}"]
    assert [problem.path for problem in built.value.problems] == [f"model.layers.{path}"]


def test_shared_weights_must_fit_every_input():
    layers = {
        "local": {"type": "LocallyConnected1D", "filters": 2, "kernel_size": 2},
        "again": {"shares": "local"},
        "head": {"type": "Dense", "units": 4},
    }
    config = make_config(model={"name": "m", "layers": layers, "inputs": {"x": [7, 2]}})
    with pytest.raises(ConfigError, match=r"again` .*\(None, 7, 2\), for which `model.layers.local` makes the shared"):
        summarize(validate(config))


def test_a_head_must_give_probabilities_or_logits():
    config = make_config()
    config["model"]["layers"]["head"]["activation"] = "tanh"
    for look in (summarize, build_model):
        with pytest.raises(ConfigError, match=r"head` must end in probabilities .* got activation 'tanh'"):
            look(validate(config))


def test_what_judges_probabilities_is_not_given_logits():
    config = make_config()
    config["training"] |= {"loss": "kl_divergence", "metrics": ["auc", "precision"]}
    assert summarize(validate(config)).outputs == ("head",)
    del config["model"]["layers"]["head"]["activation"]
    with pytest.raises(ConfigError) as raised:
        summarize(validate(config))
    assert [problem.path for problem in raised.value.problems] == ["training.loss", "training.metrics.precision"]


@pytest.mark.parametrize("name", sorted(classes("optimizers")))
def test_slots_are_those_of_keras_optimizers(name):
    choices = [{}, {"use_ema": True}, {"gradient_accumulation_steps": 2}]
    choices += [{"amsgrad": True}, {"centered": True}, {"momentum": 0.5}]
    for chosen in choices:
        if set(chosen) <= set(classes("optimizers")[name].arguments):
            spec = {"type": name, **chosen}
            optimizer = build_optimizer(spec)
            optimizer.build([keras.Variable(np.ones((5, 7, 3), "float32"))])  # as many axes as a local kernel has
            kept = sum(tuple(variable.shape) == (5, 7, 3) for variable in optimizer.variables)
            assert count_slots(spec) == kept, spec
