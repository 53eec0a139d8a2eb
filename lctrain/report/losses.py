"""Curves: the validation loss of each setting of a sweep, over epochs and over seconds."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lctrain.report.comparison import Candidate, Comparison, Job
from lctrain.report.series import find_series
from lctrain.report.theme import Theme, apply_theme, draw_message, pick_colours
from lctrain.tracking.run_result import Point

Place = Callable[[Job, Point], float]
MAX_LINES = 8  # as many as there are colours
MONITORED = "val_loss"
BUILT = "build_seconds"  # the metric that is logged when the model is ready to be trained
LINE_WIDTH = 1.8  # points
DASH = 5.0  # line widths that each of several equal curves is seen for before the next
MARKER, RING = 6.0, 4.0  # points: of a curve of one point, and by how much that below it is wider
WIDE_RANGE = 50  # from the smallest loss to the largest: beyond it the axis is logarithmic
NEAR = 0.01  # of the picture: curves that are nowhere farther apart look like one


class Curve(NamedTuple):
    """One line of a picture."""

    label: str
    points: np.ndarray
    """`(num_points, 2)`: places and losses."""


class Curves(NamedTuple):
    """The settings that are drawn."""

    candidates: dict[str, Candidate]
    """By label."""
    keys: tuple[str, ...]
    """The settings that the labels tell."""
    note: str
    """What the picture must say of them: how many are left out, and that they are means."""

    @property
    def jobs(self) -> list[Job]:
        return [job for candidate in self.candidates.values() for job in _find_curved(candidate)]


def choose_curves(comparison: Comparison) -> Curves:
    """The settings with a curve; of many the best at the end."""
    series = find_series(comparison)
    curved = {label: candidate for label, candidate in series.candidates.items() if _find_curved(candidate)}
    notes = []
    if len(curved) > MAX_LINES:
        losses = {label: candidate.mean(MONITORED) for label, candidate in curved.items()}
        known = {label: loss for label, loss in losses.items() if loss is not None}
        best = sorted(known, key=known.__getitem__)[:MAX_LINES]
        notes.append(f"the best {len(best)} of {len(curved)} are drawn")
        curved = {label: candidate for label, candidate in curved.items() if label in best}
    if any(len(_find_curved(candidate)) > 1 for candidate in curved.values()):
        notes.append("means over seeds and folds")
    return Curves(curved, series.keys, ", ".join(notes))


def _find_curved(candidate: Candidate) -> list[Job]:
    return [job for job in candidate.jobs if any(math.isfinite(point.value) for point in _read_points(job))]


def _read_points(job: Job) -> list[Point]:
    """The losses of the epochs, without that of the result, where this is of other weights than the last."""
    epochs = job.run.history("loss")
    return [point for point in job.run.history(MONITORED) if not epochs or point.step <= epochs[-1].step]


def _get_epoch(job: Job, point: Point) -> int:
    return point.step - job.run.first_epoch + 1


def draw_by_epoch(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    _draw(axes, choose_curves(comparison), theme, "epoch", _get_epoch)
    if axes.lines:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_by_second(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """From where the model was built, so that no start-up is in the times, where all jobs say when that was."""
    chosen = choose_curves(comparison)
    if all(job.run.history(BUILT) for job in chosen.jobs):
        since = "the model was built, compilation included"
        _draw(axes, chosen, theme, f"seconds since {since}", lambda job, point: _get_seconds(job, point, BUILT))
    else:
        since = "the job's start, with its start-up"
        _draw(axes, chosen, theme, f"seconds since {since}", _get_seconds)
    if axes.lines:
        axes.set_xlim(left=0)


def _get_seconds(job: Job, point: Point, since: str | None = None) -> float:
    start = job.run.start if since is None else job.run.history(since)[0].timestamp
    return (point.timestamp - start) / 1e3


def _draw(axes: Axes, chosen: Curves, theme: Theme, over: str, get_place: Place) -> None:
    curves = [_make_curve(label, candidate, get_place) for label, candidate in chosen.candidates.items()]
    notes = [chosen.note] if chosen.note else []
    if curves:
        losses = np.concatenate([curve.points[:, 1] for curve in curves])
        is_logarithmic = 0 < np.nanmin(losses) * WIDE_RANGE < np.nanmax(losses)
        groups = find_coinciding(curves, is_logarithmic)
        colours = pick_colours([curve.label for curve in curves], theme)
        for group in groups:
            for number, curve in enumerate(group):
                _draw_line(axes, curve, colours[curve.label], number, len(group))
        axes.set(xlabel=over, ylabel="validation loss", yscale="log" if is_logarithmic else "linear")
        sizes = [str(len(group)) for group in groups if len(group) > 1]
        notes += [f"{' and '.join(sizes)} curves coincide: their colours alternate"] if sizes else []
    else:
        draw_message(axes, "no validation loss was logged", theme)
    # The two pictures stand beside each other: their titles are equally high.
    apply_theme(axes, theme, f"Validation loss by {over.split()[0]}", "; ".join(notes) or " ")


def _make_curve(label: str, candidate: Candidate, get_place: Place) -> Curve:
    """The mean over the candidate's jobs, as far as all of them got."""
    points: dict[int, list[tuple[float, float]]] = {}
    jobs = _find_curved(candidate)
    for job in jobs:
        for point in _read_points(job):
            loss = point.value if math.isfinite(point.value) else math.nan
            points.setdefault(_get_epoch(job, point), []).append((get_place(job, point), loss))
    shared = [np.mean(pairs, axis=0) for _, pairs in sorted(points.items()) if len(pairs) == len(jobs)]
    return Curve(label, np.array(shared).reshape(-1, 2))


def find_coinciding(curves: Sequence[Curve], is_logarithmic: bool = False) -> list[list[Curve]]:
    """The curves; those that the eye can't tell apart stand together."""
    drawn = [curve.points.copy() for curve in curves]
    for points in drawn:
        points[:, 1] = np.log10(points[:, 1]) if is_logarithmic else points[:, 1]
    everything = np.concatenate(drawn)
    widths = np.maximum(np.nanmax(everything, axis=0) - np.nanmin(everything, axis=0), 1e-12)
    groups: list[list[int]] = []
    for index, points in enumerate(drawn):
        like = next((group for group in groups if _coincide(drawn[group[0]], points, widths)), None)
        if like is None:
            groups.append([index])
        else:
            like.append(index)
    return [[curves[index] for index in group] for group in groups]


def _coincide(points: np.ndarray, others: np.ndarray, widths: np.ndarray) -> bool:
    return points.shape == others.shape and np.allclose(points / widths, others / widths, 0, NEAR, equal_nan=True)


def _draw_line(axes: Axes, curve: Curve, colour: str, number: int, count: int) -> None:
    """The line of so many that coincide, each of which is seen where the others are not."""
    is_point = len(curve.points) == 1
    axes.plot(
        *curve.points.T,
        color=colour,
        linestyle="-" if count == 1 else ((count - number) * DASH, (DASH, (count - 1) * DASH)),
        linewidth=LINE_WIDTH,
        marker="o" if is_point else None,
        markersize=MARKER + RING * (count - 1 - number),
        label=curve.label,
    )
