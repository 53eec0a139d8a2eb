"""Bars: one figure of each setting of a sweep beside the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from matplotlib.axes import Axes

from lctrain.report.comparison import TIME, TIME_P90, Candidate, Comparison
from lctrain.report.settings import changes_speed_alone, format_label, shorten_names
from lctrain.report.theme import HATCHES, Theme, apply_theme, draw_message, format_plain, pick_colours, pick_styles

MAX_BARS, MIN_PLACES = 16, 3


@dataclass(frozen=True)
class Bar:
    """What one bar shows: a candidate, or the median of several that differ in other than speed."""

    label: str
    implementation: str
    device: str
    value: float
    high: float | None


@dataclass(frozen=True)
class Bars:
    """The bars of a picture, the smallest first."""

    bars: tuple[Bar, ...]
    keys: tuple[str, ...]
    """The settings that label them."""
    note: str
    """What the title must say of those that are not there."""


def choose_bars(comparison: Comparison, metric: str) -> Bars:
    """A bar per candidate; of many a bar per implementation, device, precision, ...; of too many the smallest."""
    keys = comparison.labelled_by
    groups = [[candidate] for candidate in comparison.candidates if candidate.mean(metric) is not None]
    note = ""
    if len(groups) > MAX_BARS:
        speed_keys = [key for key in keys if changes_speed_alone(key)]
        by_speed: dict[tuple[str | None, ...], list[Candidate]] = {}
        for (candidate,) in groups:
            by_speed.setdefault(tuple(candidate.settings.get(key) for key in speed_keys), []).append(candidate)
        if 1 < len(by_speed) < len(groups):
            note = f" (medians of {len(groups)} settings)"
            keys, groups = speed_keys, list(by_speed.values())
    bars = sorted((_make_bar(group, metric, keys) for group in groups), key=lambda bar: bar.value)
    if len(bars) > MAX_BARS:
        note = f" (the {MAX_BARS} lowest of {len(bars)})"
    return Bars(tuple(bars[:MAX_BARS]), tuple(keys), note)


def _make_bar(group: Sequence[Candidate], metric: str, keys: Sequence[str]) -> Bar:
    settings = group[0].settings
    highs = [high for candidate in group if (high := candidate.mean(TIME_P90)) is not None] if metric == TIME else []
    return Bar(
        format_label(settings, keys) or group[0].name,
        settings.get("implementation", ""),
        settings.get("device.name", ""),
        median(candidate.measured_mean(metric) for candidate in group),
        median(highs) if highs else None,
    )


def draw_bars(axes: Axes, chosen: Bars, format_value: Callable[[float], str], theme: Theme, title: str) -> None:
    """A colour per implementation, a hatch per device; the figure stands at the end of each bar."""
    if chosen.bars:
        colours = pick_colours([bar.implementation for bar in chosen.bars], theme)
        hatches = pick_styles(sorted({bar.device for bar in chosen.bars}), HATCHES)
        for place, bar in enumerate(chosen.bars):
            hatch, text = hatches[bar.device], format_value(bar.value)
            _draw_bar(axes, place, bar, text, colours[bar.implementation], hatch, theme)
        names = shorten_names(chosen.keys)
        axes.set_yticks(range(len(chosen.bars)), [format_plain(bar.label) for bar in chosen.bars])
        axes.set_ylim(max(len(chosen.bars), MIN_PLACES) - 0.4, -0.6)
        axes.set_xlim(0, 1.24 * max(max(bar.value, bar.high or 0) for bar in chosen.bars) or 1)
        axes.set_ylabel(", ".join(format_plain(names[key]) for key in chosen.keys))
    else:
        draw_message(axes, "nothing was measured", theme)
    apply_theme(axes, theme, f"{title}{chosen.note}")
    axes.grid(visible=False, axis="y")


def _draw_bar(axes: Axes, place: int, bar: Bar, text: str, colour: str, hatch: str, theme: Theme) -> None:
    high = bar.value if bar.high is None else max(bar.high, bar.value)
    axes.barh(
        place,
        bar.value,
        height=0.68,
        color=colour,
        hatch=hatch,
        edgecolor=theme.background,
        xerr=None if bar.high is None else [[0], [high - bar.value]],
        error_kw={"ecolor": theme.ink, "elinewidth": 1.2, "capsize": 3},
    )
    style: dict[str, Any] = {"color": theme.ink, "fontsize": 8.5, "va": "center"}
    axes.annotate(text, (high, place), xytext=(6, 0), textcoords="offset points", **style)
