"""Under which backend an old model's weights were made, as far as its files show.

Source: 47 files of Keras 1 and 627 of Keras 2: TensorFlow ends the name of an array in `:0`, Theano does not.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lctrain.errors import UserError
from lctrain.legacy.errors import describe

BACKENDS = ("tensorflow", "theano", "cntk")
OF_TENSORFLOW = re.compile(r".+:\d+")
ASK = "--backend theano or --backend tensorflow, load_model(backend=...)"


@dataclass(frozen=True)
class Backend:
    """A backend, and how it is known.

    Args:
        name: as the file or the user states it, or as the arrays' names show it; None where it is not known.
        evidence: what shows it.
        is_contradicted: whether the arrays' names are those of another.
        is_likely: whether the arrays' names leave another possible.
    """

    name: str | None = None
    evidence: str = "nothing tells it"
    is_contradicted: bool = False
    is_likely: bool = False


def find_backend(given: str | None, written: str | None, array_names: Iterable[str]) -> Backend:
    """The backend of a file.

    Args:
        given: by the user.
        written: in the file.
        array_names: of its weights.

    Raises:
        UserError: a given backend that there is not, or that the file or its arrays' names contradict.
    """
    if given is not None and given not in BACKENDS:
        raise UserError(f"`backend` must be one of {', '.join(BACKENDS)}; got {given!r}.")
    if given is not None and written is not None and given != written:
        message = f"must be what the file says, {describe(written)}; got {describe(given)}"
        raise UserError(f"`backend` {message}. Leave it out.")
    fitting = _read_names(array_names)
    if given is not None and given not in fitting:
        message = f"must be {' or '.join(fitting)}, as the arrays' names tell; got {describe(given)}"
        raise UserError(f"`backend` {message}. TensorFlow ends them in `:0`, others do not. Leave it out.")
    if written is not None:
        return Backend(written, "the file says it", written in BACKENDS and written not in fitting)
    if given is not None:
        return Backend(given, "given")
    if fitting == BACKENDS:
        return Backend()
    ending = "end" if len(fitting) == 1 else "do not end"
    return Backend(fitting[0], f"its arrays' names {ending} in `:0`", is_likely=len(fitting) > 1)


def _read_names(array_names: Iterable[str]) -> tuple[str, ...]:
    """The backends that name arrays so, the likeliest first; all of them where the names leave it open."""
    marks = {OF_TENSORFLOW.fullmatch(name) is not None for name in array_names}
    if len(marks) != 1:
        return BACKENDS
    return ("tensorflow",) if marks == {True} else ("theano", "cntk")
