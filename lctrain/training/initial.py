"""Starting from the weights of another model, layer by layer."""

from collections.abc import Iterator
from pathlib import Path

import keras

from lctrain.errors import UserError
from lctrain.layers.convert import are_twins, untie
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
    told = {}
    for name, layer in _layers(target):
        if not layer.weights:
            continue
        shapes = [tuple(one.shape) for one in layer.weights]
        if name not in known:
            told[name] = "drawn: there is no layer of this name"
        elif are_twins(known[name], layer):
            layer.set_weights(untie(known[name], layer))
            others = [one for one in COMPUTED_BY if getattr(known[name], one) != getattr(layer, one)]
            told[name] = COPIED[1] + (f", of another {' and '.join(others)}" if others else "")
        elif isinstance(known[name], BaseLocallyConnected) != isinstance(layer, BaseLocallyConnected):
            kinds = [type(one).__name__ for one in (layer, known[name])]
            others = [tuple(one.shape) for one in known[name].weights]
            told[name] = f"drawn: it is a {kinds[0]} with the shapes {shapes}, there a {kinds[1]} with {others}"
        elif (others := [tuple(one.shape) for one in known[name].weights]) != shapes:
            told[name] = f"drawn: its weights have the shapes {shapes}, there {others}"
        else:
            layer.set_weights(known[name].get_weights())
            told[name] = COPIED[0]
    if not any(why.startswith(COPIED[0]) for why in told.values()):
        listed = "; ".join(f"`{name}` {why.removeprefix('drawn: ')}" for name, why in told.items())
        raise UserError(f"`init_from` must hold a layer with the name and shapes of one of the model; {listed}.")
    return told


def _layers(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    for layer in model.layers:
        yield layer.name, layer
