"""The command line as a user meets it: real processes, real stores."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml

FAST = ("training.epochs=2", "data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=200")
EPOCHS = 15  # of the main job, by which it has learnt; its own 30 take longer and show no more
METRICS_OF_A_RUN = {
    "params_total",
    "params_trainable",
    "build_seconds",
    "first_step_seconds",
    "train_step_ms",
    "train_step_ms_p90",
    "inference_ms",
    "examples_per_second",
    "peak_memory_mb",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "test_loss",
    "test_accuracy",
}


def open_store(folder):
    return mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")


def runs_in(folder):
    client = open_store(folder)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, order_by=["attributes.start_time ASC"])


@pytest.fixture(scope="session")
def digits_runs(tmp_path_factory, run_lctrain):
    """The main job under each implementation, in one folder: the finished process and the run of each."""
    folder = tmp_path_factory.mktemp("digits")
    finished = {}
    for implementation in ("1", "2", "3", "batched", "auto"):
        started = time.monotonic()
        process = run_lctrain(folder, "model=lc2d", f"implementation={implementation}", f"training.epochs={EPOCHS}")
        assert process.returncode == 0, process.stderr
        finished[implementation] = (process, time.monotonic() - started)
    runs = {run.data.params["implementation"]: run for run in runs_in(folder)}
    assert len(runs) == 5
    return {name: (process, runs[name], folder, seconds) for name, (process, seconds) in finished.items()}


@pytest.mark.parametrize("implementation", ["1", "2", "3", "batched", "auto"])
def test_the_main_job_learns_real_digits(digits_runs, implementation, record_property):
    process, run, _, seconds = digits_runs[implementation]
    record_property("seconds", seconds)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_accuracy"] >= 0.95
    assert "Browse it: python -m lctrain ui\n" in process.stdout
    assert "test accuracy" in process.stdout
    assert "Traceback" not in process.stderr


def test_every_named_metric_param_tag_and_artifact_is_there(digits_runs):
    _, run, folder, _ = digits_runs["2"]
    client = open_store(folder)
    assert set(run.data.metrics) == METRICS_OF_A_RUN
    assert all(np.isfinite(value) and value >= 0 for value in run.data.metrics.values())
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, name)] == list(range(1, EPOCHS + 1))
    params = run.data.params
    wanted = {
        "implementation": "2",
        "model.layers.lc1.filters": "16",
        "model.layers.lc1.implementation": "2",
        "seed": "0",
    }
    assert {name: params[name] for name in wanted} == wanted
    wanted = {"model": "lc2d", "data": "digits", "implementation": "2", "device": "cpu"}
    tags = run.data.tags
    assert {name: tags[name] for name in wanted} == wanted
    versions = {"python_version", "tensorflow_version", "keras_version", "lctrain_version", "cpu_model", "cpu_cores"}
    assert all(tags[name] for name in versions)

    def fetch(path):
        return Path(client.download_artifacts(run.info.run_id, path)).read_bytes()

    config = yaml.safe_load(fetch("config/config.yaml"))
    assert config["model"]["layers"]["head"]["units"] == 10
    assert yaml.safe_load(fetch("config/overrides.yaml")) == [
        "model=lc2d",
        "implementation=2",
        f"training.epochs={EPOCHS}",
    ]
    table = json.loads(fetch("model/layers.json"))
    assert table["columns"] == ["name", "type", "output_shape", "parameters", "implementation"]
    assert table["data"][0] == ["lc1", "LocallyConnected2D", "(None, 6, 6, 16)", 36 * 9 * 16 + 36 * 16, "2"]
    assert fetch("loss_curve.png").startswith(b"\x89PNG")


def test_implementations_have_equal_parameters_and_losses(digits_runs):
    folder = digits_runs["1"][2]
    client = open_store(folder)
    runs = {name: run for name, (_, run, _, _) in digits_runs.items()}
    assert len({run.data.metrics["params_total"] for run in runs.values()}) == 1
    losses = {
        name: np.array([point.value for point in client.get_metric_history(run.info.run_id, "loss")])
        for name, run in runs.items()
    }
    for name, loss in losses.items():
        np.testing.assert_allclose(loss, losses["1"], rtol=1e-3, err_msg=name)


def test_the_logged_model_loads_in_a_new_process_and_predicts(digits_runs, run_python):
    _, run, folder, _ = digits_runs["batched"]
    out = run_python(
        f"""
