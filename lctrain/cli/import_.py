"""`import`: models of Keras 1, Keras 2 and tf.keras become today's."""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path

from lctrain import legacy
from lctrain.cli.parser import VerbParser
from lctrain.errors import EXIT_DONE, PrintError, UserError
from lctrain.system.files import refuse_unwritable, replace_file
from lctrain.system.terminal import print_folded

SHAPE = re.compile(r"\d+([,x ]+\d+)*")
LINES_SHOWN = 20


def make_parser() -> VerbParser:
    parser = VerbParser("import", "Today's model of a Keras 1, Keras 2 or tf.keras file.")
    parser.add_argument("file", type=Path, help="a whole model as HDF5, or an architecture as JSON or YAML")
    parser.add_argument("--out", type=Path, help="a new or empty folder for the model and the report")
    architecture_help = "writes the architecture alone into a JSON file, to be changed and imported with --weights FILE"
    parser.add_argument("--architecture", type=Path, metavar="MODEL.json", help=architecture_help)
    parser.add_argument("--weights", type=Path, help="an HDF5 file of weights, where FILE has none")
    shape_help = (
        "of one example, where the file leaves it open: 28,28,1; for several inputs NAME=28,28,1, once for each"
    )
    parser.add_argument("--input-shape", action="append", help=shape_help)
    parser.add_argument("--backend", help="tensorflow, theano or cntk, where nothing in the files tells it")
    parser.add_argument("--keras-version", help="such as 1.0.4, where the file does not say it")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="let all that is assumed, approximated or dropped be an error, but for the optimizer's state",
    )
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Makes today's model, its configuration and a report of an old model's file.

    Raises:
        UserError: as `lctrain.legacy.import_model`.
    """
    if (options.out is None) == (options.architecture is None):
        raise UserError("give `--out FOLDER` to import the model, or `--architecture MODEL.json` to write that alone.")
    if options.architecture is not None:
        return _write_architecture(options.file, options.architecture)
    imported = legacy.import_model(
        options.file,
        options.out,
        weights=options.weights,
        input_shape=_read_shapes(options.input_shape),
        backend=options.backend,
        keras_version=options.keras_version,
        strict=options.strict,
    )
    lines = imported.report.as_text().splitlines()
    assumed = [i for i, line in enumerate(lines, start=1) if line.startswith("assumed ")]  # all of which are shown
    num_shown = max(LINES_SHOWN, *assumed, 0)
    print_folded("\n".join(lines[:num_shown]))
    if len(lines) > num_shown:
        print_folded(f"... {len(lines) - num_shown} more lines are in {options.out / 'report.txt'}")
    parameters = imported.model.count_params()
    print_folded(f"{options.out} holds model.keras ({parameters:,} parameters), model.yaml, report.txt and report.json")
    return EXIT_DONE


def _write_architecture(file: Path, out: Path) -> int:
    """Writes the architecture of an old model's file as JSON, as it stands there."""
    if out.exists() or not out.parent.is_dir():
        raise UserError(f"`--architecture` must be a new file in a folder that exists; got {str(out)!r}.")
    architecture = legacy.inspect(file).architecture
    with refuse_unwritable("--architecture", out):
        replace_file(out, json.dumps(architecture, indent=1).encode())
    print_folded(f"{out} holds the architecture. Change it, and import it: import {out} --weights {file} --out FOLDER")
    return EXIT_DONE


def _read_shapes(texts: Sequence[str] | None) -> list[int] | dict[str, list[int]] | None:
    """One shape, or several by the names of inputs."""
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return _read_shape(texts[0])
    shapes = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if not name or name in shapes:
            raise UserError(f"`--input-shape` must be NAME=SIZES, once for each input; got {text!r}.")
        shapes[name] = _read_shape(sizes)
    return shapes


def _read_shape(text: str) -> list[int]:
    if not SHAPE.fullmatch(text.strip("()[] ")):
        raise UserError(f"`--input-shape` must be sizes, as in 28,28,1, without the batch; got {text!r}.")
    return [int(size) for size in re.findall(r"\d+", text)]
