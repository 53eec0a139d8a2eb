"""Arrays of one's own: where they are read, what is read of them, and what is refused with its place."""

import json
import struct
import zipfile

import numpy as np
import pytest
from conftest import make_config
from made_files import make_arrays, read_data

from lctrain.config import validate
from lctrain.data import Rows, check_feeds, complete_from_files, find_facts, load_splits
from lctrain.data import rows as rows_module
from lctrain.errors import ConfigError


def state(path, **changes):
    return {"name": "arrays", "path": str(path), "input_shape": [5, 7, 2], "num_classes": 3} | changes


def load(path, data_format="channels_last", **changes):
    return load_splits(read_data(state(path, **changes)), data_format)


def complete(path, **changes):
    raw = complete_from_files({"data": {"name": "arrays", "path": str(path)} | changes})
    return {key: raw["data"].get(key) for key in ("input_shape", "target_shape", "num_classes", "num_targets")}


def parts_of(splits):
    return [splits.train, splits.validation, splits.test]


@pytest.fixture
def mapped(monkeypatch):
    monkeypatch.setattr(rows_module, "SMALL_BYTES", 0)


def test_a_npz_is_split_into_disjoint_parts_that_are_everything(tmp_path):
    path = make_arrays(tmp_path)
    splits = load(path, stratify=False)
    stored = np.load(path)
    together = np.concatenate([part.inputs for part in parts_of(splits)])
    assert sorted(map(bytes, together)) == sorted(map(bytes, stored["x"]))
    assert len({bytes(row) for row in together}) == 90
    by_row = {bytes(row): label for row, label in zip(stored["x"], stored["y"], strict=True)}
    for part in parts_of(splits):
        assert [by_row[bytes(row)] for row in part.inputs] == part.labels.tolist()
        assert (part.inputs.dtype, part.labels.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "u1", "i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_stays_on_the_disk_is_what_is_held_in_memory(tmp_path, monkeypatch, data_format, dtype, order):
    values = np.random.default_rng(0).integers(0, 200, (90, 5, 7, 2)).astype(dtype)
    path = make_arrays(tmp_path, x=np.asarray(values, order=order))
    held = load(path, data_format)
    monkeypatch.setattr(rows_module, "SMALL_BYTES", 0)
    mapped = load(path, data_format)
    for part, other in zip(parts_of(mapped), parts_of(held), strict=True):
        assert isinstance(part.inputs, Rows)
        assert type(other.inputs) is np.ndarray
        assert (part.inputs.shape, part.inputs.dtype) == (other.inputs.shape, other.inputs.dtype)
        np.testing.assert_array_equal(part.inputs[:], other.inputs)
        np.testing.assert_array_equal(part.labels, other.labels)
    assert held.train.inputs.dtype == (np.uint8 if dtype == "u1" else np.float32)
    assert held.train.inputs.shape[1:] == ((2, 5, 7) if data_format == "channels_first" else (5, 7, 2))


def test_a_compressed_npz_is_held_in_memory(tmp_path, mapped):
    path = make_arrays(tmp_path)
    plain = load(path)
    np.savez_compressed(tmp_path / "small.npz", **np.load(path))
    compressed = load(tmp_path / "small.npz")
    assert isinstance(plain.train.inputs, Rows)
    np.testing.assert_array_equal(compressed.train.inputs, plain.train.inputs[:])


def test_a_npy_has_its_targets_in_another(tmp_path, mapped):
    stored = np.load(make_arrays(tmp_path))
    np.save(tmp_path / "in.npy", stored["x"])
    np.save(tmp_path / "out.npy", stored["y"])
    splits = load(tmp_path / "in.npy", targets=str(tmp_path / "out.npy"))
    np.testing.assert_array_equal(splits.test.inputs[:], load(tmp_path / "my.npz").test.inputs[:])


def test_splits_of_its_own_stay_as_they_are(tmp_path):
    stored = np.load(make_arrays(tmp_path))
    x, y = stored["x"], stored["y"]
    path = tmp_path / "parts.npz"
    np.savez(path, x_train=x[:50], y_train=y[:50], x_val=x[50:71], y_val=y[50:71], x_test=x[71:], y_test=y[71:])
    left_open = complete_from_files({"data": {"name": "arrays", "path": str(path)}})["data"]
    assert (left_open["validation_fraction"], left_open["test_fraction"]) == (None, None)
    splits = load_splits(read_data(left_open), "channels_last")
    for part, (first, end) in zip(parts_of(splits), [(0, 50), (50, 71), (71, 90)], strict=True):
        np.testing.assert_array_equal(part.inputs, x[first:end])
        np.testing.assert_array_equal(part.labels, y[first:end])
    limited = load(path, validation_fraction=None, test_fraction=None, train_limit=9)
    assert np.bincount(limited.train.labels).tolist() == [3, 3, 3]
    problems = r"`data.validation_fraction` must be null: `arrays` has a val.*\n.*`data.test_fraction` must be null"
    with pytest.raises(ConfigError, match=problems):
        load(path)
    with pytest.raises(ConfigError, match=r"`data.folds` must be null: `arrays` has a validation split.*got 4"):
        load(path, test_fraction=None, folds=4)


@pytest.mark.parametrize(
    ("task", "y", "expected", "shape", "dtype"),
    [
        ("classification", (90,), ([], 3, 1), (), np.int64),
        ("classification", (90, 1), ([1], 3, 1), (1,), np.int64),
        ("classification", (90, 5), ([5], 3, 1), (5,), np.int64),
        ("binary", (90,), ([], 2, 1), (1,), np.float32),
        ("binary", (90, 5, 1), ([5], 2, 1), (5, 1), np.float32),
        ("multilabel", (90, 4), ([], 4, 1), (4,), np.float32),
        ("multilabel", (90, 5, 4), ([5], 4, 1), (5, 4), np.float32),
        ("regression", (90,), ([], None, 1), (1,), np.float32),
        ("regression", (90, 4), ([], None, 4), (4,), np.float32),
        ("regression", (90, 5, 4), ([5], None, 4), (5, 4), np.float32),
    ],
)
def test_what_is_left_open_is_read_from_the_file(tmp_path, task, y, expected, shape, dtype):
    highest = {"classification": 3, "regression": 99}.get(task, 2)
    values = np.random.default_rng(0).integers(0, highest, y)
    values.flat[:highest] = range(highest)
    path = make_arrays(tmp_path, y=values)
    found = complete(path, task=task)
    if shape == (1,) and task == "classification":
        expected, shape = ([], 3, 1), ()
    assert found == dict(zip(("input_shape", *list(found)[1:]), ([5, 7, 2], *expected), strict=True))
    splits = load(path, task=task, **found)
    assert (splits.train.labels.shape[1:], splits.train.labels.dtype) == (shape, dtype)


def test_what_is_stated_stays_and_references_are_followed(tmp_path):
    path = make_arrays(tmp_path)
    raw = {"here": str(path), "data": {"name": "arrays", "path": "${here}", "input_shape": None, "num_classes": 7}}
    completed = complete_from_files(raw)
    assert completed["data"] == {**raw["data"], "input_shape": [5, 7, 2], "target_shape": [], "num_targets": 1}
    assert raw["data"]["input_shape"] is None


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"data": None},
        {"data": {"name": ["arrays"]}},
        {"data": {"name": "digits"}},
        {"data": {"name": "arrays", "path": "${nowhere}"}},
        {"data": {"name": "arrays", "path": 3}},
        {"data": {"name": "arrays", "path": "missing.npz", "split_seed": "x"}},
        {"data": "${data}"},
        {"data": {"name": "table", "path": "x.csv", "target": 3}},
        {"data": {"name": "images", "path": "x", "image_size": [3]}},
    ],
)
def test_what_is_malformed_is_left_to_validation(raw):
    assert complete_from_files(raw) is raw


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "arrays"}, "`data.path` must be given: data.path=FILE"),
        ({"name": "images", "path": "???"}, "`data.path` must be given: data.path=FILE"),
        (
            {"name": "table", "path": None, "target": "???"},
            r"(?s)`data.path` must be given.*`data.target` must be given",
        ),
        ({"name": "arrays", "path": "missing.npz"}, r"`data.path` 'missing.npz': there is no such file"),
    ],
)
def test_a_file_that_is_not_named_or_not_there_is_all_that_is_told(data, message):
    with pytest.raises(ConfigError, match=message):
        complete_from_files({"data": data})


