"""Exports of trained runs: models that only predict, whatever acted in their training, and no text of a converter's."""

import os
import re

import keras
import made_tf_keras as made
import mlflow
import numpy as np
import pytest
import tensorflow as tf

from lctrain import legacy
from lctrain.config.allowlist import classes
from lctrain.config.schema import LocalTracking
from lctrain.errors import UserError
from lctrain.layers import LocallyConnected1D, LocallyConnected2D
from lctrain.legacy.converter import captured_output, describe_failure
from lctrain.legacy.inference import IN_TRAINING, acts_in_training, make_inference_model
from lctrain.legacy.report import Report
from lctrain.tracking import fetch_run
from lctrain.training import load_model

K = keras.layers
TOLERANCES = {"float32": 1e-5, "float64": 1e-5, "mixed_float16": 5e-3, "mixed_bfloat16": 3e-2}  # of probabilities
FORMATS = {"keras2-h5": "model.h5", "savedmodel": "model", "tflite": "model.tflite"}
TRANSLATION = "{type: RandomTranslation, height_factor: 0.1, width_factor: 0.1}"
MODEL = """name: tiny
layers:
  lc: {type: LocallyConnected2D, filters: 3, kernel_size: [3, 2], activation: relu}
  noise: {type: GaussianNoise, stddev: 0.1}
  drop: {type: SpatialDropout2D, rate: 0.2}
  flatten: {type: Flatten}
  last: {type: Dropout, rate: 0.1}
  head: {type: Dense, units: "${data.num_classes}", activation: softmax}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run_lctrain):
    """A folder with a run of each precision, and by precision its id and its model."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "mine" / "model").mkdir(parents=True)
    (folder / "mine" / "model" / "tiny.yaml").write_text(MODEL)
    data = ["data=synthetic", "data.input_shape=[7,9,2]", "data.num_examples=120", "data.num_classes=4"]
    data += ["data.normalize=standard", f"data.augmentation=[{TRANSLATION}, {{type: RandomFlip}}]"]
    found = {}
    for precision in TOLERANCES:
        job = ["model=tiny", "training.epochs=2", "implementation=3", f"precision={precision}"]
        process = run_lctrain(folder, "--config-dir", "mine", *job, *data)
        assert process.returncode == 0, process.stderr
        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        run_id = client.search_runs(["1"], order_by=["attributes.start_time DESC"])[0].info.run_id
        place = folder / precision
        place.mkdir()
        store = LocalTracking(name="local", folder=str(folder), experiment="lctrain")
        found[precision] = run_id, load_model(fetch_run(store, run_id, place).model_file, "run")
    return folder, found


