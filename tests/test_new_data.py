"""From an empty folder to predictions for new data, by the commands of README.md and docs/data.md alone."""

import csv
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import make_config
from made_files import SHADES, make_arrays, make_images, make_table, read_data
from PIL import Image

from lctrain.config import validate
from lctrain.data import load_inputs, load_whole
from lctrain.errors import ConfigError, UserError
from lctrain.job.evaluate import OpenRun, compose_data, read_request
from lctrain.job.predict import Predictions, check_out, save_predictions

# Each begins in an empty folder with files of one's own: what trains, what evaluates, and what predicts.
REGRESSION = (
    "data=arrays data.path=my.npz data.task=regression training=fast model=lc1d",
    "evaluate run=latest data.path=later.npz",
    "predict run=latest --inputs new.npz",
)
BINARY = (
    "data=table data.path=my.csv data.target=sick 'data.one_hot=[kind]' data.task=binary model=lc1d_columns"
    " training=fast",
    "evaluate run=latest data.path=later.csv",
    "predict run=latest --inputs new.csv",
)
THREE_CLASSES = (
    "data=images data.path=photos 'data.image_size=[8,8]' training=fast model=lc2d",
    "evaluate run=latest data.path=later",
    "predict run=latest --inputs new",
)
WALKS = {"regression": REGRESSION, "binary": BINARY, "three classes": THREE_CLASSES}


