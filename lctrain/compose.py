"""The old name of `lctrain.r`. What it gives warns; it will be removed in the next release."""

import warnings
from typing import Any

from lctrain import r

__all__ = r.__all__


def __getattr__(name: str) -> Any:
    if name not in r.__all__:
        raise AttributeError(f"module 'lctrain.compose' has no attribute {name!r}")
    message = "`lctrain.compose` is now `lctrain.r`. The old name will be removed in the next release."
    warnings.warn(message, FutureWarning, stacklevel=2)
    return getattr(r, name)
