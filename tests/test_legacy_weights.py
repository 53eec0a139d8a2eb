"""Old weights into models of our own: `load_weights`, a model file of ours as the architecture, shapes by name."""

import json

import h5py
import keras
import made_tf_keras as made
import numpy as np
import pytest
import tf_keras
import yaml

import lctrain
from lctrain import layers as own
from lctrain import legacy
from lctrain.errors import UserError
from lctrain.legacy.arguments import Part
from lctrain.legacy.backend import Backend
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.report import Report
from lctrain.legacy.source import Source
from lctrain.legacy.theano_padding import write_padding

L = tf_keras.layers
RANK_1 = {"filters": 3, "kernel_size": 2, "strides": 2}
RANK_2 = {"filters": 3, "kernel_size": (2, 3), "strides": (1, 2)}
SAME = ((1, 0), (1, 1))  # of a window of (2, 3) on (5, 7) in steps of (1, 1): half of it before


def make_old(kind, implementation, data_format, padding="valid"):
    """A model of tf_keras with one local layer, random weights, its input and predictions."""
    rank = int(kind[-2])
    shape = (5, 7, 2)[-rank - 1 :] if data_format == "channels_last" else (2, 5, 7)[: rank + 1]
    given = RANK_1 if rank == 1 else RANK_2 if padding == "valid" else {**RANK_2, "strides": 1}
    with made.quiet():
        layer = getattr(L, kind)(
            **given, data_format=data_format, implementation=implementation, padding=padding, name="local"
        )
        model = tf_keras.Sequential([tf_keras.Input(shape), layer, L.Flatten(), L.Dense(4, name="head")])
        rng = np.random.default_rng(3)
        model.set_weights([rng.normal(size=array.shape) for array in model.get_weights()])
        x = rng.normal(size=(3, *shape)).astype("float32")
        return model, x, model.predict(x, verbose=0)


def make_new(kind, implementation, data_format, padding="valid"):
    """Today's twin."""
    rank = int(kind[-2])
    shape = (5, 7, 2)[-rank - 1 :] if data_format == "channels_last" else (2, 5, 7)[: rank + 1]
    given = RANK_1 if rank == 1 else RANK_2 if padding == "valid" else {**RANK_2, "strides": 1}
    layer = getattr(own, kind)(
        **given, data_format=data_format, implementation=implementation, padding=padding, name="local"
    )
    head = keras.layers.Dense(4, name="head")
    return keras.Sequential([keras.Input(shape), layer, keras.layers.Flatten(), head])


@pytest.mark.parametrize("ending", ["h5", "weights.h5", "whole.h5"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("implementation", [1, 2, 3])
@pytest.mark.parametrize("kind", ["LocallyConnected1D", "LocallyConnected2D"])
def test_weights_of_tf_keras_are_brought_into_our_layout(kind, implementation, data_format, ending, tmp_path):
    old, x, y = make_old(kind, implementation, data_format)
    path = tmp_path / f"old.{ending}"
    with made.quiet():
        old.save(path) if ending == "whole.h5" else old.save_weights(path)
    model = make_new(kind, "auto", data_format)
    legacy.load_weights(model, path)
    assert np.allclose(model.predict(x, verbose=0), y, atol=1e-5)


@pytest.mark.parametrize("implementation", [1, 2, 3])
def test_keras_own_loading_of_weights_h5_is_right_too(implementation, tmp_path):
    old, x, y = make_old("LocallyConnected2D", implementation, "channels_first")
    old.save_weights(tmp_path / "old.weights.h5")
    model = make_new("LocallyConnected2D", 1, "channels_first")
    model.load_weights(tmp_path / "old.weights.h5")
    assert np.allclose(model.predict(x, verbose=0), y, atol=1e-5)
    model.save_weights(tmp_path / "new.weights.h5")
    again = make_new("LocallyConnected2D", 2, "channels_first")
    again.load_weights(tmp_path / "new.weights.h5")
    assert np.allclose(again.predict(x, verbose=0), y, atol=1e-5)


def test_keras_own_loading_of_h5_is_not_asked_of_layers(tmp_path):
    """Why the documents warn of it; where this fails, Keras asks them, and the warnings can go."""
    old, x, y = make_old("LocallyConnected2D", 1, "channels_first")
    with made.quiet():
        old.save_weights(tmp_path / "old.h5")
    model = make_new("LocallyConnected2D", 1, "channels_first")
    model.load_weights(tmp_path / "old.h5")
    assert np.abs(model.predict(x, verbose=0) - y).max() > 0.1


@pytest.mark.parametrize("ending", ["h5", "weights.h5"])
@pytest.mark.parametrize("implementation", [2, 3])
def test_the_same_of_tf_keras_is_not_that_of_conv(implementation, ending, tmp_path):
    old, x, y = make_old("LocallyConnected2D", implementation, "channels_last", padding="same")
    path = tmp_path / f"old.{ending}"
    with made.quiet():
        old.save_weights(path)
    model = make_new("LocallyConnected2D", "auto", "channels_last", padding="same")
    before = model.get_weights()
    with pytest.raises(UserError, match=r"\(35, 12, 3\)"):
        legacy.load_weights(model, path)
    assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), before, strict=True))
    model = make_new("LocallyConnected2D", "auto", "channels_last", padding=SAME)
    legacy.load_weights(model, path)
    assert np.allclose(model.predict(x, verbose=0), y, atol=1e-5)


