"""Which implementation is fastest where: python -m experiments.implementations.study --folder FOLDER"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm

from experiments import sweeps
from lctrain.report.ranking import MARGIN

MODELS = ("lecun_net3", "lc1d", "lc2d", "docs1d", "genomics", "cuda_convnet", "volume", "docs2d")  # by parameters
MODES = ("1", "2", "3", "batched", "auto")
THREADS = ("1", "2")
SWEEP = [
    *("experiment=implementations", f"model={','.join(MODELS)}", f"implementation={','.join(MODES)}"),
    f"device.threads={','.join(THREADS)}",
]
METRICS = ("train_step_ms", "train_step_ms_p90", "inference_ms", "first_step_seconds", "peak_memory_mb", "params_total")
Cases = Mapping[tuple[str, str], Mapping[str, Mapping[str, float]]]


def main() -> None:
    options = sweeps.parse_options(__doc__)
    if options.jobs > 1:
        sys.exit("Jobs that run side by side can't be timed: leave --jobs out.")
    jobs = sweeps.get_sweep("implementations", SWEEP, options)
    cases = {(model, threads): {} for model in MODELS for threads in THREADS}
    for job in jobs:
        model, threads, mode = (sweeps.read(job, key) for key in ("model.name", "device.threads", "implementation"))
        cases[model, threads][mode] = {name: job.last(name) for name in METRICS if job.last(name) is not None}
    table = tabulate(cases)
    results = Path(__file__).parent / "results"
    sweeps.write_results(
        results, {"cases": [{"model": m, "threads": t, "modes": cases[m, t]} for m, t in cases]}, table
    )
    sweeps.save_themes(lambda figure, theme: draw(figure, theme, cases), results / "map.png", (9.5, 4.6))


def best(modes: Mapping[str, Mapping[str, float]]) -> float:
    """The shortest step of the modes that a user may choose by hand."""
    return min(values["train_step_ms"] for mode, values in modes.items() if mode != "auto")


def tabulate(cases: Cases) -> str:
    rows = []
    for (model, threads), modes in cases.items():
        parameters = int(next(iter(modes.values()))["params_total"])
        cells = [tell(modes.get(mode), best(modes)) for mode in MODES]
        memory = [f"{modes[mode]['peak_memory_mb']:,.0f}" if mode in modes else "-" for mode in MODES]
        ratio = f"{modes['auto']['train_step_ms'] / best(modes):.2f}"
        rows.append([model, f"{parameters:,}", threads, *cells, ratio, " / ".join(memory)])
    return sweeps.write_table(
        ["model", "parameters", "threads", *MODES, "auto over the best", f"peak memory, MB ({' / '.join(MODES)})"], rows
    )


def tell(values: Mapping[str, float] | None, shortest: float) -> str:
    """Milliseconds of a training step; bold where that is a tie with the shortest."""
    if values is None:
        return "-"
    milliseconds = values["train_step_ms"]
    message = f"{milliseconds:.3g}" if milliseconds < 1000 else f"{milliseconds:,.0f}"
    return f"**{message}**" if values["train_step_ms"] <= shortest * MARGIN else message


def draw(figure, theme, cases: Cases) -> None:
    panels = figure.subplots(1, len(THREADS), sharey=True)
    for axes, threads in zip(panels, THREADS, strict=True):
        ratios = np.full((len(MODELS), len(MODES)), np.nan)
        for row, model in enumerate(MODELS):
            modes = cases[model, threads]
            for column, mode in enumerate(MODES):
                if mode in modes:
                    ratios[row, column] = modes[mode]["train_step_ms"] / best(modes)
        image = axes.imshow(ratios, norm=LogNorm(1, 100), cmap="cividis_r", aspect="auto")
        for (row, column), ratio in np.ndenumerate(ratios):
            dark = ratio > 10
            message = "-" if np.isnan(ratio) else f"{ratio:.3g}"
            axes.text(column, row, message, ha="center", va="center", fontsize=9, color="white" if dark else "black")
        sweeps.label(axes, theme, f"{threads} thread{'s' if threads != '1' else ''}", "implementation", "model")
        axes.grid(False)
        axes.set_xticks(range(len(MODES)), MODES)
        axes.set_yticks(range(len(MODELS)), MODELS)
    panels[1].set_ylabel("")
    bar = figure.colorbar(image, ax=panels)
    bar.set_label("training step over the fastest one of 1, 2, 3, batched", color=theme.ink, fontsize=9)
    bar.ax.tick_params(colors=theme.ink, labelsize=8.5)


if __name__ == "__main__":
    main()
