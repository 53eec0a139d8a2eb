"""`predict`: what a finished run's model predicts, for its own data or for other."""

import argparse
from pathlib import Path

from lctrain.cli.parser import VerbParser
from lctrain.data.arrays import LAYOUTS
from lctrain.errors import EXIT_DONE, PrintError, UserError
from lctrain.job.evaluate import read_request
from lctrain.job.predict import predict_run, save_predictions


def make_parser() -> VerbParser:
    parser = VerbParser("predict", "Writes what a run's model predicts, as CSV or .npy.")
    inputs_help = "predict for the rows of this file; else for a split"
    parser.add_argument("--inputs", type=Path, metavar="FILE.npy", help=inputs_help)
    parser.add_argument("--layout", metavar="LAYOUT", help=f"of --inputs: {' or '.join(LAYOUTS)}")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".csv or .npy; else predictions.csv")
    help = "run=ID; split=test|validation|train|all; data=CHOICE; keys of data, device and tracking"
    parser.add_overrides(help, why_single="it is for one run.")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Writes what a run's model predicts for a split, or for the rows of a file, as CSV or .npy.

    Raises:
        UserError: no such run, data that its model can't take, or a file that can't be written.
    """
    request = read_request("predict", options.arguments)
    out = options.out or Path("predictions.csv")
    if out.suffix not in (".csv", ".npy"):
        raise UserError(f"`--out` must end in .csv or .npy; got {str(out)!r}.")
    if options.layout not in (None, *LAYOUTS):
        raise UserError(f"`--layout` must be {' or '.join(LAYOUTS)}; got {options.layout!r}.")
    predictions = predict_run(request, options.inputs, options.layout)
    save_predictions(out, predictions)
    print(f"{len(predictions.outputs):,} predictions are in {out}")
    return EXIT_DONE
