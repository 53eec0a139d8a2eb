"""Devices: what may be asked for, who holds a card, what really ran, and several devices that train as one.

There is no card here: the cards are a list of names, and only the locks are real.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import mlflow
import mlflow.keras
import numpy as np
import pytest
from conftest import make_config

from lctrain.benchmark.tuning import Case, _what
from lctrain.config import validate
from lctrain.config.schema import GpuConfig
from lctrain.devices import gpus
from lctrain.devices.gpus import acquire_device, choose_visible, default_lock_folder, list_gpus
from lctrain.errors import ConfigError, UserError
from lctrain.system.subprocesses import run_in_process

CARDS = ("GPU-ab12", "GPU-cd34", "GPU-ef56")
LISTING = """0, GPU-ab12, NVIDIA H200, 575.57.08
1, GPU-cd34, NVIDIA H200, 575.57.08
2, GPU-ab99, NVIDIA L4, 575.57.08
"""
SMALL = ("data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=200", "training.progress=none")
no_card = pytest.mark.skipif(bool(list_gpus()), reason="needs a machine without a graphics card")


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"device": {"name": "cpu", "threads": 0}}, "device.threads", r"greater than 0; got 0\."),
        ({"device": {"name": "cpu", "index": 1}}, "device.index", r"not a known key\. It belongs to device=gpu\."),
        ({"device": {"name": "gpu", "index": -1}}, "device.index", r"greater than or equal to 0; got -1\."),
        ({"device": {"name": "gpu", "index": [2, 0, 2]}}, "device.index", r"each .* once; got \[2, 0, 2\]\."),
        ({"device": {"name": "gpu", "index": [2, 0]}}, "device.index", r"one device .*; got \[2, 0\]\. .*mirrored"),
        ({"strategy": "mirrored"}, "strategy", r"several devices; got the cpu as one\. Use device\.logical=2"),
        ({"strategy": "mirrored", "device": {"name": "gpu", "index": 1}}, "strategy", r"got `device\.index` \[1\]\."),
        ({"strategy": "miror"}, "strategy", r"one of 'none', 'mirrored'; got 'miror'\."),
    ],
)
def test_a_mistake_is_told_at_its_place(changes, path, message):
    with pytest.raises(ConfigError, match=message) as raised:
        validate(make_config(**changes))
    assert [problem.path for problem in raised.value.problems] == [path]


def test_what_several_devices_cannot_do_is_told_at_once():
    config = make_config(strategy="mirrored", device={"name": "cpu", "logical": 2}, jit_compile=True)
    config["model"]["batch_size"] = 16
    config["optimizer"]["gradient_accumulation_steps"] = 2
    with pytest.raises(ConfigError, match="with strategy mirrored") as raised:
        validate(config)
    paths = [problem.path for problem in raised.value.problems]
    assert paths == ["jit_compile", "model.batch_size", "optimizer.gradient_accumulation_steps"]


def test_one_index_may_stand_without_brackets():
    assert validate(make_config(device={"name": "gpu", "index": 1})).device.index == [1]
    assert validate(make_config(device={"name": "gpu"})).device.index is None


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["GPU-ab12", "GPU-cd34", "GPU-ab99"]),
        ("2,0", ["GPU-ab99", "GPU-ab12"]),
        ("GPU-cd, 0", ["GPU-cd34", "GPU-ab12"]),
        ("1,7,0", ["GPU-cd34"]),  # CUDA stops at what it does not know
        ("GPU-ab", []),  # or can't tell apart
        ("-1", []),
        ("", []),
    ],
)
def test_cards_are_numbered_as_cuda_numbers_them(visible, uuids):
    assert [gpu.uuid for gpu in choose_visible(LISTING, visible)] == uuids


def take(folder, message=None, is_mirrored=False, **arguments):
    device = GpuConfig(name="gpu", **arguments)
    taken, locks = acquire_device(device, CARDS, is_mirrored, folder, (message if message is not None else []).append)
    return taken.index, locks


def release(*taken):
    for _, locks in taken:
        for lock in locks:
            lock.release()


def test_each_job_gets_the_first_card_that_no_other_has(tmp_path):
    first, second = take(tmp_path), take(tmp_path)
    other = take(tmp_path, index=[2])
    assert [index for index, _ in (first, second, other)] == [[0], [1], [2]]
    release(second)
    again = take(tmp_path)
    assert again[0] == [1]
    release(first, again, other)


def test_a_job_that_shares_neither_waits_nor_keeps_others_waiting(tmp_path):
    held = [take(tmp_path) for _ in CARDS]
    assert take(tmp_path, share=True) == ([0], [])
    assert take(tmp_path, share=True, index=[2, 1]) == ([2, 1], [])
    assert take(tmp_path, share=True, is_mirrored=True) == ([0, 1, 2], [])
    release(*held)
    assert take(tmp_path, share=True)[1] == []
    everything = take(tmp_path, is_mirrored=True)
    assert everything[0] == [0, 1, 2]
    release(everything)


def test_a_card_that_is_not_there_is_told_with_those_that_are(tmp_path):
    with pytest.raises(UserError, match=r"^`device\.index` must be one of 0, 1, 2; got 3, 5\.$"):
        take(tmp_path, index=[3, 1, 5])
    assert take(tmp_path, index=[1])[0] == [1]  # nothing was taken by the one before


HOLD = """
import os, sys, time
from pathlib import Path
from lctrain.config.schema import GpuConfig
from lctrain.devices.gpus import acquire_device
index = None if sys.argv[2] == "any" else [int(sys.argv[2])]
if "USER_NUMBER" in os.environ:
    os.setuid(int(os.environ["USER_NUMBER"]))
