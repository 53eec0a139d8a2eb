"""MNIST-1D as published, and with local layers: python -m experiments.mnist1d.study --folder FOLDER"""

from collections.abc import Sequence
from pathlib import Path

from experiments import sweeps
from lctrain.tracking.run_result import RunResult

PUBLISHED = {  # Greydanus 2020, in percent: as they are, shuffled
    "mnist1d_logistic": (32, 32),
    "mnist1d_mlp": (68, 68),
    "mnist1d_cnn": (94, 56),
    "mnist1d_gru": (91, 57),
}
NEW = ("mnist1d_local", "mnist1d_low_rank")
SEEDS = range(5)
BRIEF = 15  # epochs of a convolutional net whose kernels are then set free; else the whole 150
ORDER = ("false", "true")
SWEEP = ["experiment=mnist1d", f"data.shuffled={','.join(ORDER)}", f"seed={','.join(map(str, SEEDS))}"]


def main() -> None:
    options = sweeps.parse_options(__doc__)
    jobs = sweeps.get_sweep("mnist1d", [*SWEEP, f"model={','.join([*PUBLISHED, *NEW])}"], options)
    brief = sweeps.get_sweep("mnist1d_brief", [*SWEEP, "model=mnist1d_cnn", f"training.epochs={BRIEF}"], options)
    results = {(net, order): pick(jobs, net, order) for net in [*PUBLISHED, *NEW] for order in ORDER}
    results |= {(f"mnist1d_cnn, {BRIEF} epochs", order): pick(brief, "mnist1d_cnn", order) for order in ORDER}
    for model, source, message in (
        ("mnist1d_local", brief, f"{BRIEF} epochs of mnist1d_cnn"),
        ("mnist1d_local", jobs, "mnist1d_cnn"),
        ("mnist1d_cnn", jobs, "mnist1d_cnn"),  # as long, and never freed
    ):
        for order in ORDER:
            ids = ",".join(net.run_id for net in pick(source, "mnist1d_cnn", order))
            overrides = ["experiment=mnist1d", f"model={model}", f"data.shuffled={order}", f"init_from={ids}"]
            name = f"{model}_from_{'brief' if source is brief else 'long'}_{order}"
            results[f"{model} from {message}", order] = sweeps.get_sweep(name, overrides, options)
    summaries = {case: sweeps.summarize([job.last("test_accuracy") for job in done]) for case, done in results.items()}
    parameters = {case: int(done[0].last("params_total")) for case, done in results.items()}
    rows = [{"net": n, "shuffled": o, "parameters": parameters[n, o], **summaries[n, o]} for n, o in summaries]
    folder = Path(__file__).parent / "results"
    sweeps.write_results(folder, {"published_percent": PUBLISHED, "rows": rows}, tabulate(summaries, parameters))
    sweeps.save_themes(lambda figure, theme: draw(figure, theme, summaries), folder / "accuracies.png", (9.0, 4.6))


def pick(jobs: Sequence[RunResult], model: str, order: str) -> list[RunResult]:
    found = {"model.name": model, "data.shuffled": order}
    return [job for job in jobs if all(sweeps.read(job, key) == value for key, value in found.items())]


def tabulate(summaries, parameters) -> str:
    rows = []
    for net in dict.fromkeys(net for net, _ in summaries):
        published = PUBLISHED.get(net)
        message = ["" if published is None else f"{value}" for value in published or (None, None)]
        cells = [sweeps.tell_percent(summaries[net, order]) for order in ORDER]
        seeds = min(len(summaries[net, order]["values"]) for order in ORDER)
        rows.append([net, f"{parameters[net, ORDER[0]]:,}", message[0], cells[0], message[1], cells[1], seeds])
    return sweeps.write_table(
        ["net", "parameters", "published", "here", "published, shuffled", "here, shuffled", "seeds"], rows
    )


def draw(figure, theme, summaries) -> None:
    axes = figure.subplots()
    nets = list(dict.fromkeys(net for net, _ in summaries))
    for place, (order, message) in enumerate(zip(ORDER, ("in order", "shuffled"), strict=True)):
        known = [(row, summaries[net, order]) for row, net in enumerate(nets)]
        rows = [row + 0.36 * place - 0.18 for row, _ in known]
        means = [100 * summary["mean"] for _, summary in known]
        errors = [100 * summary["deviation"] for _, summary in known]
        axes.barh(rows, means, 0.34, xerr=errors, color=theme.colours[place], ecolor=theme.ink, label=message)
        published = [(nets.index(net) + 0.36 * place - 0.18, values[place]) for net, values in PUBLISHED.items()]
        axes.scatter(
            [value for _, value in published],
            [row for row, _ in published],
            marker="D",
            s=26,
            zorder=3,
            facecolor=theme.background,
            edgecolor=theme.ink,
            label="as published" if place else None,
        )
    sweeps.label(axes, theme, "MNIST-1D: mean and deviation over seeds", "test accuracy, percent", "")
    axes.set_yticks(range(len(nets)), nets)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    sweeps.add_legend(figure, theme, 3)


if __name__ == "__main__":
    main()
