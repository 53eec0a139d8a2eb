"""Damaged model files give one clear error or a right model, and only the child that parses them may die."""

import os
import signal
import time

import h5py
import numpy as np
import pytest
from legacy_fuzzer import (
    DAMAGES,
    GOOD_FILES,
    MAX_CHILD_KIB,
    Judge,
    Result,
    Worker,
    judge_all,
    make_damaged,
    name_of,
    problems_of,
    read_stored,
    write_good,
)

from lctrain import legacy

FEW_SEEDS = range(4, 244, 20)  # twelve ways of damage, and all eight files
MANY_SEEDS = range(10_000, 10_200)


def finished(seeds, folder):
    """The problems of these seeds, and how many gave a model and how many an error."""
    results = judge_all(seeds, folder)
    models = sum(result.outcome == "model" for result in results)
    return problems_of(results), models, len(results) - models


def test_a_few_damaged_files_give_an_error_or_a_right_model(tmp_path):
    assert len({name_of(seed)[1] for seed in FEW_SEEDS}) == 12
    problems, models, errors = finished(FEW_SEEDS, tmp_path)
    assert problems == []
    assert models > 0
    assert errors > 0


@pytest.mark.slow
def test_many_damaged_files_give_an_error_or_a_right_model(tmp_path):
    assert {name_of(seed)[1] for seed in MANY_SEEDS} == set(DAMAGES)
    problems, models, errors = finished(MANY_SEEDS, tmp_path)
    assert problems == []
    assert models > 20
    assert errors > 60


@pytest.mark.parametrize("name", GOOD_FILES)
def test_an_undamaged_file_gives_the_model_that_tf_keras_reads(tmp_path, name):
    path = write_good(GOOD_FILES[name], tmp_path / "good.h5")
    model = legacy.load_model(path)
    inputs = np.random.default_rng(3).standard_normal((2, *model.input_shape[1:])).astype(np.float32)
    outputs = np.asarray(model(inputs))
    assert np.ptp(outputs) > 0
    if not name.startswith("keras1"):  # which tf_keras can't read
        import tf_keras

        theirs = tf_keras.models.load_model(path, compile=False)
        np.testing.assert_allclose(outputs, theirs(inputs).numpy(), rtol=0, atol=1e-5)


def test_a_seed_makes_the_same_file_each_time(tmp_path):
    contents = [make_damaged(seed, tmp_path).read_bytes() for seed in range(len(DAMAGES))]
    assert [make_damaged(seed, tmp_path).read_bytes() for seed in range(len(DAMAGES))] == contents
    good = write_good(GOOD_FILES[name_of(0)[0]], tmp_path / "good.h5").read_bytes()
    assert sum(content != good for content in contents) > len(DAMAGES) - 3  # chance may change a byte to itself


def misbehave(path):
    """Dies, hangs, or crashes, as the path says."""
    if path == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if path == "hang":
        time.sleep(600)
    raise ValueError(path)


@pytest.mark.parametrize(("path", "text"), [("die", "exit code -11"), ("hang", "within 1 s"), ("crash", "ValueError")])
def test_the_judge_sees_what_must_not_be(path, text):
    worker = Worker(misbehave)
    for _ in range(2):  # the worker is replaced
        outcome, message, *_ = worker.ask(path, seconds=1)
        assert outcome in ("died", "hang", "crash")
        assert text in message
    worker.stop()
    results = [Result(0, "nest", outcome, message, f"{outcome}: {message}", (0, 0), MAX_CHILD_KIB)]
    assert [line.split()[0] for line in problems_of(results)] == ["seed", "a"]


@pytest.mark.parametrize("name", ["keras1_functional", "tfkeras_sparse"])
def test_the_judge_sees_weights_that_are_not_the_files(tmp_path, name):
    path = write_good(GOOD_FILES[name], tmp_path / "good.h5")
    stored = read_stored(path)
    right = list(stored.arrays.values())
    with Judge(tmp_path) as judge:
        judge.good[name] = (stored, right)
        assert judge.problem_of_weights(path, right, name) is None
        assert "weights are not in the file" in judge.problem_of_weights(path, [*right, right[0]], name)
        moved = [np.roll(values, 1) for values in right]
        assert "0 stored values differ, but" in judge.problem_of_weights(path, moved, name)
        with h5py.File(path, "r+") as file:
            file["model_weights/local"].attrs["weight_names"] = np.array([b"other"])
        assert judge.problem_of_weights(path, moved, name) is None  # none can say where they belong
