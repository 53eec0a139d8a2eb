"""`predict`: what a finished run's model predicts, for its own data or for other."""

import argparse
from pathlib import Path

from lctrain.cli.parser import VerbParser
from lctrain.data.arrays import LAYOUTS
from lctrain.data.inputs import ARRAYS
from lctrain.errors import EXIT_DONE, PrintError, UserError
from lctrain.job.evaluate import read_request
from lctrain.job.predict import INPUTS, check_out, predict_run, save_predictions


def make_parser() -> VerbParser:
    parser = VerbParser("predict", "Writes what a run's model predicts, as CSV or .npy.")
    inputs_help = "new examples: a file or folder as the run was trained on, without targets; else a split"
    parser.add_argument(INPUTS, type=Path, metavar="PATH", help=inputs_help)
    parser.add_argument("--layout", metavar="LAYOUT", help=f"of arrays in {INPUTS}: {' or '.join(LAYOUTS)}")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".csv or .npy; else predictions.csv")
    help = "run=ID or latest; split=test|validation|train|all; data=CHOICE; keys of data, device and tracking"
    parser.add_overrides(help, why_single="it is for one run.")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Writes what a run's model predicts for a split, or for new examples, as CSV or .npy.

    Raises:
        UserError: no such run, data that its model can't take, or a file that can't be written.
    """
    request = read_request("predict", options.flags, options.overrides)
    out = options.out or Path("predictions.csv")
    check_out(out)
    if options.layout not in (None, *LAYOUTS):
        raise UserError(f"`--layout` must be {' or '.join(LAYOUTS)}; got {options.layout!r}.")
    if options.layout is not None and (options.inputs is None or options.inputs.suffix not in ARRAYS):
        raise UserError(f"`--layout` is for {INPUTS} that end in {' or '.join(ARRAYS)}. Leave it out.")
    predictions = predict_run(request, options.inputs, options.layout)
    save_predictions(out, predictions)
    print(f"{len(predictions.outputs):,} predictions are in {out} ({predictions.examples})")
    return EXIT_DONE
