"""Old files written by real tf_keras: what is imported predicts what the original does, or is refused by name."""

import json
import re

import h5py
import keras
import made_tf_keras as made
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import yaml
from made_tf_keras import chain

import lctrain
from lctrain import legacy

L = tf_keras.layers
LEFT_OUT = {  # layers that both have, and that no model here holds
    **dict.fromkeys(("Layer", "Wrapper", "InputSpec"), "is nothing by itself"),
    **dict.fromkeys(
        ("StringLookup", "IntegerLookup", "TextVectorization", "Lambda", "RandomCrop", "HashedCrossing"), "is refused"
    ),
    "SpectralNormalization": "can't be called in tf_keras 2.21",
}


def check_import(model, path, names=None, is_compiled=False, **options):
    """Saves a model of tf_keras, imports it, and asserts that it predicts the same; returns what was imported."""
    imported = legacy.load_model(made.save(model, path), **options)
    made.check_same_predictions(model, imported, names, is_compiled)
    return imported


# Locally connected layers


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2])
def test_every_locally_connected_layer_that_tf_keras_accepts_predicts_the_same(rank, data_format, tmp_path):
    layer_class, source = getattr(L, f"LocallyConnected{rank}D"), made.LOCAL_INPUTS[rank, data_format]
    branches, refused = {}, set()
    for name, arguments in made.local_combinations(rank, data_format).items():
        try:
            branches[name] = (layer_class(**arguments), source)
        except ValueError as error:
            assert 'only "valid" is supported if implementation is 1' in str(error)  # noqa: PT017 - collects them
            refused.add((arguments["implementation"], arguments["padding"]))
    assert refused == {(1, "same")}
    assert len(branches) == 60  # of 72: 3 implementations, 2 paddings, with and without bias, 2 kernels, 3 strides
    imported = check_import(made.make_model(branches), tmp_path / "old.h5", list(branches))
    layers = [layer for layer in imported.layers if type(layer).__name__ == f"LocallyConnected{rank}D"]
    assert len(layers) == 60
    assert {layer.data_format for layer in layers} == {data_format}


def test_arguments_of_locally_connected_layers_are_kept(tmp_path):
    arguments = {
        "filters": 3,
        "kernel_size": (3, 2),
        "strides": (1, 2),
        "activation": "softsign",
        "kernel_initializer": tf_keras.initializers.HeNormal(seed=4),
        "bias_initializer": tf_keras.initializers.Constant(0.25),
        "kernel_regularizer": tf_keras.regularizers.L1L2(0.02, 0.03),
        "bias_regularizer": tf_keras.regularizers.L2(0.04),
        "activity_regularizer": tf_keras.regularizers.L1(0.05),
        "bias_constraint": tf_keras.constraints.NonNeg(),
    }
    old = made.make_model({"local": (L.LocallyConnected2D(**arguments, name="local", trainable=False), "image")})
    layer = check_import(old, tmp_path / "old.h5").get_layer("local")
    assert (layer.filters, layer.kernel_size, layer.strides, layer.padding) == (3, (3, 2), (1, 2), "valid")
    assert layer.activation is keras.activations.softsign
    assert isinstance(layer.kernel_initializer, keras.initializers.HeNormal)
    assert isinstance(layer.bias_initializer, keras.initializers.Constant)
    assert layer.bias_initializer.value == 0.25
    assert (float(layer.kernel_regularizer.l1), float(layer.kernel_regularizer.l2)) == pytest.approx((0.02, 0.03))
    assert float(layer.bias_regularizer.l2) == pytest.approx(0.04)
    assert float(layer.activity_regularizer.l1) == pytest.approx(0.05)
    assert isinstance(layer.bias_constraint, keras.constraints.NonNeg)
    assert not layer.trainable


def test_locally_connected_layers_within_wrappers_and_models_predict_the_same(tmp_path):
    def local(data_format="channels_last", implementation=1):
        return L.LocallyConnected2D(3, (3, 2), data_format=data_format, implementation=implementation)

    with made.quiet():
        stack = tf_keras.Sequential([L.Input((5, 7, 2)), local(implementation=3), L.Flatten(), L.Dense(4)])
        left = L.LocallyConnected1D(3, 2, strides=2, implementation=2, padding="same", activation="tanh")
    branches = {
        "time distributed": (L.TimeDistributed(local(implementation=2)), "volume"),
        "time distributed stack": (L.TimeDistributed(stack), "volume"),
        "stack": (stack, "image"),
        "two in a row": (chain(local(), L.LocallyConnected2D(2, (2, 3), implementation=3, padding="same")), "image"),
        "flattened": (chain(local("channels_first"), L.Flatten(), L.Dense(4)), "image_first"),
        "between others": (chain(L.Conv1D(4, 2), left, L.LSTM(3)), "long_steps"),
    }
    check_import(made.make_model(branches), tmp_path / "old.h5", list(branches))


