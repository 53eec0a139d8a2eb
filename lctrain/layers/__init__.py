"""Locally connected layers for Keras 3, and models turned into others by them."""

from lctrain.implementations import LAYER_CHOICES
from lctrain.layers.activations import OWN_ACTIVATIONS, legacy_hard_sigmoid
from lctrain.layers.convert import conv_to_local, convert_implementation
from lctrain.layers.local import (
    BaseLocallyConnected,
    LocallyConnected1D,
    LocallyConnected2D,
    LocallyConnected3D,
)
from lctrain.layers.low_rank import LowRankLocallyConnected2D

IMPLEMENTATION_NAMES = LAYER_CHOICES

__all__ = [
    "IMPLEMENTATION_NAMES",
    "OWN_ACTIVATIONS",
    "BaseLocallyConnected",
    "LocallyConnected1D",
    "LocallyConnected2D",
    "LocallyConnected3D",
    "LowRankLocallyConnected2D",
    "conv_to_local",
    "convert_implementation",
    "legacy_hard_sigmoid",
]
