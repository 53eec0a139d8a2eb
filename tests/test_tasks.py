"""Every task: what it asks of data, model, loss and metrics; and that what is told is what NumPy computes."""

from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from conftest import make_config

import lctrain
from lctrain.benchmark.cases import draw_labels
from lctrain.config import validate
from lctrain.config.heads import gives_probabilities
from lctrain.config.interpolation import resolve
from lctrain.config.objectives import label_encoding
from lctrain.config.tasks import num_outputs
from lctrain.errors import ConfigError
from lctrain.model.build import build_model, build_optimizer
from lctrain.model.objectives import build_loss, build_metrics
from lctrain.model.summary import summarize
from lctrain.report.curves import draw_loss_curve

STEPS, CHANNELS, NUM_CLASSES, NUM_TARGETS = 7, 2, 4, 3
NUM = 48
DATA = {
    "classification": {"num_classes": NUM_CLASSES},
    "binary": {"num_classes": 2},
    "multilabel": {"num_classes": NUM_CLASSES},
    "regression": {"num_classes": None, "num_targets": NUM_TARGETS},
}
UNITS = dict.fromkeys(DATA, "${data.num_classes}") | {"binary": 1, "regression": "${data.num_targets}"}
ACTIVATIONS = dict.fromkeys(DATA, "sigmoid") | {"classification": "softmax", "regression": "tanh"}
LOCAL = {"type": "LocallyConnected1D", "filters": 3, "kernel_size": 2}
TARGETS = STEPS - 1  # positions that LOCAL gives


def configure(task, is_sequence=False, activation=None, training=None, data=None, layers=None, **changes):
    """A validated configuration of a small local model for the task, with a target per example or per step."""
    head = {"type": "Dense", "units": UNITS[task], "activation": activation}
    if is_sequence:
        head = {"type": "LocallyConnected1D", "filters": UNITS[task], "kernel_size": 1, "activation": activation}
    layers = layers or {"lc1": LOCAL, **({} if is_sequence else {"flatten": "Flatten"}), "head": head}
    config = make_config(model={"name": "small", "layers": layers}, **changes)
    shape = {"input_shape": [STEPS, CHANNELS], "target_shape": [TARGETS] if is_sequence else []}
    config["data"] = config["data"] | {"task": task} | shape | DATA[task] | (data or {})
    metrics = {"mae": "mae", **({} if is_sequence else {"r2": "R2Score"})} if task == "regression" else ["accuracy"]
    config["training"] = config["training"] | {"metrics": metrics} | (training or {})
    return validate(*resolve(config))


def compile_small(config):
    keras.utils.set_random_seed(config.seed)
    model = build_model(config)
    model.compile(optimizer=build_optimizer(config.optimizer), loss=build_loss(config), metrics=build_metrics(config))
    return model


def make_data(config):
    """Inputs, and labels that depend on them as the task's would."""
    data, generator = config.data, np.random.default_rng(0)
    inputs = generator.standard_normal((NUM, STEPS, CHANNELS)).astype("float32")
    columns = NUM_CLASSES if data.task == "classification" else num_outputs(data)
    rows = inputs[:, :TARGETS] if data.target_shape else inputs.mean(axis=1)
    scores = np.tanh(rows @ generator.standard_normal((CHANNELS, columns))).astype("float32")
    if data.task == "classification":
        return inputs, np.argmax(scores, -1)
    return inputs, scores if data.task == "regression" else (scores > 0).astype("float32")


def encode(labels, config):
    encoding = label_encoding(config.training.model_dump(), config.data.task)
    return np.eye(NUM_CLASSES, dtype="float32")[labels] if encoding == "one_hot" else labels


