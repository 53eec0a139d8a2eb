"""One wrong letter in any key: exit code 2 and the true key in the message, before TensorFlow is loaded."""

import copy
import json
import re
import subprocess
import sys

import pytest
from conftest import make_config
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lctrain.config import validate
from lctrain.config.allowlist import activations, aliases, classes, find_class
from lctrain.config.graph import WIRING
from lctrain.config.interpolation import resolve
from lctrain.errors import ConfigError

LETTERS = "abcdefghijklmnopqrstuvwxyz_12"
GROUPS = ("layers", "cells", "optimizers", "schedules", "initializers", "regularizers", "constraints", "losses")
FREE = ("model.layers", "model.inputs", "training.metrics")  # mappings whose keys the user chooses


def full_config():
    """A valid configuration in which every kind of key occurs."""
    config = copy.deepcopy(make_config())
    config["model"] = {
        "name": "full",
        "inputs": {"image": [5, 7, 2]},
        "outputs": ["head"],
        "layers": {
            "local": {
                "type": "LocallyConnected2D",
                "inputs": "image",
                "filters": 3,
                "kernel_size": [3, 2],
                "strides": 1,
                "padding": "same",
                "data_format": None,
                "activation": "relu",
                "use_bias": True,
                "kernel_initializer": {"type": "VarianceScaling", "scale": 2.0, "distribution": "normal"},
                "bias_initializer": {"constant": 0.5},
                "kernel_regularizer": {"l2": 1e-4},
                "bias_regularizer": {"type": "L1L2", "l1": 0.1, "l2": 0.1},
                "activity_regularizer": {"type": "OrthogonalRegularizer", "factor": 0.1},
                "kernel_constraint": {"max_norm": 2},
                "bias_constraint": {"min_max_norm": {"min_value": 0.1, "max_value": 2.0}},
                "implementation": "batched",
                "dilation_rate": 1,
                "groups": 1,
                "kernel_fans": "position",
                "trainable": True,
                "dtype": "float32",
            },
            "again": {"shares": "local", "inputs": "image"},
            "both": {"type": "Add", "inputs": ["local", "again"]},
            "rows": {"type": "TimeDistributed", "layer": {"type": "LSTM", "units": 3, "recurrent_dropout": 0.1}},
            "flatten": {"type": "Flatten"},
            "head": {"type": "Dense", "units": "${data.num_classes}", "activation": "softmax"},
            "extra": {"type": "Dropout", "rate": 0.2, "noise_shape": None, "seed": 3, "after": "flatten"},
        },
    }
    config["optimizer"] = {
        "type": "AdamW",
        "learning_rate": {"type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 10},
        "beta_1": 0.9,
        "weight_decay": 0.01,
        "clipnorm": 1.0,
    }
    config["training"] |= {"loss": {"huber": 2.0}, "metrics": {"top": {"type": "TopKCategoricalAccuracy", "k": 2}}}
    return config


def key_paths(node, above=()):
    for key, value in node.items():
        if ".".join(above) not in FREE:
            yield (*above, key)
        if isinstance(value, dict):
            yield from key_paths(value, (*above, key))


PATHS = list(key_paths(full_config()))
NAMES = {  # what a value names, by where it stands: one wrong letter there is told likewise
    ("model", "layers", "local", "inputs"): "image",
    ("model", "layers", "both", "inputs", 1): "again",
    ("model", "layers", "again", "shares"): "local",
    ("model", "layers", "extra", "after"): "flatten",
    ("model", "outputs", 0): "head",
    ("model", "layers", "local", "type"): "LocallyConnected2D",
    ("model", "layers", "local", "activation"): "relu",
    ("model", "layers", "rows", "layer", "type"): "LSTM",
    ("optimizer", "type"): "AdamW",
    ("optimizer", "learning_rate", "type"): "CosineDecay",
    ("data", "name"): "synthetic",
    ("training", "progress"): "none",
    ("precision",): "float32",
    ("data_format",): "channels_last",
}


@st.composite
def edits(draw, word):
    """The word with one letter added, removed, replaced or swapped with the next."""
    kind = draw(st.sampled_from(["add", "remove", "replace", "swap"]))
    i = draw(st.integers(0, len(word) - 1))
    letter = draw(st.sampled_from(LETTERS))
    edited = {
        "add": word[:i] + letter + word[i:],
        "remove": word[:i] + word[i + 1 :],
        "replace": word[:i] + letter + word[i + 1 :],
        "swap": word[:i] + word[i : i + 2][::-1] + word[i + 2 :],
    }[kind]
    assume(edited and edited.casefold() != word.casefold())
    return edited


def parent_of(config, path):
    for key in path[:-1]:
        config = config[key]
    return config


def known_beside(config, path):
    """Keys that would be right in the place of the last one."""
    parent = parent_of(config, path)
    known = set(parent)
    for group in (
        "layers",
        "cells",
        "optimizers",
        "schedules",
        "initializers",
        "regularizers",
        "constraints",
        "losses",
    ):
        entry = find_class(group, parent.get("type") or next(iter(parent)))
        known |= {*WIRING, *(entry.arguments if entry else ())}
        if "type" not in parent:
            known |= {*classes(group), *aliases(group)}
    return known


def names(message, word):
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", message) is not None


def told_of(config):
    with pytest.raises(ConfigError, match="`") as raised:
        validate(*resolve(config))
    return str(raised.value)


def test_the_full_configuration_is_valid_and_has_every_kind_of_key():
    validate(*resolve(full_config()))
    assert len(PATHS) > 80


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.data())
def test_one_wrong_letter_in_a_key_is_told_with_the_true_key(data):
    path = data.draw(st.sampled_from(PATHS))
    config = full_config()
    parent, key = parent_of(config, path), path[-1]
    edited = data.draw(edits(key))
    assume(edited not in known_beside(config, path))
    items = [(edited if name == key else name, value) for name, value in parent.items()]
    parent.clear()
    parent.update(items)
    assert names(told_of(config), key), (path, edited)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_one_wrong_letter_in_a_name_is_told_with_the_true_name(data):
    path = data.draw(st.sampled_from(list(NAMES)))
    config = full_config()
    edited = data.draw(edits(NAMES[path]))
    taken = {*config["model"]["layers"], *classes("layers"), *aliases("layers"), *classes("optimizers"), *activations()}
    assume(edited not in taken and edited not in aliases("optimizers"))
    parent_of(config, path)[path[-1]] = edited
    assert names(told_of(config), NAMES[path]), (path, edited)


