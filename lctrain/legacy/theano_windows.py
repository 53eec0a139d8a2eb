"""How Theano padded, pooled and cut off layer by layer, and what computes the same today.

Source: the Theano backends of Keras 1.0.8, 1.2.2 and 2.0 to 2.3.1, and files that they wrote.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lctrain.config.validation import OVER_LAST_AXIS
from lctrain.legacy.theano import RECURRENT

CONVOLUTIONS = ("Conv1D", "Conv2D", "DepthwiseConv2D")
# Before it Conv3D padded as TensorFlow does, and until 2.0 as the version of Theano did.
OF_TENSORFLOW = (1, 1, 1)
SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
TRANSPOSED = ("Conv2DTranspose", "Conv3DTranspose")
POOLS = tuple(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3))
Margins = list[list[int]]


@dataclass(frozen=True)
class Rewritten:
    """A layer in today's arguments, and what stands around it so that it computes the same.

    Args:
        spec: of the layer.
        before: of what stands before it; None for nothing.
        behind: of what stands behind it; likewise.
        lines: of the report: field, value, kind and note.
        obstacle: why it can't be; None where it can.
    """

    spec: dict[str, Any]
    before: dict[str, Any] | None = None
    behind: dict[str, Any] | None = None
    lines: tuple[tuple[str, Any, str, str], ...] = ()
    obstacle: str | None = None


@dataclass(frozen=True)
class OldWindow:
    """A layer as it was, its window one number per spatial axis.

    Args:
        arguments: complete.
        sizes: of its input.
        version: of the Keras that made its weights.
        is_positive: whether its input is never below 0.
    """

    arguments: Mapping[str, Any]
    sizes: tuple[int, ...]
    version: tuple[int, ...]
    is_positive: bool

    @property
    def taps(self) -> tuple[int, ...]:
        return sizes_of(self.arguments.get("kernel_size", self.arguments.get("pool_size")), len(self.sizes))

    @property
    def strides(self) -> tuple[int, ...]:
        strides = self.arguments["strides"]
        return self.taps if strides is None else sizes_of(strides, len(self.sizes))

    @property
    def dilation(self) -> tuple[int, ...]:
        return sizes_of(self.arguments.get("dilation_rate", 1), len(self.sizes))

    @property
    def is_same(self) -> bool:
        return bool(self.arguments["padding"] == "same")

    def find_margins(self, find: Callable[[int, int, int], int], more: Sequence[int] | None = None) -> Margins:
        """Zeros (before, behind) of each axis for one output per step of the window.

        Args:
            find: how many before, from the input's size, the window's span and its step.
            more: elements that the window gets behind it.
        """
        pairs = []
        for i, (size, taps, stride, dilation) in enumerate(
            zip(self.sizes, self.taps, self.strides, self.dilation, strict=True)
        ):
            span = (taps - 1) * dilation + 1
            before, outputs = find(size, span, stride), -(-size // stride)
            behind = max((outputs - 1) * stride + span - size - before, 0)
            pairs.append([before, behind + (0 if more is None else more[i])])
        return pairs

    def make_zeros(self, margins: Margins) -> dict[str, Any]:
        """The layer that puts zeros around an input."""
        rank = len(self.sizes)
        padding = margins[0] if rank == 1 else margins
        return {"type": f"ZeroPadding{rank}D", "padding": padding, "data_format": self.arguments["data_format"]}


def sizes_of(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number per spatial axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _before_in_theano(size: int, span: int, stride: int) -> int:
    return span // 2


def _before_today(size: int, span: int, stride: int) -> int:
    return max((-(-size // stride) - 1) * stride + span - size, 0) // 2


def _before_a_pool(size: int, span: int, stride: int) -> int:
    return span - 2 if span > 2 and span % 2 == 1 else span - 1


def _pad(spec: dict[str, Any], old: OldWindow, margins: Margins) -> Rewritten:
    zeros = old.make_zeros(margins)
    note = f"{zeros['type']} of {zeros['padding']}, then valid: as Theano pads"
    line = ("padding", old.arguments["padding"], "translated", note)
    return Rewritten({**spec, "padding": "valid"}, before=zeros, lines=(line,))


def _rewrite_convolution(spec: dict[str, Any], old: OldWindow) -> Rewritten | None:
    """Half of the window before the input, as much behind it."""
    margins = old.find_margins(_before_in_theano)
    if not old.is_same or margins == old.find_margins(_before_today):
        return None
    return _pad(spec, old, margins)


def _rewrite_volume(spec: dict[str, Any], old: OldWindow) -> Rewritten | None:
    """As a convolution from Keras 2 on; before it made no steps, and padded otherwise where the window is even."""
    made = _rewrite_convolution(spec, old)
    if made is None or old.version >= (2,) or any(step != 1 for step in old.strides):
        return made
    if old.version < OF_TENSORFLOW and len(old.version) >= 3:
        return None
    message = "must be valid for windows of even size: from Keras 1.1.1 to 1.2.2 it depends on the version of Theano"
    return Rewritten(spec, obstacle=message)


def _rewrite_separable(spec: dict[str, Any], old: OldWindow) -> Rewritten | None:
    """As a convolution, but that windows of even size gave one position more than Keras counted."""
    if old.is_same and any(size % 2 == 0 for size in old.taps):
        return Rewritten(spec, obstacle="must be valid for windows of even size, which gave one position too many")
    return _rewrite_convolution(spec, old)


def _rewrite_pool(spec: dict[str, Any], old: OldWindow) -> Rewritten | None:
    """Up to the window's size of nothing before the input; its maximum is one over zeros where no input is below."""
    margins = old.find_margins(_before_a_pool)
    if not old.is_same or margins == old.find_margins(_before_today):
        return None
    if spec["type"].startswith("Max") and old.is_positive and all(behind <= before for before, behind in margins):
        return _pad(spec, old, margins)
    return Rewritten(spec, obstacle="must be valid: Theano's pools begin elsewhere than today's, outside of the input")


