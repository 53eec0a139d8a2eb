"""`trainable: false`: the layer keeps its weights, and costs neither gradients nor optimizer state."""

import copy

import numpy as np
import pytest
from conftest import make_config, make_graph

from lctrain.cli.show import print_summary
from lctrain.config import validate
from lctrain.cost import LayerSizes, train_step_cost
from lctrain.geometry import Window
from lctrain.job.memory_check import job_cost
from lctrain.model.build import build_model, build_optimizer
from lctrain.model.summary import summarize

HEAD = {"type": "Dense", "units": 4}
SIZES = LayerSizes(Window((5, 7), (3, 2), (1, 1)), in_channels=2, filters=3)  # of lc1


def freeze(config, name, **changes):
    config = copy.deepcopy(config)
    config["model"]["layers"][name] |= {"trainable": False} | changes
    return validate(config)


def count_trainable(model):
    return sum(int(variable.value.shape.num_elements()) for variable in model.trainable_variables)


def test_a_frozen_layer_keeps_its_weights_and_has_no_slots():
    config = freeze(make_config(), "lc1")
    model = build_model(config)
    assert model.count_params() - count_trainable(model) == SIZES.parameters
    model.compile(optimizer=build_optimizer(config.optimizer), loss="mse")
    before = [np.asarray(weight) for weight in model.get_layer("lc1").weights]
    inputs = np.random.default_rng(0).standard_normal((16, 5, 7, 2)).astype("float32")
    head = np.asarray(model.get_layer("head").kernel)
    model.fit(inputs, np.eye(4)[np.arange(16) % 4], verbose=0)
    for one, two in zip(before, model.get_layer("lc1").weights, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (head != np.asarray(model.get_layer("head").kernel)).any()
    slots = sum(int(np.prod(variable.shape)) for variable in model.optimizer.variables if variable.shape.rank)
    assert slots == 2 * count_trainable(model)


@pytest.mark.parametrize("implementation", [1, 2, 3, "batched"])
def test_a_frozen_layer_costs_no_gradients_and_no_slots(implementation):
    frozen = summarize(freeze(make_config(), "lc1")).layers[0].costs[implementation]
    assert frozen == train_step_cost(SIZES, implementation, batch_size=16, num_slots=2, is_trainable=False)
    trained = train_step_cost(SIZES, implementation, batch_size=16, num_slots=2)
    assert (frozen.weights, frozen.gradients, frozen.slots) == (trained.weights, 0, 0)
    assert frozen.flops * 3 == trained.flops * 2  # the forward pass and the input's gradient
    assert frozen.patches == trained.patches
    if implementation == 2:
        assert frozen.matrix * 2 == trained.matrix


@pytest.mark.parametrize("where", ["wrapper", "wrapped"])
def test_a_wrapped_layer_is_frozen_with_its_wrapper_or_by_itself(where):
    config = make_graph()
    frame = config["model"]["layers"]["steps"]["layer"]
    changes = {} if where == "wrapper" else {"trainable": True, "layer": frame | {"trainable": False}}
    config = freeze(config, "steps", **changes)
    layers = {layer.name: layer for layer in summarize(config).layers}
    assert [name for name, layer in layers.items() if layer.is_frozen] == ["steps"]
    assert {cost.slots for cost in layers["steps"].costs.values()} == {0}
    model = build_model(config)
    assert model.count_params() - count_trainable(model) == layers["steps"].parameters > 0


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 3}},
        {"type": "RNN", "cell": {"type": "GRUCell", "units": 3}},
        {"type": "SpectralNormalization", "layer": {"type": "Dense", "units": 3}},
        {"type": "TimeDistributed", "layer": {"type": "RNN", "cell": {"type": "LSTMCell", "units": 3}}},
    ],
    ids=lambda spec: spec["type"],
)
def test_what_holds_layers_freezes_them(spec):
    inputs = {"x": [6, 5, 2] if spec["type"] == "TimeDistributed" else [5, 2]}
    model = {"name": "m", "inputs": inputs, "layers": {"mine": spec, "flat": "Flatten", "head": HEAD}}
    config = make_config(model=model)
    trained = build_model(validate(config)).trainable_variables
    frozen = build_model(freeze(config, "mine")).trainable_variables
    assert len(frozen) == 2 < len(trained)
    assert {variable.path.split("/")[0] for variable in frozen} == {"head"}


def test_a_layer_that_is_applied_once_more_is_frozen_too():
    config = freeze(make_graph(), "local")
    assert [layer.name for layer in summarize(config).layers if layer.is_frozen] == ["local", "again"]
    model = build_model(config)
    assert model.count_params() - count_trainable(model) == model.get_layer("local").count_params()


def test_show_says_what_is_frozen(capsys):
    model = summarize(freeze(make_config(), "lc1"))
    print_summary(model)
    shown = capsys.readouterr().out
    assert f"{SIZES.parameters:,} frozen" in shown
    assert shown.count("frozen") == 1
    print_summary(summarize(validate(make_config())))
    assert "frozen" not in capsys.readouterr().out


def test_a_job_needs_less_memory_with_a_frozen_layer():
    trained, frozen = job_cost(validate(make_config())), job_cost(freeze(make_config(), "lc1"))
    weights = 4 * SIZES.parameters
    assert trained.weights - frozen.weights == weights
    assert trained.copies - frozen.copies == 2 * weights
    assert frozen.optimizer < trained.optimizer
