"""What files say of themselves twice, what is somebody's own under Keras' names, and what a full disk leaves."""

import json

import h5py
import made_tf_keras as made
import numpy as np
import pytest
import tf_keras

from lctrain import legacy
from lctrain.errors import UserError

L = tf_keras.layers


@tf_keras.saving.register_keras_serializable("mine")
class Dense(L.Dense):
    """A layer of one's own by the name of another."""

    def call(self, inputs):
        return 3 * super().call(inputs)


@tf_keras.saving.register_keras_serializable("mine")
class GRUCell(L.GRUCell):
    """A cell of one's own by the name of another."""


def save(layers, path):
    return made.save(made.randomize(tf_keras.Sequential(layers)), path)


@pytest.fixture
def old(tmp_path):
    """A model of three equal layers."""
    return save([L.Input((4,)), *(L.Dense(4, name=f"dense_{i}") for i in range(3))], tmp_path / "old.h5")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: L.TimeDistributed(Dense(3)), "mine>Dense"),
        (lambda: L.RNN(GRUCell(3)), "mine>GRUCell"),
    ],
    ids=["wrapper", "cell"],
)
def test_a_class_of_ones_own_in_a_wrapper_is_refused(make, name, tmp_path):
    path = save([L.Input((3, 4)), make()], tmp_path / "old.h5")
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=name):
        legacy.load_model(path)


def test_layers_whose_arrays_stand_in_another_order_are_refused(old):
    with h5py.File(old, "a") as file:
        names = list(file["model_weights"].attrs["layer_names"])
        file["model_weights"].attrs["layer_names"] = [names[2], names[0], names[1]]
    with pytest.raises(legacy.LegacyFileError, match=r"`layer_names` .* must be in the model's order"):
        legacy.load_model(old)


def test_arrays_whose_names_contradict_their_order_are_refused(tmp_path):
    path = save([L.Input((4,)), L.BatchNormalization(name="norm")], tmp_path / "old.h5")
    with h5py.File(path, "a") as file:
        names = list(file["model_weights/norm"].attrs["weight_names"])
        file["model_weights/norm"].attrs["weight_names"] = [names[1], names[2], names[0], names[3]]
    with pytest.raises(legacy.LegacyFileError, match="`weight_names` of layer `norm`"):
        legacy.load_model(path)


def test_two_backends_in_one_file_are_refused(old):
    with h5py.File(old, "a") as file:
        file.attrs["backend"] = b"theano"
    with pytest.raises(legacy.LegacyFileError, match="one backend; got tensorflow, theano"):
        legacy.load_model(old)


@pytest.mark.parametrize(("option", "value"), [("backend", "theano"), ("keras_version", "1.0.4")])
def test_what_the_user_says_must_not_contradict_the_file(option, value, old):
    with pytest.raises(UserError, match=f"`{option}` must be what the file says"):
        legacy.load_model(old, **{option: value})


def test_a_version_that_is_none_is_refused(old):
    with h5py.File(old, "a") as file:
        del file.attrs["keras_version"], file["model_weights"].attrs["keras_version"]
        file.attrs["keras_version"] = b"abc"
    with pytest.raises(legacy.LegacyFileError, match="`keras_version` must be such as"):
        legacy.load_model(old)


def test_a_key_that_stands_twice_is_refused(old):
    with h5py.File(old, "a") as file:
        text = file.attrs["model_config"]
        file.attrs["model_config"] = text.replace(
            '"activation": "linear"', '"activation": "relu", "activation": "tanh"', 1
        )
    with pytest.raises(legacy.LegacyFileError, match="'activation' stands twice"):
        legacy.load_model(old)


@pytest.mark.parametrize("place", ["layer", "model", "architecture"])
def test_keys_that_nothing_reads_are_refused(place, old):
    with h5py.File(old, "a") as file:
        config = json.loads(file.attrs["model_config"])
        layer = config["config"]["layers"][1]
        {"layer": layer, "model": config["config"], "architecture": config}[place]["surprise"] = 1
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(UserError, match="surprise"):
        legacy.load_model(old)