WORKER = """
import contextlib, io, json, sys
from lctrain.cli import main
for line in sys.stdin:
    errors, output = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(output):
        exit_code = main(json.loads(line))
    loaded = sorted({"tensorflow", "keras", "mlflow"} & set(sys.modules))
    print(json.dumps([exit_code, errors.getvalue(), loaded]), flush=True)
"""
OVERRIDES = [  # `#` marks the key to misspell
    ("", "#implementation#=2"),
    ("", "#model#=lc1d"),
    ("", "#optimizer#=sgd"),
    ("", "#experiment#=smooth_cosine"),
    ("", "#training#.epochs=3"),
    ("", "training.#epochs#=3"),
    ("+", "training.#batch_size#=3"),
    ("++", "data.#num_classes#=3"),
    ("", "model.#layers#.lc1.filters=3"),
    ("", "model.layers.#lc2#.filters=3"),
    ("", "model.layers.lc1.#filters#=3"),
    ("+", "model.layers.lc1.#dilation_rate#=3"),
    ("+", "model.layers.extra={type: Dropout, #rate#: 0.2, after: lc1}"),
    ("+", "model.layers.extra={type: Dropout, rate: 0.2, #after#: lc1}"),
    ("+", "model.layers.extra={type: Dropout, rate: 0.2, after: #flatten#}"),
    ("+", "model.layers.lc1.kernel_regularizer={#l2#: 1e-4}"),
    ("", "optimizer.#learning_rate#=3e-4"),
    ("", "optimizer.learning_rate={type: CosineDecay, initial_learning_rate: 0.1, #decay_steps#: 3}"),
    ("", "model.layers.head.units=${data.#num_classes#}"),
    ("", "model=#dense#"),
    ("", "#hydra#.verbose=true"),
    ("", "hydra.#verbose#=true"),
    ("", "hydra.#run#.dir=x"),
    ("~", "#seed#"),
    ("~", "model.layers.#dropout#"),
    ("~", "model.layers.lc1.#activation#"),
    ("~", "#model#.layers.dropout"),
]


@pytest.fixture(scope="module")
def command_line(tmp_path_factory):
    """Sends command lines to one process, which answers with exit code, errors and which libraries are loaded."""
    folder = tmp_path_factory.mktemp("typos")
    command = [sys.executable, "-c", WORKER]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(arguments):
        process.stdin.write(json.dumps(arguments) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield send
    process.stdin.close()
    process.wait(timeout=60)
    process.stdout.close()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_one_wrong_letter_in_an_override_exits_with_2_and_names_the_true_key(command_line, data):
    prefix, template = data.draw(st.sampled_from(OVERRIDES))
    start, key, end = template.split("#")
    edited = data.draw(edits(key))
    assume(not edited[0].isdecimal() and edited not in {"lc1", "lc2", "l1", "l2"})
    exit_code, errors, loaded = command_line([f"{prefix}{start}{edited}{end}"])
    assert (exit_code, loaded) == (2, []), (edited, errors)
    assert names(errors, key), (prefix, template, edited, errors)
    assert "Traceback" not in errors
