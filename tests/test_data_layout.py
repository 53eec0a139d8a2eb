"""Where files have their channels: what is read so, what is decided, and that training and prediction are the same."""

import re

import keras
import mlflow
import numpy as np
import pytest
import tensorflow as tf
import yaml
from conftest import make_config
from made_files import make_arrays, read_data

from lctrain.composition.dry_run import compose_dry
from lctrain.config import validate
from lctrain.config.allowlist import require_class
from lctrain.config.augmentation import CHANNELS_LAST_ONLY, augmentations, complete_augmentation
from lctrain.data import Rows, check_feeds, complete_from_files, complete_reading, fit_normalization, load_splits
from lctrain.data import rows as rows_module
from lctrain.data.dataset_info import find_facts
from lctrain.errors import ConfigError
from lctrain.model.build import build_layer, build_model
from lctrain.model.summary import summarize

FORMATS = ("channels_last", "channels_first")
SIZES = {1: (7, 2), 2: (5, 7, 2), 3: (3, 5, 7, 2)}  # of examples, by the number of their spatial axes


def turn(inputs):
    return np.moveaxis(inputs, -1, 1)


def write(folder, rank, layout, suffix=".npz", **arrays):
    """A file of 90 examples, whose values are the same whatever the layout."""
    x = np.random.default_rng(1).standard_normal((90, *SIZES[rank])).astype(np.float32)
    x = turn(x) if layout == "channels_first" else x
    path = make_arrays(folder, x=x, **arrays)
    if suffix == ".npz":
        return {"path": str(path)}
    np.save(folder / "x.npy", np.asarray(x, order="F" if suffix == ".fortran" else "C"))
    np.save(folder / "y.npy", np.arange(90) % 3)
    return {"path": str(folder / "x.npy"), "targets": str(folder / "y.npy")}


def complete(data, data_format="channels_last", **changes):
    raw = {"data": {"name": "arrays", **data, **changes}, "data_format": data_format}
    return read_data(complete_from_files(raw)["data"])


@pytest.mark.parametrize("is_mapped", [False, True])
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("suffix", [".npz", ".npy", ".fortran"])
@pytest.mark.parametrize("rank", SIZES)
def test_the_layout_of_the_file_changes_nothing(tmp_path, monkeypatch, rank, suffix, data_format, is_mapped):
    if is_mapped:
        monkeypatch.setattr(rows_module, "SMALL_BYTES", 0)
    found = []
    for layout in FORMATS:
        (tmp_path / layout).mkdir()
        data = complete(write(tmp_path / layout, rank, layout, suffix), data_format, layout=layout)
        assert data.input_shape == list(SIZES[rank])
        found.append(load_splits(data, data_format))
        assert isinstance(found[-1].train.inputs, Rows) == is_mapped
    for part in ("train", "validation", "test"):
        last, first = (getattr(splits, part).inputs for splits in found)
        expected = SIZES[rank] if data_format == "channels_last" else (SIZES[rank][-1], *SIZES[rank][:-1])
        assert last.shape[1:] == first.shape[1:] == expected
        np.testing.assert_array_equal(last[:], first[:])
        np.testing.assert_array_equal(getattr(found[0], part).labels, getattr(found[1], part).labels)


@pytest.mark.parametrize("data_format", FORMATS)
def test_an_array_is_by_default_as_the_data_format_says(tmp_path, data_format):
    x = np.zeros((60, 1, 10, 14), np.float32)
    path = make_arrays(tmp_path, x=x, y=np.arange(60) % 3)
    data = complete({"path": str(path)}, data_format)
    assert (data.layout, data.input_shape) == (
        data_format,
        {"channels_last": [1, 10, 14]}.get(data_format, [10, 14, 1]),
    )
    (note,) = find_facts(data).notes
    positions = {"channels_last": "1x10 positions of 14 channels"}.get(data_format, "10x14 positions of 1 channel")
    other = FORMATS[data_format == FORMATS[0]]
    assert f"`x` of (60, 1, 10, 14) is read as {data_format}, {positions}." in note
    assert note.endswith(f"To read it otherwise: data.layout={other}.")
    assert load_splits(data, data_format).train.inputs.shape[1:] == (1, 10, 14)


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_stated_shape_that_fits_one_layout_alone_decides(tmp_path, data_format):
    for layout in FORMATS:
        data = complete(write(tmp_path, 2, layout), data_format, input_shape=[5, 7, 2])
        assert data.layout == layout
        splits = load_splits(data.model_copy(update={"layout": None}), data_format)
        assert splits.train.inputs.shape[1:] == ((5, 7, 2) if data_format == "channels_last" else (2, 5, 7))


