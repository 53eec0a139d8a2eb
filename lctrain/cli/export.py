"""`export`: a model in a format that others read."""

import argparse
import tempfile
from pathlib import Path

from lctrain import legacy
from lctrain.cli.parser import VerbParser
from lctrain.devices.runtime import load_tensorflow
from lctrain.errors import EXIT_DONE, PrintError, UserError, suggest
from lctrain.implementations import LAYER_CHOICES, find_by_label
from lctrain.job.sources import fetch_model_file, split_source
from lctrain.system.terminal import print_folded

ENDINGS = {"keras2-h5": ".h5", "dl4j-h5": ".h5", "savedmodel": "", "tflite": ".tflite"}
FORMATS = tuple(ENDINGS)
LINES_SHOWN = 20


def make_parser() -> VerbParser:
    parser = VerbParser("export", "A model in a format that others read.")
    parser.add_argument("source", metavar="RUN_OR_FILE", help="a .keras file, the id of a run in the store, or latest")
    parser.add_argument("--to", required=True, help=", ".join(FORMATS))
    parser.add_argument("--out", type=Path, help="the file, or the folder of a SavedModel")
    *names, last = map(str, LAYER_CHOICES)
    message = f"of local layers in a SavedModel: {', '.join(names)} or {last}; for OpenVINO batched"
    parser.add_argument("--implementation", help=message)
    parser.add_overrides(
        "which store it is: tracking.folder=PATH", "tracking.KEY=VALUE", why_single="it is for one model."
    )
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Writes the model of a run or of a .keras file.

    Raises:
        UserError: as `lctrain.legacy.export_model`; no such run or file.
    """
    if options.to not in FORMATS:
        raise UserError(
            f"`--to` must be one of {', '.join(FORMATS)}; got {options.to!r}. {suggest(options.to, FORMATS)}"
        )
    out = options.out or Path(f"model{ENDINGS[options.to]}")
    if out.exists():
        raise UserError(f"`--out` {str(out)!r} exists. Choose another name, or remove it first.")
    asked = options.implementation
    implementation = asked and find_by_label(asked)
    with tempfile.TemporaryDirectory(prefix="lctrain-export-") as folder:
        source, overrides = split_source([options.source, *options.overrides])
        file = fetch_model_file(source, [*options.flags, *overrides], Path(folder), "export")
        load_tensorflow()
        from lctrain.training import load_model

        report = legacy.export_model(load_model(file, "RUN_OR_FILE"), out, options.to, implementation)
    for line in report.lines[:LINES_SHOWN]:
        print_folded(str(line))
    print_folded(f"{out} holds the model as {options.to}")
    return EXIT_DONE
