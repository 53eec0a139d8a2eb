"""Tables, as wide as the terminal, that cut no word."""

import sys
from collections.abc import Mapping, Sequence
from operator import gt
from types import MappingProxyType
from typing import NamedTuple, NoReturn, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lctrain.system.terminal import find_width, format_plain, print_folded

WIDTH, HEIGHT = 120, 25  # columns where the output is no terminal, and lines
BETWEEN = 3  # columns, of blanks and a line


class Column(NamedTuple):
    """A column of a table.

    Args:
        title: above it.
        cells: from top to bottom.
        is_figure: whether it is set to the right, and no cell of it is folded.
        is_setting: whether it is told above the table, once, where all of several rows have the same.
        is_extra: whether it is left out where there is no room.
        styles: rich's, of cells with such a text.
    """

    title: str
    cells: Sequence[str]
    is_figure: bool = False
    is_setting: bool = False
    is_extra: bool = False
    styles: Mapping[str, str] = MappingProxyType({})

    @property
    def is_shared(self) -> bool:
        return self.is_setting and len(self.cells) > 1 and len(set(self.cells)) == 1


class _Console(Console):
    """Rich's, which leaves a closed pipe to the program."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def make_console(file: TextIO | None = None) -> Console:
    """As wide as the terminal; colours are the terminal's, none with `NO_COLOR`. None is standard output."""
    file = sys.stdout if file is None else file
    return _Console(
        file=file, highlight=False, width=find_width(file) or WIDTH, height=HEIGHT
    )  # both, or rich has its own


def print_table(title: str, columns: Sequence[Column]) -> None:
    """Prints a table that folds between words, without columns that have no cells; without room a block per row."""
    console = make_console()
    shared = [f"{column.title} {column.cells[0]}" for column in columns if column.is_shared]
    title = f"{title}: {', '.join(shared)}" if shared else title
    shown = [column for column in columns if any(column.cells) and not column.is_shared]
    kept = [*shown]
    left_out: list[str] = []
    while (widths := _find_widths(console.width, kept)) is None and (extras := [one for one in kept if one.is_extra]):
        kept.remove(extras[-1])
        left_out.insert(0, extras[-1].title)
    if widths is None:
        _print_blocks(title, shown)
        return
    console.print(_make_text(title, "italic"))
    table = Table(show_header=any(column.title for column in kept), show_edge=False, pad_edge=False)
    for column, width in zip(kept, widths, strict=True):
        table.add_column(_make_text(column.title), width=width, justify="right" if column.is_figure else "left")
    for cells in zip(*(column.cells for column in kept), strict=True):
        table.add_row(
            *(_make_text(cell, column.styles.get(cell, "")) for column, cell in zip(kept, cells, strict=True))
        )
    console.print(table)
    if left_out:
        print_folded(f"No room for: {', '.join(left_out)}.")


def _find_widths(width: int, columns: Sequence[Column]) -> list[int] | None:
    """Of each column's text, so that no word is cut, titles folded before cells; None where there is no room."""
    room = width - BETWEEN * (len(columns) - 1)
    titles = [_longest_word(column.title) for column in columns]
    cells = [max(map(cell_len, column.cells), default=0) for column in columns]
    words = [max(map(_longest_word, column.cells), default=0) for column in columns]
    folded = [whole if column.is_figure else word for column, whole, word in zip(columns, cells, words, strict=True)]
    widths = [max(cell_len(column.title), whole) for column, whole in zip(columns, cells, strict=True)]
    for least in ([*map(max, titles, cells)], [*map(max, titles, folded)]):
        while sum(widths) > room and any(map(gt, widths, least)):
            widest = max(range(len(widths)), key=lambda index: (widths[index] > least[index], widths[index]))
            widths[widest] -= 1
    return widths if sum(widths) <= room else None


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _make_text(text: str, style: str = "") -> Text:
    """As it is: no markup of rich's."""
    return Text(format_plain(text), style)


def _print_blocks(title: str, columns: Sequence[Column]) -> None:
    """For each row a line per column, and an empty line."""
    print_folded(format_plain(title))
    for cells in zip(*(column.cells for column in columns), strict=True):
        for column, cell in zip(columns, cells, strict=True):
            line = f"{column.title}: {cell}" if column.title else cell
            if cell:
                print_folded(format_plain(line), indent=2)
        print()
