"""Learning curves of dense, conv and local nets: python -m experiments.digits.study --folder FOLDER"""

from pathlib import Path

from experiments import sweeps

NETS = {  # model: what it is
    "lc2d": "local",
    "digits_dense": "dense, parameters and FLOPs of lc2d",
    "conv2d": "conv, FLOPs of lc2d",
    "digits_conv": "conv, parameters of lc2d",
}
SIZES = (50, 100, 200, 400, 800, None)
SEEDS = range(5)
SWEEP = [
    *("experiment=digits", f"model={','.join(NETS)}", f"seed={','.join(map(str, SEEDS))}"),
    f"data.train_limit={','.join('null' if size is None else str(size) for size in SIZES)}",
]
ALL = 1257  # examples of the whole training split


def main() -> None:
    jobs = sweeps.get_sweep("digits", SWEEP, sweeps.parse_options(__doc__))
    accuracies = sweeps.collect(jobs, "test_accuracy", ("model.name", "data.train_limit"))
    summaries = {key: sweeps.summarize(values) for key, values in accuracies.items()}
    rows = []
    for net, message in NETS.items():
        parameters = int(next(job for job in jobs if sweeps.read(job, "model.name") == net).last("params_total"))
        cells = [sweeps.tell_percent(summaries[net, name(size)]) for size in SIZES]
        rows.append([f"{net} ({message})", f"{parameters:,}", *cells])
    table = sweeps.write_table(["net", "parameters", *(f"{size or ALL} examples" for size in SIZES)], rows)
    listed = [
        {"net": net, "examples": ALL if size == "null" else int(size), **summaries[net, size]}
        for net, size in summaries
    ]
    folder = Path(__file__).parent / "results"
    sweeps.write_results(folder, {"rows": listed}, table)
    sweeps.save_themes(lambda figure, theme: draw(figure, theme, summaries), folder / "curves.png", (8.0, 4.6))


def name(size: int | None) -> str:
    return "null" if size is None else str(size)


def draw(figure, theme, summaries) -> None:
    axes = figure.subplots()
    sizes = [size or ALL for size in SIZES]
    curves = {f"{net}: {message}": [summaries[net, name(size)] for size in SIZES] for net, message in NETS.items()}
    sweeps.draw_curves(axes, theme, sizes, curves)
    title = "Digits: mean and deviation over five seeds"
    sweeps.label(axes, theme, title, "training examples", "test accuracy, percent")
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    sweeps.add_legend(figure, theme, 2)


if __name__ == "__main__":
    main()
