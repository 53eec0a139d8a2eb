"""Data sets that Keras downloads, read from small copies in the formats that they are published in."""

import pickle
import tarfile

import numpy as np
import pytest
from conftest import make_config
from made_files import CIFAR10, make_downloads, read_data, write_idx, write_pickle

from lctrain.config import validate
from lctrain.config.schema import DATA_SETS
from lctrain.data import load_splits
from lctrain.data.pickles import RefusedError, load_arrays_only
from lctrain.errors import ConfigError

BATCHES = "cifar-10-batches-py-target/cifar-10-batches-py"


def load(name, folder, **changes):
    facts = DATA_SETS[name].facts
    stated = {"name": name, "input_shape": facts.input_shape, "num_classes": facts.num_classes, "test_fraction": None}
    return load_splits(read_data(stated | {"folder": folder and str(folder)} | changes), "channels_last")


@pytest.fixture
def folder(tmp_path):
    make_downloads(tmp_path / "datasets")
    return tmp_path / "datasets"


def test_mnist_and_fashion_mnist_are_the_stored_bytes(tmp_path):
    small, _ = make_downloads(tmp_path / "datasets")
    for name in ("mnist", "fashion_mnist"):
        splits = load(name, tmp_path / "datasets")
        assert splits.train.inputs.dtype == np.uint8
        np.testing.assert_array_equal(splits.test.inputs[..., 0], small["test"])
        np.testing.assert_array_equal(splits.test.labels, np.arange(10))
        drawn = np.concatenate([splits.train.inputs, splits.validation.inputs])
        assert sorted(map(bytes, drawn)) == sorted(map(bytes, small["train"]))


def test_cifar_is_stored_channels_first_in_batches(tmp_path):
    _, pixels = make_downloads(tmp_path / "datasets")
    splits = load("cifar10", tmp_path / "datasets")
    expected = pixels["test_batch"].reshape(20, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(splits.test.inputs, expected)
    drawn = np.concatenate([splits.train.inputs, splits.validation.inputs])
    trained = np.concatenate([pixels[name] for name in CIFAR10]).reshape(100, 3, 32, 32).transpose(0, 2, 3, 1)
    assert sorted(map(bytes, drawn)) == sorted(map(bytes, np.ascontiguousarray(trained)))
    splits = load("cifar100", tmp_path / "datasets")
    assert splits.train.labels.max() == 99
    np.testing.assert_array_equal(splits.test.labels, np.arange(100))


@pytest.mark.parametrize("archive", ["cifar-10-python.tar.gz", "cifar-10-batches-py-target_archive"])
def test_cifar_is_read_from_its_archive_too(folder, tmp_path, archive):
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed" / archive, "w:gz") as packed:
        packed.add(folder / BATCHES, "cifar-10-batches-py")
    plain, unpacked = load("cifar10", folder), load("cifar10", tmp_path / "packed")
    np.testing.assert_array_equal(unpacked.train.inputs, plain.train.inputs)
    np.testing.assert_array_equal(unpacked.train.labels, plain.train.labels)


def test_the_cache_of_keras_is_where_it_says(folder, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(folder.parent))
    np.testing.assert_array_equal(load("mnist", None).train.inputs, load("mnist", folder).train.inputs)


def test_keras_reads_the_same_from_the_same_files(folder, monkeypatch):
    keras_file = pytest.importorskip("keras.src.datasets.cifar")
    content = pickle.loads((folder / BATCHES / "test_batch").read_bytes())
    (folder / BATCHES / "test_batch").write_bytes(pickle.dumps(content, 4))  # Keras refuses Python 3's protocol 2
    images, labels = keras_file.load_batch(folder / BATCHES / "test_batch")
    splits = load("cifar10", folder)
    np.testing.assert_array_equal(splits.test.inputs, images.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(splits.test.labels, labels)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("mnist", "mnist.npz"),
        ("fashion_mnist", "fashion-mnist/train-images-idx3-ubyte.gz"),
        ("cifar10", "cifar-10-python.tar.gz"),
        ("cifar100", "cifar-100-python.tar.gz"),
    ],
)
def test_what_can_not_be_downloaded_is_told_with_where_to_put_it(tmp_path, monkeypatch, name, files):
    import keras

    def fail(*arguments):
        raise Exception("URL fetch failure on https://somewhere: None -- no route")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", fail)
    with pytest.raises(ConfigError, match=rf"keras/datasets' must hold {files}.*URL fetch failure.*Without internet"):
        load(name, None)
    with pytest.raises(ConfigError, match=rf"`data.folder` '.*/empty' must hold {files}"):
        load(name, tmp_path / "empty")


