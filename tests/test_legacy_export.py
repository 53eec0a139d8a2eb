"""Models of today written for older readers: tf_keras, DL4J, TensorFlow and TFLite predict the same."""

import itertools
import json
import re
import subprocess
import sys

import h5py
import keras
import made_tf_keras as made
import mlflow
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import lctrain
from lctrain import legacy
from lctrain.errors import UserError
from lctrain.layers import (
    IMPLEMENTATION_NAMES,
    LocallyConnected1D,
    LocallyConnected2D,
    LocallyConnected3D,
    LowRankLocallyConnected2D,
)

K = keras.layers
PADDINGS = {1: ("valid", "same", "causal", ((2, 1),)), 2: ("valid", "same", ((2, 1), (0, 3)))}
STRIDES = {1: (1, 3), 2: ((1, 1), (2, 1))}
KERNELS = {1: 4, 2: (3, 2)}
KERAS_2_FIELDS = {  # of a locally connected layer in Keras 2.0 to 2.3
    *("name", "trainable", "batch_input_shape", "dtype", "filters", "kernel_size", "strides", "padding", "data_format"),
    *("activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer"),
    *("activity_regularizer", "kernel_constraint", "bias_constraint"),
}


def make_model(branches):
    """A functional model of Keras 3 with one output for each branch, all independent, its weights random."""
    inputs, outputs = {}, []
    for call, *sources in branches.values():
        for source in sources:
            kind = "int32" if source in made.WHOLE_NUMBERS else "float32"
            inputs.setdefault(source, keras.Input(made.SHAPES[source], dtype=kind, name=source))
        tensors = [inputs[source] for source in sources]
        outputs.append(call(tensors[0] if len(tensors) == 1 else tensors))
    return made.randomize(keras.Model(list(inputs.values()), outputs))


def check_export(model, path, names=None, is_compiled=False, to="keras2-h5"):
    """Writes a model, and asserts that tf_keras and our own import predict from the file what the model does."""
    report = legacy.export_model(model, path, to)
    made.check_same_predictions(model, made.load(path), names, is_compiled)
    made.check_same_predictions(model, legacy.load_model(path), names, is_compiled)
    return report


# Locally connected layers


def local_combinations(rank, data_format):
    """The arguments, by a name that tells them, of layers of every padding, bias and strides, the implementations in
    turn."""
    implementations = itertools.cycle(IMPLEMENTATION_NAMES)
    found = {}
    for padding, use_bias, strides in itertools.product(PADDINGS[rank], (True, "shared", False), STRIDES[rank]):
        implementation = next(implementations)
        name = f"padding={padding} use_bias={use_bias} strides={strides} implementation={implementation}"
        options = {"padding": padding, "use_bias": use_bias, "strides": strides, "implementation": implementation}
        found[name] = {"filters": 3, "kernel_size": KERNELS[rank], "data_format": data_format, **options}
    return found


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("rank", "count"), [(1, 24), (2, 18)])
def test_every_locally_connected_layer_of_zero_padding_predicts_the_same(rank, count, data_format, tmp_path):
    layer_class, source = (LocallyConnected1D, LocallyConnected2D)[rank - 1], made.LOCAL_INPUTS[rank, data_format]
    combinations = local_combinations(rank, data_format)
    assert len(combinations) == count
    used = {(arguments["implementation"], arguments["padding"]) for arguments in combinations.values()}
    assert {implementation for implementation, _ in used} == set(IMPLEMENTATION_NAMES)
    branches = {name: (layer_class(**arguments), source) for name, arguments in combinations.items()}
    model, path = make_model(branches), tmp_path / "old.h5"
    report = check_export(model, path, list(branches))
    assert {line.field for line in report.lines} >= {"padding", "use_bias", "implementation"}
    local = [layer for layer in made.load(path).layers if type(layer).__name__ == layer_class.__name__]
    assert len(local) == count
    assert {(layer.implementation, layer.padding, layer.data_format) for layer in local} == {(1, "valid", data_format)}


