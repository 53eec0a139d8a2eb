"""`python -m lctrain`."""

from typing import NoReturn

from lctrain.cli import main
from lctrain.system.loading import claim_process
from lctrain.system.signals import leave


def run() -> NoReturn:
    """`main` as all that a process does."""
    claim_process()
    leave(main())


if __name__ == "__main__":
    run()