def as_probabilities(outputs, config):
    if gives_probabilities(config) or config.data.task == "regression":
        return outputs
    if config.data.task != "classification":
        return 1 / (1 + np.exp(-outputs))
    powers = np.exp(outputs - outputs.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def judge(labels, outputs, config):
    """The default loss and the metrics, by their formulas."""
    outputs = as_probabilities(outputs.astype("float64"), config)
    if config.data.task == "regression":
        squares = (labels - outputs) ** 2
        figures = {"loss": squares.mean(), "mae": np.abs(labels - outputs).mean()}
        r2 = 1 - squares.sum(0) / ((labels - labels.mean(0)) ** 2).sum(0)
        return figures | ({} if config.data.target_shape else {"r2": r2.mean()})
    if config.data.task == "classification":
        right = np.take_along_axis(outputs, labels[..., None], -1)
        return {"loss": -np.log(right).mean(), "accuracy": (outputs.argmax(-1) == labels).mean()}
    entropy = -np.where(labels == 1, np.log(outputs), np.log(1 - outputs))
    return {"loss": entropy.mean(), "accuracy": ((outputs > 0.5) == labels).mean()}


@pytest.mark.parametrize("is_plain", [True, False], ids=["plain", "activated"])
@pytest.mark.parametrize("is_sequence", [False, True], ids=["one", "steps"])
@pytest.mark.parametrize("task", DATA)
def test_every_task_trains_and_is_judged_by_its_formulas(task, is_sequence, is_plain):
    config = configure(task, is_sequence, None if is_plain else ACTIVATIONS[task])
    assert gives_probabilities(config) == (not is_plain and task != "regression")
    model = compile_small(config)
    assert model.output_shape[1:] == summarize(config).layers[-1].facts.output_shape[1:]
    inputs, labels = make_data(config)
    history = model.fit(inputs, encode(labels, config), epochs=8, batch_size=16, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    message = model.evaluate(inputs, encode(labels, config), batch_size=20, verbose=0, return_dict=True)  # 20, 20, 8
    expected = judge(labels, model.predict(inputs, verbose=0), config)
    assert message == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("is_sequence", [False, True], ids=["one", "steps"])
def test_classes_are_one_hot_where_the_metrics_want_them_so(is_sequence):
    metrics = {"accuracy": "accuracy", "entropy": "CategoricalCrossentropy", "rmse": "RootMeanSquaredError"}
    config = configure("classification", is_sequence, "softmax", {"metrics": metrics})
    model, (inputs, labels) = compile_small(config), make_data(config)
    one_hot = encode(labels, config)
    assert one_hot.shape == (*labels.shape, NUM_CLASSES)
    message = model.evaluate(inputs, one_hot, batch_size=NUM, verbose=0, return_dict=True)
    outputs = model.predict(inputs, verbose=0)
    expected = judge(labels, outputs, config)
    expected |= {"entropy": expected["loss"], "rmse": np.sqrt(((one_hot - outputs) ** 2).mean())}
    assert message == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_thresholds_are_of_probabilities_for_logits_too(task):
    metrics = {"strict": {"type": "BinaryAccuracy", "threshold": 0.8}, "accuracy": "accuracy", "auc": "AUC"}
    models = {}
    for activation in (None, "sigmoid"):
        config = configure(task, activation=activation, training={"metrics": metrics})
        models[activation] = compile_small(config)
    weights = [4 * weight for weight in models["sigmoid"].get_weights()]  # for scores on all sides of the thresholds
    for model in models.values():
        model.set_weights(weights)
    inputs, labels = make_data(config)
    message = [model.evaluate(inputs, labels, verbose=0, return_dict=True) for model in models.values()]
    assert message[0] == pytest.approx(message[1], rel=1e-4)
    probabilities = models["sigmoid"].predict(inputs, verbose=0)
    assert message[0]["strict"] == pytest.approx(((probabilities > 0.8) == labels).mean())
    assert message[0]["strict"] != message[0]["accuracy"]


def test_scores_of_zero_or_one_are_cut_at_one_half():
    config = configure("multilabel", activation="sigmoid", training={"metrics": {"f1": "F1Score"}})
    (f1,) = build_metrics(config)
    labels = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 1]], "float32")
    outputs = np.array([[0.9, 0.7, 0.6, 0.1], [0.2, 0.8, 0.3, 0.6], [0.1, 0.9, 0.8, 0.7]], "float32")
    f1.update_state(labels, outputs)
    hits, guessed = ((outputs > 0.5) * labels).sum(0), (outputs > 0.5).sum(0)
    assert float(f1.result()) == pytest.approx((2 * hits / (guessed + labels.sum(0))).mean())


def test_r2_takes_one_target():
    config = configure("regression", data={"num_targets": 1})
    model, (inputs, labels) = compile_small(config), make_data(config)
    assert labels.shape == (NUM, 1)
    message = model.evaluate(inputs, labels, verbose=0, return_dict=True)
    assert message == pytest.approx(judge(labels, model.predict(inputs, verbose=0), config), rel=2e-5)


def test_under_channels_first_the_channels_are_moved_last():
    local = {"type": "LocallyConnected1D", "filters": NUM_CLASSES, "kernel_size": 2}
    moved = {"type": "Permute", "dims": [2, 1]}
    ends = {"softmax": {"local": local, "moved": moved, "softmax": {"type": "Softmax", "axis": -1}}}
    ends["logits"] = {"local": local, "moved": moved}
    for end, layers in ends.items():
        config = configure("classification", True, layers=layers, data_format="channels_first")
        assert gives_probabilities(config) == (end == "softmax")
        model, (inputs, labels) = compile_small(config), make_data(config)
        assert summarize(config).layers[-1].facts.output_shape == (None, TARGETS, NUM_CLASSES)
        message = model.evaluate(np.moveaxis(inputs, -1, 1), labels, verbose=0, return_dict=True)
        outputs = model.predict(np.moveaxis(inputs, -1, 1), verbose=0)
        assert message == pytest.approx(judge(labels, outputs, config), rel=2e-5)
    config = configure("multilabel", True, layers={"local": local | {"activation": "sigmoid"}, "moved": moved})
    assert gives_probabilities(config)  # also where layers behind it move them


