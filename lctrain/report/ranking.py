"""Which is faster, where measurements can tell; and whether two sweeps agree on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from lctrain.report.comparison import TIME, TIME_P90, Candidate, Comparison
from lctrain.report.settings import label, without

MARGIN = 1.2  # medians nearer than this are not told apart


def are_tied(faster: Candidate, slower: Candidate) -> bool:
    """Whether two median times are within 20 %, or the slower's median lies in what the faster took up to its p90."""
    p90 = faster.mean(TIME_P90)
    limit = max(MARGIN * faster.mean(TIME), 0 if p90 is None else p90)
    return slower.mean(TIME) <= limit * (1 + 1e-9)


def sort_by_time(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The measured ones, fastest first."""
    timed = [candidate for candidate in candidates if candidate.mean(TIME) is not None]
    return sorted(timed, key=lambda candidate: candidate.mean(TIME))


def rank_implementations(comparison: Comparison) -> dict[str, list[tuple[str, float]]]:
    """Implementations with their milliseconds per training step, fastest first, by their remaining settings."""
    others = [key for key in comparison.varying if key != "implementation"]
    rankings: dict[str, list[tuple[str, float]]] = {}
    for candidate in sort_by_time(comparison.candidates):
        if "implementation" in candidate.settings:
            rest = label(without(candidate.settings, ["implementation"]), others)
            rankings.setdefault(rest, []).append((candidate.settings["implementation"], candidate.mean(TIME)))
    return rankings


@dataclass(frozen=True)
class Order:
    """How two sweeps saw two implementations."""

    rest: str
    """The remaining settings."""
    first: str
    second: str
    ratios: tuple[float, float]
    """Time of the second by time of the first, in either sweep."""

    @property
    def is_clear(self) -> bool:
        """Whether either sweep told them apart."""
        return any(ratio > MARGIN or ratio < 1 / MARGIN for ratio in self.ratios)

    @property
    def agrees(self) -> bool:
        return (self.ratios[0] > 1) == (self.ratios[1] > 1)


def compare_rankings(first: Comparison, second: Comparison) -> list[Order]:
    """Every pair of implementations that both sweeps measured under the same remaining settings."""
    others = rank_implementations(second)
    orders = []
    for rest, ranking in rank_implementations(first).items():
        times = dict(others.get(rest, []))
        shared = [(name, time) for name, time in ranking if name in times]
        for index, (name, time) in enumerate(shared):
            for slower, slower_time in shared[index + 1 :]:
                orders.append(Order(rest, name, slower, (slower_time / time, times[slower] / times[name])))
    return orders
