"""Tables of one's own: columns, windows, splits, and cells that are told with their line."""

import gzip

import numpy as np
import pandas
import pytest
from conftest import make_config
from made_files import make_table, read_data

from lctrain.config import validate
from lctrain.config.schema import WindowConfig
from lctrain.data import Rows, complete_from_files, find_facts, load_splits
from lctrain.data import rows as rows_module
from lctrain.data.windows import find_windows
from lctrain.errors import ConfigError
from lctrain.model.summary import summarize

NUMBERS = {"one_hot": ["kind"], "target": "label"}
LABELS = {"label": [row % 3 for row in range(80)]}


def complete(path, **changes):
    return complete_from_files({"data": {"name": "table", "path": str(path)} | NUMBERS | changes})["data"]


def load(path, data_format="channels_last", **changes):
    return load_splits(read_data(complete(path, **changes)), data_format)


def parts_of(splits):
    return [splits.train, splits.validation, splits.test]


def rows_of(part):
    """The rows of the table, told by their heights."""
    return part.inputs.reshape(len(part.inputs), -1)[:, 0] - 0.5


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet"])
def test_every_format_gives_the_same(tmp_path, suffix):
    path = make_table(tmp_path / "my.csv", LABELS)
    if suffix == ".parquet":
        pandas.read_csv(path).to_parquet(tmp_path / "my.parquet")
    else:
        make_table(tmp_path / f"my{suffix}", LABELS)
    splits = load(tmp_path / f"my{suffix}")
    assert splits.train.inputs.shape == (56, 5, 1)
    rows = np.concatenate([rows_of(part) for part in parts_of(splits)]).astype(int)
    assert sorted(rows) == list(range(80))
    inputs = np.concatenate([part.inputs for part in parts_of(splits)])[:, :, 0]
    np.testing.assert_array_equal(inputs[:, 1], -rows)
    kinds = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]])  # oak, elm, ash; in the order of their names
    np.testing.assert_array_equal(inputs[:, 2:], kinds[rows % 3])
    labels = np.concatenate([part.labels for part in parts_of(splits)])
    np.testing.assert_array_equal(labels, rows % 3)
    assert (inputs.dtype, labels.dtype) == (np.float32, np.int64)


def test_what_is_left_open_is_read_from_the_table(tmp_path):
    path = make_table(tmp_path / "my.csv", LABELS)
    found = complete(path)
    assert [found[key] for key in ("input_shape", "target_shape", "num_classes", "num_targets")] == [[5, 1], [], 3, 1]
    assert complete(path, window={"length": 4})["input_shape"] == [4, 5]
    assert complete(path, features=["width"], one_hot=[])["input_shape"] == [1, 1]
    found = complete(path, task="regression", target=["height", "width"], one_hot=["kind"])
    assert (found["input_shape"], found["num_classes"], found["num_targets"]) == ([4, 1], None, 2)
    assert find_facts(read_data(found)).num_examples == 80


def test_inputs_have_any_shape_of_as_many_numbers(tmp_path):
    path = make_table(tmp_path / "my.csv", LABELS | {"depth": range(0, 160, 2)})
    splits = load(path, input_shape=[2, 3, 1])
    assert splits.train.inputs.shape[1:] == (2, 3, 1)
    np.testing.assert_array_equal(splits.train.inputs.reshape(-1, 6), load(path).train.inputs.reshape(-1, 6))
    assert load(path, "channels_first", input_shape=[3, 2]).train.inputs.shape[1:] == (2, 3)
    with pytest.raises(ConfigError, match=r"`data.input_shape` must be \[6, 1\], or another shape.*got \[5, 1\]"):
        load(path, input_shape=[5, 1])


def test_labels_may_be_names(tmp_path):
    path = make_table(tmp_path / "my.csv", {"kind": [("oak", "elm", "ash", "fir")[row % 4] for row in range(80)]})
    splits = load(path, target="kind", one_hot=[])
    np.testing.assert_array_equal(splits.test.labels, np.array([3, 1, 0, 2])[rows_of(splits.test).astype(int) % 4])
    with pytest.raises(ConfigError, match=r"`data.num_classes` must be 4.*got 5"):
        load(path, target="kind", one_hot=[], num_classes=5)


