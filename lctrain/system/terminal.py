"""What is printed for people: lines that a terminal need not cut."""

import os
import re
import textwrap
from typing import TextIO

DEFAULT_WIDTH = 80  # columns, where a terminal says that it has none
COMMAND = re.compile(r"(?:python -m lctrain|mlflow ui|pip install) [^\n]*")


def find_width(file: TextIO) -> int | None:
    """The columns of the terminal that is written to; None where it is no terminal."""
    if not file.isatty():
        return None
    asked = os.environ.get("COLUMNS", "")
    columns = int(asked) if asked.isdecimal() else os.get_terminal_size(file.fileno()).columns
    return columns or DEFAULT_WIDTH


def format_folded(text: str, file: TextIO, indent: int = 0) -> str:
    """A text whose lines are folded between words, where it is for a terminal; a command stays in one piece.

    Args:
        text: of one or several lines, each of which keeps its indentation.
        file: that it will be printed to.
        indent: blanks before what is folded, besides.
    """
    width = find_width(file)
    return text if width is None else "\n".join(_fold(line, width, indent) for line in text.split("\n"))


def format_plain(text: str) -> str:
    """As it is, in one line, with nothing that steers a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _fold(line: str, width: int, indent: int) -> str:
    blanks = " " * (len(line) - len(line.lstrip()) + indent)
    pieces = COMMAND.sub(lambda command: command[0].replace(" ", "\0"), line)
    folded = textwrap.fill(
        pieces,
        width,
        subsequent_indent=blanks,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return folded.replace("\0", " ")
