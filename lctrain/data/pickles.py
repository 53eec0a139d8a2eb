"""Reading the pickles that CIFAR is published in, without running what is in them."""

import importlib
import pickle
from typing import IO, Any

# What NumPy's arrays and Python 2's bytes are rebuilt by. NumPy 2 calls `core` `_core`.
ALLOWED = {
    ("numpy", "ndarray"): ("numpy", "ndarray"),
    ("numpy", "dtype"): ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"): ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"): ("_codecs", "encode"),
}


class RefusedError(Exception):
    """A pickle names something that would be run, or is none."""


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise RefusedError(f"it asks for `{module}.{name}`, and only arrays are read")
        module, name = ALLOWED[module, name]
        return getattr(importlib.import_module(module), name)


def load_arrays_only(file: IO[bytes]) -> Any:
    """What was pickled, as long as it is made of plain values and NumPy's arrays.

    Raises:
        RefusedError: it names something else, which is not run; or it is truncated, or no pickle.
    """
    try:
        return _ArrayUnpickler(file, encoding="bytes").load()
    except RefusedError:
        raise
    except Exception as error:
        # A damaged pickle may raise anything.
        raise RefusedError(f"it is truncated, or no pickle: {error}") from None
