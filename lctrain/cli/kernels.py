"""`kernels`: what a locally connected layer of a run has learnt, position by position."""

import argparse
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from lctrain.cli.parser import VerbParser
from lctrain.composition.override_forms import split_override
from lctrain.devices.runtime import without_startup_messages
from lctrain.errors import EXIT_DONE, PrintError, UserError, suggest
from lctrain.job.sources import fetch_model_file, is_of_store, split_source
from lctrain.system.files import check_file_to_write
from lctrain.system.terminal import print_folded

SUFFIXES = (".png", ".svg", ".json")


def make_parser() -> VerbParser:
    parser = VerbParser("kernels", "A layer's kernels, position by position.")
    parser.allow_abbrev = False
    parser.add_argument("source", metavar="RUN_OR_FILE", help="the id of a run in the store, latest, or a .keras file")
    parser.add_argument("--layer", metavar="NAME", help="its name; else the model's first with a kernel per position")
    parser.add_argument("--filter", type=int, default=0, metavar="N", help="whose kernels are drawn; 0 is the first")
    channel_help = "of the input; else 0, or of 3 channels all as colours"
    parser.add_argument("--channel", type=int, metavar="N", help=channel_help)
    parser.add_argument("--slice", type=int, metavar="N", help="of the output's depth, at rank 3; else the middle")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".png, .svg, or .json for the numbers; a new file")
    parser.add_overrides(
        "which store it is: tracking.folder=PATH", "tracking.KEY=VALUE", why_single="it is for one model."
    )
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Draws a layer's kernels, their norm and how much they vary, or writes the numbers as JSON; prints a summary.

    Raises:
        UserError: no such run, file, layer, filter, channel or slice, or a file that can't be written.
    """
    if options.out is not None:
        _check_out(options.out)
    with tempfile.TemporaryDirectory(prefix="lctrain-kernels-") as folder:
        model = _load_model(_fetch_file(options, Path(folder)))
    from lctrain.report import kernels  # which takes matplotlib

    found, others = kernels.find_kernels(model)
    name = kernels.choose_layer(options.layer, found, others)
    layer = kernels.read_kernels(found[name], name)
    selection = kernels.choose_selection(layer, options.filter, options.channel, options.slice)
    out = options.out or Path(f"kernels-{name}.png")
    _check_out(out)
    numbers = kernels.measure_kernels(layer.kernel, layer.window, layer.in_channels, layer.filters)
    kernels.save_kernels(out, layer, numbers, selection)
    print(kernels.format_layer(layer), kernels.format_numbers(numbers), sep="\n")
    if options.layer is None and len(found) > 1:
        print_folded(
            f"Others with a kernel for each position, by --layer: {', '.join(one for one in found if one != name)}"
        )
    if out.suffix != ".json":
        print_folded(
            "\n".join(filter(None, [kernels.format_selection(layer, selection), kernels.format_others(layer)]))
        )
    print_folded(f"Written: {out}")
    return EXIT_DONE


def _fetch_file(options: argparse.Namespace, folder: Path) -> Path:
    """The model's file; what is not of the store is refused, since the run has its own."""
    source, overrides = split_source([options.source, *options.overrides])
    for argument in overrides:
        if not is_of_store(argument):
            message = "is not taken by `kernels`: the run has its own. What may be set is tracking"
            raise UserError(f"`{split_override(argument)[1]}` {message}, such as tracking.folder=PATH.")
    return fetch_model_file(source, [*options.flags, *overrides], folder, "kernels")


def _check_out(out: Path) -> None:
    if out.suffix not in SUFFIXES:
        raise UserError(
            f"`--out` must end with one of {', '.join(SUFFIXES)}; got {str(out)!r}. {suggest(out.suffix, SUFFIXES)}"
        )
    check_file_to_write("--out", out)
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
