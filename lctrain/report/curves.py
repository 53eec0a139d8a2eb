"""The loss of one job over its epochs."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lctrain.config.tasks import TASKS


def draw_loss_curve(
    history: Mapping[str, list[float]],
    loss: Mapping[str, Any] | None = None,
    task: str = "classification",
    validation_frequency: int = 1,
) -> Figure:
    """Training and validation loss over epochs.

    Args:
        history: `loss` of each epoch, `val_loss` of each that had a validation.
        loss: its spec; None for the task's own.
        task: of the data.
        validation_frequency: epochs from one validation to the next; the last epoch has one too.
    """
    figure = Figure(figsize=(6, 4), layout="constrained", facecolor="white")
    axes = figure.subplots()
    epochs = range(1, len(history["loss"]) + 1)
    axes.plot(epochs, history["loss"], label="training")
    validated = [min((i + 1) * validation_frequency, len(epochs)) for i in range(len(history["val_loss"]))]
    axes.plot(validated, history["val_loss"], label="validation", linestyle="--")
    own = TASKS[task].loss if task == "regression" else "cross-entropy, nats"
    axes.set(xlabel="epoch", ylabel=f"loss ({own if loss is None else loss['type']})")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