def test_what_keras_downloads_is_read_then(tmp_path, monkeypatch):
    import keras

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    calls = []
    monkeypatch.setattr(
        keras.datasets.mnist, "load_data", lambda: calls.append(make_downloads(tmp_path / "keras" / "datasets"))
    )
    assert len(load("mnist", None).test.labels) == 10
    load("mnist", None)
    assert len(calls) == 1


class Evil:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


def test_a_pickle_that_would_run_something_is_refused_by_name_and_runs_nothing(folder, tmp_path):
    marker = tmp_path / "marker"
    write_pickle(folder / BATCHES / "data_batch_3", {b"data": Evil(f"touch {marker}"), b"labels": [0]})
    with pytest.raises(ConfigError, match=r"data_batch_3': can't be read: it asks for `posix.system`"):
        load("cifar10", folder)
    assert not marker.exists()
    pickle.loads((folder / BATCHES / "data_batch_3").read_bytes())  # does run it, unrestricted
    assert marker.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol_are_read(tmp_path, protocol):
    (tmp_path / "it").write_bytes(pickle.dumps({b"data": np.arange(6, dtype=np.uint8), b"x": b"\xff"}, protocol))
    with (tmp_path / "it").open("rb") as file:
        found = load_arrays_only(file)
    np.testing.assert_array_equal(found[b"data"], np.arange(6))


@pytest.mark.parametrize("name", ["builtins.eval", "numpy.load", "os.system", "functools.partial"])
def test_names_besides_arrays_are_refused(tmp_path, name):
    module, _, function = name.rpartition(".")
    (tmp_path / "it").write_bytes(f"c{module}\n{function}\n.".encode())
    with (tmp_path / "it").open("rb") as file, pytest.raises(RefusedError, match=f"asks for `{name}`"):
        load_arrays_only(file)


def cut(path, num_bytes):
    path.write_bytes(path.read_bytes()[:num_bytes])


@pytest.mark.parametrize(
    ("name", "file", "kept"),
    [
        ("mnist", "mnist.npz", 900),
        ("mnist", "mnist.npz", 0),
        ("fashion_mnist", "fashion-mnist/train-images-idx3-ubyte.gz", 5000),
        ("fashion_mnist", "fashion-mnist/t10k-labels-idx1-ubyte.gz", 0),
        ("fashion_mnist", "fashion-mnist/t10k-labels-idx1-ubyte.gz", 20),
        ("cifar10", f"{BATCHES}/data_batch_2", 3000),
        ("cifar10", f"{BATCHES}/test_batch", 0),
        ("cifar100", "cifar-100-python-target/cifar-100-python/train", 40000),
    ],
)
def test_a_truncated_file_is_told_by_name(folder, name, file, kept):
    load(name, folder)  # is right without
    cut(folder / file, kept)
    with pytest.raises(
        ConfigError, match=rf"`data.folder` '.*{file.rpartition('/')[2]}': (can't be read|is truncated)"
    ):
        load(name, folder)


def test_a_cut_archive_is_told_by_name(folder, tmp_path):
    (tmp_path / "packed").mkdir()
    path = tmp_path / "packed" / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(folder / BATCHES, "cifar-10-batches-py")
    cut(path, 9000)
    with pytest.raises(ConfigError, match=r"cifar-10-python.tar.gz': can't be read"):
        load("cifar10", tmp_path / "packed")


def test_files_that_hold_something_else_are_told(folder):
    write_idx(folder / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz", np.full(10, 11, np.uint8))
    with pytest.raises(ConfigError, match=r"`labels` must be whole numbers from 0 to 9.*row 0 is 11"):
        load("fashion_mnist", folder)
    write_idx(folder / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz", np.zeros((10, 1), np.uint8))
    with pytest.raises(ConfigError, match=r"t10k-labels-idx1-ubyte.gz': can't be read: it begins with"):
        load("fashion_mnist", folder)
    write_pickle(folder / BATCHES / "data_batch_1", {b"data": np.zeros((20, 3072), np.uint8)})
    with pytest.raises(ConfigError, match="data_batch_1': can't be read: it has no b'labels'"):
        load("cifar10", folder)
    with pytest.raises(
        ConfigError, match=r"`data.test_fraction` must be null: `mnist` has a test split of its own; got 0.15"
    ):
        load("mnist", folder, test_fraction=0.15)


@pytest.mark.parametrize("name", ["mnist", "cifar100"])
def test_a_misspelt_key_is_told_with_the_nearest(name):
    facts = DATA_SETS[name].facts
    data = {"name": name, "input_shape": facts.input_shape, "num_clases": facts.num_classes, "test_fraction": None}
    with pytest.raises(ConfigError, match=r"`data\.num_clases` is not a known key. Did you mean `data.num_classes`"):
        validate(make_config(data=data))
