"""Which layers of a configuration keep XLA from compiling the training step: Keras then compiles nothing, by itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from lctrain.config.allowlist import LIST_ARGUMENTS, find_class, nested_group, not_compilable
from lctrain.config.schema import Config


def find_not_compilable(config: Config) -> list[str]:
    """Names and classes of the layers that XLA can't compile, as far as their classes tell.

    `lctrain.implementations.is_compilable` tells it of implementations.

    Args:
        config: validated; whether XLA is asked for does not matter.

    Returns:
        Words such as `data.augmentation.0` (RandomTranslation), in the order of the configuration.
    """
    layers = {f"data.augmentation.{i}": spec for i, spec in enumerate(config.data.augmentation)}
    layers |= {f"model.layers.{name}": spec for name, spec in config.model.layers.items()}
    return [f"`{path}` ({name})" for path, spec in layers.items() for name in _find_in(spec)]


def _find_in(spec: Mapping[str, Any]) -> Iterator[str]:
    """The classes, of a layer and of what it wraps."""
    entry = find_class("layers", spec.get("type"))
    if entry is not None and entry.name in not_compilable():
        yield entry.name
    for argument, value in spec.items():
        if nested_group(argument) == "layers" and value is not None:
            for one in value if argument in LIST_ARGUMENTS else [value]:
                yield from _find_in(one)