def test_the_checks_find_a_bias_in_the_wrong_order():
    layer = L.LocallyConnected1D(3, 2, data_format="channels_first", name="local")
    old = made.make_model({"turned": (layer, "steps_first")})
    with made.quiet():
        new = tf_keras.models.clone_model(old)
    kernel, bias = old.get_weights()
    new.set_weights([kernel, bias.reshape(3, 6).T])
    with pytest.raises(AssertionError, match=r"turned: off by [1-9]"):
        made.check_same_predictions(old, new, ["turned"])


# Every other layer that Keras 3 still has


@pytest.mark.parametrize("group", made.GROUPS)
def test_layers_that_keras_still_has_predict_the_same(group, tmp_path):
    names, old = made.make_group(group)
    check_import(old, tmp_path / "old.h5", names, is_compiled=group == "channels_first")


def test_the_models_above_hold_every_layer_that_both_have():
    held = {name for group in made.GROUPS for name in made.class_names(made.make_group(group)[1].get_config())}
    common = [name for name in vars(L) if isinstance(getattr(L, name), type) and hasattr(keras.layers, name)]
    common = {getattr(L, name).__name__ for name in common}
    assert common - held == set(LEFT_OUT)


def test_tf_keras_itself_cannot_call_spectral_normalization():
    with pytest.raises(TypeError, match="must be an instance of InputSpec"):
        made.make_model({"": (L.SpectralNormalization(L.Dense(3)), "row")})


# How layers are put together


def make_sequential():
    names = ("a-b", "a.b", "a/b", "a_b", "input", "outputs", "1", "a>b")
    layers = [L.Dense(4 + number % 3, activation="tanh", name=name) for number, name in enumerate(names)]
    return tf_keras.Sequential([L.Input((6,), batch_size=made.BATCH), *layers], name="of.odd-names")


def make_same_names():
    """Layers of equal names in and around a model, and names that joining those of models and layers may give."""
    inner = tf_keras.Sequential([L.Input((6,)), L.Dense(4, name="deep")], name="inner")
    middle = tf_keras.Sequential([L.Input((6,)), inner, L.Dense(5, name="same")], name="middle")
    start = tf_keras.Input((6,), name="start")
    end = L.Dense(3, name="same")(middle(start))
    joined = L.Dense(4, name="middle_inner_deep")(L.Dense(5, name="middle_same")(L.Dense(6, name="inner_deep")(end)))
    return tf_keras.Model(start, [end, joined])


def make_stack_of_stacks():
    inner = tf_keras.Sequential([L.Conv2D(3, (3, 2), input_shape=(5, 7, 2)), L.BatchNormalization()], name="inner")
    around = tf_keras.Sequential([inner, L.LocallyConnected2D(4, (2, 3))], name="around")
    return tf_keras.Sequential([around, L.Flatten(), L.Dense(3)])


def make_nested():
    """Within `outer` is `middle`, which holds `inner`, called twice, and a frozen model."""
    start = tf_keras.Input((6,))
    dense = L.Dense(6, activation="tanh", name="d-1")
    inner = tf_keras.Model(start, L.BatchNormalization()(dense(start)), name="inner")
    start = tf_keras.Input((6,))
    middle = tf_keras.Model(start, L.Dense(5)(inner(inner(start))), name="middle")
    start = tf_keras.Input((5,))
    frozen = tf_keras.Model(start, L.BatchNormalization()(L.Dense(4)(start)), name="frozen")
    frozen.trainable = False
    start = tf_keras.Input((6,), name="start")
    return tf_keras.Model(start, frozen(middle(start)), name="outer")


