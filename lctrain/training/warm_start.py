"""Starting from the weights of another model, layer by layer."""

from collections.abc import Iterator
from pathlib import Path

import keras

from lctrain.errors import UserError
from lctrain.layers.convert import are_equivalent, untie
from lctrain.layers.local import BaseLocallyConnected

COPIED = "copied", "copied to every position"
COMPUTED_BY = ("strides", "padding", "dilation_rate", "activation")  # what a kernel's effect depends on


def load_model(file: Path, argument: str) -> keras.Model:
    """A model from a .keras file, none of whose code is run.

    Args:
        file: as Keras or MLflow wrote it.
        argument: what the user calls it, for errors.

    Raises:
        UserError: no such file, or none that can be read.
    """
    if file.suffix != ".keras" or not file.is_file():
        raise UserError(f"`{argument}` must be a run's id or a .keras file that is there; got {str(file)!r}.")
    try:
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # whatever Keras, h5py or zipfile say of a file that is none of theirs
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"`{argument}` {str(file)!r} can't be loaded: {reason}") from error


def copy_weights(source: keras.Model, target: keras.Model) -> dict[str, str]:
    """Gives each layer of a model the weights of the layer of the same name in another, where the shapes agree.

    A local layer takes those of a Conv layer too, with its kernel at every position.

    Returns:
        What became of each layer that has weights, by name: `copied`, `copied to every position` (and what else the two
        layers compute differently), or why it was not.

    Raises:
        UserError: no layer at all could be copied.
    """
    known = dict(_layers(source))
    outcomes = {}
    for name, layer in _layers(target):
        if not layer.weights:
            continue
        outcomes[name] = _copy(known[name], layer) if name in known else "drawn: there is no layer of this name"
    if not any(why.startswith(COPIED[0]) for why in outcomes.values()):
        listed = "; ".join(f"`{name}` {why.removeprefix('drawn: ')}" for name, why in outcomes.items())
        raise UserError(f"`init_from` must hold a layer with the name and shapes of one of the model; {listed}.")
    return outcomes


def _copy(source: keras.layers.Layer, target: keras.layers.Layer) -> str:
    """Gives one layer the weights of another where that is possible; returns what became of it."""
    if are_equivalent(source, target):
        target.set_weights(untie(source, target))
        others = [one for one in COMPUTED_BY if getattr(source, one) != getattr(target, one)]
        return COPIED[1] + (f", of another {' and '.join(others)}" if others else "")
    shapes, there = ([tuple(one.shape) for one in layer.weights] for layer in (target, source))
    if isinstance(source, BaseLocallyConnected) != isinstance(target, BaseLocallyConnected):
        kinds = [type(one).__name__ for one in (target, source)]
        return f"drawn: it is a {kinds[0]} with the shapes {shapes}, there a {kinds[1]} with {there}"
    if there != shapes:
        return f"drawn: its weights have the shapes {shapes}, there {there}"
    target.set_weights(source.get_weights())
    return COPIED[0]


def _layers(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    for layer in model.layers:
        yield layer.name, layer
