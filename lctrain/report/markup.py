"""The few pieces of HTML that the page is put together from; all that comes from runs goes through `text`."""

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from lctrain.report.theme import DARK, LIGHT, Theme

MAX_ROWS = 30  # a longer table scrolls on the screen
MISSING = "\N{EN DASH}"
STATUS_CLASSES = {"done": "good", "running": "odd", "interrupted": "odd", "diverged": "odd"}  # all others are bad


def text(value: Any) -> str:
    """As text that can be no markup, between tags or in a quoted attribute; control characters are replaced.

    >>> text('<b onclick="x">' + chr(27) + "[2J")
    '&lt;b onclick=&quot;x&quot;&gt;\ufffd[2J'
    """
    return escape("".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in str(value)))


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    formatter: Callable[[Any], str] = str
    """Writes a value as people read it."""
    is_number: bool = False


def number_column(title: str, formatter: Callable[[Any], str]) -> Column:
    return Column(title, formatter, is_number=True)


@dataclass(frozen=True)
class Cell:
    """What a cell shows where that is not its value, told by its column; `markup` is trusted."""

    value: Any
    markup: str


def table(columns: Sequence[Column], rows: Sequence[Sequence[Any]], chosen: Sequence[bool] = ()) -> str:
    """A table that can be sorted by each column; rows that are `chosen` are marked."""
    heads = "".join(
        f'<th scope="col"{_class(column)}><button type="button">{text(column.title)}</button></th>'
        for column in columns
    )
    lines = []
    for index, row in enumerate(rows):
        mark = ' class="chosen"' if index < len(chosen) and chosen[index] else ""
        cells = "".join(_cell(column, value) for column, value in zip(columns, row, strict=True))
        lines.append(f"<tr{mark}>{cells}</tr>")
    body = "\n".join(lines)
    scroll = "scroll high" if len(rows) > MAX_ROWS else "scroll"
    return f'<div class="{scroll}"><table><thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _class(column: Column) -> str:
    return ' class="number"' if column.is_number else ' class="text"'


def _cell(column: Column, value: Any) -> str:
    markup = None
    if isinstance(value, Cell):
        value, markup = value.value, value.markup
    if value is None or value == "":
        return f"<td{_class(column)}>{MISSING if markup is None else markup}</td>"
    if markup is None:
        markup = text(column.formatter(value))
    is_unsortable = isinstance(value, float) and not math.isfinite(value)
    data = "" if is_unsortable else f' data-value="{text(value)}"'
    return f"<td{_class(column)}{data}>{markup}</td>"


def badge(status: str) -> Cell:
    return Cell(
        status, f'<span class="badge {STATUS_CLASSES.get(status, "bad")}">{text(status.replace("_", " "))}</span>'
    )


def section(title: str, *content: str, is_long: bool = False) -> str:
    """A part of the page under a heading; a long one may be broken over sheets of paper."""
    mark = ' class="long"' if is_long else ""
    body = "\n".join(content)
    return f"<section{mark}><h2>{text(title)}</h2>\n{body}\n</section>"


def definitions(pairs: Mapping[str, str]) -> str:
    rows = "\n".join(
        f'<tr><td class="text"><code>{text(key)}</code></td><td class="text">{text(value)}</td></tr>'
        for key, value in pairs.items()
    )
    return f'<div class="scroll"><table class="pairs"><tbody>\n{rows}\n</tbody></table></div>'


def picture(draw: Callable[[Theme], Figure], description: str) -> str:
    """A figure in the colours of the page, whichever its reader's system asks for."""
    light, dark = _as_data(draw(LIGHT)), _as_data(draw(DARK))
    return (
        f'<picture><source srcset="{dark}" media="screen and (prefers-color-scheme: dark)">'
        f'<img src="{light}" alt="{text(description)}"></picture>'
    )


def _as_data(figure: Figure) -> str:
    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "lctrain"}):  # the same figure gives the same bytes
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(stream.getvalue()).decode()}"
