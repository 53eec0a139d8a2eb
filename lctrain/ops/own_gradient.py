"""The products of implementations 1, 3 and "batched" on TensorFlow, with a gradient of their own.

TensorFlow's own gradient of a gather adds the patches' gradients up in the order in which they were gathered, which on
a CPU costs more than a matmul of the layer. The indices are constants, so here their order is sorted beforehand, and
each input element sums its patches in one go. XLA knows no sparse segment sum; what it compiles takes a plain path.

`lctrain.ops.batch_last` gives the shapes.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled  # no public name tells it

NUM_FOLDS = 2  # which run side by side where there are rows enough: a sparse segment sum has one thread
MANY_ROWS = 2**11
LARGE_PATCHES = 2**18  # elements per example, from which on the backward pass spares memory rather than time


def multiply_batched(
    elements, kernel, indices: np.ndarray, filters_last: bool, inputs_gradient: Callable | None = None
):
    """One batched matmul; `inputs_gradient` makes the elements' gradient from the kernel and the outputs'."""
    return _multiply_patches(elements, kernel, indices, filters_last, tf.matmul, inputs_gradient)


def multiply_unrolled(elements, kernel, indices: np.ndarray, filters_last: bool):
    """One matmul for each row of indices."""

    def matmul(left, right, **transposed):
        pairs = zip(tf.unstack(left), tf.unstack(right), strict=True)  # in one graph TensorFlow unstacks each once
        return tf.stack([tf.matmul(*pair, **transposed) for pair in pairs])

    return _multiply_patches(elements, kernel, indices, filters_last, matmul)


def _gather_patches(elements, indices: np.ndarray, kernel):
    """`(n, taps * channels, batch)`."""
    return tf.reshape(tf.gather(elements, indices), (*kernel.shape[:2], -1))


def _multiply_patches(
    elements,
    kernel,
    indices: np.ndarray,
    filters_last: bool,
    matmul: Callable,
    inputs_gradient: Callable | None = None,
):
    """The product by patches, all of them gathered at once, that `matmul` takes with their kernels."""
    frees_patches = kernel.shape[0] * kernel.shape[1] >= LARGE_PATCHES

    @tf.custom_gradient
    def multiply(elements, kernel):
        patches = _gather_patches(elements, indices, kernel)

        def gradient(upstream):
            by_kernel = matmul(patches, upstream, transpose_b=not filters_last)
            if inputs_gradient is not None:
                return inputs_gradient(kernel, upstream), by_kernel
            with tf.control_dependencies([by_kernel] if frees_patches else []):
                by_patches = matmul(kernel, upstream, transpose_b=filters_last)  # in the memory of the patches
            fold = _make_fold(indices, elements.shape[0])  # sorts, so not where only the outputs are wanted
            return fold(tf.reshape(by_patches, (indices.size, -1))), by_kernel

        pair = (patches, kernel) if filters_last else (kernel, patches)
        return matmul(*pair, transpose_a=True), gradient

    return multiply(elements, tf.convert_to_tensor(kernel))  # tf.custom_gradient treats variables in its own way


def _make_fold(indices: np.ndarray, num_elements: int):
    """A function that adds up, for each element, the rows of `(indices.size, n)` that were gathered from it."""
    order = np.argsort(indices, axis=None, kind="stable").astype(np.int32)
    segments = indices.ravel()[order]
    num_folds = NUM_FOLDS if indices.size >= MANY_ROWS else 1
    bounds = np.linspace(0, num_elements, num_folds + 1).astype(np.int32)
    cuts = np.searchsorted(segments, bounds)

    def fold(rows):
        parts = [
            tf.raw_ops.SparseSegmentSumWithNumSegments(
                data=rows,
                indices=order[cuts[part] : cuts[part + 1]],
                segment_ids=segments[cuts[part] : cuts[part + 1]] - bounds[part],
                num_segments=int(bounds[part + 1] - bounds[part]),
            )
            for part in range(num_folds)
        ]
        return tf.concat(parts, axis=0) if num_folds > 1 else parts[0]

    return fold


def multiply_sparse(elements, kernel, indices: np.ndarray):
    """One matmul by a sparse matrix, `(n * filters, num_elements * channels)`, whose values are the kernel."""
    (n, rows, filters), num_elements = kernel.shape, elements.shape[0]
    channels = rows // indices.shape[1]
    shape = (n * filters, num_elements * channels)
    # The graph could not hold gigabytes of constants, so the cells are a tensor beside it.
    with tf.init_scope():
        cells = tf.constant(_matrix_cells(indices, filters, channels))

    @tf.custom_gradient
    def multiply(elements, kernel):
        def gradient(upstream):
            patches = _gather_patches(elements, indices, kernel)
            by_kernel = tf.matmul(patches, upstream, transpose_b=True)  # at the stored cells alone
            columns = tf.reshape(upstream, (n * filters, -1))
            # With transpose_a threads add up in the order in which they happen to end.
            if is_op_determinism_enabled():
                by_elements = _sparse_matmul(_make_transpose(cells, kernel, shape), columns)
            # A SavedModel can't hand the matrix over. In one graph TensorFlow makes it once.
            else:
                by_elements = _sparse_matmul(_make_matrix(cells, _in_rows(kernel), shape), columns, transpose_a=True)
            return tf.reshape(by_elements, tf.shape(elements)), by_kernel

        columns = tf.reshape(elements, (num_elements * channels, -1))
        # For one example, compressing the matrix costs more than the slower product.
        if columns.shape[1] == 1:
            values = _in_rows(kernel)
            outputs = tf.raw_ops.SparseTensorDenseMatMul(a_indices=cells, a_values=values, a_shape=shape, b=columns)
        else:
            outputs = _sparse_matmul(_make_matrix(cells, _in_rows(kernel), shape), columns)
        return tf.reshape(outputs, (n, filters, -1)), gradient

    return multiply(elements, tf.convert_to_tensor(kernel))


def _in_rows(kernel):
    """The kernel's numbers as the sparse matrix has them, row by row."""
    return tf.reshape(tf.transpose(kernel, (0, 2, 1)), (-1,))