def interpret(path, inputs):
    """What a TFLite model gives."""
    with made.quiet():
        interpreter = tf.lite.Interpreter(model_path=str(path))
        (start,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.resize_tensor_input(start["index"], inputs.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(start["index"], inputs)
        interpreter.invoke()
        return interpreter.get_tensor(end["index"])


def serve(path, inputs):
    saved = tf.saved_model.load(str(path))
    return np.asarray(saved.serve(inputs))


READ = {
    "keras2-h5": lambda path, inputs: made.load(path).predict(inputs, verbose=0),
    "savedmodel": serve,
    "tflite": interpret,
}


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("precision", TOLERANCES)
def test_every_format_predicts_what_a_trained_run_does(runs, tmp_path, precision, to):
    _, model = runs[1][precision]
    inputs = np.random.default_rng(0).normal(1, 2, (11, 7, 9, 2)).astype(np.float32)
    expected = np.asarray(model.predict(inputs, verbose=0), np.float32)
    report = legacy.export_model(model, tmp_path / FORMATS[to], to)
    got = READ[to](tmp_path / FORMATS[to], inputs)
    np.testing.assert_allclose(got, expected, atol=TOLERANCES[precision])
    dropped = {line.layer for line in report.lines if line.note == "it acts in training alone"}
    assert dropped == {"data_augmentation_0", "data_augmentation_1", "noise", "drop", "last"}
    message = [line.value for line in report.lines if line.field == "dtype"]
    assert message == ([precision] if "mixed" in precision or (precision, to) == ("float64", "tflite") else [])


@pytest.mark.parametrize("implementation", [1, 2, "batched", "auto"])
def test_a_savedmodel_may_compute_otherwise(runs, tmp_path, implementation):
    """For OpenVINO, which has no rule for the sparse operations of implementation 3."""
    _, model = runs[1]["float32"]
    inputs = np.random.default_rng(0).normal(1, 2, (11, 7, 9, 2)).astype(np.float32)
    operations = {}
    for asked in (None, implementation):
        path = tmp_path / str(asked)
        legacy.export_model(model, path, "savedmodel", implementation=asked)
        graph = tf.saved_model.load(str(path)).signatures["serving_default"].graph
        operations[asked] = {operation.type for operation in graph.get_operations()}
        for function in graph._functions.values() if hasattr(graph, "_functions") else ():
            operations[asked] |= {node.op for node in function.cached_definition.node_def}
        np.testing.assert_allclose(serve(path, inputs), model.predict(inputs, verbose=0), atol=1e-5)
    assert any("CSR" in name or "SparseMatrix" in name for name in operations[None])
    assert not any("CSR" in name or "SparseMatrix" in name for name in operations[implementation])


@pytest.mark.parametrize(
    ("to", "implementation", "message"),
    [
        ("savedmodel", "bached", "`implementation` must be one of 1, 2, 3, batched, auto; got 'bached'"),
        ("tflite", 3, "`implementation` must be batched for tflite.*got 3"),
        ("keras2-h5", 1, "`implementation` is for savedmodel"),
        ("dl4j-h5", "batched", "`implementation` is for savedmodel"),
    ],
)
def test_implementations_that_a_format_does_not_leave_open_are_told(tmp_path, to, implementation, message):
    model = keras.Sequential([keras.Input((5, 2)), LocallyConnected1D(3, 2)])
    with pytest.raises(UserError, match=message):
        legacy.export_model(model, tmp_path / "model", to, implementation=implementation)
    assert not (tmp_path / "model").exists()


# What acts in training alone


def test_all_of_keras_that_is_said_to_act_in_training_alone_does():
    """Each gives what it gets when it predicts. RandomCrop does too in Keras 3.15, of another shape than it says."""
    drawing = {name for name in {*classes("layers"), *dir(K)} if re.search("Random|Noise|Drop|Rand[A-Z]|Mix$", name)}
    assert drawing - IN_TRAINING == {"RandomCrop"}
    for name in sorted(IN_TRAINING):
        kind = getattr(K, name)
        shape = {"SpatialDropout1D": (4, 7, 2), "SpatialDropout3D": (4, 6, 8, 5, 3)}.get(name, (4, 8, 9, 3))
        needed = {"height_factor": 0.3, "width_factor": 0.3, "rate": 0.3, "stddev": 0.3}
        needed["factor"] = 3 if name == "RandomPosterization" else 0.3
        accepted = kind.__init__.__code__.co_varnames
        arguments = {key: value for key, value in needed.items() if key in accepted}
        inputs = np.random.default_rng(0).random(shape).astype(np.float32)
        outputs = np.asarray(kind(**arguments)(inputs, training=False))
        np.testing.assert_array_equal(outputs, inputs, name)


def make_nested():
    """Augmentation as a model of its own, wrapped and shared layers, masks, in half precision."""
    random = keras.Sequential([K.RandomFlip(), K.RandomRotation(0.1)], name="random")
    start = keras.Input((5, 7, 2), name="start")
    inner = keras.Sequential([keras.Input((7, 2)), LocallyConnected1D(3, 2, implementation=3), K.Dropout(0.2)])
    shared = K.Dropout(0.3, name="shared")
    tensor = shared(K.TimeDistributed(inner)(random(start)))
    tensor = K.TimeDistributed(LocallyConnected1D(4, 3, implementation=3))(K.TimeDistributed(K.Dropout(0.1))(tensor))
    tensor = K.Bidirectional(K.GRU(3, dropout=0.2, recurrent_initializer="glorot_uniform"), name="both")(
        K.Reshape((5, -1))(shared(tensor))
    )
    return keras.Model(start, [K.Dense(2, name="a")(tensor), K.GaussianNoise(0.1)(K.Dense(3, name="b")(tensor))])


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "bfloat16"])
def test_random_layers_fall_away_within_models(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = made.randomize(make_nested())
    finally:
        keras.config.set_dtype_policy("float32")
    report = Report()
    predicting = make_inference_model(model, report, "batched")
    layers = list(predicting._flatten_layers())
    assert not any(map(acts_in_training, layers))
    assert {layer.dtype_policy.name for layer in layers} == {"float32"}
    local = [layer for layer in layers if isinstance(layer, LocallyConnected1D)]
    assert [layer.implementation for layer in local] == ["batched"] * 2
    inputs = made.make_inputs(model)[0]
    expected = model(inputs, training=False)
    for got, end in zip(predicting(inputs), expected, strict=True):
        tolerance = 1e-5 if policy == "float32" else 0.05
        np.testing.assert_allclose(np.asarray(got), np.asarray(keras.ops.cast(end, "float32")), atol=tolerance)


def test_a_model_that_only_predicts_is_exported_as_it_is():
    model = keras.Sequential([keras.Input((5, 7, 2)), LocallyConnected2D(3, 2), K.Flatten()])
    assert make_inference_model(model, Report()) is model


# The converter


def test_a_run_is_exported_without_a_word_of_the_converter(runs, run_lctrain, tmp_path):
    folder, found = runs
    run_id, _ = found["mixed_bfloat16"]
    process = run_lctrain(folder, "export", run_id, "--to", "tflite", "--out", str(tmp_path / "model.tflite"))
    assert process.returncode == 0, process.stderr
    assert not re.search(r"MLIR|loc\(|W0000|Ignored|neither a custom op|' op ", process.stdout + process.stderr)
    lines = process.stdout.splitlines()
    assert len([line for line in lines if "acts in training alone" in line]) == 5
    process = run_lctrain(
        folder, "export", run_id, "--to", "savedmodel", "--implementation", "batched", "--out", str(tmp_path / "saved")
    )
    assert process.returncode == 0, process.stderr
    assert "implementation = 3: batched" in process.stdout


def test_an_operation_without_counterpart_is_told_in_one_sentence(tmp_path, capfd):
    start = keras.Input((5, 4))
    ends = {"Qr": keras.ops.qr(start)[0], "TensorListReserve": K.LSTM(3)(start)}
    models = {name: keras.Model(start, end) for name, end in ends.items()}
    capfd.readouterr()  # TensorFlow may say of the machine's devices what it likes
    for name, model in models.items():
        with pytest.raises(legacy.UnsupportedExportError, match=rf"tflite.*not of {name}|not of {name}") as caught:
            legacy.export_model(model, tmp_path / "model.tflite", "tflite")
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 200
        assert caught.value.__suppress_context__
        assert not (tmp_path / "model.tflite").exists()
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Flex ops: FlexQr, FlexSvd\nDetails:\n\ttf.Qr", "not of Qr, Svd"),
        ("Custom ops: Bincount\nmore", "not of Bincount"),
        ("error: failed\nTF Select ops: GatherV2, Qr\nDetails:\n\ttf.Qr(tensor)", "not of GatherV2, Qr"),
        ("x.py: error: 'tf.Conv2D' op is neither a custom op nor a flex op\nloc(...)\n" * 2, "not of Conv2D"),
        ("error: failed: \"tf.A\"\nerror: while: 'tfl.cast' op operand #0 must be", "not of cast"),
        ("Segmentation of the graph went wrong", "names none that it lacks"),
    ],
)
def test_what_the_converter_names_is_found(text, names):
    message = describe_failure(text)
    assert message.endswith(names)
    assert "\n" not in message


def test_what_c_writes_is_kept_too(capfd):
    with captured_output() as read:
        os.write(1, b"from C\n")
        os.write(2, b"and its errors\n")
        assert read() == "from C\nand its errors\n"
    os.write(1, b"back\n")
    assert capfd.readouterr() == ("back\n", "")