def test_arguments_of_locally_connected_layers_are_kept(tmp_path):
    arguments = {
        "activation": "softsign",
        "kernel_initializer": keras.initializers.HeNormal(seed=4),
        "kernel_regularizer": keras.regularizers.L1L2(0.02, 0.03),
        "bias_regularizer": keras.regularizers.L2(0.04),
        "bias_constraint": keras.constraints.NonNeg(),
    }
    layer = LocallyConnected2D(3, (3, 2), (1, 2), **arguments, name="local", trainable=False)
    check_export(make_model({"local": (layer, "image")}), tmp_path / "old.h5")
    old = made.load(tmp_path / "old.h5").get_layer("local")
    assert (old.filters, old.kernel_size, old.strides) == (3, (3, 2), (1, 2))
    assert old.activation.__name__ == "softsign"
    assert isinstance(old.kernel_initializer, tf_keras.initializers.HeNormal)
    assert (float(old.kernel_regularizer.l1), float(old.kernel_regularizer.l2)) == pytest.approx((0.02, 0.03))
    assert float(old.bias_regularizer.l2) == pytest.approx(0.04)
    assert isinstance(old.bias_constraint, tf_keras.constraints.NonNeg)
    assert not old.trainable


# With other layers


def make_stack():
    layers = [
        K.Conv2D(4, (3, 2), padding="same", activation="relu"),
        K.BatchNormalization(),
        LocallyConnected2D(3, (3, 2), padding="same", use_bias="shared", implementation=3, activation="tanh"),
        K.Dropout(0.3),
        LocallyConnected2D(2, 2, strides=(1, 2)),
        K.Flatten(),
        K.Dense(4, activation="softmax"),
    ]
    return keras.Sequential([keras.Input((5, 7, 2)), *layers], name="stack")


def make_sequences():
    start = keras.Input((7, 2), name="start")
    local = LocallyConnected1D(3, 2, padding="causal", name="local")(start)
    both = K.Bidirectional(K.LSTM(4, return_sequences=True))(local)
    ends = [K.GRU(5)(both), K.GRU(5, reset_after=False, go_backwards=True)(both), K.SimpleRNN(5)(local)]
    merged = K.Add()([K.Multiply()(ends[:2]), K.Maximum()(ends[1:]), K.Average()(ends)])
    return keras.Model(start, [merged, K.Dot(1, normalize=True)(ends[:2]), K.Concatenate()([*ends, K.Flatten()(both)])])


def make_shared():
    """Two inputs through one local layer and one model, each called twice."""
    left, right = (keras.Input((7, 2), name=name) for name in ("left", "right"))
    local = LocallyConnected1D(3, 2, padding="same", name="local")
    stack = keras.Sequential([K.Conv1D(4, 3), K.LSTM(5)], name="tower")
    sides = [stack(local(side)) for side in (left, right)]
    return keras.Model([right, left], [K.Subtract()(sides), sides[0]])


def make_nested():
    """Models within models, a frozen one too, and local layers with padding in the innermost."""
    start = keras.Input((5, 7, 2))
    local = LocallyConnected2D(3, (3, 2), padding=((1, 2), (0, 3)), name="local")
    inner = keras.Model(start, K.BatchNormalization()(local(start)), name="inner")
    frozen = keras.Sequential([keras.Input((90,)), K.Dense(4), K.BatchNormalization()], name="frozen")
    frozen.trainable = False
    middle = keras.Sequential([keras.Input((5, 7, 2)), inner, K.Flatten(), K.Dense(90)], name="middle")
    start = keras.Input((5, 7, 2), name="start")
    return keras.Model(start, frozen(middle(start)), name="outer")


def make_uneven():
    """Branches of two and one equal layers, one of which is longer in the file: tf_keras assigns weights by depth."""
    start = keras.Input((7, 2), name="start")
    left = K.Dense(3, name="left2")(K.Dense(3, name="left1")(start))
    right = LocallyConnected1D(4, 2, padding="same", name="local")(K.Dense(3, name="right1")(start))
    return keras.Model(start, [left, right])


@pytest.mark.parametrize("make", [make_stack, make_sequences, make_shared, make_nested, make_uneven])
def test_models_with_other_layers_predict_the_same(make, tmp_path):
    check_export(made.randomize(make()), tmp_path / "old.h5")


