"""Which is faster, where measurements establish that; and whether two sweeps agree on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from lctrain.report.comparison import TIME, TIME_P90, Candidate, Comparison
from lctrain.report.settings import format_label, without

# Medians whose ratio is smaller are a tie.
MARGIN = 1.2


def are_tied(faster: Candidate, slower: Candidate) -> bool:
    """Whether two median times are within 20 %, or the slower's median lies in what the faster took up to its p90."""
    return are_times_tied(faster.time, faster.mean(TIME_P90), slower.time)


def are_times_tied(faster: float, p90: float | None, slower: float) -> bool:
    """The rule of `are_tied`: two medians, and the p90 of the first."""
    limit = max(MARGIN * faster, 0 if p90 is None else p90)
    return slower <= limit * (1 + 1e-9)


def sort_by_time(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The measured ones, fastest first."""
    timed = [candidate for candidate in candidates if candidate.mean(TIME) is not None]
    return sorted(timed, key=lambda candidate: candidate.time)


def rank_implementations(comparison: Comparison) -> dict[str, list[tuple[str, float]]]:
    """Implementations with their milliseconds per training step, fastest first, by their remaining settings."""
    return {
        rest: [(name, candidate.time) for name, candidate in ranked.items()]
        for rest, ranked in _rank(comparison).items()
    }


def _rank(comparison: Comparison) -> dict[str, dict[str, Candidate]]:
    others = [key for key in comparison.varying if key != "implementation"]
    rankings: dict[str, dict[str, Candidate]] = {}
    for candidate in sort_by_time(comparison.candidates):
        if "implementation" in candidate.settings:
            rest = format_label(without(candidate.settings, ["implementation"]), others)
            rankings.setdefault(rest, {})[candidate.settings["implementation"]] = candidate
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
    ties: tuple[bool, bool]
    """Whether either sweep's report calls them a tie."""

    @property
    def is_clear(self) -> bool:
        """Whether their medians differ by more than 20 % in either sweep."""
        return any(ratio > MARGIN or ratio < 1 / MARGIN for ratio in self.ratios)

    @property
    def agrees(self) -> bool:
        return (self.ratios[0] > 1) == (self.ratios[1] > 1)


def compare_rankings(first: Comparison, second: Comparison) -> list[Order]:
    """Every pair of implementations that both sweeps measured under the same remaining settings."""
    others = _rank(second)
    orders = []
    for rest, ranked in _rank(first).items():
        shared = [name for name in ranked if name in others.get(rest, {})]
        for name, slower in combinations(shared, 2):
            (a, b), (other_a, other_b) = ((seen[name], seen[slower]) for seen in (ranked, others[rest]))
            ratios = b.time / a.time, other_b.time / other_a.time
            ties = are_tied(*sort_by_time([a, b])), are_tied(*sort_by_time([other_a, other_b]))
            orders.append(Order(rest, name, slower, ratios, ties))
    return orders
