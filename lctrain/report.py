"""Tables and pictures of what a job reached."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from rich.table import Table


def draw_loss_curve(history: Mapping[str, list[float]]) -> Figure:
    """Training and validation loss over epochs."""
    figure = Figure(figsize=(6, 4), layout="constrained", facecolor="white")
    axes = figure.subplots()
    epochs = range(len(history["loss"]))
    axes.plot(epochs, history["loss"], label="training")
    axes.plot(epochs, history["val_loss"], label="validation", linestyle="--")
    axes.set(xlabel="epoch", ylabel="loss (cross-entropy, nats)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def summary_table(title: str, metrics: Mapping[str, float]) -> Table:
    """The few figures that a user looks for at the end of a job."""
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for label, name, template in SUMMARY:
        table.add_row(label, template.format(metrics[name]))
    return table


SUMMARY = (
    ("test accuracy", "test_accuracy", "{:.4f}"),
    ("test loss", "test_loss", "{:.4f}"),
    ("parameters", "params_total", "{:,.0f}"),
    ("build", "build_seconds", "{:.2f} s"),
    ("first step", "first_step_seconds", "{:.2f} s"),
    ("train step (median)", "train_step_ms", "{:.2f} ms"),
    ("inference (median)", "inference_ms", "{:.2f} ms"),
    ("examples per second", "examples_per_second", "{:,.0f}"),
    ("peak memory", "peak_memory_mb", "{:,.0f} MB"),
)
