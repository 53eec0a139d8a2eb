"""Validation: what is wrong is told with its path, what was expected, and the nearest name; all of it at once."""

import copy

import pytest
from conftest import make_config

from lctrain.config import validate
from lctrain.errors import ConfigError, Problem


def problems_of(config):
    with pytest.raises(ConfigError, match="`") as raised:
        validate(config)
    return {problem.path: problem.message for problem in raised.value.problems}


def broken(path, value):
    """The small configuration with one dotted key set (or, with `...`, deleted)."""
    config = copy.deepcopy(make_config())
    *parents, key = path.split(".")
    group = config
    for parent in parents:
        group = group[parent]
    if value is ...:
        del group[key]
    else:
        group[key] = value
    return config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("implementatoin", 2, "is not a known key. Did you mean `implementation`?"),
        ("implementation", 7, "must be one of 1, 2, 3, 'batched', 'auto', 'tuned'; got 7."),
        (
            "implementation",
            "bached",
            "must be one of 1, 2, 3, 'batched', 'auto', 'tuned'; got 'bached'. Did you mean `batched`?",
        ),
        ("data_format", "channel_first", "got 'channel_first'. Did you mean `channels_first`?"),
        (
            "precision",
            "float16",
            "must be one of 'float32', 'float64', 'mixed_float16', 'mixed_bfloat16'; got 'float16'",
        ),
        ("seed", -1, "must be greater than or equal to 0; got -1."),
        ("seed", ..., "is missing. Add it."),
        ("jit_compile", "yes", "must be one of true, false, 'auto'; got 'yes'. Write true."),
        ("device", None, "must be a mapping; got None."),
        ("device.name", "gpuu", "must be one of 'cpu', 'gpu', 'auto'; got 'gpuu'."),
        ("training.epoch", 3, "is not a known key. Did you mean `training.epochs`?"),
        ("training.epochs", "3", "must be an integer; got '3'. Write it without quotes: 3."),
        ("training.epochs", 1.5, "must be an integer; got 1.5."),
        ("training.epochs", True, "must be an integer; got True."),
        ("training.progress", "none!", "Did you mean `none`?"),
        ("data.num_clases", 3, "is not a known key. Did you mean `data.num_classes`?"),
        ("data.num_classes", 1, "must be greater than or equal to 2; got 1."),
        ("data.name", "digts", "Did you mean `digits`?"),
        ("data.name", ..., "is missing. Add it."),
        ("data.input_shape", [], "must not be empty. Fill it in."),
        ("data.test_fraction", 1.0, "must be less than 1; got 1.0."),
        ("tracking.experiment", "", "must not be empty. Fill it in."),
        ("model.name", "a/b", "must start with a letter and hold letters, digits, `_`, `-` and `.` alone; got 'a/b'."),
        ("model.layers", {}, "must not be empty. Fill it in."),
        ("model.layers", 3, "must be a mapping; got 3."),
        ("model.layers.lc1", None, "must be a mapping with `type` and arguments; got None."),
        ("model.layers.lc1.type", ..., "has no `type`"),
        ("model.layers.lc1.type", "LocalyConnected2D", "Did you mean `LocallyConnected2D`?"),
        ("model.layers.lc1.type", "Lambda", "can't be Lambda, which runs given code. Take another layer."),
        ("model.layers.lc1.type", 3, "must be a class that configurations may name; got 3."),
        ("model.layers.lc1.fliters", 3, "is not an argument of LocallyConnected2D. Did you mean `filters`?"),
        ("model.layers.lc1.filters", ..., "has no `filters`, which LocallyConnected2D needs."),
        ("model.layers.lc1.filters", 0, "must be a positive integer; got 0."),
        ("model.layers.lc1.strides", [2, 0], "must be a positive integer or 2 positive integers; got [2, 0]."),
        ("model.layers.lc1.kernel_size", None, "must be a positive integer or 2 positive integers; got None."),
        ("model.layers.lc1.padding", "full", "must be one of 'valid', 'same', 'circular', 'reflect'; got 'full'."),
        ("model.layers.lc1.use_bias", 1, "must be one of True, False, 'shared'; got 1."),
        ("model.layers.lc1.activation", "rely", "Did you mean `relu`?"),
        ("model.layers.lc1.kernel_initializer", "glorot", "must name a Keras initializer; got 'glorot'."),
        ("model.layers.lc1.kernel_regularizer", 3, "must be a mapping with `type` and arguments; got 3."),
        ("model.layers.lc1.name", "x", "is not an argument of LocallyConnected2D."),
        ("model.layers.lc1._target_", "os.system", "is not taken: a configuration is data. `type` names a class."),
        (
            "model.layers.lc-2",
            {"type": "Flatten"},
            "must be a layer name of at most 64 letters, digits and underscores",
        ),
        ("optimizer.type", "Adm", "Did you mean `Adam`?"),
        ("optimizer.learning_rat", 1, "Did you mean `learning_rate`?"),
        ("optimizer.learning_rate", 0, "must be a positive number; got 0."),
        ("optimizer.learning_rate", float("nan"), "must be a positive number; got nan."),
        ("optimizer.gradient_accumulation_steps", 1, "must be an integer from 2 on, or null for none; got 1."),
        ("model.layers.lc1.padding", [[1, 0]], "must be a name or 2 (before, after) pairs of zeros; got [[1, 0]]."),
        ("optimizer", "adm", "must name a Keras optimizer; got 'adm'. Did you mean `adam`?"),
    ],
)
def test_one_mistake_gives_one_problem_at_its_path(path, value, message):
    problems = problems_of(broken(path, value))
    assert len(problems) == 1, problems
    ((where, what),) = problems.items()
    missing_part = value is ... and path.startswith("model.layers.lc1.")
    assert where == ("model.layers.lc1" if missing_part else path)
    assert message in what