def test_a_wrapped_conv_whose_columns_are_as_many_as_its_filters_predicts_the_same(tmp_path):
    """Expected is what the same layer gives channels last, as TensorFlow computes no other on CPUs."""
    layers = [L.Input((2, 4, 7)), L.TimeDistributed(L.Conv1D(5, 3, data_format="channels_first"))]
    old = made.randomize(tf_keras.Sequential(layers))
    inputs = np.random.default_rng(0).random((3, 2, 4, 7), np.float32)
    twin = tf_keras.Sequential([L.Input((2, 7, 4)), L.TimeDistributed(L.Conv1D(5, 3))])
    twin.set_weights(old.get_weights())
    expected = np.transpose(twin(inputs.transpose(0, 1, 3, 2)), (0, 1, 3, 2))
    assert expected.shape == (3, 2, 5, 5)
    new = legacy.load_model(made.save(old, tmp_path / "old.h5"))
    np.testing.assert_allclose(new(inputs), expected, atol=1e-5)


@pytest.fixture
def small_disk(mount_small_disk):
    return mount_small_disk("64k")


@pytest.fixture
def large(tmp_path):
    """A model of 360 kB."""
    return save([L.Input((300,)), L.Dense(300)], tmp_path / "large.h5")


def test_a_full_disk_leaves_no_half_of_an_import(large, small_disk):
    with pytest.raises(UserError, match="`out` must be a folder that can be written"):
        legacy.import_model(large, small_disk / "new")
    assert list(small_disk.iterdir()) == []


def test_a_full_temporary_folder_is_told_as_such(large, small_disk, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    with pytest.raises(UserError, match="has no room for the model's arrays"):
        legacy.load_model(large)


@pytest.mark.parametrize("to", ["keras2-h5", "savedmodel"])
def test_a_full_disk_leaves_no_half_of_an_export(to, large, small_disk):
    model = legacy.load_model(large)
    with pytest.raises(UserError, match="`path` must be a place that can be written"):
        legacy.export_model(model, small_disk / "out", to)
    assert list(small_disk.iterdir()) == []


def test_what_a_killed_import_left_is_no_obstacle(old, tmp_path):
    (tmp_path / ".new.partial" / "model.partial").mkdir(parents=True)
    legacy.import_model(old, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "model.keras",
        "model.yaml",
        "report.json",
        "report.txt",
    ]
    assert not (tmp_path / ".new.partial").exists()


def test_a_chain_of_more_layers_than_keras_builds_is_told(tmp_path):
    layers = [{"class_name": "Activation", "config": {"name": f"a{i}", "activation": "relu"}} for i in range(1500)]
    layers[0]["config"]["batch_input_shape"] = [None, 3]
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = b"2.2.4", b"tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": layers}})
        file.create_group("model_weights").attrs["layer_names"] = [f"a{i}".encode() for i in range(1500)]
        for i in range(1500):
            file.create_group(f"model_weights/a{i}").attrs["weight_names"] = np.zeros(0)
    with pytest.raises(legacy.LegacyFileError, match="1,500 layers"):
        legacy.load_model(tmp_path / "old.h5")


def test_a_model_may_be_exported_by_its_path(old, tmp_path):
    legacy.import_model(old, tmp_path / "new")
    legacy.export_model(tmp_path / "new" / "model.keras", tmp_path / "again.h5", "keras2-h5")
    x = np.random.default_rng(0).random((3, 4), np.float32)
    with made.quiet():
        again = tf_keras.models.load_model(tmp_path / "again.h5", compile=False)
    np.testing.assert_allclose(again(x), legacy.load_model(old)(x), atol=1e-6)


def test_what_nothing_reads_is_told_and_strictly_refused(old):
    with h5py.File(old, "a") as file:
        file.attrs["author"] = "somebody"
        file["model_weights"].attrs["note"] = 3
        file["model_weights/dense_1"]["more"] = np.zeros(3)
    lines = legacy.inspect(old).report.losses
    assert [line.field for line in lines] == [
        "attribute author of /",
        "attribute note of /model_weights",
        "/model_weights/dense_1/more",
    ]
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match="author"):
        legacy.load_model(old, strict=True)