def make_own_files(folder):
    """Files to train on, some examples to evaluate on that lack a class, and the first files without their targets."""
    generator = np.random.default_rng(3)
    x = generator.normal(4, 2, (70, 20, 2))
    np.savez(folder / "my.npz", x=x, y=x[:, 0, 0] - x[:, 1, 1])
    np.savez(folder / "later.npz", x_test=x[:20], y_test=x[:20, 0, 0])
    np.savez(folder / "new.npz", measured=x)
    np.savez(folder / "no_y.npz", x=x)
    sick = ["yes" if row > 30 else "no" for row in range(70)]
    make_table(folder / "my.csv", {"sick": sick}, num_rows=70)
    make_table(folder / "later.csv", {"sick": ["yes"] * 20}, num_rows=20)
    with (folder / "my.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    write_rows(folder / "new.csv", ({name: row[name] for name in ("kind", "width", "height")} for row in rows))
    make_images(folder / "photos")
    make_images(folder / "later", 5, {"eel": SHADES["eel"]})
    shutil.copytree(folder / "photos", folder / "new")
    (folder / "new" / "notes.txt").write_text("not an image")


def write_rows(path, rows):
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module", params=WALKS)
def walk(request, tmp_path_factory, run_lctrain):
    """The name of a walk, its folder, what each command printed, and the predictions for new data and for all own."""
    folder = tmp_path_factory.mktemp("empty")
    make_own_files(folder)
    printed, tables = [], []
    for command in (*WALKS[request.param], "predict run=latest split=all"):
        (folder / "predictions.csv").unlink(missing_ok=True)
        process = run_lctrain(folder, *shlex.split(command))
        assert process.returncode == 0, process.stderr
        printed.append(process)
        if command.startswith("predict"):
            with (folder / "predictions.csv").open(newline="") as file:
                tables.append(list(csv.DictReader(file)))
    return request.param, folder, printed, tables


def test_a_walk_ends_in_predictions_by_name(walk):
    kind, _, (_, evaluated, predicted, _), (new, own) = walk
    expected = {
        "regression": ("20 examples of arrays 'later.npz', split all", ["row", "output"], ["label"]),
        "binary": ("20 examples of table 'later.csv', split all", ["row", "predicted", "output_yes"], ["label"]),
        "three classes": (
            "5 examples of images 'later', split all",
            ["file", "predicted", "output_cat", "output_dog", "output_eel"],
            ["label"],
        ),
    }
    examples, columns, of_own = expected[kind]
    assert examples in evaluated.stdout
    assert list(new[0]) == columns
    assert sorted(own[0]) == sorted(["example", *columns[1:], *of_own])
    assert re.search(
        r"^The latest finished run is [0-9a-f]{32} \((lc1d|lc1d_columns|lc2d)-auto, ", predicted.stderr, re.MULTILINE
    )
    assert "predictions are in predictions.csv ('new" in predicted.stdout


def test_new_data_are_read_as_the_runs_own(walk):
    """The own file without its targets gives, row by row, what the own file gives."""
    kind, _, (_, _, predicted, _), (new, own) = walk
    assert len(new) == len(own) == {"three classes": 36}.get(kind, 70)
    for column in new[0].keys() & own[0].keys():
        if column.startswith("output"):
            values = np.array([[float(row[column]) for row in rows] for rows in (new, own)])
            np.testing.assert_allclose(*values, rtol=1e-6)
            assert len(set(values[0])) > 10
        else:
            assert [row[column] for row in new] == [row[column] for row in own]
    if kind == "binary":
        assert [row["label"] for row in own] == ["yes" if row > 30 else "no" for row in range(70)]
        assert all((row["predicted"] == "yes") == (float(row["output_yes"]) > 0.5) for row in new)
    if kind == "three classes":
        assert [row["file"].split("/")[0] for row in new] == [row["label"] for row in own]
        assert "'new': no images, and not read: 'notes.txt'" in predicted.stderr
        for row in new:
            assert row["predicted"] == max(SHADES, key=lambda name: float(row[f"output_{name}"]))


def test_evaluate_of_a_file_without_labels_advises_predict(walk, run_lctrain):
    kind, folder, _, _ = walk
    name = {"regression": "no_y.npz", "binary": "new.csv"}.get(kind)
    if name is None:
        return
    process = run_lctrain(folder, "evaluate", "run=latest", f"data.path={name}")
    assert process.returncode == 2
    messages = process.stderr.partition("Error: ")[2].splitlines()
    problem = {
        "regression": "`data.path` 'no_y.npz': has no `y`. Its arrays are: x.",
        "binary": "`data.target` must be a column of 'new.csv'; got 'sick'. Known are: height, kind, width.",
    }
    command = f"python -m lctrain predict run=latest --inputs {name}"
    assert messages == [f"{problem[kind]} To predict without labels: {command}"]
    process = run_lctrain(folder, *shlex.split(command)[3:])
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("stated", "chosen", "message"),
    [
        ({}, "test", "`split` test: .*my.npz' has no validation split of its own.*Take all of it: split=all$"),
        ({"validation_fraction": 0.2}, "test", "has no test split of its own"),
        ({"folds": 3}, "train", "`split` train: .* has no test split of its own"),
    ],
)
def test_a_split_that_another_file_has_not_is_told_with_what_it_has(tmp_path, stated, chosen, message):
    path = make_arrays(tmp_path)
    fractions = {"validation_fraction": None, "test_fraction": None}
    data = ARRAYS | fractions | {"path": str(path), "layout": "channels_last"} | stated
    run = OpenRun(validate(make_config(data=data)), tmp_path, has_other_files=True)
    with pytest.raises(UserError, match=message):
        run.load_examples(chosen)
    assert len(run.load_examples("all")[1].labels) == 90


TABLE = {
    "name": "table",
    "path": "gone.csv",
    "target": "label",
    "task": "regression",
    "features": ["height", "width", "kind"],
    "one_hot": ["kind"],
    "categories": {"kind": ["ash", "elm", "oak", "yew"]},
    "input_shape": [6, 1],
}
IMAGES = {"name": "images", "path": "gone", "image_size": [8, 7], "class_names": ["cat", "dog"], "num_classes": 2}
IMAGES |= {"input_shape": [8, 7, 3]}
ARRAYS = {"name": "arrays", "path": "gone.npz", "layout": "channels_first", "input_shape": [5, 7, 2]}
ARRAYS |= {"num_classes": 3}
DIGITS = {"name": "digits", "input_shape": [8, 8, 1], "num_classes": 10}
GROUPS = {"table": TABLE, "images": IMAGES, "arrays": ARRAYS, "digits": DIGITS}


