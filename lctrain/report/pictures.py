"""Pictures of a comparison: time, memory, and losses over epochs and seconds."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from lctrain.report.bars import MIN_PLACES, choose_bars, draw_bars
from lctrain.report.comparison import DONE, MEMORY, TIME, Comparison
from lctrain.report.losses import choose_curves, draw_by_epoch, draw_by_second
from lctrain.report.settings import shorten_names
from lctrain.report.theme import LIGHT, Theme, format_plain, pick_colours
from lctrain.report.units import format_megabytes, format_milliseconds

WIDTH, BAR_HEIGHT, REST_HEIGHT, LOSS_HEIGHT = 11.0, 0.34, 1.2, 4.2  # inches
LEGEND_LETTERS, KEY_LETTERS = 120, 8  # in a line of the key, and the width of a colour among them
KEY_WIDTH = 3.0  # points


def draw_comparison(comparison: Comparison, theme: Theme = LIGHT) -> Figure:
    """All four pictures in one figure."""
    figure, axes = _make_figure([_bars_height(comparison), LOSS_HEIGHT], theme)
    _fill_measured(axes[0], comparison, theme)
    _fill_losses(figure, axes[1], comparison, theme)
    if comparison.jobs and not any(job.status == DONE for job in comparison.jobs):
        message = f"Not done: all jobs of the sweep, {len(comparison.jobs)} in number"
        figure.suptitle(message, x=0.01, ha="left", color=theme.ink, fontsize=11)
    return figure


def draw_measured(comparison: Comparison, theme: Theme = LIGHT) -> Figure:
    """Time of a training step and peak memory beside each other."""
    figure, axes = _make_figure([_bars_height(comparison)], theme)
    _fill_measured(axes[0], comparison, theme)
    return figure


def draw_losses(comparison: Comparison, theme: Theme = LIGHT) -> Figure:
    """Validation loss over epochs and over seconds beside each other."""
    figure, axes = _make_figure([LOSS_HEIGHT], theme)
    _fill_losses(figure, axes[0], comparison, theme)
    return figure


def _make_figure(heights: Sequence[float], theme: Theme) -> tuple[Figure, Any]:
    layout = ConstrainedLayoutEngine(hspace=0.06, wspace=0.05)
    figure = Figure(figsize=(WIDTH, sum(heights)), layout=layout, facecolor=theme.background)
    return figure, figure.subplots(len(heights), 2, squeeze=False, gridspec_kw={"height_ratios": heights})


def _bars_height(comparison: Comparison) -> float:
    longest = max(len(choose_bars(comparison, metric).bars) for metric in (TIME, MEMORY))
    return REST_HEIGHT + BAR_HEIGHT * max(longest, MIN_PLACES)


def _fill_measured(axes: Sequence[Axes], comparison: Comparison, theme: Theme) -> None:
    times, memory = axes
    times.set_xlabel("ms per training step (median; whisker: 90th percentile)")
    draw_bars(times, choose_bars(comparison, TIME), format_milliseconds, theme, "Training step")
    memory.set_xlabel("MB above the loaded libraries")
    draw_bars(memory, choose_bars(comparison, MEMORY), format_megabytes, theme, "Peak memory")


def _fill_losses(figure: Figure, axes: Sequence[Axes], comparison: Comparison, theme: Theme) -> None:
    by_epoch, by_second = axes
    draw_by_epoch(by_epoch, comparison, theme)
    draw_by_second(by_second, comparison, theme)
    chosen = choose_curves(comparison)
    if chosen.candidates:
        shortened = shorten_names(chosen.keys)
        title = ", ".join(format_plain(shortened[key]) for key in chosen.keys)
        names = [format_plain(label) for label in chosen.candidates]
        colours = pick_colours(chosen.candidates, theme).values()
        lines = [Line2D([], [], color=colour, linewidth=KEY_WIDTH) for colour in colours]
        columns = max(min(len(lines), LEGEND_LETTERS // (max(map(len, names)) + KEY_LETTERS)), 1)
        style = {"facecolor": theme.background, "edgecolor": theme.faint, "labelcolor": theme.ink, "fontsize": 8.5}
        legend = figure.legend(lines, names, loc="outside lower center", ncols=columns, title=title, **style)
        legend.get_title().set(color=theme.ink, fontsize=8.5)
