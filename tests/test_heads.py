"""Heads and metrics that follow the task: what `auto` becomes, in every packaged model and in one's own."""

import keras
import numpy as np
import pytest
from conftest import make_config
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import lctrain
from lctrain.composition.choices import config_folder, list_choices
from lctrain.config import validate
from lctrain.config.heads import gives_probabilities
from lctrain.config.tasks import output_shape
from lctrain.errors import ConfigError, UserError
from lctrain.model.build import build_model
from lctrain.model.summary import summarize

STEPS, CHANNELS = 6, 2
TASKS = {
    "classification": {"num_classes": 4},
    "binary": {"num_classes": 2},
    "multilabel": {"num_classes": 4},
    "regression": {"num_classes": None, "num_targets": 3},
}
HEAD = {"type": "Dense", "units": "auto", "activation": "auto"}
FLAT = {"flatten": "Flatten", "head": HEAD}


def configure(layers, task="classification", target_shape=(), model=(), training=(), **changes):
    config = make_config(model={"name": "small", "layers": layers, **dict(model)}, **changes)
    config["data"] |= {"task": task, "input_shape": [STEPS, CHANNELS], "target_shape": [*target_shape], **TASKS[task]}
    config["training"] = config["training"] | dict(training)
    return validate(config)


@pytest.mark.parametrize("model", list_choices()["model"])
def test_every_packaged_model_fits_every_task(model):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", [f"model={model}"]))
    data = {"name": "synthetic", "num_examples": 100, "input_shape": composed["data"]["input_shape"]}
    for task, sizes in TASKS.items():
        for target_shape in ([], [5, 2]):
            config = validate({**composed, "data": {**data, "task": task, "target_shape": target_shape, **sizes}})
            assert summarize(config).layers[-1].facts.output_shape == output_shape(config.data)
            assert gives_probabilities(config) == (task != "regression")
            shown = ["mae"] + ["r2"] * (not target_shape) if task == "regression" else ["accuracy"]
            assert list(config.training.metrics) == shown


@pytest.mark.parametrize("num_columns", [1, 2, 10])
def test_a_packaged_model_takes_few_columns(num_columns):
    file = config_folder() / "model" / "lc1d_columns.yaml"
    assert lctrain.build(file, input_shape=(num_columns, 1), num_classes=3).output_shape == (None, 3)


def test_a_head_becomes_what_one_would_write():
    written = {"flatten": "Flatten", "head": {"type": "Dense", "units": 4, "activation": "softmax"}}
    assert configure(FLAT) == configure(written)
    assert (
        configure(FLAT, "binary").model.layers["head"] | {"units": 1, "activation": "sigmoid"}
        == configure(FLAT, "binary").model.layers["head"]
    )
    head = configure(FLAT, "regression").model.layers["head"]
    assert (head["units"], head["activation"]) == (3, None)


def test_targets_of_a_shape_get_layers_behind_the_head():
    dropout = {"type": "Dropout", "rate": 0.2, "after": "head"}
    layers = {**FLAT, "same": "Identity", "extra": dropout}
    config = configure(layers, target_shape=[5, 3], model={"outputs": ["same"]})
    reads = {name: spec["inputs"] for name, spec in config.model.layers.items()}
    assert reads == {
        "flatten": ["input"],
        "head": ["flatten"],
        "head_reshape": ["head"],
        "head_activation": ["head_reshape"],
        "extra": ["head_activation"],
        "same": ["extra"],
    }
    assert config.model.outputs == ["same"]
    assert configure(FLAT, target_shape=[5]).model.outputs == ["head_activation"]
    assert [*configure(FLAT, "regression", [5]).model.layers] == ["flatten", "head", "head_reshape"]
    logits = {"flatten": "Flatten", "head": {"type": "Dense", "units": "auto"}}
    assert not gives_probabilities(configure(logits, target_shape=[5]))
    taken = {"head_reshape": {"type": "Identity"}, **FLAT}
    assert [*configure(taken, target_shape=[5]).model.layers][2:] == ["head", "head_reshape_", "head_activation"]


@pytest.mark.parametrize(
    ("layers", "is_flat"),
    [
        ({"local": {"type": "LocallyConnected1D", "filters": 3, "kernel_size": 2}}, False),
        ({"flat": "Flatten", "again": {"type": "Reshape", "target_shape": [4, 3]}}, False),
        ({"flat": "Flatten", "again": {"type": "RepeatVector", "n": 4}}, False),
        ({"pool": "GlobalMaxPooling1D"}, True),
        ({"pool": {"type": "GlobalMaxPooling1D", "keepdims": True}}, False),
        ({"gru": {"type": "GRU", "units": 3}}, True),
        ({"flat": "Flatten", "again": {"shares": "flat"}}, True),
        ({"both": {"type": "Bidirectional", "layer": {"type": "GRU", "units": 3, "return_sequences": True}}}, False),
        (
            {"flat": {"type": "Reshape", "target_shape": [STEPS * CHANNELS]}, "drop": {"type": "Dropout", "rate": 0.1}},
            True,
        ),
    ],
)
def test_a_head_with_steps_before_it_gives_each_its_own(layers, is_flat):
    config = configure({**layers, "head": HEAD}, target_shape=[STEPS])
    model = build_model(config, must_fit_task=False)
    names = ["head", "head_reshape", "head_activation"] if is_flat else ["head"]
    assert [name for name in config.model.layers if name.startswith("head")] == names
    assert model.output_shape[-1] == 4
    assert config.model.layers["head"]["units"] == (4 * STEPS if is_flat else 4)


