"""What lctrain promises of its speed, each promise with the figure that a run of the comparison gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

from workloads import WORKLOADS

from lctrain.cost import MEBIBYTE, train_step_cost

LARGE = ("2D 30x30x64", "DeepFace L4", "DeepFace L5", "DeepFace L6")
MIDDLE = ("2D 32x32x3", "1D 4000x4", "2D 32x32x3 batch 256")
OWN = ("lctrain 1", "lctrain 2", "lctrain 3", "lctrain batched")
TF_KERAS = ("tf_keras 1", "tf_keras 2", "tf_keras 3")
LEAST_MEMORY = 32 * MEBIBYTE  # below, the runtime's own few megabytes would be what is measured

Cases = Mapping[tuple[str, str], Mapping[str, Any]]  # by (workload, contender), those that were measured alone


@dataclass(frozen=True)
class Bar:
    """One promise.

    Args:
        name: what is compared with what.
        must: the least (or, if `is_limit`, the most) that is promised.
        aim: what is wished for.
        is_limit: whether less is better.
        got: the figure; None where a run did not measure what it needs.
        where: the workload that decides it.
    """

    name: str
    must: float
    aim: float
    is_limit: bool
    got: float | None
    where: str

    @property
    def verdict(self) -> str:
        if self.got is None:
            return "not measured"
        reached = [self.got <= bound if self.is_limit else self.got >= bound for bound in (self.must, self.aim)]
        return {0: "falls short", 1: "holds", 2: "holds, aim too"}[sum(reached)]


def evaluate_bars(rows: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """All promises, from the rows of one run."""
    cases = {(row["workload"], row["contender"]): row for row in rows if row["status"] == "done"}
    speedups = _over_auto(cases, TF_KERAS)
    peers = _over_auto(cases, ("JAX", "PyTorch"))
    own = {name: 1 / min(1.0, ratio) for name, ratio in _over_auto(cases, OWN).items()}
    modes = {
        f"{workload}, mode {ours[-1]}": cases[workload, theirs]["over_auto"] / cases[workload, ours]["over_auto"]
        for workload in (each.name for each in WORKLOADS)
        for ours, theirs in zip(OWN, TF_KERAS, strict=False)
        if (workload, ours) in cases and (workload, theirs) in cases
    }
    first = _figures(cases, "lctrain auto", lambda row: row["build_seconds"] + row["first_step_seconds"])
    floor = _figures(cases, "lctrain auto", lambda row: row["over_floor"])
    memory = _memory(cases)
    mean = exp(sum(map(log, speedups.values())) / len(speedups)) if speedups else None
    return [
        Bar("`auto` times as fast as the best tf_keras mode, geometric mean", 6, 10, False, mean, "all"),
        _worst("`auto` times as fast as the best tf_keras mode", 1, 1.5, False, speedups),
        _worst("`auto` times as fast as the faster of JAX and PyTorch", 1, 2, False, peers),
        _worst("`auto` over the floor, large layers", 1.8, 1.25, True, _only(floor, LARGE)),
        _worst("`auto` over the floor, middle layers", 2.5, 1.5, True, _only(floor, MIDDLE)),
        _worst("`auto` over the best of our own modes", 1.15, 1.05, True, own),
        _worst("our 1, 2, 3 times as fast as tf_keras' own", 1, 1, False, modes),
        _worst("build and first step of `auto`, seconds", 1.5, 0.5, True, first),
        _worst("peak memory of `batched` over weights + gradients + patches", 2, 1.3, True, memory),
        _worst("the same, large layers", 2, 1.3, True, _only(memory, LARGE)),
    ]


def _over_auto(cases: Cases, contenders: Sequence[str]) -> dict[str, float]:
    """For each workload the time of the fastest of these contenders over that of `auto`."""
    ratios: dict[str, float] = {}
    for (workload, contender), row in cases.items():
        if contender in contenders:
            ratios[workload] = min(row["over_auto"], ratios.get(workload, row["over_auto"]))
    return ratios


def _figures(cases: Cases, contender: str, figure: Callable[[Mapping[str, Any]], float]) -> dict[str, float]:
    return {workload: figure(row) for (workload, name), row in cases.items() if name == contender}


def _only(figures: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    return {name: figures[name] for name in names if name in figures}


def _memory(cases: Cases) -> dict[str, float]:
    """Peak memory over what a training step can't do without, where that is large enough to be seen."""
    ratios = {}
    for workload in WORKLOADS:
        row = cases.get((workload.name, "lctrain batched"))
        needed = train_step_cost(workload.sizes, "batched", workload.batch_size, num_slots=0).total
        if row is not None and workload.trains and needed >= LEAST_MEMORY:
            ratios[workload.name] = row["peak_memory_bytes"] / needed
    return ratios


def _worst(name: str, must: float, aim: float, is_limit: bool, figures: Mapping[str, float]) -> Bar:
    if not figures:
        return Bar(name, must, aim, is_limit, None, "")
    where = (max if is_limit else min)(figures, key=figures.get)
    return Bar(name, must, aim, is_limit, figures[where], where)