def _make_matrix(cells, values, shape: tuple[int, int]):
    return tf.raw_ops.SparseTensorToCSRSparseMatrix(indices=cells, values=values, dense_shape=shape)


def _make_transpose(cells, kernel, shape: tuple[int, int]):
    """The transposed matrix; made only where a gradient is wanted, as it has more tensors beside the graph."""
    with tf.init_scope():
        by_column, cells_by_column = map(tf.constant, _transpose_cells(cells.numpy()))
    return _make_matrix(cells_by_column, tf.gather(_in_rows(kernel), by_column), shape[::-1])


def _sparse_matmul(matrix, columns, transpose_a: bool = False):
    """The sparse matrix times `(..., batch)`; an empty batch, which oneDNN refuses, gets a column for the while."""
    if columns.shape[1]:
        return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=columns, transpose_a=transpose_a)
    batch_size = tf.shape(columns)[1]
    columns = tf.pad(columns, ((0, 0), (0, tf.maximum(1 - batch_size, 0))))
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=columns, transpose_a=transpose_a)[:, :batch_size]


def _matrix_cells(indices: np.ndarray, filters: int, channels: int) -> np.ndarray:
    """int64 `(n * filters * num_taps * channels, 2)`: row and column of each value, row by row."""
    columns = (indices[:, None, :, None] * np.int64(channels)) + np.arange(channels)  # (n, 1, taps, channels)
    rows = np.arange(len(indices) * filters).reshape(len(indices), filters, 1, 1)
    return np.stack(np.broadcast_arrays(rows, columns), axis=-1).reshape(-1, 2)


def _transpose_cells(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of the values in the transposed matrix, row by row, `(num,)`, and their cells there, `(num, 2)`."""
    order = np.argsort(cells[:, 1], kind="stable")
    return order.astype(np.int32 if len(order) < 2**31 else np.int64), cells[order][:, ::-1].copy()