def test_a_table_is_read_by_its_columns_names(tmp_path):
    """In any order, beside others, whether or not it has each category; also as Parquet."""
    make_table(tmp_path / "new.csv", {"other": ["?"] * 9}, num_rows=9)
    new = load_inputs(tmp_path / "new.csv", read_data(TABLE), "channels_last")
    assert (new.column, [*new.places]) == ("row", [*range(9)])
    np.testing.assert_array_equal(new.inputs[4, :, 0], [4.5, -4, 0, 1, 0, 0])
    import pandas

    frame = pandas.read_csv(tmp_path / "new.csv")
    frame[["kind", "width", "height"]].to_parquet(tmp_path / "new.parquet")
    np.testing.assert_array_equal(
        load_inputs(tmp_path / "new.parquet", read_data(TABLE), "channels_last").inputs, new.inputs
    )


def test_windows_of_new_rows_end_at_the_last_and_need_no_target(tmp_path):
    make_table(tmp_path / "new.csv", num_rows=11)
    window = {"length": 4, "stride": 3, "horizon": 2}
    data = read_data(TABLE | {"window": window, "features": ["height", "width"], "one_hot": [], "input_shape": [4, 2]})
    new = load_inputs(tmp_path / "new.csv", data, "channels_last")
    assert new.places == [3, 6, 9]
    np.testing.assert_array_equal(new.inputs[1, :, 0], [3.5, 4.5, 5.5, 6.5])
    make_table(tmp_path / "short.csv", num_rows=3)
    with pytest.raises(ConfigError, match=r"must have 4 rows or more, as long as a window; got 3"):
        load_inputs(tmp_path / "short.csv", data, "channels_last")


def test_images_are_read_from_any_folder_and_one_by_one(tmp_path):
    make_images(tmp_path / "new" / "deep", num_images=2)
    shutil.copy(tmp_path / "new" / "deep" / "dog" / "001.png", tmp_path / "new" / "a.PNG")
    (tmp_path / "new" / ".hidden").mkdir()
    (tmp_path / "new" / ".hidden" / "b.png").write_bytes(b"not read")
    new = load_inputs(tmp_path / "new", read_data(IMAGES), "channels_first")
    assert (new.column, new.places[0], new.places[1], len(new.places)) == ("file", "a.PNG", "deep/cat/000.png", 7)
    assert new.inputs.shape == (7, 3, 8, 7)
    one = load_inputs(tmp_path / "new" / "a.PNG", read_data(IMAGES), "channels_first")
    assert one.places == ["a.PNG"]
    np.testing.assert_array_equal(one.inputs[0], new.inputs[0])


@pytest.mark.parametrize(
    ("arrays", "note"),
    [
        ({"anything": 0}, None),
        ({"features": 0, "y": 1}, None),
        ({"x_train": 1, "x_test": 0, "y_train": 1}, "`x_test` is read, and not `x_train`"),
        ({"other": 1, "x": 0}, None),
    ],
)
def test_the_array_of_new_examples_is_found(tmp_path, arrays, note):
    inputs = np.random.default_rng(0).normal(size=(9, 2, 5, 7))
    np.savez(tmp_path / "new.npz", **{name: inputs + number for name, number in arrays.items()})
    new = load_inputs(tmp_path / "new.npz", read_data(ARRAYS), "channels_last")
    np.testing.assert_allclose(new.inputs, np.moveaxis(inputs, 1, -1), rtol=1e-6)
    assert (note is None) == ("is read, and not" not in " ".join(new.notes))
    assert note is None or note in new.notes[0]


@pytest.mark.parametrize(("shape", "is_told"), [([40, 1], False), ([5, 7, 2], False), ([6, 6, 6], True)])
def test_another_layout_is_advised_where_both_fit(tmp_path, shape, is_told):
    np.save(tmp_path / "new.npy", np.zeros((7, *shape)))
    data = read_data(ARRAYS | {"input_shape": shape, "layout": "channels_last"})
    notes = load_inputs(tmp_path / "new.npy", data, "channels_last").notes
    assert [note.rpartition(": ")[2] for note in notes] == ["--layout channels_first."] * is_told
    assert not load_inputs(tmp_path / "new.npy", data, "channels_last", "channels_last").notes


