"""Curves: the validation loss of each job of a sweep, over epochs and over seconds."""

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lctrain.report.comparison import Comparison, Job
from lctrain.report.settings import changes_speed_alone
from lctrain.report.theme import LINE_STYLES, Theme, apply_theme, draw_message, format_plain, pick_colours, pick_styles
from lctrain.tracking.run_result import Point

Place = Callable[[Job, Point], float]
MAX_LINES = 12
MONITORED = "val_loss"
THIN, THICKER = 1.4, 1.8  # points; of a line, and by how much one is thicker that the next may cover
WIDE_RANGE = 50  # from the smallest loss to the largest: beyond it the axis is logarithmic


def choose_curves(comparison: Comparison) -> tuple[list[Job], str]:
    """The jobs with a curve; of many the best at the end, which the title must say."""
    curved = [job for job in comparison.jobs if any(math.isfinite(point.value) for point in job.run.history(MONITORED))]
    if len(curved) <= MAX_LINES:
        return curved, ""
    last = {id(job): loss for job in curved if (loss := job.metric(MONITORED)) is not None and math.isfinite(loss)}
    best = sorted(last, key=last.__getitem__)[:MAX_LINES]
    return [job for job in curved if id(job) in best], f" (the best {len(best)} of {len(curved)})"


def draw_by_epoch(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """Jobs that compute the same have equal curves here, so each is thicker than the next that may cover it."""
    _draw(axes, comparison, theme, "epoch", lambda _job, point: point.step + 1, THICKER)
    if axes.lines:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_by_second(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    _draw(
        axes,
        comparison,
        theme,
        "seconds since the job's start",
        lambda job, point: (point.timestamp - job.run.start) / 1e3,
        0.0,
    )


def _draw(axes: Axes, comparison: Comparison, theme: Theme, over: str, place: Place, thicker: float) -> None:
    jobs, note = choose_curves(comparison)
    if jobs:
        _draw_lines(axes, jobs, comparison, theme, place, thicker)
        axes.set(xlabel=over, ylabel="validation loss")
        values = [point.value for job in jobs for point in job.run.history(MONITORED) if math.isfinite(point.value)]
        if 0 < min(values) * WIDE_RANGE < max(values):
            axes.set_yscale("log")
    else:
        draw_message(axes, "no validation loss was logged", theme)
    apply_theme(axes, theme, f"Validation loss by {over.split()[0]}{note}")


def _draw_lines(
    axes: Axes,
    jobs: Sequence[Job],
    comparison: Comparison,
    theme: Theme,
    place: Place,
    thicker: float,
) -> None:
    """A line per job: a colour per implementation, or where there is one only, per label; a style per device."""
    labels = [comparison.format_label(comparison.candidate_of(job)) for job in jobs]
    implementations = [job.settings.get("implementation", "") for job in jobs]
    coloured_by = implementations if len(set(implementations)) > 1 else labels
    devices = [job.settings.get("device.name", "") for job in jobs]
    colours, styles = pick_colours(coloured_by, theme), pick_styles(sorted(devices), LINE_STYLES)
    settings = [_get_training_settings(job) for job in jobs]
    for index, (job, name, device) in enumerate(zip(jobs, labels, devices, strict=True)):
        points = job.run.history(MONITORED)
        axes.plot(
            [place(job, point) for point in points],
            [point.value if math.isfinite(point.value) else math.nan for point in points],
            color=colours[coloured_by[index]],
            linestyle=styles[device],
            linewidth=THIN + thicker * settings[index + 1 :].count(settings[index]),
            marker="o" if len(points) == 1 else None,
            label=f"_{index}" if name in labels[:index] else format_plain(name),  # a repeat needs no line in the legend
        )


def _get_training_settings(job: Job) -> dict[str, str]:
    """The settings by which a loss goes: jobs that differ in others have nearly the same curve."""
    return {key: value for key, value in job.settings.items() if not changes_speed_alone(key)}
