"""`kernels`: what a locally connected layer of a run has learnt, position by position."""

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lctrain.cli.flags import FlagParser
from lctrain.cli.sources import find_model
from lctrain.composition.overrides import split_override
from lctrain.devices.runtime import without_startup_messages
from lctrain.errors import EXIT_DONE, UserError, suggest

if TYPE_CHECKING:  # they take matplotlib
    from lctrain.report.kernels import KernelNumbers, LayerKernels, Selection

SUFFIXES = (".png", ".svg", ".json")
FLAGS = ("--layer", "--filter", "--channel", "--slice", "--out")


def run_kernels(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Draws a layer's kernels, their norm and how much they vary, or writes the numbers as JSON; prints a summary.

    Raises:
        UserError: no such run, file, layer, filter, channel or slice, or a file that can't be written.
    """
    options, rest = _read_options(arguments)
    with tempfile.TemporaryDirectory(prefix="lctrain-kernels-") as folder:
        model = _load_model(find_model(options.source, rest, Path(folder), "kernels"))
    from lctrain.report.kernels import find_kernels, measure_kernels, read_kernels

    found, others = find_kernels(model)
    name = _choose_layer(options.layer, found, others)
    layer = read_kernels(found[name], name)
    selection = _select(options, layer)
    out = options.out or Path(f"kernels-{name}.png")
    _check_out(out)
    numbers = measure_kernels(layer.kernel, layer.window, layer.in_channels, layer.filters)
    _write(out, layer, numbers, selection)
    _print_summary(layer, numbers)
    if options.layer is None and len(found) > 1:
        print(f"Others with a kernel for each position, by --layer: {', '.join(one for one in found if one != name)}")
    print(f"Written: {out}")
    return EXIT_DONE


def _read_options(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The flags, and what says which store it is."""
    rest = [one for one in arguments if split_override(one)[1].split(".")[0] == "tracking"]
    parser = FlagParser("lctrain kernels", description="A layer's kernels, position by position.", allow_abbrev=False)
    parser.add_argument("source", metavar="RUN_OR_FILE", help="the id of a run in the store, or a .keras file")
    parser.add_argument("--layer", metavar="NAME", help="its name; else the model's first with a kernel per position")
    parser.add_argument("--filter", type=int, default=0, metavar="N", help="whose kernels are drawn; 0 is the first")
    parser.add_argument(
        "--channel", type=int, metavar="N", help="of the input; else 0, or of 3 channels all as colours"
    )
    parser.add_argument("--slice", type=int, metavar="N", help="of the output's depth, at rank 3; else the middle")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".png, .svg, or .json for the numbers; a new file")
    options, unknown = parser.parse_known_args([one for one in arguments if one not in rest])
    for argument in unknown:
        if argument.startswith("-"):
            message = "is not taken by `kernels`"
            raise UserError(f"`{argument}` {message}. {suggest(argument.split('=')[0], FLAGS)}")
        message = "is not taken by `kernels`: the run has its own. What may be set is tracking"
        raise UserError(f"`{split_override(argument)[1]}` {message}, such as tracking.folder=PATH.")
    if options.out is not None:
        _check_out(options.out)
    return options, rest


def _check_out(out: Path) -> None:
    if out.suffix not in SUFFIXES:
        raise UserError(
            f"`--out` must end with one of {', '.join(SUFFIXES)}; got {str(out)!r}. {suggest(out.suffix, SUFFIXES)}"
        )
    if out.exists():
        raise UserError(f"`--out` {str(out)!r} exists. Choose another name with --out, or remove it first.")


def _load_model(file: Path) -> Any:
    """The model, on the CPU: its weights are only read, and the graphics cards are left to those who train."""
    with without_startup_messages():
        import tensorflow as tf

        with suppress(RuntimeError):  # TensorFlow has started in this process
            tf.config.set_visible_devices([], "GPU")
        from lctrain.training import load_model

        return load_model(file, "RUN_OR_FILE")


def _choose_layer(asked: str | None, found: Mapping[str, Any], others: Mapping[str, str]) -> str:
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


def _select(options: argparse.Namespace, layer: "LayerKernels") -> "Selection":
    from lctrain.report.kernels import Selection

    if options.slice is not None and layer.window.rank != 3:
        message = f"got {options.slice} for `{layer.name}`, which has rank {layer.window.rank}. Leave it out"
        raise UserError(f"`--slice` must be given for layers of rank 3 alone; {message}.")
    limits = {
        "filter": (layer.filters, "filters"),
        "channel": (layer.in_channels, "input channels" if layer.groups == 1 else "input channels in each group"),
        "slice": (layer.window.output_spatial[0], "output slices"),
    }
    for flag, (count, what) in limits.items():
        number = getattr(options, flag)
        if number is not None and not 0 <= number < count:
            counted = f"`{layer.name}` has {count} {what}"
            raise UserError(f"`--{flag}` must be an integer from 0 to {count - 1}: {counted}; got {number}.")
    return Selection(options.filter, options.channel, options.slice)


def _write(out: Path, layer: "LayerKernels", numbers: "KernelNumbers", selection: "Selection") -> None:
    from lctrain.report.kernels import describe_numbers, draw_kernels, save_picture

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".json":
            message = json.dumps(describe_numbers(layer, numbers, selection), allow_nan=False)
            out.write_text(message + "\n", encoding="utf-8")
        else:
            save_picture(draw_kernels(layer, selection, numbers), out)
    except OSError as error:
        raise UserError(f"`--out` must be a file that can be written; got {str(out)!r} ({error.strerror}).") from error


def _print_summary(layer: "LayerKernels", numbers: "KernelNumbers") -> None:
    from lctrain.report.kernels import format_layer

    print(format_layer(layer))
    rows = {
        "L2 norm": numbers.norm,
        "1 - cosine with the mean kernel": numbers.direction,
        "distance / norm of the mean kernel": numbers.distance,
    }
    for what, values in rows.items():
        known = values[np.isfinite(values)]
        message = f"mean {known.mean():.4g}, from {known.min():.4g} to {known.max():.4g}" if known.size else "undefined"
        print(f"  {what:<34}  {message}")