def test_classes_may_be_numbered_otherwise_than_by_the_alphabet(tmp_path):
    rows = range(80)
    names = {"size": [("low", "middle", "high")[row % 3] for row in rows], "grade": [row % 3 + 1 for row in rows]}
    path = make_table(tmp_path / "my.csv", names | {"ill": [("FALSE", "TRUE")[row % 2] for row in rows]})
    changes = {"features": ["height"], "one_hot": []}
    splits = load(path, target="size", categories={"size": ["low", "middle", "high"]}, **changes)
    np.testing.assert_array_equal(splits.test.labels, rows_of(splits.test) % 3)
    with pytest.raises(ConfigError, match="must hold every class to train on; class 0 has no example"):
        load(path, target="grade", **changes)
    splits = load(path, target="grade", categories={"grade": ["1", "2", "3"]}, **changes)
    np.testing.assert_array_equal(splits.test.labels, rows_of(splits.test) % 3)
    splits = load(path, target="ill", task="binary", **changes)
    np.testing.assert_array_equal(splits.test.labels[:, 0], rows_of(splits.test) % 2)


def test_other_tasks_read_their_targets(tmp_path):
    columns = {
        "sick": [("no", "yes")[row % 2] for row in range(80)],
        "a": [row % 2 for row in range(80)],
        "b": 80 * [1],
    }
    path = make_table(tmp_path / "my.csv", columns)
    splits = load(path, task="binary", target="sick", features=["height"], one_hot=[])
    np.testing.assert_array_equal(splits.train.labels, rows_of(splits.train)[:, None] % 2)
    assert splits.train.labels.dtype == np.float32
    splits = load(path, task="multilabel", target=["a", "b"], features=["height"], one_hot=[])
    np.testing.assert_array_equal(splits.train.labels[:, 0], rows_of(splits.train) % 2)
    assert splits.train.labels.shape == (56, 2)
    splits = load(path, task="regression", target=["width", "a"], features=["height"], one_hot=[])
    np.testing.assert_array_equal(splits.train.labels[:, 0], -rows_of(splits.train))
    with pytest.raises(
        ConfigError, match=r"`kind` must have two values with task binary; got 3: \['ash', 'elm', 'oak'\]"
    ):
        load(path, task="binary", target="kind", features=["height"], one_hot=[])


def test_a_column_may_say_the_splits(tmp_path):
    names = ["test" if row < 10 else "val" if row < 30 else "train" for row in range(80)]
    path = make_table(tmp_path / "my.csv", LABELS | {"part": names})
    splits = load(path, split_column="part")
    assert [sorted(rows_of(part)) for part in parts_of(splits)] == [
        list(range(30, 80)),
        list(range(10, 30)),
        list(range(10)),
    ]
    with pytest.raises(ConfigError, match=r"`data.test_fraction` must be null: `table` has a test split.*got 0\.15"):
        load(path, split_column="part", test_fraction=0.15)
    names[41] = "training"
    path = make_table(tmp_path / "my.csv", LABELS | {"part": names})
    with pytest.raises(ConfigError, match="column 'part' must say train, validation or test; line 43 has 'training'"):
        load(path, split_column="part")


@pytest.mark.parametrize("is_lazy", [False, True])
@pytest.mark.parametrize(("length", "stride", "horizon"), [(4, 1, 0), (5, 2, 3), (3, 7, 1)])
def test_windows_never_cross_from_one_split_into_another(tmp_path, monkeypatch, length, stride, horizon, is_lazy):
    if is_lazy:
        monkeypatch.setattr(rows_module, "SMALL_BYTES", 0)
    path = make_table(tmp_path / "my.csv", {"value": [row * 10 for row in range(80)]})
    window = {"length": length, "stride": stride, "horizon": horizon}
    splits = load(path, task="regression", target="value", window=window, test_fraction=0.3, validation_fraction=0.2)
    assert isinstance(splits.train.inputs, Rows) == is_lazy
    bounds = [(0, 40), (40, 56), (56, 80)]
    for part, (first, end) in zip(parts_of(splits), bounds, strict=True):
        starts = np.arange(first, end - length - horizon + 1, stride)
        heights = part.inputs[:][:, :, 0] - 0.5
        np.testing.assert_array_equal(heights, starts[:, None] + np.arange(length))
        np.testing.assert_array_equal(part.labels, 10 * (starts[:, None] + length - 1 + horizon))


