"""What inputs are normalized by; from the training split alone."""

import numpy as np

from lctrain.data.rows import Inputs, iterate_blocks


def fit_normalization(inputs: Inputs, kind: str, data_format: str) -> tuple[np.ndarray, np.ndarray]:
    """What to subtract from each channel, and what to divide it by then.

    Args:
        inputs: `(num, *input_shape)`, of the training split.
        kind: `standard`, the mean and the deviation; `minmax`, the least value and the range.
        data_format: where the channels are; inputs without spatial axes have them last.

    Returns:
        Two float64 arrays, `(channels,)`; a channel that is the same everywhere is divided by 1.

    Source: Chan, Golub and LeVeque 1979, for means and deviations in one pass.

    >>> fit_normalization(np.array([[1.0, 5], [3, 5]]), "standard", "channels_last")
    (array([2., 5.]), array([1., 1.]))
    """
    is_first = data_format == "channels_first" and inputs.ndim > 2
    channels = inputs.shape[1 if is_first else -1]
    least, most = np.full(channels, np.inf), np.full(channels, -np.inf)
    count, mean, squares = 0, np.zeros(channels), np.zeros(channels)
    for _, block in iterate_blocks(inputs):
        values = np.moveaxis(block, 1, -1) if is_first else block
        values = values.reshape(-1, values.shape[-1]).astype(np.float64)
        least, most = np.minimum(least, values.min(axis=0)), np.maximum(most, values.max(axis=0))
        if kind == "standard":
            added, block_mean = len(values), values.mean(axis=0)
            values -= block_mean
            difference = block_mean - mean
            squares += np.square(values).sum(axis=0) + difference**2 * (count * added / (count + added))
            mean += difference * (added / (count + added))
            count += added
    if kind == "minmax":
        return least, np.where(most == least, 1.0, most - least)
    return mean, np.where(most == least, 1.0, np.sqrt(squares / count))
