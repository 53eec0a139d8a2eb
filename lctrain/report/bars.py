"""Bars: one figure of each setting of a sweep beside the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from matplotlib.axes import Axes

from lctrain.report.comparison import TIME, TIME_P90, Candidate, Comparison
from lctrain.report.losses import choose_curves
from lctrain.report.series import find_series
from lctrain.report.settings import changes_speed_alone, format_label, shorten_names
from lctrain.report.theme import Theme, apply_theme, draw_message, format_plain, pick_colours

MAX_BARS, MIN_PLACES = 16, 3


@dataclass(frozen=True)
class Bar:
    """What one bar shows: a candidate, or the median of several that differ in other than speed."""

    label: str
    value: float
    high: float | None


@dataclass(frozen=True)
class Bars:
    """The bars of a picture, the smallest first."""

    bars: tuple[Bar, ...]
    keys: tuple[str, ...]
    """The settings that label them."""
    note: str
    """What the picture must say of those that are not there."""
    series: tuple[str, ...]
    """The labels that have colours, in the order in which they get them; none where a bar is of several settings."""


def choose_bars(comparison: Comparison, metric: str) -> Bars:
    """A bar per candidate; of many a bar per implementation, device, precision, ...; of too many the smallest."""
    candidates, keys = find_series(comparison)
    measured = {label: candidate for label, candidate in candidates.items() if candidate.mean(metric) is not None}
    groups = {label: [candidate] for label, candidate in measured.items()}
    note = ""
    series = tuple(dict.fromkeys([*choose_curves(comparison).candidates, *candidates]))
    if len(groups) > MAX_BARS:
        speed_keys = tuple(key for key in keys if changes_speed_alone(key))
        by_speed: dict[str, list[Candidate]] = {}
        for candidate in measured.values():
            by_speed.setdefault(format_label(candidate.settings, speed_keys), []).append(candidate)
        if 1 < len(by_speed) < len(groups):
            note = f"medians of {len(groups)} settings"
            keys, groups, series = speed_keys, by_speed, ()
    bars = sorted((_make_bar(label, group, metric) for label, group in groups.items()), key=lambda bar: bar.value)
    if len(bars) > MAX_BARS:
        note = f"the {MAX_BARS} lowest of {len(bars)}"
    return Bars(tuple(bars[:MAX_BARS]), keys, note, series)


def _make_bar(label: str, group: Sequence[Candidate], metric: str) -> Bar:
    highs = [high for candidate in group if (high := candidate.mean(TIME_P90)) is not None] if metric == TIME else []
    value = median(candidate.measured_mean(metric) for candidate in group)
    return Bar(label, value, median(highs) if highs else None)


def draw_bars(axes: Axes, chosen: Bars, format_value: Callable[[float], str], theme: Theme, title: str) -> None:
    """The colours are those of the curves; the figure stands at the end of each bar."""
    if chosen.bars:
        colours = pick_colours(chosen.series, theme)
        for place, bar in enumerate(chosen.bars):
            _draw_bar(axes, place, bar, format_value(bar.value), colours.get(bar.label, theme.neutral), theme)
        names = shorten_names(chosen.keys)
        axes.set_yticks(range(len(chosen.bars)), [format_plain(bar.label) for bar in chosen.bars])
        axes.set_ylim(max(len(chosen.bars), MIN_PLACES) - 0.4, -0.6)
        axes.set_xlim(0, 1.24 * max(max(bar.value, bar.high or 0) for bar in chosen.bars) or 1)
        axes.set_ylabel(", ".join(format_plain(names[key]) for key in chosen.keys))
    else:
        draw_message(axes, "nothing was measured", theme)
    apply_theme(axes, theme, title, chosen.note)
    axes.grid(visible=False, axis="y")


def _draw_bar(axes: Axes, place: int, bar: Bar, text: str, colour: str, theme: Theme) -> None:
    high = bar.value if bar.high is None else max(bar.high, bar.value)
    axes.barh(
        place,
        bar.value,
        height=0.68,
        color=colour,
        edgecolor=theme.background,
        xerr=None if bar.high is None else [[0], [high - bar.value]],
        error_kw={"ecolor": theme.ink, "elinewidth": 1.2, "capsize": 3},
    )
    style: dict[str, Any] = {"color": theme.ink, "fontsize": 8.5, "va": "center"}
    axes.annotate(text, (high, place), xytext=(6, 0), textcoords="offset points", **style)