def test_windows_keep_to_the_runs_of_a_column_of_splits():
    splits = np.array([0, 0, 0, 2, 2, 0, 0, 1, 1, 1])
    found = find_windows(splits, WindowConfig(length=2))
    assert {part: starts.tolist() for part, starts in found.items()} == {
        "train": [0, 1, 5],
        "validation": [7, 8],
        "test": [3],
    }


def test_folds_of_windows_are_runs_of_rows(tmp_path):
    path = make_table(tmp_path / "my.csv", {"value": range(80)})
    seen = []
    for fold in range(4):
        window = {"length": 3, "horizon": 1}
        changes = {"window": window, "test_fraction": 0.25, "folds": 4, "fold": fold}
        splits = load(path, task="regression", target="value", **changes)
        rows = [np.unique(part.inputs[:, :, 0] - 0.5) for part in parts_of(splits)]
        assert rows[1].tolist() == list(range(15 * fold, 15 * fold + 14))  # the last is a target alone
        assert not set(rows[0]) & set(rows[1])
        assert set(splits.train.labels.ravel()) | set(rows[0]) <= set(range(60)) - set(range(15 * fold, 15 * fold + 15))
        assert rows[2].tolist() == list(range(60, 79))
        seen += rows[1].tolist()
    assert sorted(seen) == [row for row in range(60) if row % 15 != 14]


def test_a_forecast_may_be_read_from_the_target_itself(tmp_path):
    path = make_table(tmp_path / "my.csv", {"value": range(80)})
    changes = {"task": "regression", "target": "value", "features": ["value"], "one_hot": []}
    splits = load(path, **changes, window={"length": 4, "horizon": 2})
    np.testing.assert_array_equal(splits.train.labels[:, 0], splits.train.inputs[:, -1, 0] + 2)
    for window in ({"length": 4}, None):
        with pytest.raises(ConfigError, match=r"`data.features` must not hold the target.*got 'value'"):
            load(path, **changes, window=window)


