import numpy as np
import pytest
from conftest import make_config

from lctrain.config import validate
from lctrain.data import HELD, check_feeds, load_splits
from lctrain.errors import ConfigError

DIGITS = {
    "name": "digits",
    "input_shape": [8, 8, 1],
    "num_classes": 10,
    "validation_fraction": 0.15,
    "test_fraction": 0.15,
    "split_seed": 0,
}


def load(data, data_format="channels_last"):
    return load_splits(validate(make_config(data=data)).data, data_format)


def test_digits_are_the_real_ones_in_three_stratified_splits():
    from sklearn.datasets import load_digits

    splits = load(DIGITS)
    parts = [splits.train, splits.validation, splits.test]
    assert [len(part.labels) for part in parts] == [1257, 270, 270]
    assert all(part.inputs.shape[1:] == (8, 8, 1) and part.inputs.dtype == np.float32 for part in parts)
    assert all(part.inputs.min() == 0 and part.inputs.max() == 1 for part in parts)
    together = np.concatenate([part.inputs for part in parts]).reshape(-1, 64) * 16
    assert sorted(map(tuple, together)) == sorted(map(tuple, load_digits().data))
    shares = [np.bincount(part.labels, minlength=10) / len(part.labels) for part in parts]
    assert np.ptp(shares, axis=0).max() < 0.01


def test_splits_depend_on_their_seed_alone():
    first, again, other = load(DIGITS), load(DIGITS), load(DIGITS | {"split_seed": 1})
    np.testing.assert_array_equal(first.test.inputs, again.test.inputs)
    assert not np.array_equal(first.test.labels, other.test.labels)


def test_rows_are_the_same_digits_read_row_by_row():
    images, rows = load(DIGITS), load(DIGITS | {"name": "digits_rows", "input_shape": [64, 1]})
    np.testing.assert_array_equal(rows.train.inputs[5, :, 0], images.train.inputs[5].ravel())
    np.testing.assert_array_equal(rows.train.labels, images.train.labels)


@pytest.mark.parametrize("shape", [[9, 2], [5, 7, 2], [4, 5, 6, 2]])
def test_synthetic_data_has_any_shape(shape):
    splits = load(make_config()["data"] | {"input_shape": shape})
    assert splits.train.inputs.shape == (72, *shape)
    assert set(splits.test.labels) == {0, 1, 2, 3}
    first = load(make_config()["data"] | {"input_shape": shape}, "channels_first")
    np.testing.assert_array_equal(first.train.inputs, np.moveaxis(splits.train.inputs, -1, 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_shape": [8, 8]}, r"`data.input_shape` must be \[8, 8, 1\].*got \[8, 8\]"),
        ({"num_classes": 9}, r"`data.num_classes` must be 10.*got 9"),
        ({"validation_fraction": 0.6, "test_fraction": 0.4}, r"must leave something to train on; got 0.6 \+ 0.4"),
        ({"test_fraction": 0.001}, "`data` can't be split so that every split holds every class"),
    ],
)
def test_what_the_data_does_not_hold_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        load(DIGITS | changes)


@pytest.mark.parametrize("name", list(HELD))
def test_what_is_said_to_be_held_is_held(name):
    input_shape, num_classes = HELD[name]
    splits = load(DIGITS | {"name": name, "input_shape": input_shape, "num_classes": num_classes})
    assert (list(splits.train.inputs.shape[1:]), splits.train.labels.max() + 1) == HELD[name]


def test_what_is_stated_wrongly_is_told_before_anything_is_loaded():
    changes = {"input_shape": [16, 16, 1], "num_classes": 3, "validation_fraction": 0.9, "test_fraction": 0.9}
    with pytest.raises(ConfigError, match=r"must be \[8, 8, 1\]") as caught:
        check_feeds(validate(make_config(data=DIGITS | changes)))
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["data.input_shape", "data.num_classes", "data.validation_fraction"]


def test_too_few_examples_for_the_classes_are_refused():
    data = make_config()["data"] | {"num_examples": 3}
    with pytest.raises(ConfigError, match=r"`data.num_classes` must be 3"):
        load(data)
