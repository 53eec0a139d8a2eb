"""The loss of one job over its epochs."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure


def draw_loss_curve(history: Mapping[str, list[float]], loss: Mapping[str, Any] | None = None) -> Figure:
    """Training and validation loss over epochs; `loss` is its spec, None for cross-entropy."""
    figure = Figure(figsize=(6, 4), layout="constrained", facecolor="white")
    axes = figure.subplots()
    epochs = range(len(history["loss"]))
    axes.plot(epochs, history["loss"], label="training")
    axes.plot(epochs, history["val_loss"], label="validation", linestyle="--")
    axes.set(xlabel="epoch", ylabel=f"loss ({'cross-entropy, nats' if loss is None else loss['type']})")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