def with_cell(row, value, rows=80):
    cells = list(range(rows))
    cells[row] = value
    return cells


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        ({"height": with_cell(16, "tall")}, {}, "column 'height' must be numbers; line 18 has 'tall'. Mend"),
        ({"height": with_cell(16, "")}, {}, "`height` must be finite; line 18 is nan. Clean"),
        ({"height": with_cell(16, "inf")}, {}, "`height` must be finite; line 18 is inf"),
        ({"height": with_cell(16, "1e300")}, {}, "`height` must be finite; line 18 is inf"),
        ({"height": with_cell(16, "a\nb")}, {}, r"column 'height' must be numbers; line 19 has 'a\\nb'"),
        ({"kind": with_cell(3, "")}, {}, "column 'kind' must have a value in each row; line 5 has none"),
        ({"label": with_cell(3, "", 80)}, {}, "`label` must be finite; line 5 is nan"),
        ({"label": [row % 3 for row in range(79)] + [-1]}, {}, "`label` must be whole numbers.*line 81 is -1"),
        ({"label": [row % 3 for row in range(79)] + [9]}, {"num_classes": 3}, "line 81, column 'label' is 9"),
        ({"label": [row % 3 for row in range(79)] + [9]}, {}, "classes 3, 4, 5, 6, 7, 8 have no example"),
        ({"label": [row % 2 + 0.5 for row in range(80)]}, {}, "`label` must be whole numbers.*line 2 is 0.5"),
        ({}, {"target": "lable"}, "`data.target` must be a column of.*got 'lable'. Did you mean `label`"),
        (
            {},
            {"features": ["Height", "Kind"], "target": "Label", "one_hot": ["Kind"]},
            r"^2 problems.*\n.*`data.target` must be a column.*'Label'. Did.*\n.*`data.features` must be columns of "
            r".*; got 'Height' \(`height`\?\), 'Kind' \(`kind`\?\)\.$",
        ),
        ({}, {"features": ["height", "weight"]}, "`data.features` must be a column.*'weight'. Did you mean `height`"),
        (
            {"a": [row % 2 for row in range(80)]},
            {"task": "multilabel", "target": "a", "one_hot": []},
            r"`data.target` must be a column of 0 and 1 for each class.*got \['a'\]. For one label: data.task=binary",
        ),
        ({}, {"one_hot": ["label"]}, "`data.one_hot` must name columns of `data.features`; got 'label'"),
        ({}, {"one_hot": []}, "column 'kind' must be numbers; line 2 has 'oak' .80 such cells in all"),
        (
            {},
            {"target": ["label", "width"]},
            r"`data.target` must be one column with task classification; got \['label",
        ),
        ({}, {"split_column": "height", "features": ["height"], "one_hot": []}, "`data.split_column` must be neither"),
        ({}, {"window": {"length": 13}}, "`data.window.length` and `horizon` must leave.*validation has none of that"),
        ({}, {"window": {"length": 90}}, "`data.window.length` and `horizon` must leave.*train has none of that"),
    ],
)
def test_what_can_not_be_trained_on_is_told_with_its_line(tmp_path, columns, changes, message):
    load(make_table(tmp_path / "my.csv", LABELS))  # is right without
    with pytest.raises(ConfigError, match=message):
        load(make_table(tmp_path / "my.csv", LABELS | columns), **changes)


def test_targets_are_told_with_line_and_column(tmp_path):
    columns = {"a": [row % 2 for row in range(80)], "b": [row % 2 for row in range(80)]}
    columns["b"][7] = 2
    path = make_table(tmp_path / "my.csv", columns)
    with pytest.raises(ConfigError, match="`a, b` must be 0 or 1; line 9, column 'b' is 2"):
        load(path, task="multilabel", target=["a", "b"])
    path.with_suffix(".parquet").write_bytes(b"")
    pandas.read_csv(path).to_parquet(path.with_suffix(".parquet"))
    with pytest.raises(ConfigError, match="`a, b` must be 0 or 1; row 7, column 'b' is 2"):
        load(path.with_suffix(".parquet"), task="multilabel", target=["a", "b"])


def test_lines_are_those_of_an_editor_where_some_are_blank(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("height,label\n1,0\n\n\n2,1\nx,0\n")
    with pytest.raises(ConfigError, match="line 6 has 'x'"):
        load(path, one_hot=[])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "there is no such file"),
        ("my.xlsx", b"x", "`data.path` must be a table: .csv, .tsv.*got '.*my.xlsx'"),
        ("my.csv", b"", "is empty, truncated, or no table"),
        ("my.csv", b"height,label\n", "has no rows"),
        ("my.csv", b"height,label\n1,0\n1,1\n1,0,3\n", "truncated, or no table: .*line 4"),
        ("my.csv", b"height,label\n1,0,0\n1,0,1\n", "has rows with more cells than its first line"),
        ("my.csv", b"height,kind,label\n" + b"1,a,0,9\n2,a,1,9\n" * 9, "has rows with more cells than its first line"),
        ("my.csv", b"height,height,label\n" + b"1,2,0\n2,2,1\n" * 9, "has several columns called 'height'"),
        ("my.csv", b"height,label\n\xff\xfe,0\n3,1\n", "truncated, or no table: 'utf-8' codec"),
        (
            "my.csv.gz",
            gzip.compress(b"height,label\n" + b"1.25,0\n3.5,1\n" * 900, mtime=0)[:-20],
            "is truncated, or no table",
        ),
        ("my.csv.gz", b"height,label\n1,0\n", "is truncated, or no table: Not a gzipped file"),
        ("my.parquet", b"PAR1 and nothing", "truncated, or no table"),
        ("my.parquet", b"", "truncated, or no table"),
    ],
)
def test_a_damaged_table_is_told_by_name(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path / name, one_hot=[])
    assert name in str(caught.value)


