"""`report`: what a sweep showed, rebuilt from its store alone."""

import argparse
import json
from pathlib import Path

from lctrain.cli.parser import VerbParser
from lctrain.composition.dry_run import check_not_printing, run_dry
from lctrain.config.schema import TrackingConfig
from lctrain.errors import EXIT_DONE, PrintError
from lctrain.system.files import refuse_unwritable, replace_file, write_durably
from lctrain.system.terminal import print_folded
from lctrain.tracking import LATEST, find_deleted_jobs, read_sweep
from lctrain.tracking.run_result import ID_LETTERS


def make_parser() -> VerbParser:
    parser = VerbParser("report", "Compares the jobs of a sweep: a table, a picture and an HTML page.")
    parser.add_argument("--sweep", default=LATEST, metavar="ID", help="the id of the sweep's run; else the latest")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for the files; else report-ID")
    help = "which store it is: tracking.folder=PATH, or tracking=server tracking.uri=URI"
    parser.add_overrides(help, "tracking.KEY=VALUE", why_single="it tells of one sweep, which --sweep names.")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Writes `report.html`, `comparison.png` and `sweep.json` of a sweep, and prints its table and the recommendation.

    Raises:
        UserError: a store or a sweep that is not there, or a folder that can't be written to.
    """
    check_not_printing(options.arguments)
    found: list[TrackingConfig] = []
    run_dry(lambda job: found.append(job.config.tracking), options.arguments, print_error)
    (tracking,) = found
    parent, children = read_sweep(tracking, options.sweep)
    folder = options.out or Path(f"report-{str(parent.run_id)[:ID_LETTERS]}")
    with refuse_unwritable("--out", folder, "folder"):
        folder.mkdir(parents=True, exist_ok=True)

    from lctrain.report.sweep import build_report  # which take matplotlib
    from lctrain.report.terminal import print_report

    report = build_report(parent, children, deleted=find_deleted_jobs(tracking, parent, children))
    print_report(report)
    table = report.table
    rows = [list(row) for row in zip(*table.values(), strict=True)]  # as MLflow spells a table
    with refuse_unwritable("--out", folder, "folder"):
        replace_file(folder / "sweep.json", json.dumps({"columns": list(table), "data": rows}).encode() + b"\n")
        replace_file(folder / "report.html", report.html.encode())
        write_durably(folder / "comparison.png", lambda file: report.figure.savefig(file, format="png", dpi=150))
    print_folded(f"Written: {folder / 'report.html'}, comparison.png and sweep.json beside it.")
    return EXIT_DONE
