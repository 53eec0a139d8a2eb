"""How far a command is that takes long."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lctrain.system.tables import make_console
from lctrain.system.terminal import print_folded

BAR_WIDTH = 20  # columns


@contextmanager
def show_progress(total: int | None = None) -> Iterator[Callable[[str], None]]:
    """Gives a function to call with the name of each step that begins.

    A terminal at standard error shows a bar; another file there gets a line per step.

    Args:
        total: how many steps there are; None for a single one, of which a terminal shows the time.
    """
    console = make_console(sys.stderr)
    number = count()
    if not console.is_terminal or console.is_dumb_terminal:
        place = "" if total is None else "[{}/{}] "
        yield lambda name: print_folded(f"{place.format(next(number) + 1, total)}{name}", sys.stderr)
        return
    steps = () if total is None else (BarColumn(BAR_WIDTH), MofNCompleteColumn())
    with Progress(
        TextColumn("{task.description}"), *steps, TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, description=name, completed=next(number))