def test_a_shape_that_the_file_has_not_is_told_with_its_layout(tmp_path):
    data = write(tmp_path, 2, "channels_last")
    for layout, shape in (("channels_last", r"\[5, 7, 2\]"), ("channels_first", r"\[7, 2, 5\]")):
        with pytest.raises(ConfigError, match=rf"`data.input_shape` must be {shape}.*layout={layout}; got \[5, 7, 3\]"):
            load_splits(complete(data, layout=layout, input_shape=[5, 7, 3]), "channels_last")
    config = make_config(data={**make_config()["data"], "name": "arrays", **data, "num_classes": 3})
    for key in ("num_examples", "input_shape"):
        config["data"].pop(key)
    config["model"]["layers"]["head"]["units"] = 3
    config["data"] = complete_from_files({**config, "data": {**config["data"], "layout": "channels_first"}})["data"]
    config["model"]["inputs"] = {"input": [5, 7, 2]}
    with pytest.raises(ConfigError, match=r"`model.inputs.input` must be \[7, 2, 5\].*data\.layout=channels_last"):
        check_feeds(validate(config))


def test_images_without_an_axis_of_channels_have_none_to_move(tmp_path):
    x = np.random.default_rng(0).random((90, 5, 7)).astype(np.float32)
    path = make_arrays(tmp_path, x=x)
    for layout in (None, *FORMATS):
        data = complete({"path": str(path)}, "channels_first", input_shape=[5, 7, 1], layout=layout, test_fraction=0.2)
        splits = load_splits(data, "channels_first")
        assert splits.train.inputs.shape[1:] == (1, 5, 7)
        assert {row.tobytes() for row in splits.train.inputs} <= {row.tobytes() for row in x}


def test_a_wrong_value_is_told_where_the_file_has_it(tmp_path):
    x = np.ones((90, 2, 5, 7), np.float32)
    x[17, 1, 3, 0] = np.nan
    data = complete({"path": str(make_arrays(tmp_path, x=x))}, layout="channels_first")
    with pytest.raises(ConfigError, match=r"`x` must be finite; row 17, column \(1, 3, 0\) is nan"):
        load_splits(data, "channels_last")


# Labels


@pytest.mark.parametrize(
    ("task", "y"), [("classification", (90, 3)), ("classification", (90, 5, 3)), ("binary", (90, 2))]
)
@pytest.mark.parametrize("dtype", [bool, int, float])
def test_one_hot_rows_are_classes_unless_they_are_stated_to_be_targets(tmp_path, task, y, dtype):
    numbers = np.random.default_rng(0).integers(0, y[-1], y[:-1])
    path = make_arrays(tmp_path, y=np.eye(y[-1])[numbers].astype(dtype))
    data = complete({"path": str(path)}, task=task)
    assert (data.target_shape, data.num_classes) == (list(y[1:-1]), y[-1])
    splits = load_splits(data, "channels_last")
    labels = np.concatenate([part.labels for part in (splits.train, splits.validation, splits.test)])
    np.testing.assert_array_equal(np.bincount(labels.ravel().astype(int)), np.bincount(numbers.ravel()))
    sizes = ",".join(map(str, y[1:]))
    note = f"is read as one-hot rows of {y[-1]} classes. If they are targets: data.target_shape=[{sizes}]."
    assert find_facts(data).notes[1].endswith(note)
    data = complete({"path": str(path)}, task=task, target_shape=list(y[1:]))
    assert load_splits(data, "channels_last").train.labels.shape[1 : len(y)] == y[1:]


