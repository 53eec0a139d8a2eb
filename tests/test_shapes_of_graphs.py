"""As test_shapes.py, for merges, sequences, wrappers, attention and preprocessing; and that no layer is missed."""

import inspect

import keras
import pytest
from test_shapes import SAMPLES as SAMPLES_OF_STACKS
from test_shapes import check_weights

from lctrain import layers as own_layers
from lctrain.config.allowlist import classes
from lctrain.model.shapes import FAMILIES, infer_layer

SEQUENCE, IMAGE, FRAMES = (None, 11, 6), (None, 9, 13, 3), (None, 5, 9, 13, 6)
OF_RANK = {1: SEQUENCE, 2: (None, 9, 13, 6), 3: (None, 7, 9, 11, 6)}
MERGES = ["Add", "Average", "Maximum", "Minimum", "Multiply"]
PICTURES = [
    *("AutoContrast", "CutMix", "MixUp", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "AugMix"),
    *("RandomGrayscale", "RandomInvert", "RandomPerspective", "RandomShear", "RandAugment", "RandomColorJitter"),
    *("RandomElasticTransform", "Solarization", "ContrastLimitedAdaptiveHistogramEqualization"),
]
OF_A_FACTOR = [
    *("RandomBrightness", "RandomColorDegeneration", "RandomContrast", "RandomHue", "RandomPosterization"),
    *("RandomRotation", "RandomSaturation", "RandomSharpness"),
]


def spec(kind, **arguments):
    return {"type": kind, **arguments}


