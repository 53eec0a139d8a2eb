"""What a sweep's own run says of it: what was asked for, how many jobs ended how, which one is the best."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lctrain.composition.override_forms import split_override
from lctrain.sweep.records import Record
from lctrain.tracking import Run, read_journal

if TYPE_CHECKING:  # it loads Matplotlib
    from lctrain.report.sweep import Report

NOTE = "mlflow.note.content"  # MLflow's own, which its UI shows as the run's description
BEST = "sweep.best_run"  # the tag with the id of the best job's run
COUNTED = ("done", "failed", "refused")  # of how jobs end, what is counted where it is 0 too
COUNT = "jobs_"  # before the status, in the name of a metric
NO_SETTINGS = ("hydra", "sweep", "tracking")  # groups of keys that change no training
KEY = re.compile(r"[A-Za-z_][\w./-]*")


def list_params(arguments: Sequence[str]) -> dict[str, str]:
    """What a command line sets for the jobs, as it was typed.

    >>> list_params(["-m", "implementation=2,batched", "+model.layers.lc1.groups=2", "hydra.sweep.dir=x"])
    {'implementation': '2,batched', 'model.layers.lc1.groups': '2'}
    """
    pairs = {key: value for _, key, value in map(split_override, arguments) if value is not None}
    return {key: value for key, value in pairs.items() if KEY.fullmatch(key) and not _is_no_setting(key)}


def _is_no_setting(key: str) -> bool:
    return re.split(r"[./]", key)[0] in NO_SETTINGS


def log_counts(run: Run, records: Sequence[Record]) -> None:
    """As metrics: `jobs_done`, `jobs_failed` and so on; 0 of what an earlier attempt counted and there is no more."""
    counts: Counter[str] = Counter(record.status for record in records)
    earlier = [name.removeprefix(COUNT) for name in read_journal(run.folder).metrics if name.startswith(COUNT)]
    run.log_metrics({f"{COUNT}{status}": counts[status] for status in dict.fromkeys((*COUNTED, *earlier, *counts))})


def log_report(run: Run, report: "Report") -> None:
    """Its table, page and picture; the recommendation as the run's description; the best job and its figures."""
    from lctrain.report.comparison import MEMORY, TIME

    run.log_table(report.table, "sweep.json")
    run.log_text(report.html, "report.html")
    run.log_figure(report.figure, "comparison.png")
    tags = {NOTE: format_note(report)}
    best = report.best_job
    if best is not None:
        names = (*best.test_metrics, TIME, MEMORY)
        figures = {f"best_{name}": value for name in names if (value := best.metric(name)) is not None}
        run.log_metrics({name: value for name, value in figures.items() if math.isfinite(value)})
        tags |= {} if best.run.run_id is None else {BEST: best.run.run_id}
    run.log_tags(tags)


def format_note(report: "Report") -> str:
    """The recommendation and what must be known first, in Markdown."""
    more = "Tables and pictures: `report.html` among the artifacts."
    return "\n\n".join([f"**{report.recommendation}**", *report.notes, more])
