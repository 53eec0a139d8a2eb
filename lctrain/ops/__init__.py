"""The ways to compute a locally connected layer: one file each, one shared signature, one table.

Every operation takes `(inputs, kernel, window, groups, data_format)`:

    inputs: `(batch, *input_spatial, in_channels)`, or `(batch, in_channels, *input_spatial)` if channels_first
    kernel: `(num_positions, num_taps * in_channels // groups, filters)`, whatever the data_format
    window: where the taps of each position lie
    groups: into how many independent blocks channels and filters are split
    returns `(batch, *output_spatial, filters)`, or `(batch, filters, *output_spatial)` if channels_first
"""

from lctrain.ops import batched, dense, sparse, unrolled

IMPLEMENTATIONS = {
    1: unrolled.locally_connected,
    2: dense.locally_connected,
    3: sparse.locally_connected,
    "batched": batched.locally_connected,
}

NOT_COMPILABLE = frozenset({3})  # tf.sparse has no XLA kernels
