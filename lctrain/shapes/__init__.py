"""Output shapes, parameters and connectivity of every layer that a configuration may name, without Keras."""

from collections.abc import Sequence
from functools import partial

from lctrain.shapes import elementwise, local, reshaping, windows
from lctrain.shapes.facts import Arguments, Family, LayerFacts, Shape

__all__ = ["FAMILIES", "LayerFacts", "Shape", "infer_layer"]


def _of_ranks(template: str, family: Family, *ranks: int) -> dict[str, Family]:
    return {template.format(rank): partial(family, rank) for rank in ranks}


FAMILIES: dict[str, Family] = {
    **_of_ranks("Conv{}D", windows.convolution, 1, 2, 3),
    **_of_ranks("DepthwiseConv{}D", windows.depthwise_convolution, 1, 2),
    **_of_ranks("SeparableConv{}D", windows.separable_convolution, 1, 2),
    **_of_ranks("AveragePooling{}D", windows.pooling, 1, 2, 3),
    **_of_ranks("MaxPooling{}D", windows.pooling, 1, 2, 3),
    **_of_ranks("GlobalAveragePooling{}D", windows.global_pooling, 1, 2, 3),
    **_of_ranks("GlobalMaxPooling{}D", windows.global_pooling, 1, 2, 3),
    **_of_ranks("LocallyConnected{}D", local.locally_connected, 1, 2, 3),
    "LowRankLocallyConnected2D": local.low_rank_locally_connected,
    **_of_ranks("Cropping{}D", reshaping.cropping, 1, 2, 3),
    **_of_ranks("ZeroPadding{}D", reshaping.zero_padding, 1, 2, 3),
    **_of_ranks("UpSampling{}D", reshaping.up_sampling, 1, 2, 3),
    "Flatten": reshaping.flatten,
    "Permute": reshaping.permute,
    "RepeatVector": reshaping.repeat_vector,
    "Reshape": reshaping.reshape,
    "Dense": elementwise.dense,
    "BatchNormalization": elementwise.batch_normalization,
    "GroupNormalization": elementwise.group_normalization,
    "LayerNormalization": elementwise.layer_normalization,
    "PReLU": elementwise.prelu,
    "Softmax": elementwise.along_axis,
    "UnitNormalization": elementwise.along_axis,
    **_of_ranks("SpatialDropout{}D", elementwise.spatial_dropout, 1, 2, 3),
    **dict.fromkeys(
        [
            *("Activation", "ActivityRegularization", "ELU", "Identity", "LeakyReLU", "ReLU", "Rescaling"),
            *("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
        ],
        elementwise.elementwise,
    ),
}


def infer_layer(type_name: str, arguments: Arguments, input_shapes: Sequence[Shape]) -> LayerFacts:
    """What a layer makes of its inputs.

    Args:
        type_name: the class's name.
        arguments: all of its constructor's arguments, defaults included, valid by themselves.
        input_shapes: one per input, each with the batch, None, first.

    Raises:
        ValueError: what does not fit the inputs; the text opens with the argument in backticks where one is at fault.

    >>> arguments = {"units": 4, "use_bias": True}
    >>> facts = infer_layer("Dense", arguments, [(None, 5, 7)])
    >>> facts.output_shape, facts.parameters, facts.taps, facts.flops
    ((None, 5, 4), 32, 7, 280)
    """
    return FAMILIES[type_name](arguments, input_shapes)