def test_a_model_that_the_weights_do_not_fit_keeps_its_own(tmp_path):
    old, *_ = make_old("LocallyConnected2D", 1, "channels_last")
    with made.quiet():
        old.save_weights(tmp_path / "old.h5")
        old.save_weights(tmp_path / "old.weights.h5")
    model = keras.Sequential([keras.Input((5, 7, 2)), own.LocallyConnected2D(3, 2, name="local")])
    before = model.get_weights()
    for name in ("old.h5", "old.weights.h5"):
        with pytest.raises(legacy.LegacyFileError, match=r"local|head"):
            legacy.load_weights(model, tmp_path / name)
        assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), before, strict=True))
    with pytest.raises(UserError, match="must be a file that is there"):
        legacy.load_weights(model, tmp_path / "none.h5")
    with pytest.raises(UserError, match=r"`model` must be a Sequential or functional keras.Model that is built; got"):
        legacy.load_weights(keras.Sequential([keras.layers.Dense(2)]), tmp_path / "old.h5")


def make_graph(module):
    """A graph whose branches have layers of the same shapes, with names that configurations can't have."""
    left, right = module.Input((5,), name="left"), module.Input((5,), name="right")
    layers = module.layers
    joined = layers.Concatenate(name="both")(
        [layers.Dense(3, name="a-first")(left), layers.Dense(3, name="b-second")(right)]
    )
    return module.Model([left, right], layers.Dense(2, name="head")(joined))


def test_layers_of_a_graph_are_found_by_their_names(tmp_path):
    with made.quiet():
        old = make_graph(tf_keras)
        old.set_weights([np.random.default_rng(1).normal(size=array.shape) for array in old.get_weights()])
        old.save_weights(tmp_path / "old.h5")
    rng = np.random.default_rng(2)
    x = [rng.normal(size=(4, 5)).astype("float32") for _ in range(2)]
    model = make_graph(keras)
    legacy.load_weights(model, tmp_path / "old.h5")
    assert np.allclose(model.predict(x, verbose=0), old.predict(x, verbose=0), atol=1e-5)
    other = keras.Model(model.inputs, model.outputs)
    renamed = keras.models.clone_model(other, clone_function=rename)
    with pytest.raises(
        legacy.LegacyFileError, match=r"must have the names of the model's layers, .*x_a.*; got 'a-first'"
    ):
        legacy.load_weights(renamed, tmp_path / "old.h5")


def rename(layer):
    config = layer.get_config()
    return type(layer).from_config({**config, "name": f"x_{config['name'].replace('-', '_')}"})


OWN = """
layers:
  conv: {type: Conv2D, filters: 3, kernel_size: 2, activation: relu}
  local: {type: LocallyConnected2D, filters: 4, kernel_size: [2, 3], implementation: tuned}
  flat: Flatten
  head: {type: Dense, units: 5}
"""


