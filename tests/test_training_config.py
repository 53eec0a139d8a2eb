"""What a training asks of its configuration: metrics that are watched, augmentation, other models' weights, extras."""

import copy
from importlib import util

import keras
import numpy as np
import pytest
from conftest import make_config
from made_trainings import TRAINING, fit, prepare

from lctrain import training
from lctrain.config import validate
from lctrain.config.allowlist import classes
from lctrain.config.augmentation import augmentations
from lctrain.config.schema import TrainingConfig
from lctrain.data import fit_normalization, load_splits
from lctrain.errors import ConfigError, UserError
from lctrain.model.build import build_model
from lctrain.training import tensorboard
from lctrain.training.metric_monitor import make_metric_monitors
from lctrain.training.variables import read_variables, write_variables

DATA = make_config()["data"]


def problems_of(**changes):
    with pytest.raises(ConfigError, match="`") as raised:
        validate(make_config(**changes))
    return [str(problem) for problem in raised.value.problems]


def test_all_watched_metrics_are_looked_up_at_once():
    watched = {
        "best": "val_acuracy",
        "early_stopping": {"monitor": "val_mae"},
        "reduce_on_plateau": {"monitor": "los"},
    }
    assert problems_of(training=TRAINING | watched | {"metrics": {"mine": "MeanSquaredError"}}) == [
        "`training.best` must be a metric that each epoch gives; got 'val_acuracy'. "
        "Known are: loss, mine, val_loss, val_mine.",
        "`training.early_stopping.monitor` must be a metric that each epoch gives; got 'val_mae'. "
        "Did you mean `val_mine`?",
        "`training.reduce_on_plateau.monitor` must be a metric that each epoch gives; got 'los'. Did you mean `loss`?",
    ]


@pytest.mark.parametrize("name", ["loss", "val_loss", "mine", "val_mine"])
def test_a_metric_of_ones_own_can_be_watched(name):
    watched = {"early_stopping": {"monitor": name}, "reduce_on_plateau": {"monitor": name}, "best": name}
    config = validate(make_config(training=TRAINING | watched | {"metrics": {"mine": "MeanSquaredError"}}))
    assert {metric_monitor.monitor for metric_monitor in make_metric_monitors(config.training).values()} == {name}


def test_a_plateau_can_lower_no_schedule():
    schedule = {"type": "ExponentialDecay", "initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.5}
    changes = {"optimizer": {"type": "SGD", "learning_rate": schedule}}
    validate(make_config(**changes))
    assert problems_of(**changes, training=TRAINING | {"reduce_on_plateau": {}}) == [
        "`training.reduce_on_plateau` must be null where `optimizer.learning_rate` is a schedule; got both. Take one."
    ]


@pytest.mark.parametrize("kind", ["RandomCrop", "Dense", "AugMix", "MixUp", "Dropout"])
def test_a_layer_that_is_no_augmentation_is_refused(kind):
    arguments = {"RandomCrop": {"height": 5, "width": 7}, "Dense": {"units": 3}, "Dropout": {"rate": 0.5}}
    spec = {"type": kind, **arguments.get(kind, {})}
    (problem,) = problems_of(data=DATA | {"augmentation": [{"type": "RandomFlip"}, spec]})
    message = "must be a layer that changes inputs at random and keeps their shape"
    assert problem.startswith(
        (f"`data.augmentation.1.type` {message}; got {kind}. ", "`data.augmentation.1.type` must")
    )
    assert kind in problem


def test_every_augmentation_that_is_offered_is_one_of_keras():
    assert len(augmentations()) > 20
    assert set(augmentations()) <= set(classes("layers"))


IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 9, 7, 3)).astype("float32")
FACTOR = {"factor": 0.5}
STRENGTHS = {
    **{kind: FACTOR for kind in augmentations() if kind in ("RandomBrightness", "RandomContrast", "RandomRotation")},
    **{kind: FACTOR for kind in augmentations() if kind.endswith(("Degeneration", "Hue", "Invert", "Grayscale"))},
    **{kind: {"factor": 1.0} for kind in augmentations() if kind.endswith(("Perspective", "Erasing", "Blur"))},
    "RandomSaturation": FACTOR,
    "RandomSharpness": FACTOR,
    "RandomPosterization": {"factor": 4},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomZoom": {"height_factor": 0.3},
    "RandomShear": {"x_factor": 0.4},
    "RandomColorJitter": {"brightness_factor": 0.4},
    "GaussianNoise": {"stddev": 1.0},
    "GaussianDropout": {"rate": 0.3},
}


