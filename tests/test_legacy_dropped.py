"""What never changes a prediction stops no import: it is dropped, and the report says so."""

import json

import h5py
import made_tf_keras as made
import numpy as np
import pytest
import tf_keras

from lctrain import legacy


def save(path, *layers, shape=(7, 2)):
    """A compiled model of tf_keras, its file and what it predicts."""
    with made.quiet():
        model = tf_keras.Sequential([tf_keras.Input(shape), *layers])
        model.compile("adam", "mse")
        model.save(path)
        x = np.random.default_rng(4).normal(size=(3, *shape)).astype("float32")
        return x, model.predict(x, verbose=0)


def change(path, fields):
    """Writes other fields into the configurations of a file's layers, by the layer's number."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for number, (field, value) in enumerate(fields, start=1):
            inner = config["config"]["layers"][number]["config"]
            inner = inner["layer"]["config"] if field.startswith("layer.") else inner
            inner[field.removeprefix("layer.")] = value
        file.attrs["model_config"] = json.dumps(config)


def check_dropped(path, x, y, fields):
    """The file is imported, predicts y, and reports the fields as dropped; --strict names them alone."""
    seen = legacy.inspect(path)
    assert not seen.problems
    assert np.allclose(legacy.load_model(path).predict(x, verbose=0), y, atol=1e-5)
    dropped = [line.field for line in seen.report.lines if line.kind == "dropped" and line.layer != "(model)"]
    assert sorted(dropped) == sorted(fields)
    if fields:
        strict = legacy.inspect(path, strict=True).problems
        assert len([problem for problem in strict if "--strict" in problem and "(dropped" in problem]) == len(fields)


OWN = {"class_name": "MyOwn", "config": {"strength": 0.1}, "module": "paper.layers", "registered_name": "paper>MyOwn"}
UNKNOWN = [
    ("kernel_initializer", OWN),
    ("bias_initializer", "my_bias"),
    ("kernel_regularizer", OWN),
    ("kernel_regularizer", {"class_name": "function", "config": "my_penalty", "registered_name": "my_penalty"}),
    ("kernel_regularizer", "my_penalty"),
    ("kernel_regularizer", ["4wEAAAA=", None, None]),
    ("kernel_regularizer", {"class_name": "L2", "config": {"l2": -0.5}}),
    ("activity_regularizer", {"class_name": "L2", "config": {"l2": 0.1, "mine": 1}}),
    ("kernel_constraint", OWN),
    ("bias_constraint", {"class_name": "MaxNorm", "config": {"max_value": "two"}}),
    ("kernel_initializer", {"class_name": "VarianceScaling", "config": {"mode": "fan_sum"}}),
]


@pytest.mark.parametrize("kind", ["Conv1D", "LocallyConnected1D"])
def test_objects_that_are_not_known_are_dropped(kind, tmp_path):
    path = tmp_path / "old.h5"
    layers = [
        getattr(tf_keras.layers, kind)(3, 2, activation="relu", kernel_initializer="ones", bias_initializer="ones")
        for _ in UNKNOWN
    ]
    x, y = save(path, *layers, shape=(17, 2))
    change(path, UNKNOWN)
    check_dropped(path, x, y, [field for field, _ in UNKNOWN])


def test_arguments_that_keras_takes_are_kept(tmp_path):
    known = [
        ("kernel_constraint", {"class_name": "MaxNorm", "config": {"max_value": 3, "axis": None}}),
        ("kernel_regularizer", {"class_name": "L1L2", "config": {"l1": None, "l2": 0.5}}),
        ("bias_initializer", {"class_name": "Constant", "config": {"value": [0.1, 0.2, 0.3]}}),
        ("bias_initializer", {"class_name": "RandomNormal", "config": {"seed": -3, "dtype": "float32"}}),
    ]
    path = tmp_path / "old.h5"
    x, y = save(path, *[tf_keras.layers.Conv1D(3, 2) for _ in known], shape=(9, 2))
    change(path, known)
    check_dropped(path, x, y, [])
    layers = legacy.import_model(path, tmp_path / "new").config["layers"].values()
    assert all(field in layer for layer, (field, _) in zip(layers, known, strict=True))


def test_values_that_act_in_training_alone_are_dropped(tmp_path):
    layers = tf_keras.layers
    changed = {
        layers.Dropout(0.5): ("rate", 1.5),
        layers.GaussianNoise(0.5): ("stddev", 2.5),
        layers.SpatialDropout1D(0.5): ("seed", "often"),
        layers.BatchNormalization(): ("momentum", 1.25),
        layers.LSTM(3, return_sequences=True): ("recurrent_dropout", 1.5),
        layers.Bidirectional(layers.GRU(3, return_sequences=True)): ("layer.dropout", 1.5),
        layers.TimeDistributed(layers.Dense(4)): ("layer.kernel_initializer", OWN),
    }
    path = tmp_path / "old.h5"
    x, y = save(path, *changed)
    change(path, changed.values())
    check_dropped(path, x, y, [field.removeprefix("layer.") for field, _ in changed.values()])


def test_strict_takes_a_compiled_model_of_which_nothing_else_is_lost(tmp_path):
    x, y = save(tmp_path / "old.h5", tf_keras.layers.Dense(3, activation="relu"), shape=(5,))
    assert np.allclose(legacy.load_model(tmp_path / "old.h5", strict=True).predict(x, verbose=0), y, atol=1e-5)


def test_what_is_assumed_stands_first_and_is_always_shown(run_lctrain, tmp_path):
    """Keras 1 wrote no subsample of a ConvLSTM2D, so that 1 is assumed; other lines fill what is shown."""
    path = tmp_path / "old.h5"
    layers = [tf_keras.layers.Conv1D(2, 1, kernel_initializer="ones", name=f"conv_{i}") for i in range(25)]
    save(path, *layers)
    change(path, [("kernel_regularizer", "my_penalty")] * 25)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][0]["config"]["dtype"] = "int32"
        file.attrs["model_config"] = json.dumps(config)
    finished = run_lctrain(tmp_path, "import", "old.h5", "--out", "new")
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    (number,) = [i for i, line in enumerate(lines) if line.startswith("assumed")]
    assert "16,777,216" in lines[number]
    assert number < min(i for i, line in enumerate(lines) if line.startswith("dropped"))
