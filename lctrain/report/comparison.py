"""The jobs of a sweep beside each other: settings, how they ended, what was measured. From their results alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

from lctrain.report.objective import Objective, choose_objective, read_metric
from lctrain.report.settings import (
    NO_SETTINGS,
    REPEATS,
    changes_speed_alone,
    find_swept,
    format_label,
    read_settings,
    without,
)
from lctrain.tracking.run_result import RunResult

TIME, TIME_P90, MEMORY = "train_step_ms", "train_step_ms_p90", "peak_memory_mb"
FIGURES = (
    *(TIME, TIME_P90, "examples_per_second", "inference_ms", "build_seconds", "first_step_seconds", MEMORY),
    "params_total",
)
STATUSES = {"FINISHED": "done", "FAILED": "failed", "KILLED": "killed", "RUNNING": "running"}
DONE, RUNNING, DIVERGED = "done", "running", "diverged"
# The tag with the seconds of a whole job, from the process that supervised it.
SECONDS = "sweep.seconds"


@dataclass(frozen=True)
class Job:
    """One job of a sweep."""

    run: RunResult
    number: int | None
    """From 0, in the sweep's order; None for a run that does not say."""
    settings: Mapping[str, str]
    """Those that were swept."""
    status: str
    """done, failed, killed, timed_out, refused, interrupted or running."""
    reason: str
    """Why it is not done, or what is wrong although it is."""

    def metric(self, name: str) -> float | None:
        return read_metric(self.run, name)

    @property
    def seconds(self) -> float | None:
        """How long the whole job took; where that is not known, how long its run was open."""
        try:
            seconds = float(self.run.tags.get(SECONDS, "nan"))
        except ValueError:
            seconds = math.nan
        return seconds if math.isfinite(seconds) else self.run.seconds

    @property
    def test_metrics(self) -> list[str]:
        """Names; the loss last."""
        names = sorted(name for name in self.run.metrics if name.startswith("test_"))
        return sorted(names, key=lambda name: name == "test_loss")


@dataclass(frozen=True)
class Candidate:
    """One combination of settings, with the jobs that repeat it under other seeds or folds."""

    settings: Mapping[str, str]
    jobs: tuple[Job, ...]

    @property
    def name(self) -> str:
        """Of a candidate that no setting tells from others."""
        run = self.jobs[0].run
        return run.params.get("model.name", run.name)

    @property
    def done(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.status == DONE)

    @property
    def diverged(self) -> tuple[Job, ...]:
        return tuple(job for job in self.done if job.reason)

    @property
    def status(self) -> str:
        """`done` if one of its jobs is, and none of those diverged; else how the last ended."""
        if self.diverged:
            return DIVERGED
        return DONE if self.done else self.jobs[-1].status

    def measured(self, name: str) -> list[tuple[Job, float]]:
        """The jobs that are done and have a finite value of a metric, with the value."""
        values = [(job, job.metric(name)) for job in self.done]
        return [(job, value) for job, value in values if value is not None and math.isfinite(value)]

    def values(self, name: str) -> list[float]:
        return [value for _, value in self.measured(name)]

    def mean(self, name: str) -> float | None:
        values = self.values(name)
        return mean(values) if values else None

    def measured_mean(self, name: str) -> float:
        """As `mean`, of a metric that is known to be measured."""
        return mean(self.values(name))

    @property
    def time(self) -> float:
        """The mean of a training step's milliseconds, where they are known to be measured."""
        return self.measured_mean(TIME)

    def deviation(self, name: str) -> float | None:
        """The standard deviation over the repeats, where there are any."""
        values = self.values(name)
        return stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Comparison:
    """What a sweep showed."""

    swept: tuple[str, ...]
    """The params that differ between jobs, and those that always count."""
    jobs: tuple[Job, ...]
    candidates: tuple[Candidate, ...]
    """In the order of their first jobs."""
    objective: Objective | None
    """What compares settings that change more than speed; None where nothing of the kind was logged."""
    quality: Objective | None
    """The same, or where that is a time or memory, what shows that no quality was lost for it."""
    common: Mapping[str, str]
    """The params that all jobs share."""

    @property
    def varying(self) -> list[str]:
        """The swept settings that do take several values, repeats aside."""
        return [key for key in self.swept if key not in REPEATS and len(self._values(key)) > 1]

    def _values(self, key: str) -> set[str | None]:
        """What a setting is among the candidates; None where one goes without, unless nothing is known of that one."""
        known = (one for one in self.candidates if key in one.settings or one.jobs[0].run.params)
        return {one.settings.get(key) for one in known}

    @property
    def labelled_by(self) -> list[str]:
        """What names a candidate in a table or a picture."""
        return self.varying or [key for key in self.swept if key not in (*REPEATS, "device.name")][:1]

    def format_label(self, candidate: Candidate) -> str:
        return format_label(candidate.settings, self.labelled_by) or candidate.name

    def peers(self, candidate: Candidate) -> list[Candidate]:
        """The measured candidates that differ from this one in implementation alone; itself among them.

        Where all have the same implementation, those that differ in what changes speed alone.
        """
        free = ["implementation"] if "implementation" in self.varying else []
        free = free or [key for key in self.varying if changes_speed_alone(key)]
        rest = without(candidate.settings, free)
        measured = [other for other in self.candidates if other.mean(TIME) is not None and not other.diverged]
        return [other for other in measured if without(other.settings, free) == rest]

    def baseline(self, candidate: Candidate) -> Candidate | None:
        """What its speed-up is relative to: implementation 1 among its peers, or the slowest of them."""
        peers = self.peers(candidate)
        if len(peers) < 2:
            return None
        first = [peer for peer in peers if "implementation" in self.varying and peer.settings["implementation"] == "1"]
        return max(first or peers, key=lambda peer: peer.time)

    def speedup(self, candidate: Candidate) -> float | None:
        """How many times as fast as its baseline it trains."""
        time, baseline = candidate.mean(TIME), self.baseline(candidate)
        return baseline.time / time if time and baseline is not None else None

    def job_speedup(self, job: Job) -> float | None:
        """The same of a job that is done."""
        return self.speedup(self.candidate_of(job)) if job.status == DONE else None

    def candidate_of(self, job: Job) -> Candidate:
        return next(candidate for candidate in self.candidates if any(job is other for other in candidate.jobs))

    @property
    def test_metrics(self) -> list[str]:
        """Every one that some job has, in the order of the first that does."""
        return list(dict.fromkeys(name for job in self.jobs for name in job.test_metrics))

    def as_table(self) -> dict[str, list[Any]]:
        """A row per job, as lists by column; what is missing, or no finite number, is None."""
        table: dict[str, list[Any]] = {"job": [job.number for job in self.jobs]}
        table["name"] = [job.run.name for job in self.jobs]
        table |= {key: [job.settings.get(key) for job in self.jobs] for key in self.swept}
        table |= {"status": [job.status for job in self.jobs], "reason": [job.reason for job in self.jobs]}
        for name in (*self.test_metrics, *FIGURES):
            values = [job.metric(name) for job in self.jobs]
            table[name] = [value if value is not None and math.isfinite(value) else None for value in values]
        table["speedup"] = [self.speedup(self.candidate_of(job)) for job in self.jobs]
        table["wall_seconds"] = [job.seconds for job in self.jobs]
        table["run_id"] = [job.run.run_id for job in self.jobs]
        return table


