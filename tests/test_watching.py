"""Watchers of metrics against sequences worked out by hand, and what they remember of them."""

import json

import keras
import numpy as np
import pytest
from conftest import make_config
from made_trainings import TRAINING, EachLoss, assert_same_bits, fit, prepare

from lctrain import training
from lctrain.config.schema import TrainingConfig
from lctrain.training import loop as loop_module
from lctrain.training.metric_monitor import make_metric_monitors

NAN, INF = float("nan"), float("inf")


def watch(values, metric="val_loss", **changes):
    """The watchers of a training after some epochs' values of one metric, of which None is none."""
    metric_monitors = make_metric_monitors(TrainingConfig(**TRAINING | changes))
    looks = {name: [] for name in metric_monitors}
    for epoch, value in enumerate(values):
        for name, metric_monitor in metric_monitors.items():
            looks[name].append(metric_monitor.update({} if value is None else {metric: value}, epoch))
    return metric_monitors, looks


def stop_epoch(values, metric="val_loss", **stopping):
    """How many epochs it takes to be told to stop."""
    for num_epochs in range(1, len(values) + 1):
        metric_monitors, _ = watch(values[:num_epochs], metric, early_stopping={"monitor": metric, **stopping})
        if metric_monitors["stopping"].must_stop:
            return num_epochs
    return None


@pytest.mark.parametrize(
    ("values", "stopping", "expected"),
    [
        ([5, 4, 3, 2], {"patience": 0}, None),
        ([5, 4, 4, 2], {"patience": 0}, 3),
        ([5, 4, 4, 2], {"patience": 1}, 3),
        ([5, 4, 4, 2, 3, 3], {"patience": 2}, 6),
        ([5, 4, 3.5, 3.1], {"patience": 2, "min_delta": 1}, None),
        ([5, 4, 3.5, 3.1], {"patience": 2, "min_delta": 1.5}, 3),
        ([5, NAN, 4, NAN, NAN], {"patience": 2}, 5),
        ([NAN, NAN, 3, 2], {"patience": 2}, 2),
        ([NAN, 3, 2, 1], {"patience": 2}, None),
        ([INF, 3, 4, 5], {"patience": 2}, 4),
        ([-INF, 3, 2, 1], {"patience": 2}, None),
        ([5, None, None, None, 6, None, 7], {"patience": 2}, 7),  # validated now and then
        ([1, 2, 3], {"patience": 2, "mode": "max"}, None),
        ([0, 0, 0], {"patience": 2}, 3),
    ],
)
def test_training_stops_after_as_many_epochs_without_progress(values, stopping, expected):
    assert stop_epoch(values, **stopping) == expected


