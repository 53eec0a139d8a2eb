"""Legacy fans against ours, by depth: python -m experiments.initialisation.study --folder FOLDER"""

from pathlib import Path

import yaml

from experiments import sweeps

DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16)
FANS = {"position": "of one position (ours)", "legacy": "of the whole kernel (tf.keras, implementation 1)"}
SEEDS = range(3)
CHANCE = 10  # percent


def main() -> None:
    options = sweeps.parse_options(__doc__)
    configs = options.folder / "configs"
    for depth in DEPTHS:
        write_model(depth, configs / "model")
    sweep = make_sweep(configs)
    jobs = sweeps.get_sweep("initialisation", sweep, options)
    accuracies = sweeps.collect(jobs, "test_accuracy", ("model.name", "model.layers.local1.kernel_fans"))
    summaries = {key: sweeps.summarize(values) for key, values in accuracies.items()}
    rows = [
        [f"{message}", *(sweeps.tell_percent(summaries[f"depth_{depth}", fans]) for depth in DEPTHS)]
        for fans, message in FANS.items()
    ]
    table = sweeps.write_table(["fans", *(f"{depth} layer{'s' if depth > 1 else ''}" for depth in DEPTHS)], rows)
    listed = [{"model": model, "fans": fans, **summaries[model, fans]} for model, fans in summaries]
    folder = Path(__file__).parent / "results"
    sweeps.write_results(folder, {"rows": listed}, table)
    sweeps.save_themes(lambda figure, theme: draw(figure, theme, summaries), folder / "depth.png", (8.0, 4.2))


def make_sweep(configs: Path) -> list[str]:
    """The command line of the sweep over what `write_model` has written."""
    return [
        *("--config-dir", str(configs.absolute()), "experiment=initialisation", f"seed={','.join(map(str, SEEDS))}"),
        f"model={','.join(f'depth_{depth}' for depth in DEPTHS)}",
        f"model.layers.local1.kernel_fans={','.join(FANS)}",
    ]


def write_model(depth: int, folder: Path) -> None:
    """A configuration of so many local layers of eight filters, with padding `same`; all have the fans of the first."""
    layer = {"type": "LocallyConnected2D", "filters": 8, "kernel_size": 3, "padding": "same", "activation": "relu"}
    layers = {f"local{i}": layer | {"kernel_fans": "${model.layers.local1.kernel_fans}"} for i in range(1, depth + 1)}
    layers["local1"]["kernel_fans"] = "position"
    layers["flatten"] = {"type": "Flatten"}
    layers["head"] = {"type": "Dense", "units": "${data.num_classes}", "activation": "softmax"}
    folder.mkdir(parents=True, exist_ok=True)
    content = yaml.safe_dump({"name": f"depth_{depth}", "layers": layers}, sort_keys=False)
    (folder / f"depth_{depth}.yaml").write_text(content)


def draw(figure, theme, summaries) -> None:
    axes = figure.subplots()
    curves = {f"fans {message}": [summaries[f"depth_{d}", fans] for d in DEPTHS] for fans, message in FANS.items()}
    sweeps.draw_curves(axes, theme, DEPTHS, curves)
    axes.axhline(CHANCE, color=theme.faint)
    axes.annotate("chance", (DEPTHS[-1], CHANCE + 1.5), color=theme.ink, fontsize=8.5, ha="right")
    sweeps.label(
        axes, theme, "Digits, 20 epochs: mean and deviation over three seeds", "local layers", "test accuracy, percent"
    )
    axes.set_xticks(DEPTHS)
    axes.set_ylim(0, 101)
    sweeps.add_legend(figure, theme, 2)


if __name__ == "__main__":
    main()
