"""Colours and line styles of the pictures, for light and for dark pages."""

from collections.abc import Iterable
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties, findfont, get_font

from lctrain.implementations import IMPLEMENTATIONS

LINE_STYLES = ("-", "--", ":", "-.")
MAX_LABEL = 48
NOTE_HEIGHT = 19  # points, from the axes to the title above a note
# The same implementation has the same colour in every report.
FIXED = {row.label: row.colour for row in IMPLEMENTATIONS.values()}


@dataclass(frozen=True)
class Theme:
    """The colours of a picture."""

    background: str
    ink: str
    faint: str
    neutral: str
    """Of what stands for several of those that have colours."""
    colours: tuple[str, ...]


# Okabe and Ito's colours, which colour-blind readers can distinguish; two are darker, to be seen on white.
LIGHT = Theme(
    "white",
    "#1f2328",
    "#c9d1d9",
    "#8c959f",
    ("#0072b2", "#d55e00", "#cc79a7", "#009e73", "#c77f00", "#2a95d5", "#7f5fc7", "#8c6d31"),
)
DARK = Theme(
    "#161b22",
    "#e6edf3",
    "#3d444d",
    "#768390",
    ("#58a6ff", "#ff8a4c", "#f0a3cf", "#3fd6a4", "#f2c14e", "#8fd3ff", "#b39bf5", "#d2b48c"),
)


def pick_colours(names: Iterable[str], theme: Theme) -> dict[str, str]:
    """One for each name; the fixed ones first, then the next that is free, round and round."""
    names = list(dict.fromkeys(names))
    places = {name: FIXED[name] for name in names if name in FIXED}
    free = [place for place in range(len(theme.colours)) if place not in places.values()] or [0]
    others = [name for name in names if name not in places]
    places |= {name: free[index % len(free)] for index, name in enumerate(others)}
    return {name: theme.colours[places[name]] for name in names}


def apply_theme(axes: Axes, theme: Theme, title: str, note: str = "") -> None:
    """Puts on the theme's colours, a title on the left, a note below that, and no more lines than are read."""
    axes.set_facecolor(theme.background)
    axes.set_title(
        title, loc="left", color=theme.ink, fontsize=10.5, fontweight="bold", pad=NOTE_HEIGHT if note else None
    )
    if note:
        axes.annotate(note, (0, 1), (0, 5), "axes fraction", "offset points", color=theme.ink, fontsize=8.5)
    axes.tick_params(colors=theme.ink, labelsize=8.5)
    axes.grid(color=theme.faint, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_color(theme.faint)
        spine.set_visible(side in ("left", "bottom"))
    for text in (axes.xaxis.label, axes.yaxis.label):
        text.set(color=theme.ink, fontsize=9)


def draw_message(axes: Axes, text: str, theme: Theme) -> None:
    """A sentence where there is nothing to draw."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=theme.ink)
    axes.set(xticks=[], yticks=[])


def format_plain(text: str) -> str:
    """As a label: no formula, no name that a legend leaves out, not too long, and nothing that the font lacks.

    >>> format_plain("_lr=$x$")
    'lr=\\\\$x\\\\$'
    """
    text = text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 3]}..."
    font = get_font(findfont(FontProperties()))
    letters = (letter if font.get_char_index(ord(letter)) else "?" for letter in text.lstrip("_"))
    return "".join(letters).replace("$", r"\$")