def test_a_problem_inside_a_list_has_its_index():
    assert problems_of(broken("data.input_shape", [5, 0, 2])) == {
        "data.input_shape.1": "must be greater than 0; got 0."
    }


def test_all_problems_are_told_together():
    config = broken("model.layers.lc1.fliters", 3)
    config["model"]["layers"]["head"]["activation"] = "softmx"
    config["training"]["epochs"] = 0
    config["sede"] = 3
    with pytest.raises(ConfigError, match=r"^4 problems in the configuration:\n") as raised:
        validate(config)
    assert len(str(raised.value).splitlines()) == 5


def test_layers_inherit_what_they_do_not_choose():
    config = make_config(implementation=2, data_format="channels_first", precision="mixed_float16")
    config["model"]["layers"]["lc2"] = {
        "type": "LocallyConnected2D",
        "filters": 2,
        "kernel_size": 2,
        "implementation": 3,
    }
    config["model"]["layers"]["norm"] = {"type": "BatchNormalization"}
    config["model"]["layers"]["head"] = config["model"]["layers"].pop("head")
    layers = validate(config).model.layers
    assert [layers[name]["implementation"] for name in ("lc1", "lc2")] == [2, 3]
    assert [layers[name]["data_format"] for name in ("lc1", "lc2", "flatten")] == ["channels_first"] * 3
    assert layers["norm"]["axis"] == 1
    assert "data_format" not in layers["head"]
    assert [layers[name]["dtype"] for name in ("lc1", "head")] == ["mixed_float16", "float32"]


@pytest.mark.parametrize(
    ("changes", "layer", "path", "message"),
    [
        ({"data_format": "channels_first"}, {"type": "UpSampling1D"}, "model.layers.x", "knows no data_format"),
        (
            {"data_format": "channels_first"},
            {"type": "Conv2D", "filters": 2, "kernel_size": 1, "activation": "softmax"},
            "model.layers.x.activation",
            "compares along the last axis",
        ),
        (
            {"precision": "mixed_float16"},
            {"type": "Dense", "units": 2, "activity_regularizer": "l1"},
            "model.layers.x.activity_regularizer",
            "can't be used under mixed_float16. Give the layer `dtype: float32`.",
        ),
        ({"precision": "mixed_bfloat16"}, {"type": "ActivityRegularization"}, "model.layers.x", "can't be used under"),
    ],
)
def test_what_does_not_go_with_the_top_level_is_told(changes, layer, path, message):
    config = make_config(**changes)
    config["model"]["layers"]["x"] = layer
    problems = problems_of(config)
    assert list(problems) == [path]
    assert message in problems[path]


def test_layers_that_normalise_channels_follow_the_data_format():
    config = make_config(data_format="channels_first")
    config["model"]["layers"]["lc1"] = {"type": "Softmax"}
    assert validate(config).model.layers["lc1"]["axis"] == 1


def test_what_is_known_to_be_wrong_is_told_once():
    known = [Problem("seed", "can't be resolved.")]
    with pytest.raises(ConfigError, match=r"^`seed` can't be resolved\.$"):
        validate(broken("seed", None), known)


@pytest.mark.parametrize("key", [None, 1, True])
def test_keys_that_are_not_text_are_told(key):
    config = make_config()
    config["model"]["layers"][key] = {"type": "Flatten"}
    assert "must be a layer name" in problems_of(config)[f"model.layers.{key}"]


def test_top_level_keys_that_are_not_text_are_told():
    assert problems_of({**make_config(), 3: 4}) == {"3": "is not a known key; keys are text."}


def test_validation_does_not_change_what_it_was_given():
    config = make_config()
    before = copy.deepcopy(config)
    validate(config)
    assert config == before


def test_the_sparse_implementation_refuses_compilation():
    problems = problems_of(make_config(implementation=3, jit_compile=True))
    assert "must be false with implementation 3" in problems["jit_compile"]