@pytest.mark.parametrize(
    ("values", "changes", "best"),
    [
        ([3, 1, 2, 1], {"best": "val_loss"}, 1),
        ([NAN, NAN], {"best": "val_loss"}, None),
        ([NAN, 3, -INF, 2], {"best": "val_loss"}, 3),
        ([INF, 3], {"best": "val_loss"}, 1),
        ([None, 3, None, 2], {"best": "val_loss"}, 3),
        ([5, 4.5, 4], {"early_stopping": {"min_delta": 2}}, 2),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best_finite_values(values, changes, best):
    metric_monitors, looks = watch(values, **changes)
    assert metric_monitors["best"].state["best_epoch"] == best
    message = [epoch for epoch, is_best in enumerate(looks["best"]) if is_best]
    assert (message[-1] if message else None) == best


@pytest.mark.parametrize(
    ("metric", "kind", "is_lower_better"),
    [
        ("loss", None, True),
        ("val_accuracy", None, False),
        ("val_mine", "MeanSquaredError", True),
        ("mine", "KLDivergence", True),
        ("val_mine", "CategoricalHinge", True),
        ("val_wrong", "FalsePositives", True),
        ("val_mine", "AUC", False),
        ("val_mse_or_so", "R2Score", False),
    ],
)
def test_which_way_is_better_goes_by_the_class_of_a_metric(metric, kind, is_lower_better):
    metrics = {} if kind is None else {"metrics": {metric.removeprefix("val_"): {"type": kind}}}
    metric_monitors, _ = watch([2, 3, 1], metric, best=metric, **metrics)
    assert metric_monitors["best"].state["best_epoch"] == (2 if is_lower_better else 1)


@pytest.mark.parametrize(
    ("values", "plateau", "expected"),
    [
        ([5, 4, 4, 4, 4], {"patience": 1}, [1, 1, 0.5, 0.25, 0.125]),
        ([5, 4, 4, 4, 4], {"patience": 2}, [1, 1, 1, 0.5, 0.5]),
        ([5, 5, 5, 4, 4], {"patience": 0}, [1, 0.5, 0.25, 0.25, 0.125]),
        ([5, 5, 5, 5, 5], {"patience": 1, "min_learning_rate": 0.4}, [1, 0.5, 0.4, 0.4, 0.4]),
        ([5, 4.5, 4, 3.5, 3], {"patience": 2, "min_delta": 1}, [1, 1, 0.5, 0.5, 0.5]),
        ([5, None, 5, None, 5], {"patience": 2}, [1, 1, 1, 1, 0.5]),
        ([NAN, NAN, NAN], {"patience": 2}, [1, 0.5, 0.5]),
    ],
)
def test_the_learning_rate_is_lowered_on_a_plateau(values, plateau, expected):
    config = TrainingConfig(**TRAINING | {"reduce_on_plateau": {"factor": 0.5, **plateau}})
    metric_monitor, optimizer = make_metric_monitors(config)["plateau"], keras.optimizers.SGD(1.0)
    rates = []
    for epoch, value in enumerate(values):
        metric_monitor.update({} if value is None else {"val_loss": value}, epoch)
        metric_monitor.lower(optimizer)
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize("cut", range(1, 6))
def test_what_they_remember_survives_in_a_file(cut):
    values = [5, 4, NAN, 4.5, 3.9, 4]
    changes = {"early_stopping": {"patience": 2}, "best": "val_loss", "reduce_on_plateau": {"patience": 3}}
    whole, _ = watch(values, **changes)
    before, _ = watch(values[:cut], **changes)
    after = make_metric_monitors(TrainingConfig(**TRAINING | changes))
    for name, metric_monitor in after.items():
        metric_monitor.state = json.loads(json.dumps(before[name].state))
        for epoch in range(cut, len(values)):
            metric_monitor.update({"val_loss": values[epoch]}, epoch)
        assert metric_monitor.state == whole[name].state


@pytest.fixture
def _validated_as_worked_out(monkeypatch):
    """Validation that gives `val_loss` from a list, by the optimizer's steps, and not from the data."""
    losses = [5.0, 3.0, 4.0, NAN, 3.5, 2.0]

    def evaluate(model, batches):
        return {"loss": losses[int(model.optimizer.iterations) // 5 - 1]}

    monkeypatch.setattr(loop_module, "evaluate", evaluate)


class WeightsOfEpochs(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())


WATCHED = TRAINING | {"epochs": 6, "checkpoint": {"every_epochs": 1}}


@pytest.mark.usefixtures("_validated_as_worked_out")
@pytest.mark.parametrize(
    ("changes", "num_epochs", "taken"),
    [
        ({"early_stopping": {"patience": 2}}, 4, 1),
        ({"early_stopping": {"patience": 3, "restore_best": False}}, 5, 4),
        ({"early_stopping": {"patience": 2, "restore_best": False}, "best": "loss"}, 4, 3),
        ({"early_stopping": {"patience": 4}}, 6, 5),
        ({"best": "val_loss"}, 6, 5),
        ({"best": "val_loss", "epochs": 5}, 5, 1),
    ],
)
@pytest.mark.parametrize("is_kept", [False, True], ids=["in memory", "in a folder"])
def test_the_best_epochs_weights_are_the_result(changes, num_epochs, taken, is_kept, tmp_path):
    seen = WeightsOfEpochs()
    model, history, _ = fit(tmp_path if is_kept else None, [seen], training=WATCHED | changes)
    assert len(history["loss"]) == num_epochs
    assert_same_bits(dict(enumerate(model.get_weights())), dict(enumerate(seen.weights[taken])))
    assert np.any(seen.weights[taken][0] != seen.weights[taken - 1][0])


@pytest.mark.usefixtures("_validated_as_worked_out")
def test_a_resumed_training_stops_and_lowers_as_one_in_a_piece(tmp_path, capsys):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise InterruptedError("in epoch 4")

    watched = {"early_stopping": {"patience": 3}, "reduce_on_plateau": {"patience": 2, "factor": 0.5}}
    changes = {"training": WATCHED | watched}
    expected, history, losses = fit(**changes)
    assert len(history["loss"]) == 5
    message = capsys.readouterr().err
    assert message == "Epoch 4: the learning rate is 0.005 from now on.\n"
    model, splits, config = prepare(**changes)
    with pytest.raises(InterruptedError, match="in epoch 4"):
        training.fit(model, splits, config, [Crash()], tmp_path)
    model, splits, config = prepare(**changes)
    seen = EachLoss()
    assert repr(training.fit(model, splits, config, [seen], tmp_path)) == repr(history)
    assert seen.losses == {step: loss for step, loss in losses.items() if step > 15}
    assert message in capsys.readouterr().err
    assert_same_bits(dict(enumerate(model.get_weights())), dict(enumerate(expected.get_weights())))


def test_averages_of_the_best_epoch_are_the_result():
    optimizer = make_config()["optimizer"] | {"use_ema": True, "ema_momentum": 0.5}
    changes = {"optimizer": optimizer, "training": TRAINING | {"best": "val_loss"}}

    class Averages(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.values = [one.numpy() for one in self.model.optimizer._model_variables_moving_average]
            self.plain = self.model.get_weights()

    seen = Averages()
    model, history, _ = fit(None, [seen], **changes)
    assert history["val_loss"][1] < history["val_loss"][0]
    assert_same_bits(dict(enumerate(model.get_weights())), dict(enumerate(seen.values)))
    assert np.any(seen.plain[0] != seen.values[0])


@pytest.mark.usefixtures("_validated_as_worked_out")
def test_where_no_epoch_has_a_finite_value_the_last_is_taken(capsys, monkeypatch):
    monkeypatch.setattr(loop_module, "evaluate", lambda *_: {"loss": NAN})
    fit(training=TRAINING | {"best": "val_loss"})
    assert "Warning: `val_loss` was a finite number in no epoch; the last epoch's" in capsys.readouterr().err
