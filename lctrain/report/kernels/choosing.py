"""Which layer of a model, and which of its kernels, the flags of a command line ask for."""

from collections.abc import Mapping
from typing import Any

from lctrain.errors import UserError, suggest
from lctrain.report.kernels.layers import LayerKernels
from lctrain.report.kernels.selecting import Selection


def choose_layer(asked: str | None, found: Mapping[str, Any], others: Mapping[str, str]) -> str:
    """The name of the layer that `--layer` asks for, or of the first with a kernel for each position.

    Args:
        asked: the flag's value.
        found: the layers that have such kernels, by name.
        others: the class of every other layer, by name.

    Raises:
        UserError: there is none, or not that one.
    """
    listed = ", ".join(f"`{name}`" for name in found)
    if not found:
        kinds = ", ".join(sorted(set(others.values())))
        raise UserError(
            "`RUN_OR_FILE` must hold a layer with a kernel for each position; the model's layers are"
            f" {kinds or 'none'}. Train one with LocallyConnected layers: model=lc2d."
        )
    if asked is None:
        return next(iter(found))
    if asked in others:
        message = f"got {asked!r}, a layer of the class {others[asked]}, which has none. Here are: {listed}"
        raise UserError(f"`--layer` must have a kernel for each position; {message}.")
    if asked not in found:
        raise UserError(f"`--layer` must be a layer of the model; got {asked!r}. {suggest(asked, found)}")
    return asked


def choose_selection(layer: LayerKernels, filter: int, channel: int | None, slice: int | None) -> Selection:
    """What `--filter`, `--channel` and `--slice` ask for.

    Raises:
        UserError: a number that the layer does not have.
    """
    if slice is not None and layer.window.rank != 3:
        message = f"got {slice} for `{layer.name}`, which has rank {layer.window.rank}. Leave it out"
        raise UserError(f"`--slice` must be given for layers of rank 3 alone; {message}.")
    in_channels = "input channels" if layer.groups == 1 else "input channels in each group"
    for flag, number, count, what in (
        ("filter", filter, layer.filters, "filters"),
        ("channel", channel, layer.in_channels, in_channels),
        ("slice", slice, layer.window.output_spatial[0], "output slices"),
    ):
        if number is not None and not 0 <= number < count:
            counted = f"`{layer.name}` has {count} {what}"
            raise UserError(f"`--{flag}` must be an integer from 0 to {count - 1}: {counted}; got {number}.")
    return Selection(filter, channel, slice)