def test_images_without_channels_get_one_where_it_is_stated(tmp_path):
    path = make_arrays(tmp_path, x=np.ones((90, 5, 7), np.float32))
    assert load(path, input_shape=[5, 7, 1]).train.inputs.shape[1:] == (5, 7, 1)
    with pytest.raises(ConfigError, match=r"`data.input_shape` must be \[5, 7\].*got \[7, 5, 1\]"):
        load(path, input_shape=[7, 5, 1])


def test_facts_are_read_from_headers(tmp_path, mapped):
    config = validate(make_config(data=state(make_arrays(tmp_path), num_classes=4)))
    assert find_facts(config.data).num_examples == 90
    assert find_facts(config.data).data_bytes == 0
    np.savez_compressed(tmp_path / "my.npz", **np.load(tmp_path / "my.npz"))
    assert find_facts(config.data).data_bytes == 2 * 4 * 90 * 70


def test_check_feeds_looks_into_the_file(tmp_path):
    path = make_arrays(tmp_path)
    with pytest.raises(ConfigError, match=r"`data.input_shape` must be \[5, 7, 2\].*got \[5, 7, 3\]"):
        check_feeds(validate(make_config(data=state(path, input_shape=[5, 7, 3], num_classes=4))))


def at(shape, *indices, value):
    array = np.arange(np.prod(shape)).reshape(shape) % 3 + 0.0
    for index in indices:
        array[index] = value
    return array


