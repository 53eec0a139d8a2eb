"""`python -m lctrain`."""

from typing import NoReturn

from lctrain.cli import main
from lctrain.system.signals import leave


def run() -> NoReturn:
    """`main` as all that a process does."""
    leave(main())


if __name__ == "__main__":
    run()
