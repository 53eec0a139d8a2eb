"""Checkpoints: read as they were written, or found damaged; whole on the disk whatever happens."""

import json
import os
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from made_trainings import TRAINING, fit, prepare

from lctrain import training
from lctrain.training import loop
from lctrain.training.checkpoints import (
    Checkpoint,
    Checkpoints,
    DamagedCheckpointError,
    read_checkpoint,
    write_checkpoint,
)

DTYPES = ("float64", "float32", "float16", "int64", "int32", "uint32", "uint8", "bool")


def make_checkpoint(step=3):
    numbers = np.random.default_rng(step)
    arrays = {dtype: (numbers.normal(size=(2, 3, 5)) * 9).astype(dtype) for dtype in DTYPES}
    arrays |= {
        "bfloat16": numbers.normal(size=(2, 3)).astype(ml_dtypes.bfloat16),
        "bfloat16-scalar": np.array(1.5, ml_dtypes.bfloat16),
        "scalar": np.array(step, np.int64),
        "empty": np.zeros((0, 4), np.float32),
        "payloads": np.array([0x7FC00001, 0xFFC12345, 0x80000000, 0x00000001], np.uint32).view(np.float32),
        "transposed": numbers.normal(size=(4, 3)).T,
        "spaced": np.arange(12)[::3],
    }
    return Checkpoint(arrays, {"step": step, "history": {"loss": [0.1, float("nan"), 1 / 3]}, "none": None})


def assert_equal(read, written):
    assert list(read.arrays) == list(written.arrays)
    for name, array in written.arrays.items():
        assert read.arrays[name].dtype == array.dtype, name
        assert read.arrays[name].shape == array.shape, name
        assert read.arrays[name].tobytes() == array.tobytes(), name
    assert repr(read.meta) == repr(written.meta)


def flip(content, position, mask):
    changed = bytearray(content)
    changed[position] ^= mask
    return bytes(changed)


def is_found_or_harmless(path, content, written):
    path.write_bytes(content)
    try:
        assert_equal(read_checkpoint(path), written)
    except (DamagedCheckpointError, OSError):
        return True
    return False


def test_it_reads_what_was_written_to_the_bit(tmp_path):
    written = make_checkpoint()
    write_checkpoint(tmp_path / "deep" / "one.npz", written)
    read = read_checkpoint(tmp_path / "deep" / "one.npz")
    assert_equal(read, written)
    assert read.path == tmp_path / "deep" / "one.npz"


def test_numpy_reads_it_too(tmp_path):
    written = Checkpoint({"a": np.arange(6.0).reshape(2, 3)}, {"step": 1})
    write_checkpoint(tmp_path / "one.npz", written)
    with np.load(tmp_path / "one.npz") as archive:
        np.testing.assert_array_equal(archive["a"], written.arrays["a"])


def test_as_many_as_are_wanted_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    paths = [checkpoints.save(make_checkpoint(step)) for step in (3, 11, 9)]
    assert sorted(tmp_path.iterdir()) == sorted(paths[1:])
    assert checkpoints.read_newest().meta["step"] == 9  # the newest written, whatever its step


def test_a_truncated_file_is_found_damaged(tmp_path):
    path = tmp_path / "one.npz"
    write_checkpoint(path, make_checkpoint())
    content = path.read_bytes()
    for length in {0, 1, 30, len(content) // 2, len(content) - 23, len(content) - 1}:
        path.write_bytes(content[:length])
        with pytest.raises(DamagedCheckpointError, match=r"zip|Truncated|magic"):
            read_checkpoint(path)


def test_a_flipped_byte_is_found_or_harmless(tmp_path):
    path, written = tmp_path / "one.npz", make_checkpoint()
    write_checkpoint(path, written)
    content, numbers = path.read_bytes(), np.random.default_rng(0)
    flips = zip(numbers.integers(len(content), size=50), numbers.integers(1, 256, size=50), strict=True)
    found = [is_found_or_harmless(path, flip(content, at, int(mask)), written) for at, mask in flips]
    assert sum(found) > 25


@pytest.mark.parametrize("mask", [8, 12, 14], ids=["deflate", "bzip2", "lzma"])
def test_each_flipped_byte_of_a_small_one_is_found_or_harmless(tmp_path, mask):
    """A flip in the zip's own directory may name a compression, a password or another place in the file."""
    path, written = tmp_path / "one.npz", Checkpoint({"a": np.arange(2)}, {"step": 1})
    write_checkpoint(path, written)
    content = path.read_bytes()
    found = [is_found_or_harmless(path, flip(content, at, mask), written) for at in range(len(content))]
    assert 0.5 < np.mean(found) < 1


def test_a_member_too_few_is_found(tmp_path):
    path = tmp_path / "one.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.json", json.dumps({"step": 1, "arrays": {"a": "float32"}}))
    with pytest.raises(DamagedCheckpointError, match="arrays are missing"):
        read_checkpoint(path)