def _rewrite_transposed(spec: dict[str, Any], old: OldWindow) -> Rewritten | None:
    """What Theano cuts off before is half of the window, whatever the strides."""
    if not old.is_same:
        return None
    cropping, is_whole, more = [], True, old.arguments["output_padding"]
    more = [None] * len(old.sizes) if more is None else sizes_of(more, len(old.sizes))
    for size, taps, stride, added in zip(old.sizes, old.taps, old.strides, more, strict=True):
        whole, before = size * stride + max(taps - stride, 0), taps // 2
        given = size * stride if added is None else (size - 1) * stride + taps - 2 * before + added
        cropping.append([before, whole - before - given])
        is_whole &= cropping[-1][1] >= 0
    if old.arguments["output_padding"] is None and all(
        before == max(taps - step, 0) // 2
        for (before, _), taps, step in zip(cropping, old.taps, old.strides, strict=True)
    ):
        return None
    if not is_whole or old.arguments["activation"] in OVER_LAST_AXIS or any(rate != 1 for rate in old.dilation):
        return Rewritten(spec, obstacle="must be valid: today's Keras cuts off otherwise than Theano at these strides")
    crop = {"type": f"Cropping{len(cropping)}D", "cropping": cropping, "data_format": old.arguments["data_format"]}
    line = ("padding", "same", "translated", f"valid, then {crop['type']} of {cropping}: as Theano cuts off")
    return Rewritten({**spec, "padding": "valid", "output_padding": None}, behind=crop, lines=(line,))


def _rewrite_recurrent(spec: dict[str, Any], old: OldWindow) -> Rewritten | None:
    """A window of even size becomes one of odd size, its last taps 0: then "same" is the same in the recurrence too."""
    odd = replace(old, arguments={**old.arguments, "kernel_size": [size + 1 - size % 2 for size in old.taps]})
    more = [(new - old) * rate for new, old, rate in zip(odd.taps, old.taps, old.dilation, strict=True)]
    margins = old.find_margins(_before_in_theano, more) if old.is_same else [[0, size] for size in more]
    widened, is_wider = {**spec, "kernel_size": list(odd.taps)}, odd.taps != old.taps
    if old.is_same and margins == odd.find_margins(_before_today):
        made = Rewritten(widened) if is_wider else None
    elif any(map(any, margins)):
        padded = _pad(widened, old, margins)
        made = replace(padded, before={"type": "TimeDistributed", "layer": padded.before})
    else:
        made = None
    if made is None or not is_wider:
        return made
    note = f"{list(odd.taps)}, the last taps 0: for Theano's same in the recurrence. Trained on, they learn too"
    line = ("kernel_size", list(old.taps), "approximated", note)
    return replace(made, lines=(*made.lines, line))


REWRITES: dict[str, Callable[[dict[str, Any], OldWindow], Rewritten | None]] = {
    **dict.fromkeys(CONVOLUTIONS, _rewrite_convolution),
    "Conv3D": _rewrite_volume,
    **dict.fromkeys(SEPARABLE, _rewrite_separable),
    **dict.fromkeys(POOLS, _rewrite_pool),
    **dict.fromkeys(TRANSPOSED, _rewrite_transposed),
    RECURRENT: _rewrite_recurrent,
}
