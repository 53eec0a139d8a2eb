"""The metric that compares jobs that do not compute the same."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, variance

from lctrain.config.monitors import lower_is_better
from lctrain.tracking.run_result import RunResult

BY_DEFAULT = ("val_accuracy", "val_loss", "test_accuracy", "test_loss")  # validation first: test data choose nothing
# Endings of metrics that measure a cost, not quality.
COSTS = ("_ms", "_ms_p90", "_seconds", "_mb")
# Differences that one run each can't establish; the last two are relative.
TOLERANCE, LOSS_TOLERANCE, COST_TOLERANCE = 0.01, 0.02, 0.2
STANDARD_ERRORS = 2  # the same where there are repeats
HUGE = 1.7e308  # a store that can't hold infinity keeps the largest number


@dataclass(frozen=True)
class Objective:
    """A metric and which way is better."""

    metric: str
    lower_is_better: bool

    @property
    def is_cost(self) -> bool:
        """Whether it is a time or memory."""
        return self.metric.endswith(COSTS)

    @property
    def test_metric(self) -> str:
        """The same on the test data."""
        return f"test_{self.metric.removeprefix('val_').removeprefix('test_')}"

    def is_better(self, value: float, other: float) -> bool:
        return value < other if self.lower_is_better else value > other

    def is_tie(self, values: Sequence[float], others: Sequence[float]) -> bool:
        """Whether two sets of repeats differ by no more than chance may make them.

        With repeats: `STANDARD_ERRORS` of the difference of the means. With one run each: 0.01 of a metric such as
        accuracy, 2 % of a loss, 20 % of a time or memory.
        """
        difference = abs(mean(values) - mean(others))
        if len(values) > 1 and len(others) > 1:
            error = math.sqrt(variance(values) / len(values) + variance(others) / len(others))
            return difference <= STANDARD_ERRORS * error
        size = max(abs(mean(values)), abs(mean(others)))
        if self.lower_is_better:
            tolerance = size * (COST_TOLERANCE if self.is_cost else LOSS_TOLERANCE)
        else:
            tolerance = TOLERANCE * max(size, 1)
        return difference <= tolerance * (1 + 1e-9)


def choose_objective(runs: Iterable[RunResult], metric: str | None = None) -> Objective | None:
    """The metric that was asked for, here or as `sweep.objective`, or the first of `BY_DEFAULT` that a run logged."""
    runs = list(runs)
    asked = [metric, *(run.params.get("sweep.objective") for run in runs)]
    logged = {name for run in runs for name in run.metrics}
    found = [name for name in (*asked, *BY_DEFAULT) if name in logged]
    if not found:
        return None
    return Objective(found[0], found[0].endswith(COSTS) or lower_is_better(found[0]))


def read_metric(run: RunResult, name: str) -> float | None:
    """The last value of a metric; the largest number there is stands for infinity."""
    value = run.last(name)
    return math.copysign(math.inf, value) if value is not None and abs(value) > HUGE else value
