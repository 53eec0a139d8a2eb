"""Batches as a pure function of (seed, epoch, step), so that no state of an iterator is to be kept or restored.

NumPy gathers the examples of several batches at a time, from memory or from a file; tf.data cuts them into batches and
keeps some ahead of the training.
"""

from collections.abc import Iterator
from functools import cached_property
from math import ceil

import numpy as np
import tensorflow as tf

from lctrain.data import Split

CHUNK_BYTES = 2**20  # of inputs that are gathered at once: so many batches share the cost of one call into Python
MAX_CHUNK_BATCHES = 64
AHEAD = 4  # batches that wait for the training


def epoch_order(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    """In which order an epoch, counted from 0, visits the examples: a permutation, `(num_examples,)`.

    >>> epoch_order(0, 0, 5), epoch_order(0, 1, 5)
    (array([2, 4, 3, 0, 1], dtype=int32), array([1, 4, 3, 0, 2], dtype=int32))
    """
    order = np.arange(num_examples, dtype=np.int32 if num_examples < 2**31 else np.int64)
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order


class Batches:
    """The batches of a split.

    Args:
        split: inputs and labels, the latter as the loss takes them.
        batch_size: examples of each but the last.
        floatx: the float type that inputs are given in.
        seed: of the order in which each epoch visits the examples; None visits them as they lie.
        sample_weights: of each example, or of each step of its target, in the loss.
        limit: batches of an epoch, at most.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        floatx: str,
        seed: int | None = None,
        sample_weights: np.ndarray | None = None,
        limit: int | None = None,
    ):
        self.batch_size = batch_size
        self._arrays = [split.inputs, split.labels, *([] if sample_weights is None else [sample_weights])]
        self._floatx = floatx
        self._seed = seed
        self._num_stored = len(split.labels)
        self._num_examples = self._num_stored if limit is None else min(self._num_stored, limit * batch_size)
        self._start = 0, 0, 1

    @property
    def num_batches(self) -> int:
        return ceil(self._num_examples / self.batch_size)

    def stream(self, epoch: int = 0, start: int = 0, num_epochs: int = 1) -> tf.data.Dataset:
        """The batches of so many epochs, from one batch of the first on; all are counted from 0.

        They are to be iterated over before the next call: it is one data set, made once, with a new start each time.
        """
        self._start = epoch, start, epoch + num_epochs
        return self._dataset

    def whole(self) -> tf.data.Dataset:
        """The batches of the first epoch, as `stream`, with their number known."""
        self.stream()
        return self._whole

    def first(self) -> tuple[np.ndarray, ...]:
        """The first batch as arrays, as they lie."""
        rows = np.arange(min(self.batch_size, self._num_examples))
        inputs, *others = (array[rows] for array in self._arrays)
        return inputs.astype(self._floatx), *others

    @cached_property
    def _whole(self) -> tf.data.Dataset:
        return self._dataset.apply(tf.data.experimental.assert_cardinality(self.num_batches))

    @cached_property
    def _dataset(self) -> tf.data.Dataset:
        signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in self._arrays)
        chunks = tf.data.Dataset.from_generator(self._gather, output_signature=signature)
        batches = chunks.flat_map(self._cut).map(self._convert).prefetch(AHEAD)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return batches.with_options(options)

    def _gather(self) -> Iterator[tuple[np.ndarray, ...]]:
        """The examples of several batches of one epoch at a time."""
        epoch, start, end_epoch = self._start
        chunk = self.batch_size * self._batches_of_chunk()
        for number in range(epoch, end_epoch):
            order = None if self._seed is None else epoch_order(self._seed, number, self._num_stored)
            for begin in range(start * self.batch_size, self._num_examples, chunk):
                end = min(begin + chunk, self._num_examples)
                rows = np.arange(begin, end) if order is None else order[begin:end]
                yield tuple(array[rows] for array in self._arrays)
            start = 0

    @tf.autograph.experimental.do_not_convert
    def _cut(self, *chunk: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(chunk).rebatch(self.batch_size)

    @tf.autograph.experimental.do_not_convert
    def _convert(self, inputs: tf.Tensor, *others: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tf.cast(inputs, self._floatx), *others

    def _batches_of_chunk(self) -> int:
        inputs = self._arrays[0]
        batch_bytes = int(np.prod(inputs.shape[1:])) * np.dtype(inputs.dtype).itemsize * self.batch_size
        return min(max(CHUNK_BYTES // max(batch_bytes, 1), 1), MAX_CHUNK_BATCHES)