def test_wrapped_and_shared_heads_follow_the_task():
    layers = {"head": {"type": "TimeDistributed", "layer": HEAD}}
    assert summarize(configure(layers, "binary", [STEPS])).layers[-1].facts.output_shape == (None, STEPS, 1)
    layers = {"flatten": "Flatten", "first": HEAD, "second": {"shares": "first", "inputs": "flatten"}}
    layers["mean"] = {"type": "Average", "inputs": ["first", "second"]}
    assert summarize(configure(layers, "regression")).layers[-1].facts.output_shape == (None, 3)


def test_the_softmax_of_a_shaped_target_compares_its_classes():
    config = configure(FLAT, target_shape=[5], precision="mixed_float16")
    assert config.model.layers["head_activation"]["dtype"] == "float32"
    outputs = build_model(config).predict(np.ones((2, STEPS, CHANNELS), "float32"), verbose=0)
    assert outputs.sum(axis=-1) == pytest.approx(np.ones((2, 5)), rel=1e-5)


def test_a_softmax_of_one_number_is_refused():
    layers = {"flatten": "Flatten", "head": {"type": "Dense", "units": 1, "activation": "softmax"}}
    config = make_config(model={"name": "small", "layers": layers})
    config["data"] |= {"task": "regression", "num_classes": None}
    with pytest.raises(ConfigError, match=r"one number, which is always 1.* `model.layers.head.activation=auto`\."):
        summarize(validate(config))


def test_metrics_follow_the_task_and_others_stay():
    metrics = {"accuracy": "auto", "mae": "auto", "r2": "auto", "mine": "MeanSquaredError"}
    training = {"metrics": metrics, "best": "val_mae"}
    assert [*configure(FLAT, "regression", training=training).training.metrics] == ["mae", "r2", "mine"]
    with pytest.raises(ConfigError, match=r"`training.best` must be a metric .* got 'val_mae'"):
        configure(FLAT, training=training)
    with pytest.raises(ConfigError, match=r"`training.metrics.mine` can be auto for accuracy, mae, r2 alone"):
        configure(FLAT, training={"metrics": {"mine": "auto"}})


def test_build_asks_for_what_a_head_follows():
    assert lctrain.build({"layers": FLAT}, input_shape=(5, 2), num_classes=7).output_shape == (None, 7)
    numbers = lctrain.build({"layers": FLAT}, input_shape=(5, 2), num_targets=3)
    assert (numbers.output_shape, numbers.layers[-1].activation) == ((None, 3), keras.activations.linear)
    with pytest.raises(UserError, match="`num_classes` must be given, or `num_targets`"):
        lctrain.build({"layers": FLAT}, input_shape=(5, 2))


NUMBERS = ["data.task=regression", "data.num_classes=null", "data.num_targets=2"]


@pytest.mark.parametrize(
    ("head", "data"),
    [
        ("units: '${data.num_classes}', activation: softmax", NUMBERS),
        ("units: 7", NUMBERS),
        ("units: '${data.num_classes}', activation: softmax", ["data.task=binary", "data.num_classes=2"]),
        ("units: '${data.num_classes}', activation: softmax", ["data.target_shape=[5]"]),
    ],
)
def test_what_a_message_advises_works(tmp_path, run_lctrain, head, data):
    base = ["check", "model=dense", "data=synthetic", *data, f"model.layers.head={{type: Dense, {head}}}"]
    refused = run_lctrain(tmp_path, *base)
    advice = refused.stderr.split("`")[-2].split()
    assert (refused.returncode, advice) == (2, ["model.layers.head.units=auto", "model.layers.head.activation=auto"])
    assert run_lctrain(tmp_path, *base, *advice).returncode == 0


@pytest.mark.parametrize("target_shape", [[], [5, 2]])
def test_a_packaged_model_is_trained_on_numbers_at_once(tmp_path, run_lctrain, target_shape):
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((60, 64, 1)), generator.standard_normal((60, *target_shape))
    np.savez(tmp_path / "r.npz", x=x, y=y)
    training = "regression" if target_shape else "fast"  # whose own metrics suit the steps of a sequence too
    arguments = ["model=lc1d", "data=arrays", "data.path=r.npz", "data.task=regression", f"training={training}"]
    process = run_lctrain(tmp_path, *arguments, "training.epochs=1")
    assert process.returncode == 0, process.stderr
    assert "test mae" in process.stdout
    assert ("test r2" in process.stdout) == (not target_shape)
