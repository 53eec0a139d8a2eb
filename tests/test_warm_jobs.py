"""Jobs whose processes are forked do, to the bit, what they do in new ones."""

import hashlib
import os
from typing import get_args

import pytest
from conftest import make_config

from lctrain.config import Config, validate
from lctrain.devices import runtime
from lctrain.implementations import IMPLEMENTATIONS
from lctrain.job.run import load_code, run_job_of_sweep
from lctrain.system import fork_client
from lctrain.system.fork_client import keep
from lctrain.system.fork_connection import ForkServer
from lctrain.system.subprocesses import run_in_process
from lctrain.tracking import read_journal

pytestmark = pytest.mark.skipif(not fork_client.IS_SUPPORTED, reason="only Linux has these servers")

SETTINGS = [
    {"implementation": 1, "precision": "float64"},
    {"implementation": 2, "jit_compile": True},
    {"implementation": 3, "precision": "mixed_bfloat16"},
    {"implementation": "batched", "precision": "mixed_float16", "jit_compile": True},
    {"implementation": "batched", "strategy": "mirrored", "device": {"name": "cpu", "logical": 2}},
    {"implementation": 1, "device": {"name": "cpu", "threads": 1}, "deterministic": False},
]


def train(changes):
    """The digest of the trained weights, the history, and whether the process was forked."""
    from lctrain import training
    from lctrain.data import load_splits
    from lctrain.model.build import build_model
    from lctrain.training.distribution import make_strategy

    config = validate(make_config(**changes))
    devices = runtime.load_libraries(config)
    training.prepare_process(config)
    splits = load_splits(config.data, config.data_format)
    with make_strategy(config.strategy, devices.names).scope():
        model = build_model(config)
    training.compile_model(model, config)
    history = training.fit(model, splits, config, [])
    weights = hashlib.sha256(b"".join(array.tobytes() for array in model.get_weights())).hexdigest()
    return weights, history, fork_client.origin is not None


@pytest.fixture(scope="module")
def server():
    server = ForkServer(f"lctrain-test-{os.getpid()}-warm", load_code, runtime.find_started)
    with keep(server):
        yield server


def compare(server, changes, tmp_path):
    outcomes = [run_in_process(train, changes, server=one, log_file=tmp_path / "log") for one in (None, server)]
    assert [one.status for one in outcomes] == ["done"] * 2, [one.reason for one in outcomes]
    (fresh, expected, was_forked), (forked, history, is_forked) = (one.value for one in outcomes)
    assert (was_forked, is_forked) == (False, True), (tmp_path / "log").read_text()
    assert (forked, history) == (fresh, expected)


def test_a_fork_trains_to_the_bits_of_a_new_process(server, tmp_path):
    compare(server, {}, tmp_path)


def test_the_settings_have_every_value_of_what_decides_on_bits():
    configs = [validate(make_config(**changes)) for changes in ({}, *SETTINGS)]
    values = {"implementation": ("auto", *IMPLEMENTATIONS), "jit_compile": (True, False)}
    values |= {key: get_args(Config.model_fields[key].annotation) for key in ("precision", "strategy")}
    for key, expected in values.items():
        assert {getattr(config, key) for config in configs} == set(expected), key


@pytest.mark.slow
@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_a_fork_trains_to_the_bits_of_a_new_process_whatever_is_set(server, changes, tmp_path):
    compare(server, changes, tmp_path)


def test_a_fork_s_peak_memory_is_told_as_that_of_a_new_process(server, tmp_path):
    config = validate(make_config(tracking={"name": "local", "folder": str(tmp_path), "experiment": "test"}))
    found = []
    for name, one in (("spawn", None), ("forkserver", server)):
        log = tmp_path / f"{name}.log"
        outcome = run_in_process(run_job_of_sweep, config, [], tmp_path / name, None, {}, server=one, log_file=log)
        assert outcome.status == "done", log.read_text()
        found.append(outcome.value["peak_memory_mb"])
        assert read_journal(tmp_path / name / "tracking").tags["sweep.start_method"] == name
    assert found[1] == pytest.approx(found[0], rel=0.12)


def start_tensorflow():
    import tensorflow as tf

    before = runtime.find_started()
    tf.constant(1)
    return before, runtime.find_started()


def test_a_runtime_that_has_started_is_seen(server):
    assert run_in_process(start_tensorflow, server=server).value == (
        "",
        "TensorFlow's runtime has started in its server",
    )
