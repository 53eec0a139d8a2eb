"""`evaluate`, `predict` and `init_from`: a finished run's model in a new process."""

import csv
import re

import mlflow
import numpy as np
import pytest

from lctrain import training
from lctrain.config.schema import LocalTracking
from lctrain.tracking import fetch_run

SMALL = ["data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=200", "data.num_classes=4"]
SMALL += ["training.epochs=2", "training.progress=none", "data.normalize=standard", "data.split_seed=3"]


def read_run(folder):
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, order_by=["attributes.start_time DESC"])[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run_lctrain):
    folder = tmp_path_factory.mktemp("finished")
    process = run_lctrain(folder, "model=lc2d", *SMALL)
    assert process.returncode == 0, process.stderr
    return folder, read_run(folder)


def test_evaluate_tells_what_the_job_itself_has_found(finished, run_lctrain, tmp_path):
    folder, run = finished
    process = run_lctrain(tmp_path, "evaluate", f"run={run.info.run_id[:8]}", f"tracking.folder={folder}")
    assert process.returncode == 0, process.stderr
    assert "30 examples of synthetic, split test" in process.stdout
    message = dict(re.findall(r"^(\w+) +([\d.e+-]+)$", process.stdout, re.MULTILINE))
    for name in ("loss", "accuracy"):
        assert float(message[name]) == pytest.approx(run.data.metrics[f"test_{name}"], rel=1e-5)


def test_predict_writes_a_row_for_each_example(finished, run_lctrain):
    folder, run = finished
    run_id = run.info.run_id
    process = run_lctrain(folder, "predict", f"run={run_id}", "split=test", "--out", "out/some.csv")
    assert process.returncode == 0, process.stderr
    rows = list(csv.DictReader((folder / "out" / "some.csv").read_text().splitlines()))
    assert len(rows) == 30
    outputs = np.array([[float(row[f"output_{i}"]) for i in range(4)] for row in rows])
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
    predicted, labels = (np.array([int(row[name]) for row in rows]) for name in ("predicted", "label"))
    np.testing.assert_array_equal(predicted, outputs.argmax(axis=1))
    assert np.mean(predicted == labels) == pytest.approx(run.data.metrics["test_accuracy"])


def test_predict_takes_rows_without_labels(finished, run_lctrain, run_python):
    folder, run = finished
    inputs = np.random.default_rng(0).normal(2, 3, (7, 5, 7, 2))
    np.save(folder / "new.npy", inputs)
    process = run_lctrain(folder, "predict", f"run={run.info.run_id}", "--inputs", "new.npy", "--out", "new-out.npy")
    assert process.returncode == 0, process.stderr
    code = f"""
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
import numpy as np, lctrain, mlflow, mlflow.keras
mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.keras.load_model("runs:/{run.info.run_id}/model")
np.save("expected.npy", model.predict(np.load("new.npy"), verbose=0))
"""
    run_python(code, folder)
    np.testing.assert_allclose(np.load(folder / "new-out.npy"), np.load(folder / "expected.npy"), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate"], "`run` is missing: python -m lctrain evaluate run=ID"),
        (
            ["evaluate", "run=0123456789abcdef"],
            "`run` must be latest or the id of a run; got '0123456789abcdef', which is none in",
        ),
        (["evaluate", "run={id}", "split=tset"], "`split` must be one of test, validation, train, all; got 'tset'"),
        (["evaluate", "run={id}", "model=lc1d"], "`model` is not taken by `evaluate`: the run has its own."),
        (["predict", "run={id}", "--out", "x.txt"], "`--out` must end in .csv or .npy; got 'x.txt'"),
        (
            ["predict", "run={id}", "--inputs", "nowhere.npy"],
            r"`--inputs` 'nowhere.npy': there is no such file or folder. Give .npy or .npz",
        ),
        (
            ["predict", "run={id}", "--inputs", "flat.npy"],
            r"must hold numbers of shape \(num, 5, 7, 2\); got float64 \(3,",
        ),
        (
            ["predict", "run={id}", "--inputs", "empty.npy"],
            r"`--inputs` 'empty.npy': `inputs` must hold examples along its first axis; got the shape \(0, 5",
        ),
        (["predict", "run={id}", "--inputs", "bad.npy"], r"`--inputs` 'bad.npy': .* row 2, column \(0, 3, 1\) is nan"),
        (["evaluate", "run={id}", "data=digits"], r"`model.inputs.input` must be \[8, 8, 1\].*got \[5, 7, 2\]"),
        (
            ["model=lc2d", "init_from=nowhere.keras"],
            "`init_from` must be a run's id or a .keras file that is there; got",
        ),
    ],
)
def test_mistakes_are_told(finished, run_lctrain, arguments, message):
    folder, run = finished
    np.save(folder / "flat.npy", np.zeros((3, 70)))
    np.save(folder / "empty.npy", np.zeros((0, 5, 7, 2)))
    bad = np.zeros((4, 5, 7, 2))
    bad[2, 0, 3, 1] = np.nan
    np.save(folder / "bad.npy", bad)
    process = run_lctrain(folder, *(argument.replace("{id}", run.info.run_id) for argument in arguments))
    assert process.returncode == 2, process.stderr
    assert re.search(message, process.stderr), process.stderr
    assert "Traceback" not in process.stderr


def test_a_new_job_starts_from_a_runs_weights_with_a_layer_frozen(finished, run_lctrain):
    folder, run = finished
    arguments = ["init_from=latest", "model.layers.lc1.trainable=false", "training.epochs=1", "seed=9"]
    arguments += ["training.kernels=true"]
    process = run_lctrain(folder, "model=lc2d", *SMALL, "data.num_classes=3", *arguments)
    assert process.returncode == 0, process.stderr
    assert re.search(r"init_from: `head` drawn: its weights have the shapes \[\(\d+, 3\)", process.stderr)
    assert f"The latest finished run is {run.info.run_id} ({run.info.run_name}, " in process.stderr
    new = read_run(folder)
    assert new.data.params["init_from"] == run.info.run_id
    assert float(new.data.metrics["params_trainable"]) < float(new.data.metrics["params_total"])
    pictures = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").list_artifacts(new.info.run_id, "kernels")
    assert [picture.path for picture in pictures] == ["kernels/lc1.png", "kernels/lc2.png"]
    assert min(picture.file_size for picture in pictures) > 10_000
    weights = [read_weights(folder, one.info.run_id) for one in (run, new)]
    np.testing.assert_array_equal(weights[0]["lc1"], weights[1]["lc1"])
    assert not np.array_equal(weights[0]["lc2"], weights[1]["lc2"])


def read_weights(folder, run_id):
    """The kernels of a run's model, by layer."""
    place = folder / f"model-{run_id}"
    place.mkdir()
    store = LocalTracking(name="local", folder=str(folder), experiment="lctrain")
    model = training.load_model(fetch_run(store, run_id, place).model_file, "run")
    return {layer.name: layer.get_weights()[0] for layer in model.layers if layer.weights}
