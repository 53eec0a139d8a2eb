"""What is right in a device by itself, but not with the strategy, or with what else the strategy can't do."""

from collections.abc import Iterator, Mapping
from typing import Any

from lctrain.errors import Problem


def find_problems_in_devices(raw: Mapping[str, Any]) -> list[Problem]:
    """Problems between `device`, `strategy` and what else a strategy changes; of values of the right kind alone."""
    device = raw["device"] if isinstance(raw.get("device"), Mapping) else {}
    index = device.get("index")
    if isinstance(index, list) and all(isinstance(one, int) for one in index) and len(set(index)) < len(index):
        return [Problem("device.index", f"must name each of several devices once; got {index}.")]
    if raw.get("strategy") == "mirrored":
        return [*_too_few(device), *_not_mirrored(raw)]
    if isinstance(index, list) and len(index) > 1:
        fix = "Use strategy=mirrored to train on all of them."
        return [Problem("device.index", f"must be one device where the strategy is none; got {index}. {fix}")]
    return []


def _too_few(device: Mapping[str, Any]) -> Iterator[Problem]:
    expected = "mirrored needs several devices"
    if device.get("name") == "cpu" and device.get("logical", 1) == 1:
        yield Problem(
            "strategy", f"{expected}; got the cpu as one. Use device.logical=2 to try it out on the processor."
        )
    index = device.get("index")
    if isinstance(index, list) and len(index) == 1:
        yield Problem("strategy", f"{expected}; got `device.index` {index}. Name several: device.index=[0,1].")


def _not_mirrored(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """What Keras or TensorFlow can't do on several devices."""
    if raw.get("jit_compile") is True:
        expected = "must be false with strategy mirrored: XLA can't reach the weights on other devices"
        yield Problem("jit_compile", f"{expected}; got true.")
    model, optimizer = raw.get("model"), raw.get("optimizer")
    if isinstance(model, Mapping) and model.get("batch_size") is not None:
        expected = "must be null with strategy mirrored, where each device gets a part of the batch"
        yield Problem("model.batch_size", f"{expected}; got {model['batch_size']!r}.")
    steps = optimizer.get("gradient_accumulation_steps") if isinstance(optimizer, Mapping) else None
    if steps is not None:
        expected = "must be null with strategy mirrored: Keras can't accumulate gradients on several devices"
        yield Problem("optimizer.gradient_accumulation_steps", f"{expected}; got {steps!r}.")