@pytest.mark.parametrize("dtype", [bool, int, float, np.uint8])
@pytest.mark.parametrize("axes", [1, 2])
def test_class_numbers_may_be_of_any_type_and_a_column(tmp_path, dtype, axes):
    numbers = (np.arange(90) % 2).astype(dtype)
    path = make_arrays(tmp_path, y=numbers if axes == 1 else numbers[:, None])
    for task in ("classification", "binary"):
        data = complete({"path": str(path)}, task=task)
        assert (data.target_shape, data.num_classes) == ([], 2)
        assert load_splits(data, "channels_last").train.labels.sum() == 31


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(90), r"`y` must hold two classes or more; each of its labels is 0\. .*: data\.task=regression\."),
        (np.arange(90) / 7, r"`y` must be whole numbers, .*row 1 is 0\.14.* numbers: data\.task=regression\."),
        (np.full(90, 1999), r"`y` must be class numbers below 90, .* To predict numbers: data\.task=regression\."),
    ],
)
def test_labels_that_may_be_numbers_say_what_to_type(tmp_path, y, message):
    path = make_arrays(tmp_path, y=y)
    with pytest.raises(ConfigError, match=rf"my\.npz': {message}"):
        complete({"path": str(path)})
    assert complete({"path": str(path)}, task="regression").num_classes is None
    if not y.any():
        assert complete({"path": str(path)}, num_classes=2).num_classes == 2  # of new data for a trained model


@pytest.mark.parametrize("y", [(90,), (90, 1)])
def test_one_label_is_for_task_binary(tmp_path, y):
    path = make_arrays(tmp_path, y=(np.arange(90) % 2).reshape(y))
    with pytest.raises(ConfigError, match=r"`y` must have a column .* got \(90,.*For one label: data\.task=binary\."):
        complete({"path": str(path)}, task="multilabel")
    assert complete({"path": str(path)}, task="binary").num_classes == 2


@pytest.mark.parametrize(("x", "model"), [((90, 5, 7), "LocallyConnected2D"), ((90, 5), "LocallyConnected1D")])
def test_an_axis_of_channels_that_is_missing_is_asked_for(tmp_path, x, model):
    path = make_arrays(tmp_path, x=np.zeros(x))
    layers = {"lc1": {"type": model, "filters": 2, "kernel_size": 3}, "flatten": "Flatten"}
    layers["head"] = {"type": "Dense", "units": "auto", "activation": "auto"}
    raw = make_config(model={"name": "small", "layers": layers})
    for data_format in FORMATS:
        raw["data"], raw["data_format"] = {"name": "arrays", "path": str(path)}, data_format
        with pytest.raises(ConfigError, match=r"no axis of channels: data\.input_shape=\[5,(7,)?1\]\.$") as raised:
            summarize(validate(complete_from_files(raw)))
        stated = yaml.safe_load(raised.value.problems[0].message.partition("input_shape=")[2].removesuffix("."))
        raw["data"]["input_shape"] = stated
        summarize(validate(complete_from_files(raw)))


@pytest.mark.parametrize(
    ("sizes", "model", "advice"),
    [
        ((40, 2), "lc2d", "It reads images, with their channels. For these examples: model=lc1d."),
        ((6, 6), "lc2d", "If the examples have no axis of channels: data.input_shape=[6,6,1]."),
        ((9, 9, 2), "volume", "It reads volumes, with their channels. For these examples: model=lc2d."),
        ((3,), "lc1d", "It reads sequences, with their channels. For these examples: model=dense."),
    ],
)
def test_the_step_for_examples_of_fewer_axes_than_a_model_reads_works(tmp_path, sizes, model, advice):
    own = ["data=arrays", f"data.path={make_arrays(tmp_path, x=np.zeros((90, *sizes)))}"]
    with pytest.raises(ConfigError, match=re.escape(advice)):
        summarize(validate(compose_dry([*own, f"model={model}"])))
    step = advice.rpartition(": ")[2].removesuffix(".")
    summarize(validate(compose_dry([*own, *([] if step.startswith("model=") else [f"model={model}"]), step])))