def make_weights(folder):
    """Weights of the model above, by tf_keras, an input and predictions."""
    with made.quiet():
        layers = [L.Conv2D(3, 2, activation="relu"), L.LocallyConnected2D(4, (2, 3), implementation=2)]
        model = tf_keras.Sequential([tf_keras.Input((6, 7, 2)), *layers, L.Flatten(), L.Dense(5)])
        model.save_weights(folder / "W.h5")
        x = np.random.default_rng(5).normal(size=(3, 6, 7, 2)).astype("float32")
        return x, model.predict(x, verbose=0)


def test_a_model_file_of_ours_is_an_architecture(run_lctrain, tmp_path):
    x, y = make_weights(tmp_path)
    (tmp_path / "own.yaml").write_text(OWN)
    command = ("import", "own.yaml", "--weights", "W.h5", "--out", "new")
    finished = run_lctrain(tmp_path, *command)
    assert finished.returncode == 2
    assert "--input-shape input=28,28,1" in finished.stderr
    finished = run_lctrain(tmp_path, *command, "--input-shape", "6,7,2")
    assert finished.returncode == 0, finished.stderr
    assert "layer_names" in finished.stdout  # which are others, and go by their order
    model = keras.saving.load_model(tmp_path / "new" / "model.keras")
    assert np.allclose(model.predict(x, verbose=0), y, atol=1e-5)
    assert list(yaml.safe_load((tmp_path / "new" / "model.yaml").read_text())["layers"]) == [
        "conv",
        "local",
        "flat",
        "head",
    ]


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ("${data.num_classes}", r"`layers.head.units` can't be resolved(?s:.*)Write the value"),
        ("auto", "must say how many `units: auto` are. Write the number, or give the whole config."),
    ],
)
def test_a_whole_configuration_says_what_its_model_refers_to(tmp_path, units, message):
    x, y = make_weights(tmp_path)
    model = yaml.safe_load(OWN)
    model["layers"]["head"]["units"] = units
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(model, sort_keys=False))
    with pytest.raises(UserError, match=message):
        legacy.load_model(tmp_path / "model.yaml", weights=tmp_path / "W.h5", input_shape=(6, 7, 2))
    whole = {"model": {"name": "old", **model}, "data": {"num_classes": 5, "input_shape": [6, 7, 2]}, "seed": 3}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    loaded = legacy.load_model(tmp_path / "config.yaml", weights=tmp_path / "W.h5")
    assert np.allclose(loaded.predict(x, verbose=0), y, atol=1e-5)


def test_init_from_old_weights_names_the_way(run_lctrain, tmp_path):
    make_weights(tmp_path)
    finished = run_lctrain(tmp_path, "model=lc2d", "init_from=W.h5")
    assert finished.returncode == 2
    assert "import W.h5 --out old" in finished.stderr
    assert "--weights W.h5" in finished.stderr
    assert "old/model.keras" in finished.stderr


def make_open(folder, **parts):
    """A model of two inputs of open sizes, whole and in parts, inputs and predictions."""
    with made.quiet():
        words, steps = tf_keras.Input((None, 3), name="words"), tf_keras.Input((None, 2), name="steps")
        outputs = L.Concatenate()([L.LSTM(4)(words), L.GRU(3)(steps)])
        model = tf_keras.Model([words, steps], L.Dense(2)(outputs))
        model.save(folder / "open.h5")
        model.save_weights(folder / "open_weights.h5")
        text = json.loads(model.to_json())
        (folder / "open.json").write_text(json.dumps(text))
        (folder / "open.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
        rng = np.random.default_rng(7)
        x = [rng.normal(size=(3, *shape)).astype("float32") for shape in ((5, 3), (7, 2))]
        return x, model.predict(x, verbose=0)


def test_each_of_several_inputs_is_given_its_shape(run_lctrain, tmp_path):
    x, y = make_open(tmp_path)
    shapes = ("--input-shape", "words=5,3", "--input-shape", "steps=7,2")
    for file, weights in (("open.h5", ()), ("open.yaml", ("--weights", "open_weights.h5"))):
        out = f"new_{file}"
        finished = run_lctrain(tmp_path, "import", file, *weights, "--out", out)
        assert finished.returncode == 2
        assert "--input-shape words=28,28,1" in finished.stderr
        assert "--input-shape steps=28,28,1" in finished.stderr
        finished = run_lctrain(tmp_path, "import", file, *weights, *shapes, "--out", out)
        assert finished.returncode == 0, finished.stderr
        model = keras.saving.load_model(tmp_path / out / "model.keras")
        assert np.allclose(model.predict(x, verbose=0), y, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 3), r"`input_shape` can't be one shape for several inputs; got \[5, 3\].*words=5,3"),
        (
            {"words": (5, 3), "step": (7, 2)},
            r"`input_shape` must name inputs of the model; got 'step'. Did you mean `steps`",
        ),
        ({"words": (5, 4), "steps": (7, 2)}, r"`input_shape` must fit the model's own, \[None, 3\]; got \[5, 4\]"),
    ],
)
def test_shapes_that_are_not_those_of_the_inputs_are_refused(shape, message, tmp_path):
    make_open(tmp_path)
    with pytest.raises(UserError, match=message):
        legacy.load_model(tmp_path / "open.h5", input_shape=shape)


