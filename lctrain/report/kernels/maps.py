"""Numbers by position: a map of an image, a line of a sequence."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from lctrain.report.theme import Theme, apply_theme

COLOURS = "viridis"
BAR_WIDTH = 0.13  # inches
EVEN = 1e-6  # of the largest: numbers that differ by less are shown as equal
MANY = 60  # points, from which on a line needs no marks


def draw_map(axes: Axes, values: np.ndarray, label: str, theme: Theme, title: str, is_stretched: bool) -> None:
    """`(rows, columns)` as an image with a bar; what is undefined is grey."""
    low, high = _limits(values)
    image = axes.imshow(values, cmap=COLOURS, vmin=low, vmax=high, interpolation="nearest")
    if is_stretched:
        axes.set_aspect("auto")
    add_bar(image, axes, label, theme)
    axes.set(xlabel="output column", ylabel="output row")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True))
    apply_theme(axes, theme, title)
    axes.set_facecolor(theme.faint)
    axes.grid(False)


def draw_line(axes: Axes, values: np.ndarray, label: str, theme: Theme, title: str, number: int) -> None:
    """`(positions,)` over the position."""
    marker = "o" if len(values) <= MANY else None
    axes.plot(values, color=theme.colours[number], linewidth=1.3, marker=marker, markersize=3.5)
    low, high = _limits(values)
    room = 0.08 * (high - low)
    axes.set(xlabel="output position", ylabel=label, ylim=(low - room, high + room))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    apply_theme(axes, theme, title)


def add_bar(image: AxesImage, axes: Axes, label: str, theme: Theme, place: Axes | None = None) -> None:
    """What the colours stand for, beside the axes or in a place of its own."""
    if place is None:
        place = axes.inset_axes((1.03, 0, BAR_WIDTH * axes.figure.dpi / axes.bbox.width, 1))
    bar = axes.figure.colorbar(image, cax=place)
    bar.set_label(label, color=theme.ink, fontsize=8.5)
    bar.ax.tick_params(colors=theme.ink, labelsize=8)
    bar.outline.set_edgecolor(theme.faint)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """From the least to the largest; from 0 where they are all alike, that rounding is not drawn."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if high - low > max(EVEN * high, EVEN):
        return low, high
    return 0.0, 2 * high if high > EVEN else 1.0
