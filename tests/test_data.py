import numpy as np
import pytest
from conftest import make_config
from made_files import read_data

from lctrain.config import validate
from lctrain.data import check_feeds, find_facts, load_splits
from lctrain.errors import ConfigError, UserError

DIGITS = {
    "name": "digits",
    "input_shape": [8, 8, 1],
    "num_classes": 10,
    "validation_fraction": 0.15,
    "test_fraction": 0.15,
    "split_seed": 0,
}


def load(data, data_format="channels_last"):
    return load_splits(read_data(data), data_format)


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
        (
            {"test_fraction": None},
            "`data.test_fraction` must be a part of the examples.*`digits` has no test.*got null",
        ),
        ({"folds": 5, "fold": 5}, "`data.fold` must be one of the 5 of `data.folds`, from 0 to 4; got 5"),
        ({"folds": 200}, "`data.folds` must be at most 148, the examples of the smallest class; got 200"),
        ({"task": "regression", "num_classes": None}, "`data.task` must be classification with `digits`.*'regression'"),
        ({"target_shape": [8]}, r"`data.target_shape` must be \[\], as `digits` has one target.*got \[8\]"),
        (
            {"train_limit": 9},
            "`data` must hold every class to train on; class 8 has no.*Raise `data.train_limit`.*is 9",
        ),
    ],
)
def test_what_the_data_does_not_hold_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        load(DIGITS | changes)


@pytest.mark.parametrize("name", ["digits", "digits_rows", "mnist1d"])
def test_what_is_said_to_be_held_is_held(name):
    changes = {"name": name} | ({"test_fraction": None} if name == "mnist1d" else {})
    facts = find_facts(read_data(DIGITS | changes))
    splits = load(DIGITS | changes | {"input_shape": facts.input_shape, "num_classes": facts.num_classes})
    held = (list(splits.train.inputs.shape[1:]), splits.train.labels.max() + 1)
    assert held == (facts.input_shape, facts.num_classes)


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


MNIST1D = {"name": "mnist1d", "input_shape": [40, 1], "num_classes": 10, "test_fraction": None}


def test_folds_are_everything_but_the_test_split_each_once():
    plain = load(DIGITS)
    folds = [load(DIGITS | {"folds": 5, "fold": fold}) for fold in range(5)]
    rest = sorted(map(bytes, np.concatenate([plain.train.inputs, plain.validation.inputs])))
    assert sorted(bytes(row) for fold in folds for row in fold.validation.inputs) == rest
    for fold in folds:
        np.testing.assert_array_equal(fold.test.inputs, plain.test.inputs)
        assert sorted(map(bytes, np.concatenate([fold.train.inputs, fold.validation.inputs]))) == rest
        shares = [np.bincount(part.labels) / len(part.labels) for part in (fold.train, fold.validation)]
        assert np.ptp(shares, axis=0).max() < 0.01


def test_a_limit_takes_the_first_of_each_class_and_leaves_the_rest():
    plain, limited = load(DIGITS), load(DIGITS | {"train_limit": 103})
    assert len(limited.train.labels) == 103
    assert set(np.bincount(limited.train.labels)) <= {9, 10, 11}
    positions = [np.flatnonzero((plain.train.inputs == row).all(axis=(1, 2, 3)))[0] for row in limited.train.inputs]
    assert positions == sorted(positions)
    np.testing.assert_array_equal(limited.test.inputs, plain.test.inputs)
    unstratified = load(DIGITS | {"train_limit": 103, "stratify": False})
    np.testing.assert_array_equal(unstratified.train.inputs, load(DIGITS | {"stratify": False}).train.inputs[:103])
    assert len(load(DIGITS | {"train_limit": 5000}).train.labels) == 1257


def test_without_stratification_the_draw_knows_no_classes():
    splits = load(DIGITS | {"stratify": False})
    assert [len(part.labels) for part in (splits.train, splits.validation, splits.test)] == [1257, 270, 270]
    assert np.ptp(np.bincount(splits.test.labels)) > 4