@pytest.mark.parametrize("texts", [("words=5,3", "7,2"), ("words=5,3", "words=7,2"), ("=5,3",)])
def test_shapes_on_the_command_line_are_named_once_each(texts, run_lctrain, tmp_path):
    given = [part for text in texts for part in ("--input-shape", text)]
    finished = run_lctrain(tmp_path, "import", "open.h5", *given, "--out", "new")
    assert finished.returncode == 2
    assert "`--input-shape` must be NAME=SIZES, once for each input; got" in finished.stderr


def test_sizes_that_a_model_file_leaves_open_are_the_datas_or_given():
    layers = {"a": {"type": "LSTM", "units": 3, "inputs": "x"}}
    one = {"inputs": {"x": [None, 4]}, "layers": layers}
    assert lctrain.build(one, input_shape=(6, 4)).input_shape == (None, 6, 4)
    whole = {"model": {"name": "open", **one}, "data": {"input_shape": [5, 4]}}
    assert lctrain.build(whole).input_shape == (None, 5, 4)
    with pytest.raises(UserError, match=r"`inputs.x` can't be null in \[None, 4\], where the data has the shape \[1\]"):
        lctrain.build(one)
    layers = {
        **layers,
        "b": {"type": "LSTM", "units": 2, "inputs": "y"},
        "c": {"type": "Concatenate", "inputs": ["a", "b"]},
    }
    two = {"inputs": {"x": [None, 4], "y": [None, 2]}, "layers": layers}
    model = lctrain.build(two, input_shape={"x": (6, 4), "y": (3, 2)})
    assert model.input_shape == [(None, 6, 4), (None, 3, 2)]
    with pytest.raises(UserError, match=r"`inputs.y` can't be null in \[None, 2\], where the model has several inputs"):
        lctrain.build(two, input_shape={"x": (6, 4)})


def make_with_code(path):
    """A model with what is code in it: an operation and a Lambda."""
    with made.quiet():
        inputs = tf_keras.Input((5,), name="x")
        doubled = L.Dense(3, name="first")(inputs) * 2
        model = tf_keras.Model(inputs, L.Dense(2, name="last")(L.Lambda(lambda x: x + 0.5, name="add")(doubled)))
        model.save(path)
        x = np.random.default_rng(8).normal(size=(4, 5)).astype("float32")
        return x, model.predict(x, verbose=0)


