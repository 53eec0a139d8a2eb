"""What is printed for people: lines that a terminal need not cut."""

import os
import re
import sys
import textwrap
from typing import IO

DEFAULT_WIDTH = 80  # columns, where a terminal says that it has none
# With its words, which may hold blanks in quotes, up to a sign that ends the sentence.
COMMAND = re.compile(r"""(?:python -m lctrain|mlflow ui|pip install)(?: (?>'[^']*'|"[^"]*"|\S)+(?<![.,;]))*""")
GLUE = "\0"  # in place of a command's blanks


def find_width(file: IO[str]) -> int | None:
    """The columns of the terminal that is written to; None where it is no terminal."""
    if not file.isatty():
        return None
    asked = os.environ.get("COLUMNS", "")
    columns = int(asked) if asked.isdecimal() else os.get_terminal_size(file.fileno()).columns
    return columns or DEFAULT_WIDTH


def print_folded(text: str, file: IO[str] | None = None, indent: int = 0) -> None:
    """Prints a text at once, as `format_folded` folds it; None is standard output."""
    file = sys.stdout if file is None else file
    print(format_folded(text, find_width(file), indent), file=file, flush=True)


def format_folded(text: str, width: int | None, indent: int = 0) -> str:
    """A text whose lines are folded between words; a command stays in one piece, so that it can be copied.

    Args:
        text: of one or several lines, each of which keeps its indentation.
        width: columns; None folds nothing.
        indent: blanks before what is folded, besides.

    >>> print(format_folded("Look at it: python -m lctrain show model=lc2d. Then go on.", 38, indent=2))
    Look at it:
      python -m lctrain show model=lc2d.
      Then go on.
    >>> print(format_folded("Go on: python -m lctrain 'a={b: c, d: 2}' 'e=[2, 2]' seed=1. Or not.", 20))
    Go on:
    python -m lctrain 'a={b: c, d: 2}' 'e=[2, 2]' seed=1.
    Or not.
    """
    return text if width is None else "\n".join(_fold(line, width, indent) for line in text.split("\n"))


def _fold(line: str, width: int, indent: int) -> str:
    blanks = " " * min(len(line) - len(line.lstrip()) + indent, width // 4)
    glued = COMMAND.sub(lambda command: command[0].replace(" ", GLUE), line)
    wrapper = textwrap.TextWrapper(width, subsequent_indent=blanks, replace_whitespace=False)
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    return wrapper.fill(glued).replace(GLUE, " ")


def format_plain(text: str) -> str:
    """As it is, in one line, with nothing that steers a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
