"""What a locally connected layer costs, from its sizes alone, and the rule behind `implementation="auto"`."""

from lctrain.geometry import Window

DENSE_MATRIX_LIMIT = 65_536  # elements; on 2 CPU cores the dense matmul stops winning between 60,000 and 150,000


def count_parameters(window: Window, in_channels: int, filters: int, use_bias: bool = True) -> int:
    """Numbers a layer stores, the same under every implementation.

    The example of tf.keras' documentation, 64 filters of 3x3 on 32x32x3:

    >>> count_parameters(Window((32, 32), (3, 3), (1, 1)), in_channels=3, filters=64)
    1612800
    """
    per_position = window.num_taps * in_channels * filters + (filters if use_bias else 0)
    return window.num_positions * per_position


def count_dense_matrix(window: Window, in_channels: int, filters: int) -> int:
    """Elements of the dense matrix of implementation 2: (input elements) x (output elements)."""
    return window.num_inputs * in_channels * window.num_positions * filters


def choose_implementation(window: Window, in_channels: int, filters: int) -> int | str:
    """What `auto` stands for: 2 where its dense matrix has at most `DENSE_MATRIX_LIMIT` elements, else "batched".

    There one plain matmul beats the gather's overhead. Implementations 1 and 3 are never chosen: measured on 2 CPU
    cores, neither won on any workload from 4x4x4 inputs to DeepFace's.

    >>> choose_implementation(Window((8, 8), (3, 3), (1, 1)), in_channels=1, filters=8)
    2
    >>> choose_implementation(Window((32, 32), (3, 3), (1, 1)), in_channels=3, filters=64)
    'batched'
    """
    if count_dense_matrix(window, in_channels, filters) <= DENSE_MATRIX_LIMIT:
        return 2
    return "batched"