import lctrain
import mlflow.keras, numpy as np
from sklearn.datasets import load_digits
mlflow.set_tracking_uri("sqlite:///{folder}/mlflow.db")
model = mlflow.keras.load_model("runs:/{run.info.run_id}/model")
digits = load_digits()
scores = model.predict(digits.images[..., None] / 16, verbose=0)
print((scores.argmax(-1) == digits.target).mean())
requirements = mlflow.pyfunc.get_model_dependencies("runs:/{run.info.run_id}/model")
print(open(requirements).read())
import os
print([name for _, _, names in os.walk("{folder}/mlartifacts") for name in names if name.endswith((".pkl", ".pickle"))])
""",
        folder,
    )
    lines = out.splitlines()
    assert float(lines[0]) > 0.97
    assert any(line.startswith("lctrain==") for line in lines)
    assert lines[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["foo=1", "model.layers.head.units=${nope}"], "2 problems(.|\n)*head.units` can't be resolved(.|\n)*`foo`"),
        (["foo=1"], "`foo` is not a known key. Known are: data_format, implementation"),
        (["trainin.epochs=1"], "`trainin` is not a known key. Did you mean `training`?"),
        (["modle=lc2d"], "`modle` is not a known key. Did you mean `model`?"),
        (["model=lc2x"], "`model` has no choice 'lc2x'. Did you mean `lc2d`?"),
        (["implementation=7"], "`implementation` must be one of 1, 2, 3, 'batched', 'auto', 'tuned'; got 7."),
        (["model.layers.lc1.fliters=3"], "`model.layers.lc1.fliters` is not an argument .* Did you mean `filters`?"),
        (["model.layers.lc9.filters=3"], "`model.layers.lc9` has no `type`.*Did you mean `lc1` or `lc2`?"),
        (["model.layers.head.units=${data.num_clases}"], "`model.layers.head.units` can't be .*'data.num_clases'"),
        (["training.epochs=1,2"], "`training.epochs=1,2` gives several values. Give one; or add -m"),
        (
            ["~model.layers.nope"],
            "`~model.layers.nope`: there is no such key to delete[.] The keys: python -m lctrain --cfg job\n$",
        ),
        (["tracking.folder=pyproject"], "`tracking.folder` must be a folder that can be written to; got 'pyproject'"),
        (["rain", "model=lc2d"], "`rain` is not a verb. Did you mean `train`?"),
        (["hydra.searchpath=[file:///tmp]"], "`hydra.searchpath` is not taken.* Use --config-dir"),
        (["data=null"], "`data` must be one of its choices, a name; got 'null'"),
        ([""], "`` is not a verb"),
        (["model.layers={}"], "would change nothing: mappings are merged"),
        (["training.metrics=[auc]"], "`training.metrics=.auc.` does not fit what is there: .* Set or delete its keys"),
        (["model@x=lc2d"], "`model@x=lc2d`: where a choice goes can't be said here. Type model=lc2d\n$"),
        (["model={}"], "would change nothing: mappings are merged"),
        (
            ["model.layers.lc1={type: [1]}"],
            "`model.layers.lc1.type` must be a class that configurations may name; got .1.",
        ),
        (
            ["-m", "model.layers.lc1.fliters=1,2"],
            "Error in job 1: `model.layers.lc1.fliters` .* Did you mean `filters`?",
        ),
        (["=3"], "`=3` must have the form KEY=VALUE"),
        (["--config-dir", "nowhere"], "`--config-dir` must be a folder; got 'nowhere'"),
        (["--config-dir", "configs", "model=twice"], "twice.yaml, line 4: found duplicate key lc1"),
        (["--config-dir", "configs", "model=open"], "open.yaml, line [0-9]+: expected"),
    ],
)
def test_mistakes_found_before_tensorflow_is_loaded(tmp_path, run_lctrain, arguments, message):
    (tmp_path / "pyproject").write_text("a file, not a folder")
    (tmp_path / "configs" / "model").mkdir(parents=True)
    layer = "  lc1: {type: Flatten}\n"
    (tmp_path / "configs" / "model" / "twice.yaml").write_text(f"name: twice\nlayers:\n{layer}{layer}")
    (tmp_path / "configs" / "model" / "open.yaml").write_text("name: open\nlayers:\n  lc1: {type: Flatten\n")
    process = run_lctrain(tmp_path, *arguments)
    assert process.returncode == 2
    assert re.search(message, process.stderr), process.stderr
    assert "Traceback" not in process.stderr
    assert len(process.stderr.splitlines()) <= 5
    assert not (tmp_path / "mlflow.db").exists()


def test_debug_brings_the_traceback_back(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "--debug", "training.epoch=3")
    assert process.returncode == 2
    assert "Traceback (most recent call last)" in process.stderr
    assert "ConfigError: `training.epoch` is not a known key. Did you mean `training.epochs`?" in process.stderr


def test_what_only_building_shows_ends_the_run_too(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "model.layers.lc1.kernel_size=9")
    assert process.returncode == 2
    assert process.stderr == (
        "Error: `model.layers.lc1.kernel_size` must not exceed the input's spatial size (8, 8); got (9, 9)."
        " Use a smaller kernel or a larger input.\n"
    )
    (run,) = runs_in(tmp_path)
    assert run.info.status == "FAILED"
    assert "model.layers.lc1.kernel_size" in run.data.tags["error"]


def test_what_does_not_fit_into_memory_exits_with_3(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "data=synthetic", "data.input_shape=[1000000,1000000,100]")
    assert process.returncode == 3
    assert re.match(r"Error: the job does not fit into memory: it needs \d+\.\d GB; .* are available", process.stderr)
    assert not (tmp_path / "mlflow.db").exists()


def test_overrides_reach_arguments_that_the_file_does_not_mention(tmp_path, run_lctrain):
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for arguments in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "Start"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
    process = run_lctrain(
        tmp_path,
        "train",
        "+model.layers.extra={type: Dense, units: '${data.num_classes}'}",
        "model.layers.lc1.strides=2",
        "model.layers.lc2.kernel_size=2",
        "optimizer.weight_decay=0.01",
        "~model.layers.dropout",
        "tracking.folder=store",
        *FAST,
    )
    assert process.returncode == 0, process.stderr
    (run,) = runs_in(tmp_path / "store")
    assert run.data.params["model.layers.lc1.strides"] == "2"
    assert run.data.params["optimizer.weight_decay"] == "0.01"
    assert run.data.tags["mlflow.source.git.commit"] == commit.stdout.strip()
    assert "model.layers.dropout.rate" not in run.data.params
    assert run.data.params["model.layers.extra.units"] == "10"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_the_run_as_killed(tmp_path, number, exit_code):
    command = [sys.executable, "-m", "lctrain", "training.epochs=100000"]
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to it
    try:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, heard)
    try:
        for line in process.stdout:
            if line.startswith("Epoch 2/"):
                break
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == exit_code
    assert "Traceback" not in errors
    what = "Interrupted" if number == signal.SIGINT else "Terminated"
    assert errors.endswith(f"{what}. Go on with it: python -m lctrain training.epochs=100000 resume=true\n")
    (run,) = runs_in(tmp_path)
    assert run.info.status == "KILLED"


def test_runs_started_together_share_a_fresh_store(tmp_path):
    command = [sys.executable, "-m", "lctrain", *FAST]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    assert [run.info.status for run in runs_in(tmp_path)] == ["FINISHED"] * 3
    assert len(list((tmp_path / "outputs").glob("*/*"))) == 3


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_load_neither_tensorflow_nor_mlflow(run_python, flag):
    out = run_python(
        f"""
import sys
from lctrain.cli import main
assert main(["{flag}"]) == 0
print(sorted({{"tensorflow", "keras", "mlflow", "sklearn"}} & set(sys.modules)))
"""
    )
    assert out.splitlines()[-1] == "[]"
    assert out.startswith("lctrain 0.1.0")


def test_importing_lctrain_loads_neither_keras_nor_tensorflow(run_python):
    code = "import sys, lctrain, lctrain.config; print({'tensorflow', 'keras', 'mlflow', 'hydra'} & set(sys.modules))"
    assert run_python(code).strip() == "set()"


def test_the_console_script_is_the_same(tmp_path):
    script = Path(sys.executable).parent / "lctrain"
    finished = subprocess.run([script, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert finished.stdout == "lctrain 0.1.0\n"
