"""Where a mask goes in an old model, and where Keras 3 would let it go otherwise.

Embedding and Masking make masks, recurrent layers, attention and GlobalAveragePooling1D read them, and what stands
between hands them on, or does not. tests/test_legacy_tables.py compares the lists with both Keras.
"""

from collections.abc import Mapping, Sequence
from typing import Any

UNSURE = "unsure"  # a mask that Keras 3 makes otherwise, or where there was none
KEPT = {
    *("Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "ConvLSTM1D", "ConvLSTM2D"),
    *("ConvLSTM3D", "Dense", "Dropout", "ELU", "GRU", "GaussianDropout", "GaussianNoise", "GroupNormalization", "LSTM"),
    *("LayerNormalization", "LeakyReLU", "PReLU", "RNN", "ReLU", "SimpleRNN", "Softmax", "SpatialDropout1D"),
    *("SpatialDropout2D", "SpatialDropout3D", "TimeDistributed", "UnitNormalization", "Bidirectional", "Attention"),
    *("AdditiveAttention", "MultiHeadAttention", "Masking", "GlobalAveragePooling1D", "Dot", "Add", "Average"),
    *("Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"),
}
KEPT_NOW = {"Identity", "Normalization", "Rescaling"}  # which Keras 2 lets no mask through
ENDS = {"GlobalAveragePooling1D", "Dot"}  # read it, or not, and hand none on
MERGES = {"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"}
RECURRENT = {"LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional"}
READERS = {*RECURRENT, "GlobalAveragePooling1D", "Attention", "AdditiveAttention", "MultiHeadAttention", "Softmax"}


def makes_mask(spec: Mapping[str, Any]) -> bool:
    """Whether a layer begins a mask of its own."""
    return spec["type"] == "Masking" or (spec["type"] == "Embedding" and bool(spec.get("mask_zero")))


def reads_mask(spec: Mapping[str, Any]) -> bool:
    """Whether what a layer gives depends on the mask of its input."""
    if spec["type"] == "TimeDistributed":
        return reads_mask(spec["layer"]) or makes_mask(spec["layer"])
    return spec["type"] in READERS


def repeats_masked(spec: Mapping[str, Any]) -> bool:
    """Whether a recurrent layer's outputs at masked steps are seen, which Keras 1 and 2 took from the step before."""
    return bool(spec["layer"].get("return_sequences"))


def hand_on(name: str, spec: Mapping[str, Any], masks: Sequence[str | None]) -> str | None:
    """The mask of what a layer gives.

    Args:
        name: of the layer, by which a mask that it makes is known.
        spec: today's.
        masks: of its inputs: None, by where it was made, or unsure.

    >>> hand_on("add", {"type": "Add"}, ["words", "words"]), hand_on("add", {"type": "Add"}, ["words", None])
    ('words', 'unsure')
    """
    kind, first = spec["type"], masks[0]
    if makes_mask(spec):
        return name
    if kind == "TimeDistributed":
        return UNSURE if makes_mask(spec["layer"]) else first
    if kind in KEPT_NOW:
        return None if first is None else UNSURE
    if kind not in KEPT or kind in ENDS:
        return None
    if kind in RECURRENT:
        inner = spec["layer"] if kind == "Bidirectional" else spec
        return first if inner.get("return_sequences") else None
    if kind not in MERGES or len(set(masks)) == 1:
        return first
    is_along_steps = kind == "Concatenate" and spec.get("axis") == 1 and None not in masks and UNSURE not in masks
    return name if is_along_steps else UNSURE
