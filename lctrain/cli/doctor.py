"""`doctor`: what is installed, what this machine has, and which devices and backends work."""

import argparse

from lctrain.cli.parser import VerbParser
from lctrain.doctor.report import run_examination
from lctrain.errors import EXIT_DONE, EXIT_FAILED, PrintError


def make_parser() -> VerbParser:
    parser = VerbParser("doctor", "Says what is installed, what this machine has, and which devices and backends work.")
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Returns the exit code: 0, or 1 where something that is needed fails."""
    return EXIT_DONE if run_examination(options.json) else EXIT_FAILED