def test_arrays_of_its_input_are_read_for_every_model(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((3, 6)))
    assert load_inputs(tmp_path / "rows.npy", read_data(TABLE), "channels_last").inputs.shape == (3, 6, 1)
    np.save(tmp_path / "pixels.npy", np.zeros((3, 8, 8)))
    assert load_inputs(tmp_path / "pixels.npy", read_data(DIGITS), "channels_first").inputs.shape == (3, 1, 8, 8)


def make_wrong_files(folder):
    make_table(folder / "good.csv", num_rows=9)
    text = (folder / "good.csv").read_text()
    (folder / "renamed.csv").write_text(text.replace("height", "heigth"))
    (folder / "upper.csv").write_text(text.upper())
    (folder / "strange.csv").write_text(text.replace("elm", "fig", 1))
    (folder / "text.csv").write_text(text.replace("3.5", "tall"))
    (folder / "no_rows.csv").write_text(text.splitlines()[0] + "\n")
    cells = [f"{line.replace(',', ';')};{'0' if number else 'a|b'}" for number, line in enumerate(text.splitlines())]
    (folder / "semicolon.csv").write_text("\n".join(cells))
    (folder / "empty.csv").touch()
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts" / "notes.txt").touch()
    (folder / "notes.txt").touch()
    (folder / "bad").mkdir()
    (folder / "bad" / "1.png").write_bytes(b"no image")
    Image.new("RGB", (3, 3)).save(folder / "bad" / "0.png")
    np.save(folder / "flat.npy", np.zeros((4, 70)))
    np.savez(folder / "several.npz", first=np.zeros((4, 2, 5, 7)), second=np.zeros((4, 2, 5, 7)))
    (folder / "cut.npy").write_bytes((folder / "flat.npy").read_bytes()[:200])
    (folder / "pickled.npy").write_bytes(b"x,y\n1,2\n")


TABLE_KINDS = r"a table \(.csv, .tsv, .csv.gz, .tsv.gz, .parquet\), .npy or .npz"
IMAGE_KINDS = "a folder of images, or one image, .npy or .npz"


@pytest.mark.parametrize(
    ("group", "name", "message"),
    [
        ("table", "nowhere.csv", f"'nowhere.csv': there is no such file or folder. Give {TABLE_KINDS}"),
        ("table", "empty", f"`data.path` must be {TABLE_KINDS}, for a model of `data=table`; got the folder 'empty'"),
        ("table", "bad/0.png", f"must be {TABLE_KINDS}, for a model of `data=table`; got 'bad/0.png'"),
        (
            "table",
            "renamed.csv",
            "'renamed.csv': has not the column that the model reads: 'height'. Did you mean `heigth`?",
        ),
        ("table", "strange.csv", r"column 'kind' must be one of \['ash', .*\]; line 3 has 'fig'. Mend it"),
        ("table", "upper.csv", r"'height' \(`HEIGHT`\?\), 'width' \(`WIDTH`\?\), 'kind' \(`KIND`\?\)\.$"),
        ("table", "text.csv", "column 'height' must be numbers; line 5 has 'tall'. Mend it; or, in training, leave"),
        ("table", "no_rows.csv", "has no rows"),
        ("table", "empty.csv", "'empty.csv': is empty, truncated, or no table"),
        ("table", "semicolon.csv", "and 4 by semicolon. Say what separates its cells: data.separator=semicolon"),
        ("table", "flat.npy", r"must hold numbers of shape \(num, 6, 1\); got float64 \(4, 70\)"),
        ("images", "nowhere", f"'nowhere': there is no such file or folder. Give {IMAGE_KINDS}"),
        ("images", "good.csv", f"must be {IMAGE_KINDS}, for a model of `data=images`; got 'good.csv'"),
        ("images", "empty", "'empty': holds no images"),
        ("images", "texts", "'texts': holds no images"),
        ("images", "bad", "'bad/1.png': is no image that can be decoded"),
        ("arrays", "good.csv", "must be .npy or .npz, for a model of `data=arrays`; got 'good.csv'"),
        ("arrays", "bad", "must be .npy or .npz, for a model of `data=arrays`; got the folder 'bad'"),
        ("arrays", "several.npz", "must hold an array `x`, or one array alone; got `first`, `second`"),
        ("arrays", "cut.npy", "'cut.npy': is truncated"),
        ("arrays", "pickled.npy", "'pickled.npy': is truncated, or no file of NumPy's"),
        ("digits", "bad/0.png", "must be .npy or .npz, for a model of `data=digits`; got 'bad/0.png'"),
    ],
)
def test_what_can_not_be_read_is_named(tmp_path, monkeypatch, group, name, message):
    make_wrong_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message) as raised:
        load_inputs(Path(name), read_data(GROUPS[group]), "channels_last")
    assert len(str(raised.value).splitlines()) <= 4