DENSE, LOCAL = spec("Dense", units=4), spec("LocallyConnected2D", filters=4, kernel_size=3, implementation=1)
FIRST = {"data_format": "channels_first"}
GRU, LSTM_SEQUENCE = spec("GRU", units=4), spec("LSTM", units=4, return_sequences=True)
CELLS = [spec("GRUCell", units=4), spec("LSTMCell", units=3)]
SAMPLES = {
    **{name: [([SEQUENCE] * 3, {}), ([IMAGE, (None, 9, 1, 3)], {})] for name in MERGES},
    "Subtract": [([SEQUENCE] * 2, {})],
    "Concatenate": [([SEQUENCE, (None, 11, 3)], {}), ([SEQUENCE, (None, 4, 6), SEQUENCE], {"axis": 1})],
    "Dot": [
        ([SEQUENCE, (None, 5, 6)], {"axes": 2}),
        ([SEQUENCE, (None, 6, 5)], {"axes": [2, 1]}),
        ([(None, 6)] * 2, {"axes": -1}),
    ],
    "Attention": [
        ([SEQUENCE, (None, 5, 6)], {}),
        ([SEQUENCE, (None, 5, 6), (None, 5, 6)], {"use_scale": True, "score_mode": "concat"}),
    ],
    "AdditiveAttention": [([SEQUENCE, (None, 5, 6)], {}), ([SEQUENCE, (None, 5, 6)], {"use_scale": False})],
    "MultiHeadAttention": [
        ([SEQUENCE, (None, 5, 7)], {"num_heads": 2, "key_dim": 3}),
        ([SEQUENCE, (None, 5, 7), (None, 5, 8)], {"num_heads": 2, "key_dim": 3, "value_dim": 5, "use_bias": False}),
        ([SEQUENCE, SEQUENCE], {"num_heads": 2, "key_dim": 3, "output_shape": 4, "use_gate": True}),
    ],
    "GroupQueryAttention": [
        ([SEQUENCE, (None, 5, 6)], {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}),
        (
            [SEQUENCE, SEQUENCE],
            {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2, "use_bias": False, "use_gate": True},
        ),
    ],
    "SimpleRNN": [(SEQUENCE, {"units": 4}), (SEQUENCE, {"units": 4, "return_sequences": True, "use_bias": False})],
    "GRU": [(SEQUENCE, {"units": 4}), (SEQUENCE, {"units": 4, "return_sequences": True, "reset_after": False})],
    "LSTM": [(SEQUENCE, {"units": 4}), (SEQUENCE, {"units": 4, "return_sequences": True, "use_bias": False})],
    "RNN": [
        (SEQUENCE, {"cell": spec("SimpleRNNCell", units=4)}),
        (SEQUENCE, {"cell": spec("StackedRNNCells", cells=CELLS), "return_sequences": True}),
    ],
    **{
        f"ConvLSTM{rank}D": [
            ((None, 5, *OF_RANK[rank][1:]), {"filters": 4, "kernel_size": 3}),
            (
                (None, 5, *OF_RANK[rank][1:]),
                {"filters": 4, "kernel_size": 2, "strides": 2, "padding": "same", "return_sequences": True},
            ),
        ]
        for rank in (1, 2, 3)
    },
    "Bidirectional": [
        (SEQUENCE, {"layer": GRU}),
        (SEQUENCE, {"layer": LSTM_SEQUENCE}),
        (SEQUENCE, {"layer": GRU, "merge_mode": "sum"}),
        (SEQUENCE, {"layer": GRU, "backward_layer": spec("GRU", units=4, go_backwards=True, use_bias=False)}),
        *(
            (FRAMES, {"layer": spec("ConvLSTM2D", filters=4, kernel_size=[2, 3], **more), "merge_mode": mode})
            for more in ({}, FIRST, {**FIRST, "return_sequences": True})
            for mode in ("concat", "sum")
        ),
    ],
    "TimeDistributed": [
        (FRAMES, {"layer": spec("Conv2D", filters=3, kernel_size=[2, 3], **FIRST)}),
        (FRAMES, {"layer": {**LOCAL, **FIRST}}),
        (FRAMES, {"layer": spec("SeparableConv2D", filters=3, kernel_size=[2, 3], **FIRST)}),
        (SEQUENCE, {"layer": DENSE}),
        (FRAMES, {"layer": LOCAL}),
        (FRAMES, {"layer": spec("TimeDistributed", layer=DENSE)}),
    ],
    "SpectralNormalization": [
        (SEQUENCE, {"layer": DENSE}),
        (IMAGE, {"layer": LOCAL}),
        (IMAGE, {"layer": spec("Conv2DTranspose", filters=4, kernel_size=2)}),
        (IMAGE, {"layer": spec("DepthwiseConv2D", kernel_size=2, depth_multiplier=5)}),
        (SEQUENCE, {"layer": spec("EinsumDense", equation="abc,cd->abd", output_shape=[11, 4], bias_axes="bd")}),
        ((None, 11), {"layer": spec("Embedding", input_dim=7, output_dim=4)}),
    ],
    **{
        f"Conv{rank}DTranspose": [
            (OF_RANK[rank], {"filters": 4, "kernel_size": 3}),
            (OF_RANK[rank], {"filters": 4, "kernel_size": 2, "strides": 3, "use_bias": False}),
            (OF_RANK[rank], {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}),
            (OF_RANK[rank], {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1}),
            (OF_RANK[rank], {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": 1}),
            (OF_RANK[rank], {"filters": 4, "kernel_size": 3, "dilation_rate": 2}),
        ]
        for rank in (1, 2, 3)
    },
    **{
        f"Adaptive{kind}Pooling{rank}D": [(OF_RANK[rank], {"output_size": 3})]
        for kind in ("Average", "Max")
        for rank in (1, 2, 3)
    },
    "EinsumDense": [
        (SEQUENCE, {"equation": "abc,cd->abd", "output_shape": [11, 4], "bias_axes": "d"}),
        (SEQUENCE, {"equation": "...x,xy->...y", "output_shape": 4}),
        (SEQUENCE, {"equation": "ab...,bc->ac...", "output_shape": 4, "bias_axes": "c"}),
        (SEQUENCE, {"equation": "abc,cde->abde", "output_shape": [11, 4, 5], "bias_axes": "de"}),
        (SEQUENCE, {"equation": "abc,bcd->abd", "output_shape": [11, 4], "bias_axes": "b"}),
    ],
    "Embedding": [((None, 11), {"input_dim": 7, "output_dim": 4})],
    "ReversibleEmbedding": [
        ((None, 11), {"input_dim": 7, "output_dim": 4}),
        ((None, 11), {"input_dim": 7, "output_dim": 4, "tie_weights": False}),
    ],
    "Masking": [(SEQUENCE, {})],
    "Normalization": [
        (SEQUENCE, {}),
        (IMAGE, {"axis": [1, 3]}),
        (IMAGE, {"axis": None}),
        (SEQUENCE, {"mean": 0.5, "variance": 2.0}),
        (IMAGE, {"axis": [-1, 1]}),
    ],
    "RMSNormalization": [(IMAGE, {}), (IMAGE, {"axis": [1, 3]})],
    **{name: [(IMAGE, {})] for name in PICTURES},
    **{name: [(IMAGE, {"factor": 2 if name == "RandomPosterization" else 0.2})] for name in OF_A_FACTOR},
    "RandomTranslation": [(IMAGE, {"height_factor": 0.2, "width_factor": 0.1})],
    "RandomZoom": [(IMAGE, {"height_factor": 0.2})],
    **{name: [(IMAGE, {"height": 5, "width": 7})] for name in ("CenterCrop", "RandomCrop", "Resizing")},
    "Pipeline": [(IMAGE, {"layers": [spec("Resizing", height=5, width=7), spec("RandomFlip")]})],
    "CategoryEncoding": [
        ((None, 6), {"num_tokens": 4, "output_mode": mode}) for mode in ("one_hot", "multi_hot", "count")
    ]
    + [((None, 1), {"num_tokens": 4, "output_mode": "one_hot"})],
    "Hashing": [
        ((None, 6), {"num_bins": 4}),
        ((None, 6), {"num_bins": 4, "output_mode": "one_hot"}),
        ((None, 6), {"num_bins": 4, "output_mode": "multi_hot"}),
    ],
    "HashedCrossing": [
        ([(None, 1)] * 2, {"num_bins": 4}),
        ([(None, 1)] * 2, {"num_bins": 4, "output_mode": "one_hot"}),
    ],
    "Discretization": [
        ((None, 6), {"bin_boundaries": [0.0, 1.0], "output_mode": mode}) for mode in ("int", "one_hot", "multi_hot")
    ],
    "MelSpectrogram": [((None, 5000), {"sequence_stride": 300})],
    "STFTSpectrogram": [
        ((None, 500, 2), {"frame_length": 64}),
        ((None, 500, 2), {"frame_length": 64, "frame_step": 20, "mode": "stft", "padding": "same"}),
        ((None, 500, 2), {"frame_length": 64, "mode": "real", "fft_length": 128, "expand_dims": True}),
    ],
}
CASES = [
    pytest.param(name, shapes if isinstance(shapes, list) else [shapes], arguments, id=f"{name}-{index}")
    for name, samples in SAMPLES.items()
    for index, (shapes, arguments) in enumerate(samples)
]
CALLED_WITH_SEVERAL = ("MultiHeadAttention", "GroupQueryAttention")


def find_kind(name):
    return getattr(own_layers if hasattr(own_layers, name) else keras.layers, name)


def make(name, arguments):
    """The layer, wrapped layers and cells made too."""
    return find_kind(name)(**{key: _make_value(value) for key, value in arguments.items()})


def _make_value(value):
    if isinstance(value, dict):
        return make(value["type"], {key: item for key, item in value.items() if key != "type"})
    if isinstance(value, list):
        made = [_make_value(item) for item in value]
        return made if any(isinstance(item, keras.layers.Layer) for item in made) else tuple(made)
    return value


def complete(name, arguments):
    """With defaults, from the signature, in wrapped layers and cells too."""
    parameters = inspect.signature(find_kind(name)).parameters.values()
    defaults = {
        parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty
    }
    return defaults | {key: _complete_value(value) for key, value in arguments.items()}


def _complete_value(value):
    if isinstance(value, dict):
        return complete(value["type"], value)
    return [_complete_value(item) for item in value] if isinstance(value, list) else value


def test_every_layer_of_the_allowlist_has_a_family_and_a_sample():
    assert set(classes("layers")) == set(FAMILIES)
    assert set(FAMILIES) == {*SAMPLES_OF_STACKS, *SAMPLES}
    assert not set(SAMPLES_OF_STACKS) & set(SAMPLES)


@pytest.mark.parametrize(("name", "shapes", "arguments"), CASES)
def test_shapes_and_parameters_are_those_of_keras(name, shapes, arguments):
    layer = make(name, arguments)
    dtype = "int32" if name.endswith(("Embedding", "Hashing", "Crossing")) else "float32"
    inputs = [keras.Input(shape[1:], dtype=dtype) for shape in shapes]
    called_with = inputs if name in CALLED_WITH_SEVERAL or len(inputs) == 1 else [inputs]
    outputs = layer(*called_with)
    facts = infer_layer(name, complete(name, arguments), shapes)
    assert facts.output_shape == tuple(outputs.shape)
    assert facts.parameters == layer.count_params()
    check_weights(facts, layer)


def test_a_layer_applied_to_each_step_counts_each_time():
    inner = infer_layer("LocallyConnected2D", complete(**LOCAL_ARGUMENTS), [(None, 9, 13, 6)])
    outer = infer_layer("TimeDistributed", complete("TimeDistributed", {"layer": LOCAL}), [FRAMES])
    assert (inner.calls, outer.calls) == (1, 5)
    assert outer.multiplications == 5 * inner.multiplications
    assert outer.local == inner.local


LOCAL_ARGUMENTS = {"name": "LocallyConnected2D", "arguments": LOCAL}


@pytest.mark.parametrize(
    ("name", "shapes", "arguments", "message"),
    [
        ("Add", [SEQUENCE, (None, 11, 5)], {}, r"must merge equal shapes.*got \(None, 11, 6\), \(None, 11, 5\)"),
        ("Concatenate", [SEQUENCE, (None, 10, 6)], {}, "`axis` must be the only one .* got -1 of"),
        ("Concatenate", [SEQUENCE, (None, 6)], {}, "`axis` must be the only one .* got -1 of"),
        (
            "EinsumDense",
            [SEQUENCE],
            {"equation": "abc,cd->abd", "output_shape": [5, 4]},
            r"`output_shape` .* 11 along 'b'; got \[5, 4\]",
        ),
        ("HashedCrossing", [(None, 3), (None, 2)], {"num_bins": 4}, r"must merge equal shapes, .* got \(None, 3\), "),
        (
            "GroupQueryAttention",
            [SEQUENCE, (None, 5, 4)],
            {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
            r"must attend to sequences of equal last sizes; got .*\(None, 5, 4\)",
        ),
        ("Dot", [SEQUENCE, (None, 6, 5)], {"axes": 2}, "`axes` must be of equal size.* got 2 of"),
        (
            "SpectralNormalization",
            [IMAGE],
            {"layer": spec("Flatten")},
            "`layer` must be a layer .* kernel.*got Flatten",
        ),
        ("TimeDistributed", [(None,)], {"layer": DENSE}, r"takes an input of steps.*got shape \(None,\)"),
        ("LSTM", [IMAGE], {"units": 4}, "takes an input of 3 axes"),
        (
            "STFTSpectrogram",
            [(None, 50, 2)],
            {"frame_length": 64},
            "`frame_length` must not exceed .* 50 samples; got 64",
        ),
    ],
)
def test_what_does_not_fit_is_refused(name, shapes, arguments, message):
    with pytest.raises(ValueError, match=message):
        infer_layer(name, complete(name, arguments), shapes)