say = lambda text: print(text, flush=True)
taken, locks = acquire_device(GpuConfig(name="gpu", index=index), sys.argv[3:], False, Path(sys.argv[1]), say)
say(taken.index)
time.sleep(600)
"""


def start_holder(folder, index, names, **options):
    command = [sys.executable, "-c", HOLD, str(folder), str(index), *names]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("any", "Other jobs use every GPU (1); waiting for the first"),
        (0, "Another job uses GPU 0; waiting for its end"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_second_job_says_that_it_waits_and_goes_on_when_the_first_is_killed(tmp_path, index, message):
    first = start_holder(tmp_path, index, CARDS[:1])
    second = None
    try:
        assert first.stdout.readline() == "[0]\n"
        second = start_holder(tmp_path, index, CARDS[:1])
        assert second.stdout.readline() == f"{message} (device.share=true does not wait).\n"
        assert second.poll() is None
        first.send_signal(signal.SIGKILL)
        assert second.stdout.readline() == "[0]\n"
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.communicate()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be two users")
def test_users_share_the_locks():
    """In the folder for temporary files, which is sticky: there Linux keeps users' files apart."""
    name = f"GPU-test-{os.getpid()}"
    lock = default_lock_folder() / f"{name}.lock"
    other = start_holder(default_lock_folder(), 0, [name], env={**os.environ, "USER_NUMBER": "65534"})
    try:
        assert other.stdout.readline() == "[0]\n"
        assert not gpus._try(gpus.FileLock(lock, mode=0o666))
    finally:
        other.kill()
        other.communicate()
    assert gpus._try(gpus.FileLock(lock, mode=0o666))
    lock.unlink(missing_ok=True)


@no_card
def test_a_gpu_where_there_is_none_is_an_error_and_no_fallback(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "device=gpu", *SMALL)
    assert process.returncode == 2
    assert process.stderr == "Error: `device` must be one that is here; got gpu. Here are: CPU only.\n"
    assert not (tmp_path / "mlflow.db").exists()


