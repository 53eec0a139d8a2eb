"""The batched product on TensorFlow, with a gradient of its own.

TensorFlow's own gradient of a gather adds the patches' gradients up in the order in which they were gathered, which on
a CPU costs more than a matmul of the layer. The indices are constants, so here their order is sorted beforehand, and
each input element sums its patches in one go. XLA knows no sparse segment sum; what it compiles takes the plain path.
"""

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import control_flow_util  # no public name tells whether XLA compiles what is traced

NUM_FOLDS = 2  # which run side by side: a sparse segment sum has one thread


def is_compiled_by_xla() -> bool:
    """Whether the operations that are built now will be compiled by XLA."""
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def multiply_patches(elements, kernel, indices: np.ndarray):
    """As `lctrain.ops.batched` says."""

    @tf.custom_gradient
    def multiply(elements, kernel):
        patches = tf.gather(elements, indices)  # (n, taps, channels, batch)
        patches = tf.reshape(patches, (*kernel.shape[:2], -1))

        def gradient(upstream):
            by_kernel = tf.matmul(patches, upstream, transpose_b=True)
            with tf.control_dependencies([by_kernel]):  # the patches are free before their gradients are made
                by_patches = tf.matmul(kernel, upstream)
            fold = _make_fold(indices, elements.shape[0])  # sorts, so not where only the outputs are wanted
            by_elements = fold(tf.reshape(by_patches, (indices.size, -1)))
            return tf.reshape(by_elements, tf.shape(elements)), by_kernel

        return tf.matmul(kernel, patches, transpose_a=True), gradient

    return multiply(elements, tf.convert_to_tensor(kernel))  # tf.custom_gradient treats variables in its own way


def _make_fold(indices: np.ndarray, num_elements: int):
    """A function that adds up, for each element, the rows of `(indices.size, n)` that were gathered from it."""
    order = np.argsort(indices, axis=None, kind="stable").astype(np.int32)
    segments = indices.ravel()[order]
    bounds = np.linspace(0, num_elements, NUM_FOLDS + 1).astype(np.int32)
    cuts = np.searchsorted(segments, bounds)

    def fold(rows):
        parts = [
            tf.raw_ops.SparseSegmentSumWithNumSegments(
                data=rows,
                indices=order[cuts[part] : cuts[part + 1]],
                segment_ids=segments[cuts[part] : cuts[part + 1]] - bounds[part],
                num_segments=int(bounds[part + 1] - bounds[part]),
            )
            for part in range(NUM_FOLDS)
        ]
        return tf.concat(parts, axis=0)

    return fold