def make_shared_between_levels():
    """A model that another calls and the one around both too (on the input: else tf_keras can't read its own file)."""
    start = tf_keras.Input((6,))
    inner = tf_keras.Model(start, L.BatchNormalization()(L.Dense(6)(start)), name="inner")
    start = tf_keras.Input((6,))
    middle = tf_keras.Model(start, L.Dense(5)(inner(start)), name="middle")
    start = tf_keras.Input((6,), name="start")
    return tf_keras.Model(start, [middle(start), inner(start)], name="outer")


def make_shared():
    """Two inputs through one local layer and one model, each called twice, and three outputs of which one goes on."""
    left, right = (tf_keras.Input((7, 2), name=name) for name in ("left", "right"))
    local, stack = L.LocallyConnected1D(3, 2, name="local"), tf_keras.Sequential([L.Conv1D(4, 3), L.LSTM(5)])
    sides = [stack(local(side)) for side in (left, right)]
    distance = L.Dot(1, normalize=True)(sides)
    return tf_keras.Model([right, left], [distance, sides[1], local(right)])


def make_several_ends_within():
    """A nested model of two inputs and two outputs, its second output read alone."""
    ends = [tf_keras.Input((6,)), tf_keras.Input((4,))]
    both = L.Concatenate()(ends)
    inner = tf_keras.Model(ends, [L.Dense(3)(both), L.Dense(5)(both)], name="inner")
    start = tf_keras.Input((6,), name="start")
    first, second = inner([start, L.Dense(4)(start)])
    return tf_keras.Model(start, [L.Dense(2)(second), first])


def make_mapping():
    ends = {"right": tf_keras.Input((4,), name="right"), "left": tf_keras.Input((6,), name="left")}
    both = L.Concatenate()([ends["left"], ends["right"]])
    return tf_keras.Model([ends["right"], ends["left"]], {"all": both, "sum": L.Dense(3)(both)})


def make_precise():
    layers = [L.Conv2D(3, (3, 2), dtype="float64"), L.LocallyConnected2D(4, 2, dtype="float64")]
    start = tf_keras.Input((5, 7, 2), dtype="float64")
    return tf_keras.Model(start, layers[1](layers[0](start)))


STRUCTURES = (
    *(make_sequential, make_stack_of_stacks, make_nested, make_shared, make_several_ends_within, make_mapping),
    *(make_precise, make_shared_between_levels, make_same_names),
)


def count_trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize("make", STRUCTURES)
def test_models_of_models_predict_the_same(make, tmp_path):
    with made.quiet():
        old = made.randomize(make())
    new = check_import(old, tmp_path / "old.h5")
    if make is not make_shared_between_levels:  # whose file does not tell that the two are one
        assert count_trainable(new) == count_trainable(old)


def test_mixed_precision_is_kept(tmp_path):
    policy = tf_keras.mixed_precision.Policy("mixed_float16")
    layers = [L.LocallyConnected2D(3, (3, 2), dtype=policy, name="local"), L.Flatten(dtype=policy), L.Dense(4)]
    old = made.make_model({"": (made.chain(*layers), "image")})
    new = legacy.load_model(made.save(old, tmp_path / "old.h5"))
    assert new.get_layer("local").dtype_policy.name == "mixed_float16"
    inputs = made.make_inputs(old)
    made.check_equal(made.predict(old, inputs), made.predict(new, inputs), ["mixed"], tolerance=0.01)


def test_a_stateful_layer_goes_on_where_it_was(tmp_path):
    branches = {kind.__name__: (kind(4, stateful=True), "steps") for kind in (L.SimpleRNN, L.LSTM, L.GRU)}
    old = made.make_model(branches, batch_size=made.BATCH)
    new = legacy.load_model(made.save(old, tmp_path / "old.h5"))
    inputs = made.make_inputs(old)
    first, second = ([made.predict(model, inputs) for _ in range(2)] for model in (old, new))
    for expected, got in zip(first, second, strict=True):
        made.check_equal(expected, got, list(branches))
    assert not np.allclose(first[0][0], first[1][0])


@pytest.mark.parametrize(("make", "kind"), [(make_nested, "json"), (make_stack_of_stacks, "yaml")])
def test_architecture_and_weights_apart_predict_the_same(make, kind, tmp_path):
    with made.quiet():
        old = made.randomize(make())
    made.check_same_predictions(old, legacy.load_model(**made.save_in_parts(old, tmp_path, kind)))