@pytest.mark.parametrize(
    ("task", "y", "message"),
    [
        ("classification", (90, 5), r"`y` of \(90, 5\) is read as targets of the shape \[5\]"),
        (
            "regression",
            (90, 5),
            r"`y` of \(90, 5\) is read as targets of the shape \[\] of 5 numbers.*data.num_targets",
        ),
        ("regression", (90, 4, 5), r"targets of the shape \[4\] of 5 numbers"),
        ("multilabel", (90, 4, 5), r"targets of the shape \[4\]\."),
    ],
)
def test_how_targets_with_axes_are_read_is_said(tmp_path, task, y, message):
    values = np.random.default_rng(0).integers(0, 2, y)
    notes = find_facts(complete({"path": str(make_arrays(tmp_path, y=values))}, task=task)).notes
    assert len(notes) == 2
    assert re.search(message, notes[1])


def test_arrays_that_are_not_used_are_said(tmp_path):
    path = make_arrays(tmp_path, ids=np.arange(90), weights=np.ones(90))
    assert find_facts(complete({"path": str(path)})).notes[1].endswith("its other arrays are not used: ids, weights.")


# The model's side


def test_normalization_is_of_the_channels_whatever_the_layout(tmp_path):
    found = []
    for layout in FORMATS:
        for data_format in FORMATS:
            data = complete(write(tmp_path, 2, layout), data_format, layout=layout)
            inputs = load_splits(data, data_format).train.inputs
            found.append(fit_normalization(inputs, "standard", data_format))
    for center, scale in found:
        assert center.shape == (2,)
        np.testing.assert_allclose(center, found[0][0], atol=1e-12)
        np.testing.assert_allclose(scale, found[0][1], atol=1e-12)


ARGUMENTS = {
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomShear": {"x_factor": 0.3, "y_factor": 0.2},
    "RandomZoom": {"height_factor": 0.3},
    "RandomPosterization": {"factor": 3},
    "RandomErasing": {"factor": 1.0, "fill_value": 0.5},
    "RandomColorJitter": {
        "brightness_factor": 0.3,
        "contrast_factor": 0.4,
        "saturation_factor": 0.3,
        "hue_factor": 0.2,
    },
}
ELEMENTWISE = ("GaussianDropout", "GaussianNoise")  # draw a number for each element, wherever that lies


def augment(name, data_format, is_turned=True):
    """What images of 12x17x3 become, channels last; the layer as a model of ours has it, or by itself."""
    arguments = {"factor": 0.4} if "factor" in require_class("layers", name).arguments else {}
    arguments |= ARGUMENTS.get(name, {}) | {"seed": 7}
    if "value_range" in require_class("layers", name).arguments:
        arguments["value_range"] = [0, 1]
    images = np.random.default_rng(0).random((4, 12, 17, 3)).astype(np.float32)
    inputs = images if data_format == "channels_last" else turn(images)
    keras.utils.set_random_seed(1)
    if is_turned:
        data = {**make_config()["data"], "input_shape": [12, 17, 3], "augmentation": [{"type": name, **arguments}]}
        model = build_model(validate(make_config(data=data, data_format=data_format)))
        last = [layer for layer in model.layers if layer.name.startswith("data_augmentation_0")][-1]
        model = keras.Model(model.inputs[0], last.output)
    else:
        (spec,) = complete_augmentation([{"type": name, **arguments}], data_format, "float32")
        start = keras.Input(inputs.shape[1:])
        model = keras.Model(
            start, build_layer("layer", spec | {"data_format": data_format} if "data_format" in spec else spec)(start)
        )
    changed = np.asarray(model(inputs, training=True))
    assert np.abs(changed - inputs).max() > 1e-5
    return changed if data_format == "channels_last" else np.moveaxis(changed, 1, -1)


@pytest.mark.parametrize("name", sorted(set(augmentations()) - set(ELEMENTWISE)))
def test_augmentation_changes_the_same_pixels_under_each_data_format(name):
    np.testing.assert_allclose(augment(name, "channels_first"), augment(name, "channels_last"), atol=1e-5)


