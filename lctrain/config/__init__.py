"""The declarative language: schema, allowlist and validation, without Hydra, Keras or TensorFlow."""

from lctrain.config.schema import Config
from lctrain.config.validation import validate

__all__ = ["Config", "validate"]