def test_layers_that_tf_keras_has_predict_the_same(tmp_path):
    branches = {
        "Conv1D": (K.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="gelu"), "steps"),
        "Conv2D groups": (K.Conv2D(4, (3, 2), groups=2, strides=(2, 1)), "image"),
        "Conv3D": (K.Conv3D(3, (2, 3, 4), padding="same"), "volume"),
        "Conv2DTranspose": (K.Conv2DTranspose(3, (3, 2), strides=(2, 3)), "image"),
        "DepthwiseConv2D": (K.DepthwiseConv2D((3, 2), depth_multiplier=2), "image"),
        "SeparableConv2D": (K.SeparableConv2D(3, (3, 2), depth_multiplier=2), "image"),
        "MaxPooling2D": (K.MaxPooling2D((3, 2), strides=(1, 3), padding="same"), "image"),
        "AveragePooling1D": (K.AveragePooling1D(3), "steps"),
        "GlobalAveragePooling2D": (K.GlobalAveragePooling2D(keepdims=True), "image"),
        "ZeroPadding2D": (K.ZeroPadding2D(((1, 2), (3, 0))), "image"),
        "Cropping2D": (K.Cropping2D(((1, 2), (3, 0))), "image"),
        "UpSampling2D": (K.UpSampling2D((2, 3), interpolation="bilinear"), "image"),
        "BatchNormalization": (K.BatchNormalization(axis=1, scale=False), "image"),
        "LayerNormalization": (K.LayerNormalization(axis=(1, 2)), "image"),
        "GroupNormalization": (K.GroupNormalization(3), "wide_image"),
        "Embedding": (made.chain(K.Embedding(5, 4, mask_zero=True), K.LSTM(3)), "words"),
        "TimeDistributed": (K.TimeDistributed(K.Conv2D(3, (3, 2))), "volume"),
        "LeakyReLU": (K.LeakyReLU(0.2), "row"),
        "PReLU": (K.PReLU(shared_axes=(1, 2)), "image"),
        "ReLU": (K.ReLU(max_value=1.2, negative_slope=0.1, threshold=0.3), "row"),
        "Softmax": (K.Softmax(axis=1), "image"),
        "Reshape": (K.Reshape((2, -1, 5)), "image"),
        "Permute": (K.Permute((3, 1, 2)), "image"),
        "Rescaling": (K.Rescaling(0.5, offset=-1.0), "image"),
    }
    check_export(make_model(branches), tmp_path / "old.h5", list(branches))


@pytest.mark.parametrize("group", ["core", "normalizations", "recurrent", "wrappers"])
def test_what_was_imported_is_exported_as_it_came(group, tmp_path):
    names, old = made.make_group(group)
    new = legacy.load_model(made.save(old, tmp_path / "old.h5"))
    legacy.export_model(new, tmp_path / "again.h5", "keras2-h5")
    made.check_same_predictions(old, made.load(tmp_path / "again.h5"), names)


# What is refused

REFUSED = {  # a layer `culprit`, its input, and what is said of it: the field, and the value
    "3D": (lambda: LocallyConnected3D(3, 2, name="culprit"), "volume", "class_name", "LocallyConnected3D"),
    "low rank": (lambda: LowRankLocallyConnected2D(3, 2, name="culprit"), *("image", "class_name", "LowRank")),
    "groups": (lambda: LocallyConnected2D(4, (3, 2), groups=2, name="culprit"), "image", "groups", 2),
    "dilation": (
        lambda: LocallyConnected2D(3, 2, dilation_rate=(1, 3), name="culprit"),
        "image",
        "dilation_rate",
        (1, 3),
    ),
    "circular": (lambda: LocallyConnected2D(3, 2, padding="circular", name="culprit"), "image", "padding", "circular"),
    "reflect": (lambda: LocallyConnected1D(3, 2, padding="reflect", name="culprit"), "steps", "padding", "reflect"),
    "later layer": (lambda: K.RMSNormalization(name="culprit"), "image", "class_name", "RMSNormalization"),
    "uncallable": (lambda: K.SpectralNormalization(K.Dense(3), name="culprit"), "row", "class_name", "SpectralNorm"),
    "later activation": (lambda: K.Dense(3, activation="hard_silu", name="culprit"), "row", "activation", "hard_silu"),
    "hard_sigmoid": (
        lambda: K.Dense(3, activation="hard_sigmoid", name="culprit"),
        "row",
        "activation",
        "hard_sigmoid",
    ),
}
NOT_FOR_DL4J = {
    "same": (lambda: LocallyConnected2D(3, 2, padding="same", name="culprit"), "image", "padding", "same"),
    "causal": (lambda: LocallyConnected1D(3, 2, padding="causal", name="culprit"), "steps", "padding", "causal"),
    "zeros": (lambda: LocallyConnected1D(3, 2, padding=((0, 1),), name="culprit"), "steps", "padding", (0, 1)),
}