def test_the_steps_that_errors_name_work(tmp_path):
    make_wrong_files(tmp_path)
    settings = TABLE | {"separator": "semicolon"}
    assert len(load_inputs(tmp_path / "semicolon.csv", read_data(settings), "channels_last").places) == 9


def test_other_files_may_lack_classes_and_columns_that_are_not_read(tmp_path):
    """Whatever the run says of splits, which its own file alone may have."""
    make_table(tmp_path / "new.csv", {"label": ["b"] * 9}, num_rows=9)
    settings = {"path": str(tmp_path / "new.csv"), "task": "classification", "num_classes": 3}
    settings |= {"categories": {**TABLE["categories"], "label": ["a", "b", "c"]}}
    settings |= {"split_column": "part", "exclude": ["id"], "validation_fraction": None, "test_fraction": None}
    whole = load_whole(read_data(TABLE | settings), "channels_last")
    assert whole.labels.tolist() == [1] * 9
    np.savez(tmp_path / "new.npz", x_test=np.zeros((4, 2, 5, 7)), y_test=[2, 2, 0, 2])
    whole = load_whole(read_data(ARRAYS | {"path": str(tmp_path / "new.npz")}), "channels_last")
    assert (whole.inputs.shape, whole.labels.tolist()) == ((4, 5, 7, 2), [2, 2, 0, 2])


def make_predictions(outputs, labels=None, model=None, **data):
    table = {"name": "table", "path": "gone.csv", "target": "price", "input_shape": [5, 7, 2]}
    layers = {"flatten": "Flatten", "head": {"type": "Dense", "units": outputs.shape[-1]} | (model or {})}
    changes = {"data": table | data, "model": {"name": "small", "layers": layers}}
    changes |= {"training": {"name": "test", "epochs": 1, "batch_size": 16, "progress": "none", "metrics": {}}}
    config = validate(make_config(**changes))
    return Predictions("some", config, "row", [*range(len(outputs))], outputs, labels)


@pytest.mark.parametrize(
    ("predictions", "lines"),
    [
        (
            make_predictions(np.float32([[0.5], [2]]), np.float32([[1], [2]]), task="regression"),
            ["row,label_price,output_price", "0,1.0,0.5", "1,2.0,2.0"],
        ),
        (
            make_predictions(np.float32([[1, 2]]), task="regression", target=["price", "a, b"], num_targets=2),
            ['row,output_price,"output_a, b"', "0,1.0,2.0"],
        ),
        (
            make_predictions(np.float32([[1, 0]]), task="multilabel", target=["wet", "cold"], num_classes=2),
            ["row,output_wet,output_cold", "0,1.0,0.0"],
        ),
        (
            make_predictions(np.float32([[-1], [0.25]]), np.float32([[0], [1]]), task="binary", num_classes=2),
            ["row,predicted,label,output", "0,0,0,-1.0", "1,1,1,0.25"],
        ),
        (
            make_predictions(np.float32([[0.25]]), model={"activation": "sigmoid"}, task="binary", num_classes=2),
            ["row,predicted,output", "0,0,0.25"],
        ),
        (
            make_predictions(
                np.float32([[0.25, 0.5]]), np.array([0]), num_classes=2, categories={"price": ["lo", "hi"]}
            ),
            ["row,predicted,label,output_lo,output_hi", "0,hi,lo,0.25,0.5"],
        ),
    ],
    ids=["regression", "two targets", "multilabel", "logits", "probabilities", "classes"],
)
def test_columns_are_named_by_classes_and_targets(tmp_path, predictions, lines):
    save_predictions(tmp_path / "new" / "out.csv", predictions)
    assert (tmp_path / "new" / "out.csv").read_text().splitlines() == lines