@pytest.mark.parametrize("kind", augmentations())
def test_an_augmentation_changes_training_alone_and_goes_on_from_its_seeds(kind):
    """Without a graph: what a layer draws from elsewhere than from its variables would differ."""

    def make():
        spec = {"type": kind, **STRENGTHS.get(kind, {})}
        data = DATA | {"input_shape": [9, 7, 3], "augmentation": [spec]}
        model = build_model(validate(make_config(data=data)))
        return keras.Model(model.input, model.get_layer("data_augmentation_0").output)

    keras.utils.set_random_seed(0)  # by chance none of the images might be changed
    (one, other) = make(), make()
    np.testing.assert_array_equal(one(IMAGES, training=False), IMAGES)
    assert np.any(np.array(one(IMAGES, training=True)) != IMAGES)
    write_variables(other.variables, read_variables(one.variables))
    np.testing.assert_array_equal(one(IMAGES, training=True), other(IMAGES, training=True))


def test_augmentation_changes_what_is_trained_on_and_not_what_is_evaluated():
    noise = {"type": "GaussianNoise", "stddev": 1.0}
    slow = {"type": "SGD", "learning_rate": 1e-30}
    changes = {"optimizer": slow, "training": TRAINING | {"epochs": 1}}
    plain, *rest = prepare(**changes)
    noisy, *noisy_rest = prepare(data=DATA | {"augmentation": [noise]}, **changes)
    noisy.set_weights(plain.get_weights())
    plain, noisy = training.fit(plain, *rest), training.fit(noisy, *noisy_rest)
    assert noisy["val_loss"] == plain["val_loss"]
    assert noisy["loss"][0] > 1.02 * plain["loss"][0]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_normalization_is_a_layer_that_goes_with_the_model(data_format, tmp_path):
    config = validate(make_config(data=DATA | {"normalize": "standard"}, data_format=data_format))
    splits = load_splits(config.data, data_format)
    inputs = 3 * splits.train.inputs + 7
    model = build_model(config, normalization=fit_normalization(inputs, "standard", data_format))
    layer = keras.Model(model.input, model.get_layer("data_normalization").output)
    axes = (0, 1, 2) if data_format == "channels_last" else (0, 2, 3)
    normalized = np.array(layer(inputs))
    np.testing.assert_allclose(normalized.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std(axes), 1, rtol=1e-5)
    assert normalized.mean(axes).shape == (2,)
    model.save(tmp_path / "model.keras")
    loaded = training.load_model(tmp_path / "model.keras", "init_from")
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


def test_weights_are_copied_where_they_fit_and_the_rest_is_told():
    source, *_ = prepare(seed=1)
    model = copy.deepcopy(make_config()["model"])
    model["layers"]["head"]["units"] = 5
    model["layers"] = {"lc1": model["layers"]["lc1"], "normal": "BatchNormalization"} | model["layers"]
    target, *_ = prepare(model=model, data=DATA | {"num_classes": 5})
    drawn = target.get_layer("head").get_weights()
    assert training.copy_weights(source, target) == {
        "lc1": "copied",
        "normal": "drawn: there is no layer of this name",
        "head": "drawn: its weights have the shapes [(54, 5), (5,)], there [(54, 4), (4,)]",
    }
    for one, two in zip(source.get_layer("lc1").get_weights(), target.get_layer("lc1").get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(target.get_layer("head").get_weights()[0], drawn[0])


@pytest.mark.parametrize("change", [{}, {"padding": "same"}, {"groups": 2}, {"use_bias": False}, {"dilation_rate": 2}])
@pytest.mark.parametrize("implementation", [2, "batched"])
def test_local_layers_start_from_the_kernels_of_conv_layers(change, implementation):
    def build(kind, **others):
        layer = {"type": kind, "filters": 4, "kernel_size": [3, 2], "activation": "relu"} | change | others
        layers = {"layer": layer, "pool": "GlobalAveragePooling2D", "head": {"type": "Dense", "units": 4}}
        return prepare(model={"name": "net", "layers": layers}, seed=len(others), implementation=implementation)[0]

    source, target = build("Conv2D"), build("LocallyConnected2D")
    for variable in source.trainable_variables:
        variable.assign_add(keras.random.normal(variable.shape, seed=3))  # biases too
    assert training.copy_weights(source, target) == {"layer": "copied to every position", "head": "copied"}
    inputs = np.random.default_rng(0).standard_normal((3, 5, 7, 2)).astype("float32")
    np.testing.assert_allclose(target(inputs), source(inputs), rtol=1e-4, atol=1e-5)
    strided = build("LocallyConnected2D", dilation_rate=1, strides=2, activation="tanh")
    message = training.copy_weights(source, strided)["layer"]
    assert message.startswith("copied to every position, of another strides and ")
    others = build("LocallyConnected2D", kernel_size=[2, 3])  # as many weights, of another window
    assert training.copy_weights(source, others)["layer"].startswith("drawn: it is a LocallyConnected2D with the ")


def test_a_layer_of_another_kind_is_not_copied_though_its_shapes_agree():
    def build(kind, **arguments):
        layers = {"layer": {"type": kind, "filters": 4, **arguments}, "pool": "GlobalAveragePooling1D"}
        layers["head"] = {"type": "Dense", "units": 4}
        data = DATA | {"input_shape": [3, 2]}
        return prepare(model={"name": "net", "layers": layers}, data=data)[0]

    source, target = build("Conv1D", kernel_size=3), build("LocallyConnected1D", kernel_size=1, use_bias="shared")
    shapes = [[weight.shape for weight in model.get_layer("layer").weights] for model in (source, target)]
    assert shapes[0] == shapes[1]
    message = (
        "drawn: it is a LocallyConnected1D with the shapes [(3, 2, 4), (4,)], there a Conv1D with [(3, 2, 4), (4,)]"
    )
    assert training.copy_weights(source, target)["layer"] == message


def test_where_nothing_can_be_copied_it_is_refused():
    source, *_ = prepare()
    model = {"name": "other", "layers": {"flat": "Flatten", "scores": {"type": "Dense", "units": 4}}}
    target, *_ = prepare(model=model)
    message = r"^`init_from` must hold a layer with the name and shapes of one of the model; `scores` there is no layer"
    with pytest.raises(UserError, match=message):
        training.copy_weights(source, target)


def test_no_file_of_keras_is_refused(tmp_path):
    (tmp_path / "no.keras").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"`init_from` '.*no.keras' can't be loaded: "):
        training.load_model(tmp_path / "no.keras", "init_from")
    with pytest.raises(UserError, match=r"`run` must be a run's id or a .keras file that is there; got '.*none.keras'"):
        training.load_model(tmp_path / "none.keras", "run")


