"""`report`: what a sweep showed, rebuilt from its store alone."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lctrain.composition.dry_run import run_dry
from lctrain.composition.hydra_app import MULTIRUN
from lctrain.config.schema import TrackingConfig
from lctrain.errors import EXIT_DONE, UserError
from lctrain.tracking import LATEST, find_deleted_jobs, read_sweep

ID_LETTERS = 8  # of a run's id, in the name of a folder


def run_report(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Writes `report.html`, `comparison.png` and `sweep.json` of a sweep, and prints its table and the recommendation.

    What is left of the command line says which store it is: `tracking.folder=PATH`, `tracking=server tracking.uri=URI`.

    Raises:
        UserError: a store or a sweep that is not there, or a folder that can't be written to.
    """
    parser = argparse.ArgumentParser("lctrain report", add_help=False)
    parser.add_argument("--sweep", default=LATEST)
    parser.add_argument("--out", type=Path)
    options, arguments = parser.parse_known_args(list(arguments))
    tracking = _read_tracking(arguments, print_error)
    parent, children = read_sweep(tracking, options.sweep)
    folder = options.out or Path(f"report-{parent.run_id[:ID_LETTERS]}")
    with _user_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)

    from lctrain.report import build_report, print_report  # which take matplotlib

    report = build_report(parent, children, deleted=find_deleted_jobs(tracking, parent, children))
    print_report(report)
    table = report.table
    rows = [list(row) for row in zip(*table.values(), strict=True)]  # as MLflow spells a table
    with _user_errors(folder):
        (folder / "sweep.json").write_text(json.dumps({"columns": list(table), "data": rows}) + "\n", encoding="utf-8")
        (folder / "report.html").write_text(report.html, encoding="utf-8")
        report.figure.savefig(folder / "comparison.png", dpi=150)
    print(f"Written: {folder / 'report.html'}, comparison.png and sweep.json beside it.")
    return EXIT_DONE


def _read_tracking(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> TrackingConfig:
    if any(argument in MULTIRUN for argument in arguments):
        raise UserError("`report` takes no -m: it tells of one sweep, which --sweep names.")
    found: list[TrackingConfig] = []
    run_dry(lambda job: found.append(job.config.tracking), arguments, print_error)
    return found[0]


@contextmanager
def _user_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"`--out` must be a folder that can be written to, or a new one; got {str(folder)!r}"
            f" ({error.filename or folder}: {error.strerror}). Choose another."
        ) from error