def test_what_is_code_can_be_replaced_in_the_architecture(run_lctrain, tmp_path):
    x, y = make_with_code(tmp_path / "old.h5")
    finished = run_lctrain(tmp_path, "import", "old.h5", "--out", "new")
    assert finished.returncode == 2
    for word in ("Lambda", "TFOpLambda", "--architecture MODEL.json", "--weights FILE"):
        assert word in finished.stderr
    finished = run_lctrain(tmp_path, "import", "old.h5", "--architecture", "old.json")
    assert finished.returncode == 0, finished.stderr
    architecture = json.loads((tmp_path / "old.json").read_text())
    for layer in architecture["config"]["layers"]:
        name = layer["name"]
        if layer["class_name"] in ("TFOpLambda", "Lambda"):
            numbers = {"scale": 1.0, "offset": 0.5} if name == "add" else {"scale": 2.0, "offset": 0.0}
            layer |= {"class_name": "Rescaling", "config": {"name": name, **numbers}, "registered_name": None}
            above = "first" if name != "add" else layer["inbound_nodes"][0][0][0]
            layer["inbound_nodes"] = [[[above, 0, 0, {}]]]
    (tmp_path / "old.json").write_text(json.dumps(architecture))
    finished = run_lctrain(tmp_path, "import", "old.json", "--weights", "old.h5", "--out", "new")
    assert finished.returncode == 0, finished.stderr
    model = keras.saving.load_model(tmp_path / "new" / "model.keras")
    assert np.allclose(model.predict(x, verbose=0), y, atol=1e-5)


def test_strict_names_the_way_without_it(tmp_path):
    with made.quiet():
        model = tf_keras.Sequential([tf_keras.Input((4,)), L.ThresholdedReLU(0.5)])
        model.save(tmp_path / "old.h5")
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match="Without --strict it is imported so"):
        legacy.load_model(tmp_path / "old.h5", strict=True)


def test_arguments_of_the_command_that_say_nothing_are_told(run_lctrain, tmp_path):
    with h5py.File(tmp_path / "old.h5", "w"):
        pass
    for given in ((), ("--out", "new", "--architecture", "old.json")):
        finished = run_lctrain(tmp_path, "import", "old.h5", *given)
        assert finished.returncode == 2
        assert "`--out FOLDER`" in finished.stderr


def test_the_vector_of_spectral_normalization_stands_behind_the_other_arrays_in_a_file(tmp_path):
    """tf_keras 2.21 can't call the layer; its get_weights has what is trained first, and files have that order."""
    kernel, bias, vector = np.arange(12.0).reshape(4, 3), np.arange(3.0) + 20, np.arange(3.0).reshape(1, 3) + 30
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"], file.attrs["keras_version"], file.attrs["backend"] = (
            [b"wrap"],
            b"2.15.0",
            b"tensorflow",
        )
        group = file.create_group("wrap")
        arrays = {"wrap/dense/kernel:0": kernel, "wrap/dense/bias:0": bias, "wrap/vector_u:0": vector}
        group.attrs["weight_names"] = [name.encode() for name in arrays]
        for name, array in arrays.items():
            group.create_dataset(name, data=array.astype("float32"))
    layer = keras.layers.SpectralNormalization(keras.layers.Dense(3), name="wrap")
    model = keras.Sequential([keras.Input((4,)), layer])
    legacy.load_weights(model, tmp_path / "old.h5")
    assert np.array_equal(layer.layer.kernel.numpy(), kernel)
    assert np.array_equal(layer.layer.bias.numpy(), bias)
    assert np.array_equal(layer.vector_u.numpy(), vector)


def test_both_layers_of_a_bidirectional_need_the_zeros_that_theano_put_there():
    """Keras 3 can give it two layers of its own; the zeros in front are one for both."""
    obstacles = []
    collector = IssueCollector("both", Report(), obstacles)
    source = Source({}, "2.2.0", 2, Backend("theano", "given"), {})

    def pad(*layers):
        named = dict(zip(("layer", "backward_layer"), layers, strict=True))
        part = Part({"type": "Bidirectional", **named}, ("Bidirectional", {}))
        return part, write_padding(part, [(None, 3, 5, 6, 2)], False, source, collector)

    even, odd = ({"type": "ConvLSTM2D", "filters": 2, "kernel_size": [size, size]} for size in (2, 3))
    for layers in ((even, odd), (odd, even)):
        part, made = pad(*layers)
        assert made == [part]
        assert "where the layers of a Bidirectional have other windows" in str(obstacles.pop())
    assert [part.spec["type"] for part in pad(even, even)[1]] == ["TimeDistributed", "Bidirectional"]
    _, (made,) = pad({**even, "padding": "same"}, {**odd, "padding": "same"})
    assert [made.spec[name]["kernel_size"] for name in ("layer", "backward_layer")] == [[3, 3], [3, 3]]
    assert not obstacles