def test_the_weights_of_a_whole_model_serve_an_architecture(tmp_path):
    with made.quiet():
        old = made.randomize(make_shared())
    parts = made.save_in_parts(old, tmp_path, "json")
    whole = made.save(old, tmp_path / "old.h5")
    made.check_same_predictions(old, legacy.load_model(parts["path"], weights=whole))


def test_weights_of_another_model_are_refused(tmp_path):
    with made.quiet():
        old, other = made.randomize(make_nested()), made.randomize(make_stack_of_stacks())
    (tmp_path / "other").mkdir()
    path = made.save_in_parts(old, tmp_path, "json")["path"]
    with pytest.raises(lctrain.errors.UserError, match=r"layer|weights"):
        legacy.load_model(path, weights=made.save_in_parts(other, tmp_path / "other", "json")["weights"])


def test_weights_in_the_layout_of_keras_3_are_told(tmp_path):
    with made.quiet():
        old = made.randomize(make_sequential())
        old.save_weights(tmp_path / "new.weights.h5")
    path = made.save_in_parts(old, tmp_path, "json")["path"]
    with pytest.raises(lctrain.errors.UserError, match="Keras 3"):
        legacy.load_model(path, weights=tmp_path / "new.weights.h5")


def make_without_shape(folder):
    """A model that was never told its input shape, as older versions wrote it: file and original."""
    with made.quiet():
        old = tf_keras.Sequential([L.Conv2D(3, (3, 2)), L.LocallyConnected2D(4, 2, implementation=2), L.Flatten()])
        old.build((None, 5, 7, 2))
        path = made.save(made.randomize(old), folder / "old.h5")
    with h5py.File(path, "r+") as file:
        content = json.loads(file.attrs["model_config"])
        content["config"]["layers"] = content["config"]["layers"][1:]
        assert "input_shape" not in json.dumps(content)
        file.attrs["model_config"] = json.dumps(content)
    return path, old


def test_a_model_without_an_input_shape_is_given_one(tmp_path):
    path, old = make_without_shape(tmp_path)
    with pytest.raises(lctrain.errors.UserError, match="input_shape"):
        legacy.load_model(path)
    made.check_same_predictions(old, legacy.load_model(path, input_shape=(5, 7, 2)))


# What is refused


class Doubled(L.Layer):
    """A layer of a user's own."""

    def call(self, inputs):
        return inputs * 2


def tripled(inputs):
    return inputs * 3


def lookup():
    start = tf_keras.Input((1,), dtype="string")
    return tf_keras.Model(start, L.StringLookup(vocabulary=["a", "b"], name="culprit")(start))


def on(source, call):
    return lambda: made.make_model({"culprit": (call, source)})


def random_crop(tensor):
    return L.RandomCrop(3, 4, name="culprit")(tensor)  # which Keras 3.15 leaves out but in training


REFUSED = {  # the model, and what is said of the layer `culprit`: the field, and the value or a part of it
    "Lambda": (on("row", lambda x: L.Lambda(lambda x: x * 2, name="culprit")(x)), "class_name", "Lambda"),
    "operator": (on("row", lambda x: L.Dense(3, name="before")(x) + 1), "class_name", "TFOpLambda"),
    "function": (on("row", tf.abs), "class_name", "TFOpLambda"),
    "slice": (on("row", lambda x: x[:, 2:]), "class_name", "SlicingOpLambda"),
    "strings": (lookup, "class_name", "StringLookup"),
    "own layer": (on("row", lambda x: Doubled(name="culprit")(x)), "class_name", "Doubled"),
    "own activation": (on("row", lambda x: L.Dense(3, activation=tripled, name="culprit")(x)), "activation", "tripled"),
    "states": (on("steps", lambda x: L.LSTM(4, return_state=True, name="culprit")(x)[1]), "states", 1),
    "merge_mode": (
        on("steps", lambda x: L.Add()(L.Bidirectional(L.LSTM(4), merge_mode=None, name="culprit")(x))),
        *("merge_mode", None),
    ),
    "time_major": (on("steps", lambda x: L.LSTM(4, time_major=True, name="culprit")(x)), "time_major", True),
    "axes": (on("image", lambda x: L.BatchNormalization(axis=[1, 2], name="culprit")(x)), "axis", [1, 2]),
    "RandomCrop": (on("image", random_crop), "class_name", "RandomCrop"),
    "RandomHeight": (on("image", lambda x: L.RandomHeight(0.2, name="culprit")(x)), "class_name", "RandomHeight"),
    "scores": (
        on("steps", lambda x: L.MultiHeadAttention(2, 3, name="culprit")(x, x, return_attention_scores=True)[1]),
        *("return_attention_scores", True),
    ),
}
NAMES = {"operator": "tf.__operators__.add", "function": "tf.math.abs", "slice": "tf.__operators__.getitem"}


