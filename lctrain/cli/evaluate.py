"""`evaluate`: loss and metrics of a finished run's model, on its own data or on other."""

import argparse

from lctrain.cli.parser import VerbParser
from lctrain.errors import EXIT_DONE, PrintError
from lctrain.job.evaluate import evaluate_run, read_request


def make_parser() -> VerbParser:
    parser = VerbParser("evaluate", "Prints loss and metrics of a run's model on its test split, or on other data.")
    help = "run=ID or latest; split=test|validation|train|all; data=CHOICE; keys of data, device and tracking"
    parser.add_overrides(help, why_single="it is for one run.")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Prints loss and metrics of a run's model on a split.

    Raises:
        UserError: no such run, or data that its model can't take.
    """
    evaluation = evaluate_run(read_request("evaluate", options.flags, options.overrides))
    width = max(map(len, evaluation.metrics))
    print(f"{evaluation.num_examples:,} examples of {evaluation.examples}")
    for name, value in evaluation.metrics.items():
        print(f"{name:<{width}}  {value:.6g}")
    return EXIT_DONE
