"""Files that the real Keras 1 and 2 wrote give the predictions that these gave; old_models/make.py made some."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from lctrain import legacy
from lctrain.errors import UserError

FOLDER = Path(__file__).with_name("old_models")
FILES = sorted(FOLDER.glob("*.h5"))
OF_THEANO = [file for file in FILES if "th" in file.stem.split("_")[0]]
REFUSED = {
    "theano_224_shared_otherwise": ("conv2d", "padding", "several sizes"),  # of each of which Theano padded otherwise
    "theano_224_masked": ("bidirectional", "mask", "repeated the step before"),
}
ONE, TWO = FOLDER / "k1th_conv1d.h5", FOLDER / "k2thc_conv2d_last.h5"


def stem(file):
    return file.stem


def check_predictions(model, file):
    known = np.load(file.with_suffix(".npz"))
    x = known["x"] if "x" in known else [known["x0"], known["x1"]]
    off = np.abs(model.predict(x, verbose=0) - known["y"]).max()
    assert off <= 1e-5 * max(1, np.abs(known["y"]).max())


def test_there_are_files_of_each_kind():
    assert len(FILES) == 39
    assert len(OF_THEANO) == 37


@pytest.mark.parametrize("file", [file for file in FILES if file.stem not in REFUSED], ids=stem)
def test_predictions_are_those_of_the_software_that_wrote_the_file(file):
    model = legacy.load_model(file)
    check_predictions(model, file)
    assert legacy.inspect(file).backend == ("theano" if file in OF_THEANO else "tensorflow")


@pytest.mark.parametrize("file", [file for file in FILES if "conv" in file.stem], ids=stem)
def test_a_backend_that_the_names_contradict_is_refused(file):
    other = "tensorflow" if file in OF_THEANO else "theano"
    with pytest.raises(UserError, match=rf"`backend` must be .*; got '{other}'"):
        legacy.load_model(file, backend=other)


def test_weights_for_a_model_that_pads_otherwise_than_theano_are_refused():
    file = FOLDER / "theano_224_conv_steps.h5"
    given = {"filters": 3, "kernel_size": (3, 2), "strides": (2, 3), "data_format": "channels_first"}
    model = keras.Sequential([keras.Input((2, 9, 8)), keras.layers.Conv2D(**given, padding="same", name="conv")])
    with pytest.raises(
        legacy.UnsupportedKerasConfigurationError, match=r"`conv`, `padding`.*as Theano had it.*got 'same'"
    ):
        legacy.load_weights(model, file)
    model = keras.models.clone_model(legacy.load_model(file))
    legacy.load_weights(model, file)
    check_predictions(model, file)


@pytest.mark.parametrize("name", REFUSED)
def test_what_today_has_not_is_refused_by_name(name):
    layer, field, why = REFUSED[name]
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=rf"{layer}.*`{field}`.*{why}"):
        legacy.load_model(FOLDER / f"{name}.h5")


def rename_arrays(file, path, rename):
    """A copy of a file whose arrays have other names, as no Keras writes them."""
    path.write_bytes(file.read_bytes())
    with h5py.File(path, "r+") as copy:
        weights = copy["model_weights"]
        for layer in weights.values():
            names = [name.decode() for name in layer.attrs["weight_names"]]
            renamed = [rename(i, name) for i, name in enumerate(names)]
            for name, other in zip(names, renamed, strict=True):
                if name != other:
                    layer.move(name, other)
            layer.attrs["weight_names"] = [name.encode() for name in renamed]
    return path


def test_the_backend_is_asked_for_where_the_names_tell_nothing(tmp_path):
    mixed = rename_arrays(ONE, tmp_path / "mixed.h5", lambda i, name: f"{name}:0" if i else name)
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=r"convolution1d_1.*--backend theano.*got None"):
        legacy.load_model(mixed)
    check_predictions(legacy.load_model(mixed, backend="theano"), ONE)


def test_a_file_that_tells_of_two_backends_is_refused(tmp_path):
    both = rename_arrays(TWO, tmp_path / "both.h5", lambda _, name: f"{name}:0")
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=r"conv2d_1.*`backend`.*`:0`.*got 'theano'"):
        legacy.load_model(both)


def test_weights_by_themselves_tell_their_backend_too(tmp_path):
    with h5py.File(ONE) as whole, h5py.File(tmp_path / "weights.h5", "w") as weights:
        for name in whole["model_weights"]:
            whole.copy(f"model_weights/{name}", weights)
        weights.attrs["layer_names"] = whole["model_weights"].attrs["layer_names"]
    model = legacy.load_model(ONE.with_suffix(".json"), weights=tmp_path / "weights.h5", keras_version="1.2.2")
    check_predictions(model, ONE)


def test_the_report_says_how_the_backend_is_known(tmp_path):
    report = legacy.import_model(ONE, tmp_path / "new").report
    assert report.source["backend"] == "theano"
    assert "backend known from: its arrays' names do not end in `:0`" in report.as_text().splitlines()
    assert not [line for line in report.losses if line.field == "backend"]


def test_an_architecture_alone_asks_for_no_backend():
    assert not legacy.inspect(ONE.with_suffix(".json")).problems


def test_what_is_put_around_a_layer_leaves_it_its_name():
    model = legacy.load_model(FOLDER / "theano_122_conv_steps.h5")
    assert [type(layer) for layer in model.layers[1:]] == [keras.layers.ZeroPadding2D, keras.layers.Conv2D]
    name = model.layers[2].name
    assert name.startswith("convolution2d_")
    assert model.layers[1].name == f"{name}_padding"


@pytest.mark.parametrize(
    ("file", "field", "got"),
    [
        ("theano_122_pool", "padding", "'same'"),
        ("theano_224_separable", "padding", "'same'"),
        ("theano_224_deconv", "padding", "'same'"),
    ],
)
def test_what_theano_computed_in_a_way_that_today_has_not_is_refused(file, field, got, tmp_path):
    """The same models with a linear convolution before the pool, an even window, steps of more than a window's half."""
    config = legacy_config(FOLDER / f"{file}.h5")
    others = {
        "theano_122_pool": ('"activation": "relu"', '"activation": "tanh"'),
        "theano_224_separable": ('"kernel_size": [3, 5]', '"kernel_size": [3, 4]'),
        "theano_224_deconv": ('"strides": [2, 2]', '"strides": [2, 5]'),
    }
    (tmp_path / "other.json").write_text(config.replace(*others[file]))
    problems = legacy.inspect(tmp_path / "other.json", backend="theano").problems
    assert [problem for problem in problems if f"`{field}`" in problem and f"got {got}" in problem]
    (tmp_path / "own.json").write_text(config)
    assert not legacy.inspect(tmp_path / "own.json", backend="theano").problems


def legacy_config(file):
    with h5py.File(file) as stored:
        text = stored.attrs["model_config"]
    return text.decode() if isinstance(text, bytes) else text
