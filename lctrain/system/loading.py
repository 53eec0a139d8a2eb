"""Loading large libraries: without searching them for garbage, and without packages that they can do without."""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_is_claimed = False


def claim_process() -> None:
    """Says that this process does lctrain's work alone: what is loaded in it is never searched again, and some hidden.

    Elsewhere both would matter: `gc.get_referrers` sees nothing that is not searched, Keras would take no DataFrame.
    """
    global _is_claimed
    _is_claimed = True


@contextmanager
def loading() -> Iterator[None]:
    """Loads without Python's garbage collector, which would search all that is loaded anew for every bit more of it.

    In a process that is claimed, what is there at the end is never searched again: it stays, as modules do.
    """
    num_modules, was_enabled = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _is_claimed and len(sys.modules) > num_modules:
            gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def hidden(packages: Sequence[str]) -> Iterator[None]:
    """Lets libraries that are loaded meanwhile take packages for not installed, but those that are loaded already.

    So in a process that is claimed. No other thread may load any of them meanwhile.
    """
    missing = [name for name in packages if name not in sys.modules] if _is_claimed else []
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type] # None is how Python itself is told so
    try:
        yield
    finally:
        for name in missing:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