def test_a_cut_parquet_is_told_by_name(tmp_path):
    path = tmp_path / "my.parquet"
    pandas.DataFrame({"height": range(9), "label": [0, 1, 2] * 3}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigError, match=r"my\.parquet': is empty, truncated, or no table"):
        load(path, one_hot=[])


def test_the_index_that_pandas_stores_is_a_column_where_it_has_a_name(tmp_path):
    frame = pandas.DataFrame({"height": np.arange(30) + 0.5, "label": [0, 1, 2] * 10})
    frame.iloc[::-1].to_parquet(tmp_path / "plain.parquet")
    frame.set_index("height").to_parquet(tmp_path / "named.parquet")
    assert complete(tmp_path / "plain.parquet", one_hot=[])["input_shape"] == [1, 1]
    splits = load(tmp_path / "named.parquet", one_hot=[])
    np.testing.assert_array_equal(splits.test.inputs[:, 0, 0] % 3 - 0.5, splits.test.labels)


def test_what_a_file_holds_is_looked_up_anew_when_it_has_changed(tmp_path):
    path = make_table(tmp_path / "my.csv", LABELS)
    assert complete(path)["num_classes"] == 3
    make_table(path, {"label": [row % 4 for row in range(80)]})
    assert complete(path)["num_classes"] == 4


@pytest.mark.parametrize(
    ("suffix", "sign", "name"), [(".csv", ";", "semicolon"), (".csv", "|", "pipe"), (".tsv", ",", "comma")]
)
def test_what_alone_cuts_the_first_line_separates_the_cells(tmp_path, suffix, sign, name):
    made = make_table(tmp_path / "made.csv", LABELS).read_text().replace(",", sign)
    (tmp_path / f"my{suffix}").write_text(made)
    data = read_data(complete(tmp_path / f"my{suffix}"))
    assert data.input_shape == [5, 1]
    assert sum(len(part.labels) for part in parts_of(load_splits(data, "channels_last"))) == 80
    usual = {".csv": "comma", ".tsv": "tab"}[suffix]
    note = f"its cells are separated by {name}, as its first line shows. To read it otherwise: data.separator={usual}."
    assert find_facts(data).notes[0].endswith(note)


def test_a_first_line_that_two_signs_cut_is_told(tmp_path):
    (tmp_path / "my.csv").write_text("a;b;c|d\n1;2;3|0\n")
    with pytest.raises(
        ConfigError, match=r"one column by the separator comma, and 3 by semicolon.*separator=semicolon"
    ):
        complete(tmp_path / "my.csv")


@pytest.mark.parametrize(
    ("label", "message"), [("oak", r"'oak'\. Add examples of another\.$"), (0, "0.* data.task=regression")]
)
def test_a_single_class_is_told_with_its_label(tmp_path, label, message):
    path = make_table(tmp_path / "my.csv", {"label": [label] * 80})
    with pytest.raises(ConfigError, match=rf"`label` must hold two classes or more; each of its labels is {message}"):
        complete(path)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            {"type": "LocallyConnected1D", "filters": 2, "kernel_size": 8},
            "`model.layers.lc1.kernel_size` .*few columns: ",
        ),
        ({"type": "LocallyConnected2D", "filters": 2, "kernel_size": 3}, r"`model.layers.lc1` .* For a table: "),
    ],
)
def test_models_that_do_not_take_a_table_name_one_that_does(tmp_path, layer, message):
    raw = make_config(model={"name": "m", "layers": {"lc1": layer}})
    raw["data"] = complete(make_table(tmp_path / "my.csv", LABELS))
    with pytest.raises(ConfigError, match=f"{message}model=lc1d_columns"):
        summarize(validate(raw))