def compare(children: Sequence[RunResult], objective: str | None = None) -> Comparison:
    """Puts the runs of a sweep's jobs beside each other.

    Args:
        children: in any order; where two have the same `sweep.job`, a job was run anew, and the later start counts.
        objective: the metric that compares them; by default the runs' `sweep.objective`, or validation accuracy.
    """
    runs = _latest(children)
    swept = find_swept(runs)
    jobs = [_make_job(run, swept) for run in runs]
    by_settings: dict[tuple[Any, ...], list[Job]] = {}
    for index, job in enumerate(jobs):
        settings = without(job.settings, REPEATS)
        key = tuple(settings.items()) or (index,)  # a job without settings is no repeat of another
        by_settings.setdefault(key, []).append(job)
    candidates = [Candidate(without(same[0].settings, REPEATS), tuple(same)) for same in by_settings.values()]
    chosen = choose_objective(runs, objective)
    quality = choose_objective([replace(run, params={}) for run in runs]) if chosen and chosen.is_cost else chosen
    return Comparison(tuple(swept), tuple(jobs), tuple(candidates), chosen, quality, _find_common(runs))


def _latest(children: Sequence[RunResult]) -> list[RunResult]:
    """The last attempt at each job, by number; runs without one behind them."""
    numbered: dict[int, RunResult] = {}
    others = []
    for run in sorted(children, key=lambda run: run.start):
        number = _number(run)
        if number is None:
            others.append(run)
        else:
            numbered[number] = run
    return [numbered[number] for number in sorted(numbered)] + others


def _number(run: RunResult) -> int | None:
    text = run.tags.get("sweep.job", "")
    return int(text) if text.isdecimal() else None


def _make_job(run: RunResult, swept: Sequence[str]) -> Job:
    status = run.tags.get("sweep.status") or STATUSES.get(run.status, run.status.lower())
    reason = run.tags.get("error", "")
    if status == DONE:
        losses = {name: read_metric(run, name) for name in run.metrics if name.endswith("loss")}
        lost = [
            f"{name} is {value}" for name, value in losses.items() if value is not None and not math.isfinite(value)
        ]
        reason = f"diverged: {lost[0]}" if lost else ""
    known = read_settings(run)
    settings = {key: known[key] for key in swept if key in known}
    return Job(run, _number(run), settings, status, reason)


def _find_common(runs: Sequence[RunResult]) -> dict[str, str]:
    described = [run.params for run in runs if run.params]
    if not described:
        return {}
    return {
        key: value
        for key, value in sorted(described[0].items())
        if key.split(".")[0] not in NO_SETTINGS and all(params.get(key) == value for params in described)
    }