X = (90, 5, 7, 2)


@pytest.mark.parametrize("is_mapped", [False, True])
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": at(X, (17, 3, 0, 1), (20, 0, 0, 0), value=np.nan)}, r"`x` .*row 17, column \(3, 0, 1\) is nan \(2 such"),
        ({"x": at(X, (89, 0, 0, 0), value=-np.inf)}, r"`x` must be finite; row 89, column \(0, 0, 0\) is -inf\. Clean"),
        ({"x": at(X, (4, 0, 0, 0), value=1e39)}, r"`x` must be finite; row 4, column \(0, 0, 0\) is inf"),
        ({"x": np.full(X, "a")}, "`x` must be numbers; got the type <U1"),
        ({"x": np.ones(X, complex)}, "`x` must be numbers; got the type complex128"),
        ({"x": np.full(X, None)}, "`x` holds Python objects, which are never unpickled"),
        ({"x": np.ones((89, 5, 7, 2))}, "`x` and `y` must have as many rows; got 89 and 90"),
        ({"x": np.ones((0, 5, 7, 2))}, r"`x` must hold examples along its first axis; got the shape \(0, 5, 7, 2\)"),
        ({"x": np.ones(90)}, r"`x` must hold arrays along its rows; got \(90,\)"),
        ({"y": at(90, (5,), value=3)}, r"`y` must be whole numbers from 0 to 2.*row 5 is 3\.0"),
        ({"y": at(90, (5,), value=-1)}, r"`y` must be.*row 5 is -1\.0"),
        ({"y": at(90, (5,), (6,), value=0.5)}, r"`y` must be whole numbers.*row 5 is 0\.5 \(2 such values"),
        ({"y": at(90, (5,), value=np.nan)}, "`y` must be finite; row 5 is nan"),
        (
            {"y": np.ones((90, 3))},
            r"`y` must have the shape \(90,\).*of a class, or its one-hot row, .*; got \(90, 3\)",
        ),
        ({"y": np.arange(90) % 2}, "must hold every class to train on; class 2 has no example"),
        ({"y": np.full(90, "a")}, r"`y` must be numbers; got texts such as 'a'. Number its classes: numpy.unique\(y, "),
        ({"inputs": np.ones(X)}, "must hold one pair of arrays to train on|has no `labels`"),
        ({"x_test": np.ones(X)}, "has no `y_test`. Its arrays are: x, y, x_test"),
    ],
)
def test_what_can_not_be_trained_on_is_told_with_its_place(tmp_path, monkeypatch, arrays, message, is_mapped):
    path = make_arrays(tmp_path)
    if is_mapped:
        monkeypatch.setattr(rows_module, "SMALL_BYTES", 0)
        monkeypatch.setattr(rows_module, "PIECE_BYTES", 1000)  # several blocks
    load(path)  # is right without
    with pytest.raises(ConfigError, match=rf"my\.npz': .*({message})|`data` ({message})"):
        load(make_arrays(tmp_path, **arrays))


