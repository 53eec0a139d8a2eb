"""Rows of files: what they give, what they hold of memory, and what inputs are normalized by."""

import os
import threading

import numpy as np
import pytest

from lctrain.data import Rows, fit_normalization
from lctrain.data import rows as rows_module
from lctrain.data.rows import iterate_blocks, make_scratch
from lctrain.errors import UserError

LARGE_READS = """
import numpy as np
from lctrain.data import Rows, fit_normalization
from lctrain.system.memory import peak_memory_bytes, reset_peak_memory, resident_memory_bytes

array = np.load("large.npy", mmap_mode="r")
rows = Rows(array, [50, 30, 1]).take(np.random.default_rng(0).permutation(len(array)), "channels_first")
rows[:10]
reset_peak_memory()
before = resident_memory_bytes()
total = 0.0
for start in range(0, len(rows), 1000):
    total += float(rows[np.arange(start, min(start + 1000, len(rows)))].sum(dtype=np.float64))
fit_normalization(rows, "standard", "channels_first")
print(total, peak_memory_bytes() - before)
"""


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "it.npy", np.arange(11 * 5 * 7 * 2, dtype=np.float64).reshape(11, 5, 7, 2))
    return np.load(tmp_path / "it.npy", mmap_mode="r")


def test_rows_are_read_in_their_order(mapped):
    rows = Rows(mapped).take(np.array([3, 10, 0, 4]), "channels_last")
    assert (rows.shape, rows.ndim, len(rows), rows.dtype) == ((4, 5, 7, 2), 4, 4, np.float32)
    np.testing.assert_array_equal(rows[1:], mapped[[10, 0, 4]].astype(np.float32))
    np.testing.assert_array_equal(rows[np.array([2, 0, 0])], mapped[[0, 3, 3]])
    assert rows[:0].shape == (0, 5, 7, 2)
    assert type(rows[:2]) is np.ndarray


def test_rows_are_transposed_and_reshaped(mapped):
    rows = Rows(mapped, [7, 5, 2]).take(np.array([9, 2]), "channels_first")
    assert rows.shape == (2, 2, 7, 5)
    np.testing.assert_array_equal(rows[:], np.moveaxis(mapped[[9, 2]].reshape(2, 7, 5, 2), -1, 1))
    assert rows[:].flags.c_contiguous


def test_uint8_stays_and_other_numbers_become_float32():
    assert Rows(np.ones((3, 2), np.uint8))[:].dtype == np.uint8
    for dtype in (np.int16, np.float64, np.float16, ">f4", bool):
        assert Rows(np.ones((3, 2), dtype))[:].dtype == np.float32


@pytest.mark.parametrize("indices", [2, (slice(0, 1), 0)])
def test_rows_are_asked_for_by_slices_or_numbers(mapped, indices):
    with pytest.raises(TypeError, match=r"asked for by a slice or by an array of their numbers; got"):
        Rows(mapped)[indices]


def test_threads_read_what_one_reads(mapped, monkeypatch):
    monkeypatch.setattr(rows_module, "RELEASED_BYTES", 1)  # pages are given back after every read
    rows, wrong = Rows(mapped), []

    def read(seed):
        generator = np.random.default_rng(seed)
        for _ in range(300):
            chosen = generator.integers(0, 11, 4)
            if not np.array_equal(rows[chosen], mapped[chosen]):
                wrong.append(chosen)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_reading_all_of_a_large_file_holds_little_of_it(tmp_path, run_python):
    array = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.float32, (100_000, 1500))
    array[::997, 3] = 1  # 600 MB, most of which are zeros that take no room
    array.flush()
    del array
    total, growth = map(float, run_python(LARGE_READS, tmp_path).split())
    assert total == len(range(0, 100_000, 997))
    assert growth < 200e6


def test_the_memory_test_would_notice_pages_that_are_kept(tmp_path, run_python):
    np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.float32, (100_000, 1500))[::997, 3] = 1
    kept = "import mmap; del mmap.MADV_DONTNEED\n" + LARGE_READS
    _, growth = map(float, run_python(kept, tmp_path).split())
    assert growth > 400e6


def test_scratch_is_on_the_disk_where_it_is_large_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "SMALL_BYTES", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert not isinstance(make_scratch((9, 111), np.uint8), np.memmap)
    scratch = make_scratch((9, 112), np.uint8)
    scratch[:] = 7
    assert isinstance(scratch, np.memmap)
    assert scratch.sum() == 7 * 9 * 112
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room is not reserved here")
def test_a_full_temporary_folder_is_told(monkeypatch):
    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows_module, "SMALL_BYTES", 0)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(UserError, match=r"has no room for 2.0 GB: No space left on device.*TMPDIR"):
        make_scratch((2000, 1_000_000), np.uint8)


@pytest.mark.parametrize("is_mapped", [False, True])
@pytest.mark.parametrize(
    ("shape", "data_format", "axes"),
    [
        ((211, 5, 7, 3), "channels_last", (0, 1, 2)),
        ((211, 3, 5, 7), "channels_first", (0, 2, 3)),
        ((211, 6), "channels_last", 0),
        ((211, 6), "channels_first", 0),
    ],
)
def test_normalization_is_numpys_over_everything(shape, data_format, axes, is_mapped, monkeypatch):
    monkeypatch.setattr(rows_module, "PIECE_BYTES", 5000)  # several blocks, the last of another size
    values = np.random.default_rng(0).normal(1e4, 0.1, shape).astype(np.float32)
    inputs = Rows(values) if is_mapped else values
    wide = values.astype(np.float64)
    mean, deviation = fit_normalization(inputs, "standard", data_format)
    np.testing.assert_allclose(mean, wide.mean(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(deviation, wide.std(axis=axes), rtol=1e-9)
    least, span = fit_normalization(inputs, "minmax", data_format)
    np.testing.assert_array_equal(least, wide.min(axis=axes))
    np.testing.assert_array_equal(span, np.ptp(wide, axis=axes))


def test_what_is_constant_is_divided_by_one():
    values = np.full((7, 3), 0.1, np.float32)
    values[:, 1] = np.arange(7)
    assert fit_normalization(values, "standard", "channels_last")[1].tolist() == [1, 2, 1]
    assert fit_normalization(values, "minmax", "channels_last")[1].tolist() == [1, 6, 1]
    bytes_ = np.array([[0], [255]], np.uint8)
    assert fit_normalization(bytes_, "standard", "channels_last")[0].tolist() == [127.5]


def test_blocks_are_everything_once(monkeypatch):
    monkeypatch.setattr(rows_module, "PIECE_BYTES", 100)
    values = np.arange(23 * 6, dtype=np.float32).reshape(23, 6)
    blocks = list(iterate_blocks(values))
    assert [start for start, _ in blocks] == [0, 4, 8, 12, 16, 20]
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), values)
