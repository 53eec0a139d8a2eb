"""Output shapes, weights and connectivity of every layer that a configuration may name, without Keras."""

from collections.abc import Sequence
from functools import partial

from lctrain.model.shapes import elementwise, local, merging, preprocessing, recurrent, reshaping, windows
from lctrain.model.shapes.facts import Arguments, Family, FamilyOfRanks, LayerFacts, Shape
from lctrain.model.shapes.weights import Weight

__all__ = ["FAMILIES", "LayerFacts", "Shape", "Weight", "infer_layer"]


def _of_ranks(template: str, family: FamilyOfRanks, *ranks: int) -> dict[str, Family]:
    return {template.format(rank): partial(family, rank) for rank in ranks}


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


FAMILIES: dict[str, Family] = {
    **_of_ranks("Conv{}D", windows.convolution, 1, 2, 3),
    **_of_ranks("Conv{}DTranspose", windows.transposed_convolution, 1, 2, 3),
    **_of_ranks("DepthwiseConv{}D", windows.depthwise_convolution, 1, 2),
    **_of_ranks("SeparableConv{}D", windows.separable_convolution, 1, 2),
    **_of_ranks("AveragePooling{}D", windows.pooling, 1, 2, 3),
    **_of_ranks("MaxPooling{}D", windows.pooling, 1, 2, 3),
    **_of_ranks("AdaptiveAveragePooling{}D", windows.adaptive_pooling, 1, 2, 3),
    **_of_ranks("AdaptiveMaxPooling{}D", windows.adaptive_pooling, 1, 2, 3),
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
    "EinsumDense": elementwise.einsum_dense,
    "Embedding": elementwise.embedding,
    "ReversibleEmbedding": elementwise.embedding,
    "BatchNormalization": elementwise.batch_normalization,
    "GroupNormalization": elementwise.group_normalization,
    "LayerNormalization": elementwise.layer_normalization,
    "Normalization": elementwise.fixed_normalization,
    "RMSNormalization": elementwise.rms_normalization,
    "PReLU": elementwise.prelu,
    "Softmax": elementwise.along_axis,
    "UnitNormalization": elementwise.along_axis,
    **_of_ranks("SpatialDropout{}D", elementwise.spatial_dropout, 1, 2, 3),
    **dict.fromkeys(
        [
            *("Activation", "ActivityRegularization", "ELU", "Identity", "LeakyReLU", "Masking"),
            *("ReLU", "Rescaling", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
            *("AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix"),
            *("MixUp", "RandAugment", "RandomBrightness", "RandomColorJitter"),
            *("RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur"),
            *("RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization"),
            *("RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation"),
            *("RandomZoom", "Solarization"),
        ],
        elementwise.elementwise,
    ),
    **dict.fromkeys(["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"], merging.elementwise_merge),
    "Concatenate": merging.concatenation,
    "Dot": merging.dot,
    "Attention": merging.attention,
    "AdditiveAttention": merging.additive_attention,
    "MultiHeadAttention": merging.multi_head_attention,
    "GroupQueryAttention": merging.group_query_attention,
    "SimpleRNN": partial(recurrent.gated, 1),
    "GRU": partial(recurrent.gated, 3),
    "LSTM": partial(recurrent.gated, 4),
    "RNN": recurrent.of_cells,
    **_of_ranks("ConvLSTM{}D", recurrent.convolutional_lstm, 1, 2, 3),
    "Bidirectional": partial(recurrent.bidirectional, infer_layer),
    "TimeDistributed": partial(recurrent.time_distributed, infer_layer),
    "SpectralNormalization": partial(recurrent.spectral_normalization, infer_layer),
    **dict.fromkeys(["CenterCrop", "RandomCrop", "Resizing"], preprocessing.resizing),
    "RandomColorDegeneration": preprocessing.of_colours,
    "Pipeline": partial(preprocessing.pipeline, infer_layer),
    "CategoryEncoding": partial(preprocessing.encoding, "num_tokens"),
    "Hashing": preprocessing.hashing,
    "HashedCrossing": preprocessing.hashed_crossing,
    "Discretization": preprocessing.discretization,
    "MelSpectrogram": preprocessing.mel_spectrogram,
    "STFTSpectrogram": preprocessing.stft_spectrogram,
}