@pytest.mark.parametrize(
    ("task", "changes", "y", "message"),
    [
        ("binary", {"num_classes": 2}, at(90, (7,), value=2), r"`y` must be 0 or 1; row 2 is 2\.0"),
        ("multilabel", {}, at((90, 3), (8, 1), value=0.25), r"`y` must be 0 or 1; row 0, column 2 is 2"),
        ("multilabel", {}, np.ones((90, 4)), r"`y` must have the shape \(90, 3\).*num_classes`; got \(90, 4\)"),
        ("multilabel", {}, np.eye(3)[np.arange(90) % 2], r"class 2 has no example"),
        ("regression", {"num_classes": None}, at(90, (9,), value=np.inf), "`y` must be finite; row 9 is inf"),
        ("regression", {"num_classes": None, "num_targets": 2}, np.ones((90, 3)), r"shape \(90, 2\).*got \(90, 3\)"),
    ],
)
def test_targets_of_other_tasks_are_told_with_their_place(tmp_path, task, changes, y, message):
    with pytest.raises(ConfigError, match=message):
        load(make_arrays(tmp_path, y=y), task=task, **changes)


def cut(path, num_bytes):
    path.write_bytes(path.read_bytes()[:num_bytes])
    return path


@pytest.mark.parametrize("is_mapped", [False, True])
@pytest.mark.parametrize("kept", [0, 3, 100, 5000, -1])
@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_a_truncated_file_is_told_by_name(tmp_path, monkeypatch, suffix, kept, is_mapped):
    if is_mapped:
        monkeypatch.setattr(rows_module, "SMALL_BYTES", 0)
    np.save(tmp_path / "y.npy", np.arange(90) % 3)
    np.save(tmp_path / "my.npy", np.ones(X, np.float32))
    path = cut(make_arrays(tmp_path).with_suffix(suffix), kept)
    targets = str(tmp_path / "y.npy") if suffix == ".npy" else None
    with pytest.raises(ConfigError, match=rf"`data.path` '.*my\{suffix}': (is truncated|has no `x`)"):
        load(path, targets=targets)


def test_a_flipped_byte_of_a_member_in_memory_is_noticed(tmp_path):
    path = make_arrays(tmp_path)
    content = bytearray(path.read_bytes())
    content[3000] ^= 255
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"my\.npz': is truncated, or no file of NumPy's: Bad CRC-32"):
        load(path)


def test_a_member_that_says_more_than_it_has_is_told(tmp_path, mapped):
    path = tmp_path / "my.npz"
    with zipfile.ZipFile(path, "w") as archive:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (90, 5, 7, 2), }".ljust(117) + b"\n"
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 400)
    with pytest.raises(ConfigError, match=r"`x` of the shape \(90, 5, 7, 2\) has 25,200 bytes, of which 400 are there"):
        load(path)


def test_a_pickle_in_an_array_never_runs(tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "marker"), "w")

    path = make_arrays(tmp_path, x=np.array([Evil()] * 90, dtype=object))
    (tmp_path / "marker").unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="`x` holds Python objects, which are never unpickled"):
        load(path)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("missing.npz", {}, r"`data.path` '.*missing.npz': there is no such file"),
        ("my.txt", {}, r"`data.path` must be a \.npz or \.npy file; got '.*my.txt'"),
        ("in.npy", {}, "`data.targets` must name the .npy of labels for '.*in.npy'"),
        ("my.npz", {"targets": "y.npy"}, "`data.targets` must be null with a .npz; got 'y.npy'"),
    ],
)
def test_files_that_do_not_go_together_are_told(tmp_path, name, changes, message):
    make_arrays(tmp_path)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path / name, **changes)
    with pytest.raises(ConfigError, match=message):
        complete(tmp_path / name, **changes)