def count_threads(threads):
    """TensorFlow's settings, and the threads that it computes with beside the calling one; in a process of its own."""
    from lctrain.devices.runtime import load_libraries

    config = validate(make_config(device={"name": "auto", "threads": threads}))
    tags = load_libraries(config).tags
    import tensorflow as tf

    tf.linalg.matmul(tf.ones((300, 200)), tf.ones((200, 300)))
    names = [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    set_to = (
        tf.config.threading.get_intra_op_parallelism_threads(),
        tf.config.threading.get_inter_op_parallelism_threads(),
    )
    try:
        load_libraries(validate(make_config(device={"name": "cpu", "threads": threads + 1})))
    except UserError as error:
        return dict(tags), set_to, names.count("tf_Compute"), str(error)


@no_card
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_threads_are_what_was_asked_for_and_stay_so_within_a_process(threads):
    outcome = run_in_process(count_threads, threads)
    assert outcome.status == "done", outcome.reason
    tags, set_to, num_threads, error = outcome.value
    assert tags == {
        "device": "cpu",  # which is what auto became
        "devices": "/device:CPU:0",
        "threads_intra": str(threads),
        "threads_inter": str(threads),
    }
    assert set_to == (threads, threads)
    assert num_threads <= threads
    assert error.startswith(f"`device` must stay the same within one process; got threads {threads + 1}, name cpu,")


def test_measurements_are_remembered_by_device_and_threads():
    case = Case("lc1", {"lc1": 2}, False, (5, 7, 2))
    devices = [{"name": "cpu"}, {"name": "cpu", "threads": 1}, {"name": "gpu"}, {"name": "gpu", "index": 3}]
    keys = [json.dumps(_what(validate(make_config(device=device)), case)) for device in devices]
    assert len(set(keys)) == 3
    assert keys[2] == keys[3]


def train_both(precision):
    """Histories, test results and timed steps with one device and with two, by implementation."""
    from lctrain import data, training
    from lctrain.benchmark import timing
    from lctrain.devices.runtime import load_libraries
    from lctrain.model.build import build_model
    from lctrain.training.distribution import make_strategy

    outcomes = {}
    for implementation in (1, 2, 3, "batched"):
        outcomes[implementation] = []
        for strategy in ("none", "mirrored"):
            devices = {"name": "cpu", "logical": 2}
            config = make_config(
                device=devices, strategy=strategy, precision=precision, implementation=implementation, seed=3
            )
            config["model"]["layers"]["lc1"]["kernel_regularizer"] = {"l2": 1e-2}
            config["training"] |= {"batch_size": 13, "epochs": 3}  # 72 = 5 * 13 + 7 are trained on, in parts of 7 and 6
            config = validate(config)
            names = load_libraries(config).names
            training.prepare_process(config)
            splits = data.load_splits(config.data, config.data_format)
            with make_strategy(config.strategy, names).scope():
                model = build_model(config)
            training.compile_model(model, config)
            history = training.fit(model, splits, config, [])
            tested = training.evaluate(model, splits.test, config)
            inputs, labels = splits.train.inputs[:13], splits.train.labels[:13]
            before = model.get_weights()
            steps = timing.measure_steps(model, (inputs, labels))
            is_kept = all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
            outcomes[implementation].append((history | tested, len(steps["train_step"]), is_kept))
    return outcomes


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_two_devices_train_as_one_with_every_implementation(precision, tolerance):
    outcome = run_in_process(train_both, precision)
    assert outcome.status == "done", outcome.reason
    for implementation, ((one, *_), (two, num_steps, is_kept)) in outcome.value.items():
        assert set(one) == set(two) == {"accuracy", "loss", "val_accuracy", "val_loss"}
        for name in one:
            np.testing.assert_allclose(two[name], one[name], rtol=tolerance, err_msg=f"{implementation} {name}")
        assert one["val_loss"][0] != one["val_loss"][-1]
        assert num_steps >= 5
        assert is_kept


def test_a_mirrored_job_is_logged_and_its_model_loads(tmp_path, run_lctrain, monkeypatch):
    arguments = ("strategy=mirrored", "device.logical=2", "training.batch_size=33", "training.epochs=1")
    process = run_lctrain(tmp_path, *SMALL, *arguments)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")  # which no other test sees
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.data.tags["devices"] == "/device:CPU:0, /device:CPU:1"
    logged = {"strategy": "mirrored", "device.logical": "2", "resolved.replicas": "2", "resolved.device": "cpu"}
    assert {name: run.data.params[name] for name in logged} == logged
    assert run.data.metrics["train_step_ms"] > 0
    (model,) = mlflow.search_logged_models(experiment_ids=[run.info.experiment_id], output_format="list")
    loaded = mlflow.keras.load_model(f"models:/{model.model_id}")
    assert loaded.count_params() == run.data.metrics["params_total"]
    assert isinstance(loaded, keras.Model)