def damage(path):
    content = path.read_bytes()
    path.write_bytes(flip(content, len(content) // 2, 255))


def test_of_a_damaged_one_the_one_before_is_taken_and_told(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path, keep=2)
    before, newest = (checkpoints.save(make_checkpoint(step)) for step in (1, 2))
    damage(newest)
    checkpoint = Checkpoints(tmp_path, keep=2).read_newest()
    assert (checkpoint.meta["step"], checkpoint.path) == (1, before)
    assert_equal(checkpoint, make_checkpoint(1))
    message = capsys.readouterr().err
    assert f"Warning: the checkpoint {newest} is damaged (" in message
    assert "the one before it is taken" in message


def test_a_damaged_one_does_not_count_as_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    whole, damaged = (checkpoints.save(make_checkpoint(step)) for step in (1, 2))
    damage(damaged)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.read_newest()
    newest = checkpoints.save(make_checkpoint(2))
    assert sorted(tmp_path.iterdir()) == [whole, newest]


def test_of_none_but_damaged_ones_there_is_none(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2, 3):
        damage(checkpoints.save(make_checkpoint(step)))
    assert checkpoints.read_newest() is None
    message = capsys.readouterr().err
    assert [message.count(what) for what in ("is damaged", "before it is taken", "training begins anew")] == [3, 2, 1]
    assert Checkpoints(tmp_path / "nowhere", keep=2).read_newest() is None


def test_what_a_killed_process_left_is_removed_and_never_read(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    path = checkpoints.save(make_checkpoint(1))
    left = tmp_path / "00000002-step-2.npz.partial"
    left.write_bytes(path.read_bytes()[:99])
    assert checkpoints.read_newest().meta["step"] == 1
    checkpoints.clean()
    assert list(tmp_path.iterdir()) == [path]


def test_a_resumed_training_removes_it(tmp_path):
    (tmp_path / "00000002-step-2.npz.partial").write_bytes(b"torn")
    fit(tmp_path, training=TRAINING | {"epochs": 1, "limit_batches": 1})
    assert not list(tmp_path.glob("*.partial"))


def test_the_disk_has_the_file_before_its_name_and_its_name_before_the_end(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(descriptor):
        calls.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def record_replace(path, target):
        calls.append(("rename", str(target)))
        assert read_checkpoint(path).meta["step"] == 3
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    path = tmp_path / "one.npz"
    write_checkpoint(path, make_checkpoint())
    assert calls == [("fsync", f"{path}.partial"), ("rename", str(path)), ("fsync", str(tmp_path))]


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "one.npz"
    write_checkpoint(path, make_checkpoint(1))

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_checkpoint(path, make_checkpoint(2))
    assert read_checkpoint(path).meta["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(mount_small_disk):
    """A file system with room for few checkpoints."""
    return mount_small_disk("1m")


def test_a_full_disk_stops_no_training(small_disk, capsys, monkeypatch):
    losses = [3.0, 2.0, 4.0]
    monkeypatch.setattr(loop, "evaluate", lambda model, _: {"loss": losses[int(model.optimizer.iterations) // 5 - 1]})
    config = {"training": TRAINING | {"epochs": 3, "best": "val_loss", "checkpoint": {"every_steps": 1}}}
    expected_model, expected, _ = fit(**config)
    (small_disk / "other").write_bytes(bytes(2**20 - 48 * 2**10))  # room for some, and then for none
    model, history, _ = fit(small_disk, **config)
    message = capsys.readouterr().err
    assert history == expected
    assert f"can't be written to {small_disk} (No space left on device); training goes on" in message
    assert "the best epoch so far can't be written" in message
    checkpoint = Checkpoints(small_disk, keep=2).read_newest()
    assert f"the checkpoint of step {checkpoint.meta['step'] + 1} can't be written" in message
    assert not list(small_disk.glob("*.partial"))
    (small_disk / "other").unlink()
    again, splits, config = prepare(**config)
    assert training.fit(again, splits, config, (), small_disk) == expected
    for trained in (model, again):
        for one, two in zip(trained.get_weights(), expected_model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)


def replace_by_older(path):
    best = read_checkpoint(path)
    assert best.meta["progress"]["epoch"] == 1
    write_checkpoint(path, Checkpoint(best.arrays, best.meta | {"progress": {"epoch": 0}}))


@pytest.mark.parametrize(
    ("spoil", "lack"),
    [
        (replace_by_older, "best.npz is of epoch 1"),
        (lambda path: path.write_bytes(b"spoilt"), "whose best.npz can't be read (File is not a zip file)"),
        (lambda path: path.unlink(), "whose best.npz can't be read ([Errno 2] No such file"),
    ],
)
def test_where_the_best_epoch_is_lost_it_is_made_again(tmp_path, capsys, spoil, lack):
    config = {"training": TRAINING | {"best": "val_loss"}}
    expected = fit(tmp_path, **config)[0].get_weights()
    spoil(tmp_path / "best.npz")
    found = fit(tmp_path, **config)[0].get_weights()
    message = capsys.readouterr().err
    assert f"remembers epoch 2 as the best one, {'and ' if 'is of' in lack else ''}{lack}" in message
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)