def check_refused(path, name, field, value, **options):
    """Asserts that a file is refused, and that layer, field and value are told, first or among others."""
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=re.escape(name)) as caught:
        legacy.load_model(path, **options)
    error = caught.value
    assert isinstance(error, lctrain.errors.UserError)
    lines = [line for line in str(error).splitlines() if all(one in line for one in (name, field, str(value)))]
    assert lines, f"no line tells {name}, {field}, {value}: {error}"
    first = (error.layer, error.field, str(error.value))
    assert any(all(one in line for one in first) for line in str(error).splitlines())


@pytest.mark.parametrize("kind", ["Conv1D", "Conv1DTranspose"])
def test_a_bias_that_keras_3_would_add_along_the_wrong_axis_is_right(kind, tmp_path):
    """Keras 3.15's `ops.add` takes a bias of shape (n, 1) for one along a last axis that has n elements."""
    layer = getattr(L, kind)(7, 3, padding="same", data_format="channels_first", name="culprit")
    old = made.make_model({"": (layer, "steps_first")})
    new = legacy.load_model(made.save(old, tmp_path / "old.h5"))
    assert [type(one).__name__ for one in new.layers] == ["InputLayer", kind]
    made.check_same_predictions(old, new, is_compiled=True)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_said_today_is_refused_by_name(case, tmp_path):
    make, field, value = REFUSED[case]
    with made.quiet():
        old = make()
    name = next(layer.name for layer in old.layers if layer.name.startswith(NAMES.get(case, "culprit")))
    check_refused(made.save(old, tmp_path / "old.h5"), name, field, value)


def test_what_is_refused_is_found_within_models_and_wrappers(tmp_path):
    with made.quiet():
        stack = tf_keras.Sequential([L.Input((6,)), L.Lambda(lambda x: x * 2, name="culprit")], name="within")
        old = made.make_model({"": (L.TimeDistributed(stack), "rows")}, rows=(5, 6))
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=r"time_distributed.*culprit.*Lambda"):
        legacy.load_model(made.save(old, tmp_path / "old.h5"))


