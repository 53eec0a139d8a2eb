"""Constructor arguments that several layers share: their checks, and how they are written into a config."""

from typing import Any

import keras
from keras import activations, constraints, initializers, regularizers

from lctrain.config.layer_arguments import DATA_FORMATS, LOCAL, find_layer_check, list_arguments
from lctrain.errors import suggest
from lctrain.implementations import LAYER_CHOICES

MODULES = {
    **{"activation": activations, "initializer": initializers},
    **{"regularizer": regularizers, "constraint": constraints},
}


def serialize_arguments(layer: keras.layers.Layer, class_name: str) -> dict[str, Any]:
    """The arguments that a class of ours has, as `get_config` gives them; objects by the last word of their name."""
    config = {row.name: getattr(layer, row.name) for row in list_arguments(class_name)}
    kinds = {name: name.rpartition("_")[2] for name in config}
    return config | {name: MODULES[kind].serialize(config[name]) for name, kind in kinds.items() if kind in MODULES}


def check_argument(name: str, value: Any, rank: int) -> Any:
    """The value, which a layer of so many spatial axes takes for one of its arguments.

    Raises:
        ValueError: names the argument and the value received, where it does not.
    """
    check = find_layer_check(LOCAL[rank - 1], name, rank)
    expected = None if check is None else check(value)
    if expected is not None:
        raise ValueError(f"`{name}` must be {expected}; got {value!r}.")
    return value


def one_of(name: str, value: Any, allowed: tuple) -> Any:
    """The value, if it is one of those allowed; else a ValueError that names the argument and the value received."""
    if any(value is option or (isinstance(value, str) and value == option) for option in allowed):
        return value
    raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}; got {value!r}.")


def get_object(name: str, value: Any, default: str | None = None):
    """Keras' object of the kind that the argument's name ends in; None is the default.

    Raises:
        ValueError: names the argument and the value received.
    """
    kind = name.rpartition("_")[2]
    try:
        return MODULES[kind].get(default if value is None else value)
    except (TypeError, ValueError) as error:
        expected = f"the name, config or object of a Keras {kind}, or a function"
        raise ValueError(f"`{name}` must be {expected}; got {value!r}.") from error


def standardize_data_format(data_format):
    if data_format is None:
        return keras.config.image_data_format()
    if isinstance(data_format, str) and data_format.lower() in DATA_FORMATS:
        return data_format.lower()
    raise ValueError(f"`data_format` must be 'channels_last', 'channels_first' or None; got {data_format!r}.")


def standardize_implementation(implementation):
    is_comparable = isinstance(implementation, int | str) and not isinstance(implementation, bool)
    if is_comparable and implementation in LAYER_CHOICES:
        return implementation
    names = [choice for choice in LAYER_CHOICES if isinstance(choice, str)]
    hint = " " + suggest(implementation, names) if isinstance(implementation, str) else ""
    expected = ", ".join(map(repr, LAYER_CHOICES))
    raise ValueError(f"`implementation` must be one of {expected}; got {implementation!r}.{hint}")
