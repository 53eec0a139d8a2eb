"""Tables whose rows are numbered: what is left out of the features, what is refused, and what is read alike later."""

import re

import mlflow
import numpy as np
import pandas
import pytest
from made_files import read_data

from lctrain.config.schema import TableConfig
from lctrain.data import complete_from_files, find_facts, load_splits
from lctrain.errors import ConfigError

NUM_ROWS = 60
HEIGHTS = [row * 0.5 for row in range(NUM_ROWS)]
WIDTHS = [(7 * row) % 11 for row in range(NUM_ROWS)]
LABELS = [row // 20 for row in range(NUM_ROWS)]  # sorted, so that the number of a row tells its label
NUMBERS = [row + 1 for row in range(NUM_ROWS)]
SHUFFLED = np.random.default_rng(0).permutation(NUMBERS).tolist()


def write(path, header, *columns, separator=","):
    lines = [header, *(separator.join(map(str, cells)) for cells in zip(*columns, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path, **changes):
    """What is found out about a table, and its inputs as they are trained on, by their first column."""
    raw = {"data": {"name": "table", "path": str(path), "target": "label"} | changes}
    data = read_data(complete_from_files(raw)["data"])
    facts = find_facts(data)
    splits = load_splits(data, "channels_last")
    inputs = np.concatenate([part.inputs for part in (splits.train, splits.validation, splits.test)])[:, :, 0]
    return facts, inputs[np.argsort(inputs[:, facts.reading["features"].index("height")])]


def check_without_numbers(path, **changes):
    facts, inputs = read(path, **changes)
    assert facts.reading["features"] == ["height", "width"]
    np.testing.assert_allclose(inputs, np.stack([HEIGHTS, WIDTHS], axis=1))
    return facts


HEADERS = {
    "R": '"","height","width","label"',
    "pandas": ",height,width,label",
    "blank": " ,height,width,label",
    "read by pandas": "Unnamed: 0,height,width,label",
    "byte order mark": "\ufeff,height,width,label",
}


@pytest.mark.parametrize("numbers", [NUMBERS, SHUFFLED, [f'"row {number}"' for number in NUMBERS]])
@pytest.mark.parametrize("case", HEADERS)
def test_a_first_column_without_a_name_is_left_out_and_said_so(tmp_path, case, numbers):
    path = write(tmp_path / "t.csv", HEADERS[case], numbers, HEIGHTS, WIDTHS, LABELS)
    (note,) = check_without_numbers(path).notes
    named = "`Unnamed: 0`" if "Unnamed" in HEADERS[case] else "the first, which has no name"
    assert f"columns that number or name the rows are left out: {named}" in note
    assert "data.exclude=[]" in note


def test_what_pandas_makes_of_indices_that_were_written_twice_is_left_out(tmp_path):
    frame = pandas.DataFrame({"height": HEIGHTS, "width": WIDTHS, "label": LABELS})
    path = tmp_path / "t.csv"
    frame.to_csv(path)
    for _ in range(2):
        pandas.read_csv(path).to_csv(path)
    facts = check_without_numbers(path)
    assert "the first, which has no name, `Unnamed: 0.1`, `Unnamed: 0`" in facts.notes[0]
    pandas.read_csv(path).to_parquet(tmp_path / "t.parquet")
    check_without_numbers(tmp_path / "t.parquet")
    frame.sample(frac=1, random_state=0).to_parquet(tmp_path / "t.parquet")
    assert "`__index_level_0__`" in check_without_numbers(tmp_path / "t.parquet").notes[0]


@pytest.mark.parametrize("numbers", [NUMBERS, SHUFFLED])
def test_rs_rows_with_a_cell_more_than_the_header_are_read_as_r_reads_them(tmp_path, numbers):
    header = '"height","width","label"'
    quoted = [f'"{number}"' for number in numbers]
    check_without_numbers(write(tmp_path / "t.csv", header, quoted, HEIGHTS, WIDTHS, LABELS))
    names = [f'"oak {number}"' for number in numbers]
    path = write(tmp_path / "names.csv", header, names, HEIGHTS, WIDTHS, LABELS)
    with pytest.raises(ConfigError, match=r"more cells than its first line.*4 and 3.*write\.table with col\.names=NA"):
        read(path)


@pytest.mark.parametrize(
    "numbers", [NUMBERS, [number - 1 for number in NUMBERS], SHUFFLED, [number + 1000.0 for number in SHUFFLED]]
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_named_column_that_only_counts_is_refused_with_both_settings(tmp_path, suffix, numbers):
    path = tmp_path / f"t{suffix}"
    frame = pandas.DataFrame({"hour": numbers, "height": HEIGHTS, "label": LABELS})
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    out, kept = r"data\.exclude=\[hour\] or data\.features=\[height\]", r"data\.exclude=\[\].*data\.features=\[hour,hei"
    with pytest.raises(ConfigError, match=rf"`data\.features` must be given, as `hour`.*only counts.*{out}.*{kept}"):
        read(path)
    for changes in ({"exclude": ["hour"]}, {"features": ["height"]}):
        facts, inputs = read(path, **changes)
        assert (facts.reading["features"], inputs.shape) == (["height"], (NUM_ROWS, 1))
    for changes in ({"exclude": []}, {"features": ["hour", "height"]}):
        _, inputs = read(path, **changes)
        np.testing.assert_allclose(inputs[:, 0], numbers)


def test_features_and_exclude_keep_a_column_without_a_name(tmp_path):
    path = write(tmp_path / "t.csv", ",height,label", NUMBERS, HEIGHTS, LABELS)
    for changes in ({"features": ["Unnamed: 0", "height"]}, {"exclude": []}):
        facts, inputs = read(path, **changes)
        assert (facts.reading["features"], facts.notes) == (["Unnamed: 0", "height"], ())
        np.testing.assert_allclose(inputs[:, 0], NUMBERS)


def test_a_column_that_is_excluded_decides_nothing_of_others(tmp_path):
    """What is left out of a table is no statement that its other columns are measured."""
    path = write(tmp_path / "t.csv", ",hour,height,label", NUMBERS, NUMBERS, HEIGHTS, LABELS)
    with pytest.raises(
        ConfigError, match=r"`hour`.*data\.exclude=\[height,hour\].*as a time axis: data\.features=\[hour\]"
    ):
        read(path, exclude=["height"])
    facts, _ = read(path, exclude=["hour"])
    assert facts.reading["features"] == ["height"]
    assert any("the first, which has no name" in note for note in facts.notes)


def test_targets_and_measurements_may_count(tmp_path):
    """A target is no feature; what has a fraction, another step or a gap is measured, not counted."""
    columns = {
        "label": NUMBERS,
        "height": HEIGHTS,
        "even": [2 * number for number in NUMBERS],
        "halves": [number + 0.5 for number in NUMBERS],
        "gap": [*NUMBERS[:-1], 99],
        "down": [-number for number in NUMBERS],
    }
    path = tmp_path / "t.csv"
    pandas.DataFrame(columns).to_csv(path, index=False)
    facts, _ = read(path, task="regression")
    assert facts.reading["features"] == list(columns)[1:]


@pytest.mark.parametrize(
    ("header", "columns", "changes", "message"),
    [
        ("height,label,", (HEIGHTS, LABELS, NUM_ROWS * [""]), {}, r"column 3 has no name.*exclude=\['Unnamed: 2'\]"),
        (
            "0.5,0",
            (HEIGHTS, LABELS),
            {"target": "0"},
            r"has no names: its first line holds numbers alone, \['0.5', '0'",
        ),
        ("height,label", (HEIGHTS, LABELS), {"exclude": ["width"]}, "`data.exclude` must be a column of.*got 'width'"),
        ("height,label", (HEIGHTS, LABELS), {"exclude": ["label"]}, "`data.exclude` must name columns that.*'label'"),
        (
            "height,label",
            (HEIGHTS, LABELS),
            {"features": ["height"], "exclude": ["height"]},
            "`data.exclude` must name columns that are not used elsewhere; got 'height'",
        ),
        (
            "height,label",
            (HEIGHTS, LABELS),
            {"categories": {"height": ["a"]}},
            "`data.categories` must be.*got 'height'",
        ),
        (
            "height,label",
            (HEIGHTS, LABELS),
            {"categories": {"label": ["0", "1", "1"]}},
            "`data.categories.label` must name each once; got '1' twice",
        ),
        (
            "height,label",
            (HEIGHTS, LABELS),
            {"categories": {"label": ["0", "2"]}},
            r"'label' must be one of \['0', '2'\]; line 22 has '1'",
        ),
    ],
)
def test_what_a_table_leaves_unclear_is_told(tmp_path, header, columns, changes, message):
    with pytest.raises(ConfigError, match=message):
        read(write(tmp_path / "t.csv", header, *columns), **changes)


def test_the_names_that_arrays_get_are_names(tmp_path):
    path = tmp_path / "t.csv"
    pandas.DataFrame(np.stack([HEIGHTS, LABELS], axis=1)).to_csv(path, index=False)
    data = {"name": "table", "path": str(path), "target": "1"}
    assert find_facts(TableConfig(input_shape=[1, 1], **data)).reading["features"] == ["0"]


def test_rs_write_csv2_is_read_by_its_separator_and_decimal(tmp_path):
    heights = [str(height).replace(".", ",") for height in HEIGHTS]
    columns = (NUMBERS, heights, WIDTHS, LABELS)
    path = write(tmp_path / "t.csv", '"";"height";"width";"label"', *columns, separator=";")
    for separator in (None, "semicolon"):
        with pytest.raises(ConfigError, match=r"'height' must be numbers; line 2 has '0,0'.*data\.decimal=comma"):
            read(path, separator=separator)
    check_without_numbers(path, separator="semicolon", decimal="comma")
    path.write_text(path.read_text().replace("1,5", "1.5"))
    with pytest.raises(ConfigError, match=r"'height' must be numbers; line 5 has '1\.5'|line \d+ has '\d*1\.5'"):
        read(path, separator="semicolon", decimal="comma")
    with pytest.raises(ConfigError, match=r"one column by the separator pipe, and 4 by semicolon.*separator=semicolon"):
        read(path, separator="pipe")
    path = tmp_path / "t.parquet"
    pandas.DataFrame({"height": HEIGHTS, "label": LABELS}).to_parquet(path)
    for changes in ({"separator": "comma"}, {"decimal": "comma"}):
        with pytest.raises(ConfigError, match=r"`data\.(separator|decimal)` is for CSV files.*got 'comma'"):
            read(path, **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, run_lctrain):
    """A folder with a run on a table as R writes it."""
    folder = tmp_path_factory.mktemp("trained")
    kinds, labels = [f"k {'xyz'[row % 3]}" for row in range(NUM_ROWS)], ["abc"[number] for number in LABELS]
    write(folder / "t.csv", ",height,width,kind,label", NUMBERS, HEIGHTS, WIDTHS, kinds, labels)
    write(folder / "plain.csv", "label,kind,width,height", labels, kinds, WIDTHS, HEIGHTS)
    write(folder / "counted.csv", "id,label,kind,width,height", NUMBERS, labels, kinds, WIDTHS, HEIGHTS)
    write(folder / "strange.csv", "label,kind,width,height", labels, ["k y", *kinds[1:-1], "k q"], WIDTHS, HEIGHTS)
    layers = {"flat": "Flatten", "head": "{type: Dense, units: '${data.num_classes}', activation: softmax}"}
    (folder / "mine" / "model").mkdir(parents=True)
    text = "\n".join(f"  {name}: {spec}" for name, spec in layers.items())
    (folder / "mine" / "model" / "flat.yaml").write_text(f"name: flat\nlayers:\n{text}\n")
    data = ["data=table", "data.path=t.csv", "data.target=label", "data.one_hot=[kind]"]
    process = run_lctrain(folder, "--config-dir", "mine", "model=flat", *data, "training.epochs=30")
    assert process.returncode == 0, process.stderr
    return folder, process


def test_a_run_says_and_logs_how_its_table_was_read(trained):
    folder, process = trained
    message = "columns that number or name the rows are left out: the first, which has no name"
    assert message in process.stderr
    assert "the classes of `label` are numbered by name: 0 'a', 1 'b', 2 'c'" in process.stderr
    run = read_run(folder)
    assert message in run.data.tags["data_notes"]
    assert run.data.params["data.features"] == '["height", "width", "kind"]'
    assert run.data.params["data.categories.kind"] == '["k x", "k y", "k z"]'


def read_run(folder):
    (run,) = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_runs(["1"])
    return run


def test_evaluate_reads_another_table_as_the_run_read_its_own(trained, run_lctrain):
    """Whatever the order of its columns, and whether its rows are numbered."""
    folder, _ = trained
    measured = []
    for name in ("t.csv", "plain.csv", "counted.csv"):
        data = ["data=table", f"data.path={name}", "data.target=label"]
        process = run_lctrain(folder, "evaluate", f"run={read_run(folder).info.run_id}", "split=all", *data)
        assert process.returncode == 0, process.stderr
        measured.append(re.findall(r"^loss +([\d.e+-]+)$", process.stdout, re.MULTILINE))
    assert len(measured[0]) == 1
    assert measured[1:] == measured[:1] * 2


def test_a_name_that_the_run_has_not_seen_is_told(trained, run_lctrain):
    folder, _ = trained
    data = ["data=table", "data.path=strange.csv", "data.target=label"]
    process = run_lctrain(folder, "evaluate", f"run={read_run(folder).info.run_id}", *data)
    assert process.returncode == 2
    assert re.search(r"column 'kind' must be one of \['k x', 'k y', 'k z'\]; line 61 has 'k q'", process.stderr)
