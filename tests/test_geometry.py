import itertools

import numpy as np
import pytest

from lctrain.geometry import Window, standardize_sizes


@pytest.mark.parametrize(
    ("input_spatial", "kernel_size", "strides"),
    [
        ((9,), (4,), (1,)),
        ((11,), (3,), (2,)),
        ((5, 7), (3, 2), (1, 2)),
        ((5, 7), (5, 7), (1, 1)),
        ((4, 5, 6), (3, 2, 1), (1, 2, 3)),
    ],
)
def test_tap_indices_agree_with_slicing(input_spatial, kernel_size, strides):
    window = Window(input_spatial, kernel_size, strides)
    numbered = np.arange(window.num_inputs).reshape(input_spatial)
    for row, position in zip(window.tap_indices, np.ndindex(window.output_spatial), strict=True):
        start = [o * s for o, s in zip(position, strides, strict=True)]
        taps = [numbered[tuple(a + t for a, t in zip(start, tap, strict=True))] for tap in np.ndindex(kernel_size)]
        assert row.tolist() == taps


def test_output_spatial_counts_the_windows_that_fit():
    for size, kernel, stride in itertools.product(range(1, 9), range(1, 9), range(1, 5)):
        starts = [start for start in range(0, size, stride) if start + kernel <= size]
        if starts:
            assert Window((size,), (kernel,), (stride,)).output_spatial == (len(starts),)


def test_a_window_larger_than_the_input_is_refused():
    with pytest.raises(ValueError, match=r"`kernel_size` must not exceed .*\(5, 7\); got \(6, 2\)"):
        Window((5, 7), (6, 2), (1, 1))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None, (3,), (3, 2, 1), (3, 0), (3, -2), [3, "2"]])
def test_wrong_sizes_are_refused_by_name_and_value(value):
    with pytest.raises(ValueError, match="`strides` must be a positive integer or 2 positive integers; got ") as raised:
        standardize_sizes(value, rank=2, name="strides")
    assert repr(value) in str(raised.value)


def test_sizes_are_spread_over_the_axes():
    assert standardize_sizes(3, rank=2, name="kernel_size") == (3, 3)
    assert standardize_sizes([3, 2], rank=2, name="kernel_size") == (3, 2)
    assert standardize_sizes(np.int64(3), rank=1, name="kernel_size") == (3,)