def test_bilinear_upsampling_of_old_keras_is_refused(tmp_path):
    layer = L.UpSampling2D((2, 3), interpolation="bilinear", name="culprit")
    path = made.save(made.make_model({"culprit": (layer, "image")}), tmp_path / "old.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "2.2.4"
    check_refused(path, "culprit", "interpolation", "bilinear")


# What is written


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A trained model with local layers, its file and what it was imported to."""
    folder = tmp_path_factory.mktemp("compiled")
    with made.quiet():
        start = tf_keras.Input((5, 7, 2), name="start")
        local = L.LocallyConnected2D(3, (3, 2), implementation=3, padding="same", activation="relu", name="local")
        after = L.LocallyConnected2D(4, 2, name="e.f-g")(L.BatchNormalization(name="norm")(local(start)))
        old = tf_keras.Model(start, L.Dense(4, activation="softmax", name="head")(L.Flatten(name="flat")(after)))
        old.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        old.fit(np.random.default_rng(0).standard_normal((8, 5, 7, 2)), np.arange(8) % 4, verbose=0)
    path = made.save(made.randomize(old), folder / "old.h5")
    return old, path, legacy.import_model(path, folder / "new"), folder / "new"


def test_the_written_model_is_loaded_again(compiled):
    old, _, imported, folder = compiled
    made.check_same_predictions(old, imported.model)
    made.check_same_predictions(old, keras.saving.load_model(folder / "model.keras"))


def test_the_written_configuration_builds_the_model(compiled):
    old, _, imported, folder = compiled
    assert yaml.safe_load((folder / "model.yaml").read_text()) == imported.config
    shape = {} if "inputs" in imported.config else {"input_shape": (5, 7, 2)}
    built = lctrain.build(folder / "model.yaml", **shape)
    built.set_weights(imported.model.get_weights())
    made.check_same_predictions(old, built)


def test_the_written_configuration_is_accepted_by_check(compiled, run_lctrain, tmp_path):
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "old.yaml").write_bytes((compiled[-1] / "model.yaml").read_bytes())
    data = ("data=synthetic", "data.input_shape=[5,7,2]", "data.num_classes=4")
    finished = run_lctrain(tmp_path, "check", "--config-dir", "mine", "model=old", *data)
    assert finished.returncode == 0, finished.stderr


def test_the_written_report_names_what_was_dropped_and_changed(compiled):
    _, _, imported, folder = compiled
    assert json.loads((folder / "report.json").read_text())
    for text in ((folder / "report.json").read_text(), (folder / "report.txt").read_text()):
        assert "optimizer" in text
        assert "e.f-g" in text
        assert "implementation" in text
    kinds = {line.kind for line in imported.report.lines}
    assert kinds <= {"assumed", "translated", "approximated", "dropped"}
    assert any("optimizer" in f"{line.field} {line.value} {line.note}" for line in imported.report.lines)
    local = {line.field: line.value for line in imported.report.lines if line.layer == "local"}
    assert (local["implementation"], local["padding"]) == (3, "same")


def test_strict_makes_a_line_of_the_report_an_error(compiled):
    with pytest.raises(lctrain.errors.UserError, match=r"kernel_initializer.*got 'GlorotUniform'"):
        legacy.load_model(compiled[1], strict=True)
    assert all("optimizer" not in line and "training_config" not in line for line in inspect_strictly(compiled[1]))


def inspect_strictly(path):
    return legacy.inspect(path, strict=True).problems


def test_inspection_tells_layers_without_building(compiled, tmp_path):
    found = legacy.inspect(compiled[1])
    assert (found.keras_version, found.keras_major, found.backend) == (tf_keras.__version__, 2, "tensorflow")
    assert not found.problems
    layers = {layer.name: layer for layer in found.layers}
    assert {layer.type for layer in found.layers} >= {"LocallyConnected2D", "BatchNormalization", "Flatten", "Dense"}
    assert tuple(layers["local"].output_shape) == (None, 5, 7, 3)
    assert layers["local"].original_type == "LocallyConnected2D"
    path = made.save(REFUSED["Lambda"][0](), tmp_path / "lambda.h5")
    assert "Lambda" in str(legacy.inspect(path).problems)


# The command line


def test_the_command_imports(compiled, run_lctrain, tmp_path):
    old, path, _, _ = compiled
    finished = run_lctrain(tmp_path, "import", str(path), "--out", "new")
    assert finished.returncode == 0, finished.stderr
    assert "optimizer" in finished.stdout
    assert {file.name for file in (tmp_path / "new").iterdir()} == {
        *("model.keras", "model.yaml", "report.txt", "report.json")
    }
    made.check_same_predictions(old, keras.saving.load_model(tmp_path / "new" / "model.keras"))
    finished = run_lctrain(tmp_path, "import", str(path), "--out", "new")
    check_user_error(finished, "new")


def test_the_command_takes_weights_and_shape(run_lctrain, tmp_path):
    path, old = make_without_shape(tmp_path)
    with h5py.File(path) as file:
        (tmp_path / "old.json").write_text(file.attrs["model_config"])
    shape = ("--input-shape", "5,7,2", "--backend", "tensorflow")
    finished = run_lctrain(tmp_path, "import", "old.json", "--out", "new", "--weights", "old.h5", *shape)
    assert finished.returncode == 0, finished.stderr
    made.check_same_predictions(old, keras.saving.load_model(tmp_path / "new" / "model.keras"))


def check_user_error(finished, *words):
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    assert all(word in finished.stderr for word in words), finished.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.h5", "--out", "new"), ("missing.h5",)),
        (("{path}",), ("--out",)),
        (("{path}", "--out", "new", "--strict"), ("--strict", "kernel_initializer")),
        (("{path}", "--out", "new", "--backend", "torch"), ("backend", "torch")),
        (("{path}", "--out", "new", "--input-shape", "5,many"), ("input-shape", "many")),
    ],
    ids=["missing file", "no folder", "strict", "unknown backend", "shape of words"],
)
def test_the_command_tells_mistakes(compiled, run_lctrain, tmp_path, arguments, words):
    arguments = [argument.format(path=compiled[1]) for argument in arguments]
    check_user_error(run_lctrain(tmp_path, "import", *arguments), *words)
    assert not (tmp_path / "new").exists()
