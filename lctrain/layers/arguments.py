"""Constructor arguments that several layers share: their checks, and how they are written into a config."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras
from keras import activations, constraints, initializers, regularizers

from lctrain.config.layer_arguments import DATA_FORMATS, LOCAL, find_layer_check, list_arguments
from lctrain.config.retired import explain_argument
from lctrain.errors import suggest, suggest_near, suggest_unquoted
from lctrain.implementations import LAYER_CHOICES

# What each of Keras' layers takes besides.
OF_KERAS = ("name", "dtype", "trainable", "autocast", "input_shape", "input_dim")
MODULES = {
    **{"activation": activations, "initializer": initializers},
    **{"regularizer": regularizers, "constraint": constraints},
}


def serialize_arguments(layer: keras.layers.Layer, class_name: str) -> dict[str, Any]:
    """The arguments that a class of ours has, as `get_config` gives them; objects by the last word of their name."""
    config = {row.name: getattr(layer, row.name) for row in list_arguments(class_name)}
    kinds = {name: name.rpartition("_")[2] for name in config}
    return config | {name: MODULES[kind].serialize(config[name]) for name, kind in kinds.items() if kind in MODULES}


class OwnLayer(keras.layers.Layer):
    """A layer that looks at the names that it is called with before Python asks for those that are missing."""

    def __new__(cls, *arguments, **named):
        _check_names(cls, named)
        return super().__new__(cls, *arguments, **named)


def _check_names(kind: type[keras.layers.Layer], arguments: Mapping[str, Any]) -> None:
    """Looks for words of old Keras, and misspelt ones, among the names that a class of ours is called with.

    Raises:
        ValueError: says what the argument is called. Of other names Keras tells.
    """
    known = [*inspect.signature(kind.__init__).parameters, *OF_KERAS]
    is_own = kind.__init__.__module__.startswith("lctrain.")  # what a constructor of the user's takes is not known
    for name in [name for name in arguments if is_own and name not in known]:
        hint = explain_argument(kind.__name__, name, known, arguments) or suggest_near(name, known).strip()
        if hint:
            raise ValueError(f"`{name}` is not an argument of {kind.__name__}. {hint}")


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
    hint = f" {suggest(implementation, names)}" if isinstance(implementation, str) else ""
    hint = suggest_unquoted(implementation) if implementation in map(str, LAYER_CHOICES) else hint
    expected = ", ".join(map(repr, LAYER_CHOICES))
    raise ValueError(f"`implementation` must be one of {expected}; got {implementation!r}.{hint}")
