"""How far a command is that takes long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lctrain.system.tables import make_console

BAR_WIDTH = 20  # columns


@contextmanager
def show_progress(total: int | None = None) -> Iterator[Callable[[str], None]]:
    """Gives a function to call with the name of each step that begins: a terminal shows a bar, other files get a line.

    Args:
        total: how many steps there are; None for a single one, of which a terminal shows the time.
    """
    console = make_console()
    number = count()
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda name: print(name if total is None else f"[{next(number) + 1}/{total}] {name}", flush=True)
        return
    steps = () if total is None else (BarColumn(BAR_WIDTH), MofNCompleteColumn())
    with Progress(
        TextColumn("{task.description}"), *steps, TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, description=name, completed=next(number))