def test_a_file_that_can_not_be_written_is_told_before_anything_is_predicted(tmp_path, monkeypatch):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    for name, why in (("folder.csv", "Is a directory"), ("file/out.csv", "Not a directory")):
        with pytest.raises(UserError, match=f"`--out` must be a file that can be written; got '.*{name}' .*{why}"):
            check_out(tmp_path / name)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match=r"got '.*out.csv' \(.*: Permission denied\). Choose another"):
        check_out(tmp_path / "missing" / "out.csv")
    assert not (tmp_path / "missing").exists()


def test_predictions_that_do_not_fit_leave_those_before(mount_small_disk):
    folder = mount_small_disk("64k")
    (folder / "out.csv").write_text("those before")
    with pytest.raises(UserError, match=r"`--out` must be a file that can be written; .*No space left"):
        save_predictions(folder / "out.csv", make_predictions(np.zeros((20_000, 1), np.float32), task="regression"))
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [("out.csv", "those before")]


def test_a_folder_without_images_of_a_class_is_evaluated(tmp_path):
    make_images(tmp_path, 3, {"dog": 200})
    (tmp_path / "cat").mkdir()
    assert load_whole(read_data(IMAGES | {"path": str(tmp_path)}), "channels_last").labels.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("group", "changes", "message"),
    [
        ("table", {"features": ["height"], "one_hot": [], "categories": {}}, "`data.features` must give 6 .*; got 1"),
        ("images", {"image_size": [5, 5]}, r"`data.image_size` .* arrays of shape \[8, 7, 3\].*; got \[5, 5, 3\]"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused(tmp_path, group, changes, message):
    path = make_table(tmp_path / "new.csv") if group == "table" else make_images(tmp_path / "new")
    with pytest.raises(ConfigError, match=message):
        load_inputs(path, read_data(GROUPS[group] | changes), "channels_last")


def test_the_runs_own_settings_hold_but_for_those_that_are_said():
    window = {"length": 5, "stride": 2, "horizon": 0}
    run = {"data": TABLE | {"separator": "semicolon", "window": window}, "data_format": "channels_last"}
    for chosen in ([], ["data=table"]):
        data = compose_data([], [*chosen, "data.path=new.csv", "data.window.stride=3"], run)
        assert data == run["data"] | {"path": "new.csv", "window": window | {"stride": 3}}
    run = {"data": ARRAYS | {"path": "x.npy", "targets": "y.npy"}, "data_format": "channels_last"}
    assert compose_data([], ["data.path=new.npz"], run) == run["data"] | {"path": "new.npz", "targets": None}
    data = compose_data([], ["data.path=new.npy", "data.targets=new_y.npy"], run)
    assert (data["path"], data["targets"]) == ("new.npy", "new_y.npy")


def test_hydras_flags_are_passed_on():
    request = read_request("evaluate", ["--config-dir", "mine"], ["run=latest", "data=mine"])
    assert (request.flags, request.overrides, request.split) == (["--config-dir", "mine"], ["data=mine"], None)


@pytest.mark.parametrize(
    ("typed", "then"),
    [
        ("evaluate latest", "evaluate run=latest"),
        ("evaluate run = latest", "evaluate run=latest"),
        ("evaluate x.csv", "evaluate run=latest data.path=x.csv"),
        ("predict x.csv", "predict run=latest --inputs x.csv"),
        ("predict inputs=x.csv", "predict run=latest --inputs x.csv"),
        ("predict run=0123abcd file=x.csv", "predict run=0123abcd --inputs x.csv"),
    ],
)
def test_a_word_that_is_not_taken_leads_to_a_whole_command_line(typed, then):
    verb, *overrides = typed.split()
    with pytest.raises(UserError, match=rf"is not taken by `{verb}`.* Type: python -m lctrain {then}$"):
        read_request(verb, [], overrides)
    _, *words = then.split()
    assert read_request(verb, [], [word for word in words if "=" in word]).run in ("latest", "0123abcd")