def test_probabilities_are_seen_through_wrappers_and_what_only_rearranges():
    dense = {"type": "Dense", "units": NUM_CLASSES, "activation": "softmax"}
    wrapped = {"lc1": LOCAL, "head": {"type": "TimeDistributed", "layer": dense}}
    assert gives_probabilities(configure("classification", True, layers=wrapped))
    whole = LOCAL | {"kernel_size": STEPS, "filters": NUM_CLASSES, "activation": "softmax"}
    for end in ("Flatten", {"type": "Reshape", "target_shape": [NUM_CLASSES]}):
        config = configure("classification", layers={"lc1": whole, "end": end})
        assert gives_probabilities(config)
        assert summarize(config).outputs == ("end",)


def test_the_packaged_training_of_numbers():
    training = yaml.safe_load((Path(__file__).parent.parent / "conf" / "training" / "regression.yaml").read_text())
    config = configure("regression", training=training)
    assert [metric.name for metric in build_metrics(config)] == ["mae", "r2"]
    assert build_loss(config).name == "mean_squared_error"


@pytest.mark.parametrize("task", DATA)
def test_timings_are_taken_on_labels_of_the_task(task):
    for is_sequence in (False, True):
        config = configure(task, is_sequence)
        labels, (_, expected) = draw_labels(config, NUM, np.random.default_rng(0)), make_data(config)
        assert (labels.shape, labels.dtype) == (expected.shape, expected.dtype)


def test_a_model_of_targets_is_built_from_python():
    layers = {"flatten": "Flatten", "head": {"type": "Dense", "units": "${data.num_targets}"}}
    assert lctrain.build({"layers": layers}, input_shape=(5, 2), num_targets=3).output_shape == (None, 3)
    with pytest.raises(ConfigError, match="Give `num_targets`"):
        lctrain.build({"layers": layers}, input_shape=(5, 2))
    data = {"name": "table", "input_shape": [5, 2], "task": "regression", "num_targets": 4, "target_shape": [6]}
    config = {"model": {"name": "m", "layers": layers}, "data": data, "training": {"metrics": {"mae": "mae"}}}
    config["training"] |= {"name": "mine", "epochs": 1, "batch_size": 2, "progress": "none"}
    assert lctrain.build(config).output_shape == (None, 4)


def test_the_curve_names_the_loss():
    history = {"loss": [2.0, 1.0], "val_loss": [3.0, 2.0]}
    labels = [
        draw_loss_curve(history, loss, task).axes[0].get_ylabel()
        for loss, task in ((None, "multilabel"), (None, "regression"), ({"type": "Huber"}, "regression"))
    ]
    validated = draw_loss_curve(history | {"val_loss": [2.0]}, validation_frequency=2).axes[0]
    assert [list(line.get_xdata()) for line in validated.lines] == [[1, 2], [2]]  # as the terminal counts epochs
    assert labels == ["loss (cross-entropy, nats)", "loss (MeanSquaredError)", "loss (Huber)"]


@pytest.mark.parametrize("task", DATA)
@pytest.mark.parametrize("precision", ["float64", "mixed_bfloat16"])
def test_every_task_trains_in_every_precision(task, precision):
    config = configure(task, True, ACTIVATIONS[task], precision=precision)
    model, (inputs, labels) = compile_small(config), make_data(config)
    assert np.isfinite(model.train_on_batch(inputs, labels)).all()
    assert model.output.dtype == ("float64" if precision == "float64" else "float32")


def test_what_ends_a_model_computes_in_single_precision_wherever_it_stands():
    dense = {"type": "Dense", "units": NUM_CLASSES, "activation": "softmax"}
    layers = {"lc1": LOCAL, "head": {"type": "TimeDistributed", "layer": dense}, "same": "Identity"}
    made = configure("classification", True, layers=layers, precision="mixed_float16").model.layers
    assert [made[name]["dtype"] for name in layers] == ["mixed_float16", "float32", "float32"]
    assert made["head"]["layer"]["dtype"] == "float32"
    layers["head"]["layer"] = dense | {"dtype": "mixed_float16"}
    made = configure("classification", True, layers=layers, precision="mixed_float16").model.layers
    assert made["head"]["layer"]["dtype"] == "mixed_float16"