def check_refused(model, path, to, field, value):
    """Asserts that a model is refused, that layer, field and value are told, and that nothing is written."""
    with pytest.raises(legacy.UnsupportedExportError, match=field) as caught:
        legacy.export_model(model, path, to)
    error = caught.value
    assert isinstance(error, UserError)
    assert (error.layer, error.field) == ("culprit", field)
    value, message, text = (str(one).replace("[", "(").replace("]", ")") for one in (value, error.value, error))
    assert value in message
    assert re.search(rf"culprit\b.*{re.escape(value)}", text)
    assert not path.exists()


@pytest.mark.parametrize("to", ["keras2-h5", "dl4j-h5"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_tf_keras_cannot_do_is_refused_by_name(case, to, tmp_path):
    make, source, field, value = REFUSED[case]
    check_refused(make_model({"culprit": (make(), source)}), tmp_path / "old.h5", to, field, value)


@pytest.mark.parametrize("case", NOT_FOR_DL4J)
def test_what_dl4j_does_not_document_is_refused_by_name(case, tmp_path):
    make, source, field, value = NOT_FOR_DL4J[case]
    check_refused(make_model({"culprit": (make(), source)}), tmp_path / "old.h5", "dl4j-h5", field, value)


def test_a_refused_layer_is_found_within_models(tmp_path):
    inner = keras.Sequential([keras.Input((5, 7, 2)), LocallyConnected2D(3, 2, padding="reflect", name="culprit")])
    model = make_model({"": (made.chain(inner, K.Flatten()), "image")})
    with pytest.raises(legacy.UnsupportedExportError, match=r"culprit.*padding.*reflect"):
        legacy.export_model(model, tmp_path / "old.h5", "keras2-h5")


@pytest.mark.parametrize(("call", "name"), [(lambda tensor: tensor + 1, "add"), (keras.ops.relu, "relu")])
def test_operations_on_tensors_are_refused_by_name(call, name, tmp_path):
    with pytest.raises(legacy.UnsupportedExportError, match=name):
        legacy.export_model(make_model({"": (call, "row")}), tmp_path / "old.h5", "keras2-h5")


def check_equal_or_refused(model, path, name, is_compiled=False):
    try:
        legacy.export_model(model, path, "keras2-h5")
    except legacy.UnsupportedExportError as error:
        assert name in str(error)  # noqa: PT017 - the other case is as good
    else:
        made.check_same_predictions(model, made.load(path), is_compiled=is_compiled)


PLAIN = {  # layers of Keras' own that misplace a sum (see test_sums)
    "Conv1D": (lambda: K.Conv1D(7, 3, padding="same", data_format="channels_first", name="culprit"), "steps_first"),
    "EinsumDense": (lambda: K.EinsumDense("abc,cd->abd", (7, 7), bias_axes="b", name="culprit"), "steps"),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_sum_that_keras_misplaces_is_exported_of_layers_that_do_not_alone(kind, tmp_path):
    make, source = PLAIN[kind]
    plain = make_model({"": (make(), source)})
    with pytest.raises(legacy.UnsupportedExportError, match=rf"culprit.*model_to_config.*got {kind!r}"):
        legacy.export_model(plain, tmp_path / "old.h5", "keras2-h5")
    with pytest.warns(UserWarning, match="`culprit`: Keras"):
        config = lctrain.model_to_config(plain)
    built = lctrain.build(config, input_shape=made.SHAPES[source])
    check_export(made.randomize(built), tmp_path / "old.h5", is_compiled=True)


def test_a_merge_that_keras_misplaces_in_some_batches_alone_is_told(tmp_path):
    one, two = keras.Input((5, 5), name="one"), keras.Input((5, 1), name="two")
    model = keras.Model([one, two], K.Add(name="sum")([one, two]))
    report = legacy.export_model(model, tmp_path / "old.h5", "keras2-h5")
    assert "Keras 3.15 adds wrongly" in str(report)


def test_names_that_tf_keras_refuses_do_not_make_a_file_that_it_cannot_read(tmp_path):
    check_equal_or_refused(make_model({"": (K.Dense(3, name="größe"), "row")}), tmp_path / "old.h5", "größe")


def test_an_unknown_format_is_told(tmp_path):
    model = make_model({"": (K.Dense(3), "row")})
    with pytest.raises(UserError, match=r"keras2-h6.*keras2-h5"):
        legacy.export_model(model, tmp_path / "old.h5", "keras2-h6")


# DL4J


def read_weights(path):
    """The arrays of a file, by the layer's name and the weight's."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name.split("/")[0], name.split("/")[-1].split(":")[0]] = item[()]

    with h5py.File(path) as file:
        file["model_weights"].visititems(visit)
    return found


def make_for_dl4j(rank):
    source = ("steps", "image")[rank - 1]
    layers = [
        (LocallyConnected1D, LocallyConnected2D)[rank - 1](3, (2, (3, 2))[rank - 1], implementation=3, name="first"),
        (LocallyConnected1D, LocallyConnected2D)[rank - 1](4, 2, strides=2, use_bias=False, name="second"),
    ]
    head = [K.Flatten(), K.Dense(5, activation="softmax")]
    return made.randomize(keras.Sequential([keras.Input(made.SHAPES[source]), *layers, *head], name="for_dl4j"))


@pytest.mark.parametrize(("rank", "shape"), [(1, (6, 4, 3)), (2, (18, 12, 3))])
def test_files_for_dl4j_hold_what_it_documents(rank, shape, tmp_path):
    model, path = make_for_dl4j(rank), tmp_path / "dl4j.h5"
    check_export(model, path, to="dl4j-h5")
    first, weights = model.get_layer("first"), read_weights(path)
    assert weights["first", "kernel"].shape == shape  # (positions, taps * channels, filters)
    np.testing.assert_array_equal(weights["first", "kernel"], first.kernel)
    np.testing.assert_array_equal(weights["first", "bias"], first.bias)
    with h5py.File(path) as file:
        config, version = json.loads(file.attrs["model_config"]), file.attrs["keras_version"]
        assert file.attrs["backend"] == "tensorflow"
    assert str(version).startswith("2.")
    assert config["class_name"] == "Sequential"
    local = [layer["config"] for layer in config["config"]["layers"] if "LocallyConnected" in layer["class_name"]]
    assert [layer["name"] for layer in local] == ["first", "second"]
    for layer in local:
        assert set(layer) <= KERAS_2_FIELDS
        assert (layer["padding"], layer["activation"]) == ("valid", "linear")
        assert len(layer["kernel_size"]) == len(layer["strides"]) == rank
    assert not {"module", "registered_name", "build_config"} & set(json.dumps(config).split('"'))


# TensorFlow and TFLite


def test_a_saved_model_serves_the_same(tmp_path):
    model = made.randomize(make_nested())
    legacy.export_model(model, tmp_path / "saved", "savedmodel")
    inputs = made.make_inputs(model)
    with made.quiet():
        saved = tf.saved_model.load(str(tmp_path / "saved"))
        served = saved.serve(*inputs)
    made.check_equal(made.predict(model, inputs), [np.asarray(end) for end in tf.nest.flatten(served)], ["served"])


@pytest.mark.parametrize("rank", [1, 2])
def test_tflite_predicts_the_same(rank, tmp_path):
    model, path = make_for_dl4j(rank), tmp_path / "model.tflite"
    legacy.export_model(model, path, "tflite")
    inputs = made.make_inputs(model)
    with made.quiet():
        interpreter = tf.lite.Interpreter(model_path=str(path))
        (start,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.resize_tensor_input(start["index"], inputs[0].shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(start["index"], inputs[0])
        interpreter.invoke()
        got = interpreter.get_tensor(end["index"])
    made.check_equal(made.predict(model, inputs), [got], ["interpreted"], tolerance=1e-4)


# The command line


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model in a `.keras` file, and one that can't be exported."""
    folder = tmp_path_factory.mktemp("saved")
    model = made.randomize(make_stack())
    model.save(folder / "model.keras")
    make_model({"culprit": (REFUSED["circular"][0](), "image")}).save(folder / "circular.keras")
    return model, folder


def test_the_command_exports_a_file(saved, run_lctrain, tmp_path):
    model, folder = saved
    finished = run_lctrain(folder, "export", "model.keras", "--to", "keras2-h5", "--out", str(tmp_path / "old.h5"))
    assert finished.returncode == 0, finished.stderr
    assert "padding" in finished.stdout
    made.check_same_predictions(model, made.load(tmp_path / "old.h5"))


def test_the_command_exports_a_run(run_lctrain, tmp_path):
    data = ("data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=120")
    layers = {"lc": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": 2}, "flatten": "Flatten"}
    (tmp_path / "mine" / "model").mkdir(parents=True)
    layers["head"] = {"type": "Dense", "units": "${data.num_classes}", "activation": "softmax"}
    (tmp_path / "mine" / "model" / "tiny.yaml").write_text(json.dumps({"name": "tiny", "layers": layers}))
    finished = run_lctrain(tmp_path, "--config-dir", "mine", "model=tiny", "training.epochs=1", *data)
    assert finished.returncode == 0, finished.stderr
    (run,) = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").search_runs(["1"])
    finished = run_lctrain(tmp_path, "export", run.info.run_id, "--to", "keras2-h5", "--out", "old.h5")
    assert finished.returncode == 0, finished.stderr
    assert made.load(tmp_path / "old.h5").output_shape == (None, 10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.keras", "--to", "keras2-h5", "--out", "{out}"), ("missing.keras",)),
        (("model.keras", "--to", "keras2-h6", "--out", "{out}"), ("keras2-h6", "keras2-h5")),
        (("model.keras", "--out", "{out}"), ("--to",)),
        (("circular.keras", "--to", "keras2-h5", "--out", "{out}"), ("culprit", "padding", "circular")),
    ],
    ids=["missing file", "unknown format", "no format", "refused layer"],
)
def test_the_command_tells_mistakes(saved, run_lctrain, tmp_path, arguments, words):
    arguments = [argument.format(out=tmp_path / "old.h5") for argument in arguments]
    finished = run_lctrain(saved[1], "export", *arguments)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    assert all(word in finished.stderr for word in words), finished.stderr
    assert not (tmp_path / "old.h5").exists()


def test_a_savedmodel_is_made_in_a_deterministic_process_too(tmp_path):
    model = keras.Sequential([keras.Input((5, 7, 2)), LocallyConnected2D(3, (3, 2), implementation=3)])
    tf.config.experimental.enable_op_determinism()
    legacy.export_model(model, tmp_path / "saved", "savedmodel")
    x = np.random.default_rng(0).random((2, 5, 7, 2), np.float32)
    served = tf.saved_model.load(tmp_path / "saved")  # which must live as long as its function is called
    np.testing.assert_allclose(served.serve(x), model(x), atol=1e-5)


def test_verbs_say_nothing_of_tensorflow(tmp_path):
    inputs = keras.Input((7, 2))
    keras.Model(inputs, K.Flatten()(LocallyConnected1D(3, 2)(inputs))).save(tmp_path / "model.keras")
    for arguments in (["export", "model.keras", "--to", "keras2-h5"], ["import", "model.h5", "--out", "imported"]):
        command = [sys.executable, "-m", "lctrain", *arguments]
        process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (process.returncode, process.stderr) == (0, "")