@pytest.mark.parametrize(
    ("changes", "dtype", "shape", "values"),
    [
        ({"target_shape": [5]}, np.int64, (120, 5), {0, 1, 2, 3}),
        ({"task": "binary", "num_classes": 2}, np.float32, (120, 1), {0, 1}),
        ({"task": "binary", "num_classes": 2, "target_shape": [5, 7]}, np.float32, (120, 5, 7, 1), {0, 1}),
        ({"task": "multilabel", "num_classes": 3}, np.float32, (120, 3), {0, 1}),
        ({"task": "multilabel", "num_classes": 3, "target_shape": [4]}, np.float32, (120, 4, 3), {0, 1}),
        ({"task": "regression", "num_classes": None, "num_targets": 3}, np.float32, (120, 3), None),
        ({"task": "regression", "num_classes": None, "target_shape": [5]}, np.float32, (120, 5, 1), None),
    ],
)
def test_synthetic_data_has_targets_for_every_task(changes, dtype, shape, values):
    splits = load(make_config()["data"] | changes)
    labels = np.concatenate([splits.train.labels, splits.validation.labels, splits.test.labels])
    assert (labels.dtype, labels.shape) == (dtype, shape)
    assert splits.train.inputs.dtype == np.float32
    if values is not None:
        assert set(np.unique(labels)) == values


def test_mnist1d_is_the_published_one_and_leaves_the_generators_as_they_were():
    import random

    random.seed(3)
    np.random.seed(4)
    states = random.getstate(), np.random.get_state()[1].copy()
    splits = load(MNIST1D)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    assert [len(part.labels) for part in (splits.train, splits.validation, splits.test)] == [3400, 600, 1000]
    assert splits.train.inputs.shape == (3400, 40, 1)
    everything = np.concatenate([splits.train.inputs, splits.validation.inputs, splits.test.inputs])
    assert abs(everything.mean()) < 1e-6
    assert abs(everything.std() - 1) < 1e-6
    other = load(MNIST1D | {"generator_seed": 43})
    assert not np.array_equal(other.test.inputs, splits.test.inputs)


def test_shuffled_mnist1d_has_its_steps_in_one_other_order():
    plain, shuffled = load(MNIST1D).test, load(MNIST1D | {"shuffled": True}).test
    np.testing.assert_array_equal(plain.labels, shuffled.labels)
    order = [
        int(np.flatnonzero((plain.inputs[:, :, 0] == column[:, None]).all(axis=0))[0])
        for column in shuffled.inputs.T[0]
    ]
    assert sorted(order) == list(range(40))
    assert order != sorted(order)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_examples": 5001}, "`data.num_examples` must be a multiple of 10.*got 5001"),
        ({"test_fraction": 0.15}, "`data.test_fraction` must be null: `mnist1d` has a test split of its own; got 0.15"),
    ],
)
def test_what_mnist1d_is_not_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        load(MNIST1D | changes)


def test_a_missing_package_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    with pytest.raises(UserError, match=r"pip install 'lctrain\[mnist1d\]'"):
        load(MNIST1D)


def test_held_bytes_count_what_is_loaded_and_what_is_split():
    config = validate(make_config(data=DIGITS))
    assert find_facts(config.data).data_bytes == 2 * 4 * 1797 * 64
    assert find_facts(config.data).num_examples == 1797
    mnist = {"name": "mnist", "input_shape": [28, 28, 1], "num_classes": 10, "test_fraction": None}
    assert find_facts(validate(make_config(data=mnist)).data).data_bytes == 2 * 70000 * 784


def test_nothing_large_is_imported_with_it(run_python):
    large = "tensorflow keras mlflow pandas sklearn PIL pyarrow"
    print(run_python(f"import sys, lctrain.data; assert not set('{large}'.split()) & set(sys.modules)"))
