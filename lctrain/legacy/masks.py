"""Where a mask goes in an old model, and where Keras 3 would let it go otherwise.

Embedding and Masking make masks, recurrent layers, attention and GlobalAveragePooling1D read them, and what stands
between hands them on, or does not. tests/test_legacy_tables.py compares the lists with both Keras.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lctrain.legacy.issues import IssueCollector

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


def find_output_mask(name: str, spec: Mapping[str, Any], masks: Sequence[str | None]) -> str | None:
    """The mask of what a layer gives.

    Args:
        name: of the layer, by which a mask that it makes is known.
        spec: today's.
        masks: of its inputs: None, by where it was made, or unsure.

    >>> find_output_mask("add", {"type": "Add"}, ["words", "words"])
    'words'
    >>> find_output_mask("add", {"type": "Add"}, ["words", None])
    'unsure'
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


class MaskTracker:
    """Follows the masks through a model.

    Args:
        is_tf_keras: whether tf.keras wrote it.
    """

    def __init__(self, is_tf_keras: bool):
        self.is_tf_keras = is_tf_keras
        # By the array that has it.
        self.masks: dict[str, str | None] = {}

    def follow(
        self, name: str, spec: Mapping[str, Any] | None, arrays: Sequence[str], collector: IssueCollector
    ) -> None:
        """Finds the mask of what a layer gives; one that reads a mask which Keras 3 makes otherwise is an obstacle."""
        masks = [self.masks.get(array) for array in arrays]
        if spec is None:
            return
        if reads_mask(spec) and (UNSURE in masks or (spec["type"] == "TimeDistributed" and any(masks))):
            message = "must not come by a merge of differently masked arrays, Rescaling, Normalization, Identity or"
            message += " TimeDistributed: Keras 3 hands it on otherwise there"
            collector.unsupported("mask", spec["type"], message)
        if spec["type"] == "Bidirectional" and any(masks) and repeats_masked(spec) and not self.is_tf_keras:
            message = "must not reach a Bidirectional of return_sequences: it repeated the step before, Keras 3 gives 0"
            collector.unsupported("mask", spec["type"], f"{message} there")
        self.masks[name] = find_output_mask(name, spec, masks)
