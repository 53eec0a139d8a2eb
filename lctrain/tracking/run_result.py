"""What a run reached, the same whether it is read from a store or from the journal in the job's folder."""

from dataclasses import dataclass, field

ID_LETTERS = 8  # of a run's id, where people read or type it
FIRST_EPOCH = 1  # the step of the first epoch's metrics; runs of earlier releases counted from 0


@dataclass(frozen=True)
class Point:
    """One value of a metric."""

    timestamp: int
    """Milliseconds since the epoch."""
    step: int
    """The epoch, from 1 on, or 0 for what is measured once."""
    value: float
    """May be NaN or infinite, as after a training that diverged."""


@dataclass(frozen=True)
class RunResult:
    """One run with everything that was logged of it but its artifacts.

    >>> run = RunResult("6f0e", "lc2d-2", "FINISHED", 1_000, 3_500, {}, {}, {"loss": [Point(2_000, 0, 2.5)]})
    >>> run.seconds, run.last("loss"), run.last("accuracy")
    (2.5, 2.5, None)
    """

    run_id: str | None
    """The store's; None where the run never reached it."""
    name: str
    status: str
    """RUNNING, FINISHED, FAILED or KILLED."""
    start: int
    """Milliseconds since the epoch."""
    end: int | None
    """The same; None while it runs."""
    params: dict[str, str] = field(default_factory=dict)
    """By dotted path, as JSON spells the values."""
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[Point]] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """From start to end; None while it runs."""
        return None if self.end is None else (self.end - self.start) / 1e3

    @property
    def first_epoch(self) -> int:
        """The step that the first epoch has in this run: 0 where an earlier release began it."""
        return min((point.step for point in self.metrics.get("loss", [])), default=FIRST_EPOCH)

    def history(self, name: str) -> list[Point]:
        """The points of a metric by step, then time; none where it was not logged."""
        return sorted(self.metrics.get(name, []), key=lambda point: (point.step, point.timestamp))

    def last(self, name: str) -> float | None:
        """The value of a metric at its last step."""
        points = self.history(name)
        return points[-1].value if points else None