def test_a_frozen_layer_keeps_its_weights():
    model = copy.deepcopy(make_config()["model"])
    model["layers"]["lc1"]["trainable"] = False
    before = prepare(model=model)[0].get_layer("lc1").get_weights()
    trained = fit(model=model)[0]
    np.testing.assert_array_equal(trained.get_layer("lc1").get_weights()[0], before[0])
    assert np.any(
        trained.get_layer("head").get_weights()[0] != prepare(model=model)[0].get_layer("head").get_weights()[0]
    )


def test_extras_that_are_not_installed_are_told(monkeypatch):
    asked = TrainingConfig(**TRAINING | {"tensorboard": True})
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None if name == "tensorboard" else util.find_spec(name))
    message = r"^`training.tensorboard` takes TensorBoard, .* pip install 'lctrain\[tensorboard\]'$"
    with pytest.raises(UserError, match=message):
        training.check_extras(asked)
    training.check_extras(TrainingConfig(**TRAINING))


def test_a_profile_is_written_of_ten_steps(tmp_path, monkeypatch):
    calls = []
    profiler = tensorboard.tf.profiler.experimental
    start, stop = profiler.start, profiler.stop
    monkeypatch.setattr(profiler, "start", lambda folder: (calls.append("start"), start(folder)))
    monkeypatch.setattr(profiler, "stop", lambda: (calls.append("stop"), stop()))

    class Count(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            calls.append("step")

    config = TRAINING | {"epochs": 4, "profile": True}
    callbacks = training.make_extras(TrainingConfig(**config), tmp_path)
    fit(None, [*callbacks, Count()], training=config)
    assert calls == ["step"] * 5 + ["start"] + ["step"] * 10 + ["stop"] + ["step"] * 5
    assert any(path.stat().st_size for path in (tmp_path / "profile").rglob("*.xplane.pb"))


def test_a_profile_of_a_short_training_is_closed(tmp_path):
    config = TRAINING | {"profile": True, "limit_batches": 3}
    fit(None, training.make_extras(TrainingConfig(**config), tmp_path), training=config)
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))


def test_tensorboard_gets_its_logs(tmp_path):
    pytest.importorskip("tensorboard")
    config = TRAINING | {"epochs": 1, "tensorboard": True}
    training.check_extras(TrainingConfig(**config))
    fit(None, training.make_extras(TrainingConfig(**config), tmp_path), training=config)
    assert {path.parent.name for path in tmp_path.rglob("events.*")} == {"train", "validation"}


def test_nothing_is_added_unasked(tmp_path):
    assert training.make_extras(TrainingConfig(**TRAINING), tmp_path) == []
