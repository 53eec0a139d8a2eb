"""Batches: nothing but a function of (seed, epoch, start)."""

from itertools import chain

import numpy as np
import pytest

from lctrain.data import Rows, Split
from lctrain.training import batches as batches_module
from lctrain.training.batches import Batches, epoch_order

NUM_EXAMPLES, BATCH_SIZE, NUM_BATCHES, NUM_LAST = 37, 5, 8, 2


def make_split(dtype="float32"):
    inputs = np.arange(NUM_EXAMPLES * 3 * 2).reshape(NUM_EXAMPLES, 3, 2).astype(dtype)
    return Split(inputs, np.arange(NUM_EXAMPLES))


def make_batches(split=None, floatx="float32", **options):
    return Batches(split or make_split(), BATCH_SIZE, floatx, **{"seed": 3, **options})


def read(dataset):
    return [tuple(part.numpy() for part in batch) for batch in dataset]


def flatten(lists):
    return list(chain.from_iterable(lists))


def read_labels(dataset):
    return [labels.tolist() for _, labels, *_ in read(dataset)]


def assert_same(some, others):
    assert len(some) == len(others)
    for parts, other_parts in zip(some, others, strict=True):
        assert len(parts) == len(other_parts)
        for part, other in zip(parts, other_parts, strict=True):
            assert part.dtype == other.dtype
            np.testing.assert_array_equal(part, other)


@pytest.fixture(params=[1, 300, 2**20], ids=["a batch a chunk", "two batches a chunk", "all in one chunk"])
def _chunk_bytes(request, monkeypatch):
    monkeypatch.setattr(batches_module, "CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("_chunk_bytes")
def test_an_epoch_visits_each_example_once_in_an_order_of_its_own():
    batches = make_batches()
    epochs = [read_labels(batches.stream(epoch)) for epoch in range(3)]
    for epoch in epochs:
        assert [len(labels) for labels in epoch] == [BATCH_SIZE] * (NUM_BATCHES - 1) + [NUM_LAST]
        assert sorted(flatten(epoch)) == list(range(NUM_EXAMPLES))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert flatten(epochs[1]) == epoch_order(3, 1, NUM_EXAMPLES).tolist()
    assert read_labels(make_batches(seed=4).stream(1)) != epochs[1]
    assert read_labels(make_batches().stream(1)) == epochs[1]


def test_inputs_go_with_their_labels():
    split = make_split()
    for inputs, labels in read(make_batches(split).stream(2)):
        np.testing.assert_array_equal(inputs, split.inputs[labels])


@pytest.mark.usefixtures("_chunk_bytes")
def test_a_stream_from_the_midst_is_the_tail_of_the_whole():
    batches = make_batches()
    whole = read(batches.stream(1))
    for start in range(NUM_BATCHES + 1):
        assert_same(read(batches.stream(1, start)), whole[start:])


@pytest.mark.usefixtures("_chunk_bytes")
def test_epochs_in_one_stream_are_those_of_single_ones():
    batches = make_batches()
    single = [read(batches.stream(epoch)) for epoch in range(4)]
    assert_same(read(batches.stream(1, 6, num_epochs=3)), single[1][6:] + single[2] + single[3])


def test_what_was_begun_is_not_disturbed_by_what_begins_later():
    batches = make_batches()
    whole = read_labels(batches.stream(0))
    first = iter(batches.stream(0))
    resumed = [next(first)[1].numpy().tolist()]
    assert read_labels(batches.stream(5, 3)) != whole[3:]
    assert resumed + [labels.numpy().tolist() for _, labels in first] == whole


@pytest.mark.parametrize("floatx", ["float32", "float64"])
def test_pixels_become_floats_of_the_same_values(floatx):
    split = make_split("uint8")
    (inputs, labels), *_ = read(make_batches(split, floatx).stream())
    assert inputs.dtype == floatx
    assert labels.dtype == split.labels.dtype
    np.testing.assert_array_equal(inputs, split.inputs[labels])
    first = make_batches(split, floatx).first()
    assert first[0].dtype == floatx
    np.testing.assert_array_equal(first[0], split.inputs[:BATCH_SIZE])


@pytest.mark.usefixtures("_chunk_bytes")
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_rows_on_the_disk_give_the_batches_of_arrays_in_memory(tmp_path, dtype):
    split = make_split(dtype)
    np.save(tmp_path / "inputs.npy", split.inputs)
    rows = Rows(np.load(tmp_path / "inputs.npy", mmap_mode="r"))
    mapped, in_memory = make_batches(Split(rows, split.labels)), make_batches(split)
    assert_same(read(mapped.stream(1, 3)), read(in_memory.stream(1, 3)))
    assert_same([mapped.first()], [in_memory.first()])


def test_weights_go_with_their_examples():
    weights = np.linspace(1, 2, NUM_EXAMPLES, dtype=np.float32)
    batches = make_batches(sample_weights=weights)
    for _, labels, weights_of_batch in read(batches.stream(1, 2, num_epochs=2)):
        np.testing.assert_array_equal(weights_of_batch, weights[labels])
    np.testing.assert_array_equal(batches.first()[2], weights[:BATCH_SIZE])


@pytest.mark.parametrize(("limit", "num_batches"), [(3, 3), (NUM_BATCHES, NUM_BATCHES), (100, NUM_BATCHES)])
def test_a_limit_takes_other_examples_each_epoch(limit, num_batches):
    limited, whole = make_batches(limit=limit), make_batches()
    assert limited.num_batches == num_batches
    expected = [read(whole.stream(epoch))[:limit] for epoch in range(2)]
    assert_same(read(limited.stream(0, 0, num_epochs=2)), expected[0] + expected[1])


@pytest.mark.usefixtures("_chunk_bytes")
def test_evaluation_visits_the_examples_as_they_lie():
    labels = read_labels(make_batches(seed=None).whole())
    assert flatten(labels) == list(range(NUM_EXAMPLES))
    assert flatten(read_labels(make_batches(seed=None, limit=2).whole())) == list(range(2 * BATCH_SIZE))


@pytest.mark.parametrize(("limit", "num_batches"), [(None, NUM_BATCHES), (3, 3)])
def test_the_number_of_batches_is_told(limit, num_batches):
    batches = make_batches(seed=None, limit=limit)
    assert int(batches.whole().cardinality()) == batches.num_batches == num_batches
    assert len(read(batches.whole())) == num_batches


def test_seed_0_is_a_seed():
    assert flatten(read_labels(make_batches(seed=0).stream())) != list(range(NUM_EXAMPLES))
