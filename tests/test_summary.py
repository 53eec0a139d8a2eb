"""A model's summary is arithmetic, and equal to the model that Keras builds."""

import keras
import numpy as np
import pytest
from conftest import make_config

from lctrain.builder import build_model, build_optimizer, describe_layers
from lctrain.config import validate
from lctrain.config.allowlist import classes
from lctrain.cost import LayerSizes, train_step_cost
from lctrain.errors import ConfigError
from lctrain.geometry import Window
from lctrain.summary import count_slots, summarize

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
