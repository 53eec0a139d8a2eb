"""Tables, pictures and pages on what jobs reached."""

from lctrain.report.comparison import Candidate, Comparison, Job, compare
from lctrain.report.curves import draw_loss_curve
from lctrain.report.folds import fold_metrics, summarize_folds
from lctrain.report.ranking import compare_rankings, rank_implementations
from lctrain.report.recommendation import recommend
from lctrain.report.sweep import Report, build_report
from lctrain.report.tables import bench_columns, summary_columns
from lctrain.report.terminal import print_report

__all__ = [
    "Candidate",
    "Comparison",
    "Job",
    "Report",
    "bench_columns",
    "build_report",
    "compare",
    "compare_rankings",
    "draw_loss_curve",
    "fold_metrics",
    "print_report",
    "rank_implementations",
    "recommend",
    "summarize_folds",
    "summary_columns",
]
