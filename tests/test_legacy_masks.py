"""Masks in models of tf_keras: where both Kerases hand them on alike predictions are equal, else import refuses."""

import made_tf_keras as made
import numpy as np
import pytest
import tf_keras

from lctrain import legacy

L = tf_keras.layers
WORDS = np.array([[1, 2, 0, 0, 0], [3, 0, 0, 4, 5], [6, 7, 8, 1, 0]], np.float32)
OTHERS = np.array([[1, 0, 3, 0, 0], [3, 4, 0, 4, 0], [0, 7, 8, 1, 2]], np.float32)


def embed(words, units=4):
    return L.Embedding(9, units, mask_zero=True)(words)


def beside(merge_class):
    """A masked array merged with one without a mask, read by an LSTM; to make the layer here would start TensorFlow."""

    def make(words, others):
        masked = embed(words)
        return L.LSTM(3, name="reader")(merge_class()([masked, L.Conv1D(4, 3, padding="same")(masked)]))

    return make


def differently_masked(words, others):
    return L.LSTM(3, name="reader")(L.Add()([embed(words), embed(others)]))


def behind(layer_class, **arguments):
    return lambda words, _: L.LSTM(3, name="reader")(layer_class(**arguments)(embed(words)))


def averaged(words, others):
    masked = embed(words)
    return L.GlobalAveragePooling1D(name="reader")(L.Concatenate()([masked, L.Conv1D(4, 3, padding="same")(masked)]))


def later(words, others):
    """The doubt goes on through layers that hand it on."""
    masked = embed(words)
    merged = L.Add()([masked, L.Conv1D(4, 3, padding="same")(masked)])
    return L.GRU(3, name="reader")(L.Dropout(0.5)(L.Dense(3)(L.LSTM(3, return_sequences=True, name="first")(merged))))


REFUSED = {
    "Add": beside(L.Add),
    "Multiply": beside(L.Multiply),
    "Concatenate": beside(L.Concatenate),
    "two masks": differently_masked,
    "Rescaling": behind(L.Rescaling, scale=0.5),
    "Identity": behind(L.Identity),
    "Normalization": behind(L.Normalization, mean=0.1, variance=0.5),
    "average": averaged,
    "later": later,
}


def same_mask(words, others):
    masked = embed(words)
    return L.LSTM(3)(L.Add()([masked, L.Dense(4)(masked)]))


def along_steps(words, others):
    return L.LSTM(3)(L.Concatenate(axis=1)([embed(words), embed(others)]))


def unread(words, others):
    """What no layer reads may differ."""
    masked = embed(words)
    return L.Dense(3)(L.Flatten()(L.Add()([masked, L.Conv1D(4, 3, padding="same")(masked)])))


def stopped(words, others):
    """A convolution hands no mask on, whatever reaches it."""
    masked = embed(words)
    merged = L.Add()([masked, L.Conv1D(4, 3, padding="same")(masked)])
    return L.LSTM(3)(L.Conv1D(4, 2)(merged))


def over_time(words, others):
    return L.LSTM(3)(L.TimeDistributed(L.Dense(5))(L.Bidirectional(L.GRU(3, return_sequences=True))(embed(words))))


EQUAL = {"same": same_mask, "steps": along_steps, "unread": unread, "stopped": stopped, "over time": over_time}


def build(make, path):
    words, others = L.Input((5,)), L.Input((5,))
    model = made.randomize(tf_keras.Model([words, others], [make(words, others), L.Dense(2)(others)]))
    made.save(model, path)
    return model


@pytest.mark.parametrize("case", REFUSED)
def test_a_mask_that_keras_3_makes_otherwise_is_refused_where_it_is_read(case, tmp_path):
    build(REFUSED[case], tmp_path / "old.h5")
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match="hands it on otherwise") as caught:
        legacy.load_model(tmp_path / "old.h5")
    assert caught.value.layer in ("reader", "first")
    assert caught.value.field == "mask"


@pytest.mark.filterwarnings("ignore:.*passed an input with a mask attached:UserWarning")  # which ends there, as before
@pytest.mark.parametrize("case", EQUAL)
def test_masks_that_both_make_alike_predict_the_same(case, tmp_path):
    old = build(EQUAL[case], tmp_path / "old.h5")
    new = legacy.load_model(tmp_path / "old.h5")
    for expected, got in zip(old([WORDS, OTHERS]), new([WORDS, OTHERS]), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_mask_that_is_made_in_time_distributed_is_refused(tmp_path):
    stack = tf_keras.Sequential([L.Input((3,)), L.Embedding(9, 4, mask_zero=True), L.GlobalAveragePooling1D()])
    words = L.Input((2, 3))
    made.save(made.randomize(tf_keras.Model(words, L.TimeDistributed(stack)(words))), tmp_path / "old.h5")
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match="hands it on otherwise"):
        legacy.load_model(tmp_path / "old.h5")