def test_a_misspelt_member_is_told_with_the_nearest(tmp_path):
    np.savez(tmp_path / "my.npz", x_trian=np.ones((9, 2)), y_train=np.ones(9))
    with pytest.raises(ConfigError, match=r"has no `x_train`. Did you mean `x_trian`\?"):
        load(tmp_path / "my.npz")
    np.savez(tmp_path / "my.npz", data=np.ones((9, 2)))
    with pytest.raises(ConfigError, match=r"has no `x`. Known are: data. Name its arrays `x` and `y`"):
        load(tmp_path / "my.npz")


def make_steps(folder, task, *sizes):
    y = np.arange(60 * np.prod(sizes)).reshape(60, *sizes) % 2
    path = make_arrays(folder, x=np.zeros((60, 40, 2), np.float32), y=y)
    return {"path": str(path), "task": task}


def complete_steps(keys):
    raw = {"name": "arrays", "validation_fraction": 0.2, "test_fraction": 0.2} | keys
    return read_data(complete_from_files({"data": raw})["data"])


@pytest.mark.parametrize(
    ("task", "sizes", "stated"),
    [
        ("regression", (40,), {"target_shape": [40]}),
        ("regression", (40, 3), {"target_shape": [40, 3]}),
        ("regression", (40, 3), {"target_shape": [40]}),
        ("binary", (40,), {"target_shape": [40]}),
        ("multilabel", (40, 3), {"target_shape": [40]}),
        ("classification", (40,), {"target_shape": [40]}),
    ],
)
def test_a_stated_target_shape_decides_what_is_left_open(tmp_path, task, sizes, stated):
    data = complete_steps(make_steps(tmp_path, task, *sizes) | stated)
    assert not find_facts(data).problems
    assert data.num_targets == (3 if len(sizes) > len(stated["target_shape"]) and task == "regression" else 1)
    assert load_splits(data, "channels_last").train.labels.shape[1 : len(stated["target_shape"]) + 1] == tuple(
        stated["target_shape"]
    )


@pytest.mark.parametrize("task", ["regression", "binary", "multilabel", "classification"])
def test_the_check_refuses_the_targets_that_a_job_refuses(tmp_path, task):
    keys = make_steps(tmp_path, task, 40, 3) | {"target_shape": [20]}
    data = complete_steps(keys)
    (problem,) = find_facts(data).problems
    with pytest.raises(ConfigError, match="shape") as refused:
        load_splits(data, "channels_last")
    assert refused.value.problems == [problem]


def test_a_multilabel_file_needs_an_axis_of_classes_behind_its_targets(tmp_path):
    with pytest.raises(ConfigError, match=r"a column of 0 and 1 for each class; got \(60, 40\).*data.task=binary"):
        complete_steps(make_steps(tmp_path, "multilabel", 40) | {"target_shape": [40]})


@pytest.mark.parametrize("stated", [{}, {"target_shape": [40]}, {"target_shape": [40], "num_targets": 1}])
def test_the_advice_on_targets_reads_them_otherwise(tmp_path, stated):
    keys = make_steps(tmp_path, "regression", 40) | stated
    shapes = []
    for _ in range(2):
        data = complete_steps(keys)
        shapes.append((data.target_shape, data.num_targets))
        assert load_splits(data, "channels_last").train.labels.shape[1:] == (*data.target_shape, data.num_targets)
        advice = find_facts(data).notes[-1].rpartition(": ")[2].split()
        assert [pair.partition("=")[0] for pair in advice] == ["data.target_shape", "data.num_targets"]
        keys |= {
            key.removeprefix("data."): json.loads(value) for key, _, value in (one.partition("=") for one in advice)
        }
    assert sorted(shapes) == [([], 40), ([40], 1)]


def test_an_array_that_is_called_nearly_as_one_that_is_read_is_told(tmp_path):
    others = {name: np.zeros((9, 1)) for name in ("x_valid", "y_valid", "names")}
    notes = find_facts(complete_steps({"path": str(make_arrays(tmp_path, **others))})).notes
    assert [note.partition(": ")[2] for note in notes[-3:]] == [
        "`x_valid` is not used. Did you mean `x_validation`?",
        "`y_valid` is not used. Did you mean `y_validation`?",
        "its other arrays are not used: names.",
    ]