@pytest.mark.parametrize("name", CHANNELS_LAST_ONLY)
def test_what_is_turned_for_keras_would_be_wrong_otherwise(name):
    """Fails when Keras computes them right under channels_first: then turning the channels for them can go."""
    try:
        alone = augment(name, "channels_first", is_turned=False)
    except tf.errors.FailedPreconditionError:
        return
    assert np.abs(alone - augment(name, "channels_last")).max() > 1e-3


# Whole jobs


LAYERS = """name: tiny
layers:
  lc1: {type: LocallyConnected2D, filters: 3, kernel_size: [3, 2], activation: relu}
  flatten: {type: Flatten}
  head: {type: Dense, units: 3, activation: softmax}
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, run_lctrain):
    """A folder with the runs of a job on a file of each layout, under each data format, of the same weights."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "mine" / "model").mkdir(parents=True)
    (folder / "mine" / "model" / "tiny.yaml").write_text(LAYERS)
    message, runs = {}, {}
    for layout in FORMATS:
        (folder / layout).mkdir()
        write(folder / layout, 2, layout)
        write(folder / layout, 2, layout, ".npy")
    for layout, data_format in [(one, other) for one in FORMATS for other in FORMATS]:
        data = ["data=arrays", f"data.path={layout}/my.npz", "data.normalize=standard", f"data_format={data_format}"]
        data += [] if layout == data_format else [f"data.layout={layout}"]
        model = ["--config-dir", "mine", "model=tiny", "training.epochs=2"]
        process = run_lctrain(folder, *model, *data)
        assert process.returncode == 0, process.stderr
        message[layout, data_format] = process.stderr
        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        runs[layout, data_format] = client.search_runs(["1"], order_by=["attributes.start_time DESC"])[0]
    return folder, runs, message


def test_jobs_learn_the_same_from_each_layout(jobs):
    _, runs, message = jobs
    for (layout, data_format), run in runs.items():
        assert run.data.params["data.layout"] == layout
        assert run.data.params["data.input_shape"] == "[5, 7, 2]"
        assert f"is read as {layout}, 5x7 positions of 2 channels" in message[layout, data_format]
        assert run.data.metrics["loss"] == pytest.approx(runs[FORMATS].data.metrics["loss"], rel=1e-4)
        assert run.data.metrics["test_loss"] == pytest.approx(runs[FORMATS].data.metrics["test_loss"], rel=1e-4)


@pytest.mark.parametrize("data_format", FORMATS)
def test_predict_and_evaluate_read_each_layout(jobs, run_lctrain, data_format):
    """A file without a layout is read as the run's own, where its shape does not tell."""
    folder, runs, _ = jobs
    run_id = runs["channels_first", data_format].info.run_id
    outputs = []
    for layout in FORMATS:
        process = run_lctrain(folder, "predict", f"run={run_id}", "--inputs", f"{layout}/x.npy", "--out", "out.npy")
        assert process.returncode == 0, process.stderr
        assert "--layout" not in process.stderr
        outputs.append(np.load(folder / "out.npy"))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5)
    losses = []
    for layout, said in (("channels_first", []), ("channels_last", ["data.layout=channels_last"])):
        data = ["data=arrays", f"data.path={layout}/my.npz", *said]
        process = run_lctrain(folder, "evaluate", f"run={run_id}", "split=all", *data)
        assert process.returncode == 0, process.stderr
        losses += re.findall(r"^loss +([\d.e+-]+)$", process.stdout, re.MULTILINE)
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
    process = run_lctrain(folder, "predict", f"run={run_id}", "--inputs", "channels_last/x.npy", "--layout", FORMATS[1])
    assert process.returncode == 2
    assert re.search(r"must hold numbers of shape \(num, 2, 5, 7\); got float32 \(90, 5, 7, 2\)", process.stderr)


def test_the_configuration_that_is_logged_says_the_layout(tmp_path):
    config = make_config(data_format="channels_first")
    data = {key: value for key, value in config["data"].items() if key not in ("name", "num_examples")}
    path = make_arrays(tmp_path, y=np.arange(90) % 4)
    config["data"] = {**data, "name": "arrays", "path": str(path)}
    config, notes = complete_reading(validate(config))
    assert config.data.layout == "channels_last"  # which alone fits the shape that is stated
    assert len(notes) == 1
