"""Every file under conf/ composes, validates and builds; and says in its first line how to use it."""

import re
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from made_files import make_arrays, make_downloads, make_images, make_table
from omegaconf import OmegaConf

from lctrain.composition.choices import config_folder, list_choices
from lctrain.composition.overrides import leave_keys_to_validation
from lctrain.config import validate
from lctrain.config.interpolation import resolve
from lctrain.config.schema import DATA_SETS
from lctrain.config.tasks import output_shape
from lctrain.data import complete_from_files, load_splits
from lctrain.model.build import build_model, build_optimizer
from lctrain.model.summary import summarize

REGRESSION = ["data=synthetic", "data.task=regression", "data.num_classes=null", "model=dense"]
DOWNLOADED = ("mnist", "fashion_mnist", "cifar10", "cifar100")
GLOBAL = ("experiment", "debug")  # groups whose files hold parts of everything
CHOICES = [(group, choice) for group, choices in list_choices().items() for choice in choices]
MODELS = list_choices()["model"]
LARGE = ("deepface",)  # built under the marker `slow` alone
HEADER_COUNT = re.compile(r"^# .*?([\d,]+) parameters\.$", re.MULTILINE)
TWINS = ("cuda_convnet", "deepface", "docs1d", "docs2d", "genomics", "lecun_net3", "low_rank", "volume")
LOCAL = ("LocallyConnected1D", "LocallyConnected2D", "LocallyConnected3D", "LowRankLocallyConnected2D")


def compose_config(*overrides):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        composed = compose("config", [leave_keys_to_validation(override) for override in overrides])
        return validate(*resolve(complete_from_files(OmegaConf.to_container(composed))))


@pytest.fixture(scope="session")
def own_files(tmp_path_factory):
    """By data set, the overrides that name files of one's own, or a copy of what is downloaded."""
    folder = tmp_path_factory.mktemp("files")
    make_downloads(folder / "downloads")
    table = make_table(folder / "my.csv", {"target": [row % 3 for row in range(80)], "kind": np.arange(80) % 7})
    downloads = {name: [f"data.folder={folder / 'downloads'}"] for name in DOWNLOADED}
    return downloads | {
        "arrays": [f"data.path={make_arrays(folder)}"],
        "table": [f"data.path={table}", "data.target=target"],
        "images": [f"data.path={make_images(folder / 'images')}"],
    }


def test_every_file_is_covered():
    files = sorted(path.relative_to(config_folder()).as_posix() for path in Path(config_folder()).rglob("*.yaml"))
    own = ["config.yaml", "hydra/hydra_logging/lctrain.yaml", "hydra/job_logging/lctrain.yaml"]
    own += [f"hydra/launcher/{name}.yaml" for name in ("joblib_workers", "ray_cluster", "slurm")]
    own += ["hydra/sweeper/optuna_study.yaml"]
    assert files == sorted(own + [f"{group}/{choice}.yaml" for group, choice in CHOICES])
    assert len(files) == 84


def mark_large(group, choice):
    return pytest.param(group, choice, marks=[pytest.mark.slow] if choice in LARGE else [])


@pytest.mark.parametrize(("group", "choice"), [mark_large(*pair) for pair in CHOICES])
def test_every_choice_composes_validates_and_builds(group, choice, own_files):
    others = ["model=dense", *own_files.get(choice, [])] if group == "data" else []  # the dense one takes any shape
    others += REGRESSION if choice == "regression" else []
    config = compose_config(f"{group}={choice}", *others)
    if group not in GLOBAL:
        name = config.optimizer["type"].lower() if group == "optimizer" else getattr(config, group).name
        assert name == ("synthetic" if choice.startswith("synthetic_") else choice)
    built, summary = build_model(config), summarize(config)
    assert built.output_shape == output_shape(config.data)
    assert built.count_params() == summary.parameters
    for layer in summary.layers:
        assert built.get_layer(layer.name).output.shape == layer.facts.output_shape
    build_optimizer(config.optimizer)


@pytest.mark.parametrize("choice", list_choices()["data"])
def test_every_data_set_holds_what_it_states(choice, own_files):
    config = compose_config(f"data={choice}", "model=dense", *own_files.get(choice, []))
    splits = load_splits(config.data, config.data_format)
    assert list(splits.train.inputs.shape[1:]) == config.data.input_shape
    assert splits.train.labels.max() + 1 == config.data.num_classes


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_file_opens_with_its_command_and_what_it_is(group, choice):
    lines = (config_folder() / group / f"{choice}.yaml").read_text().splitlines()
    if group in GLOBAL:
        assert lines.pop(0) == "# @package _global_"  # which Hydra reads in the first line alone
    first, second, *_ = lines
    assert first.startswith("# python -m lctrain ")
    assert f"{group}={choice}" in first
    assert second.startswith("# ")


def test_every_loader_has_a_choice():
    made_of_others = ("synthetic_faces", "synthetic_genomes", "synthetic_sequences", "synthetic_volumes")
    assert set(DATA_SETS) == set(list_choices()["data"]) - set(made_of_others)


def test_a_model_chooses_its_data_and_the_command_line_wins():
    assert compose_config("model=lc1d").data.name == "digits_rows"
    assert compose_config("model=lc1d", "data=synthetic").data.name == "synthetic"


@pytest.mark.parametrize("model", MODELS)
def test_parameters_are_those_of_the_header(model):
    header = (config_folder() / "model" / f"{model}.yaml").read_text().partition("name:")[0]
    stated = HEADER_COUNT.findall(header)
    assert stated == [f"{summarize(compose_config(f'model={model}')).parameters:,}"]


@pytest.mark.parametrize(
    ("model", "shapes", "parameters"),
    [
        ("docs1d", [(None, 8, 64), (None, 6, 32)], [8 * 3 * 32 * 64 + 8 * 64, 6 * 3 * 64 * 32 + 6 * 32]),
        (
            "docs2d",
            [(None, 30, 30, 64), (None, 28, 28, 32)],
            [(30 * 30) * (3 * 3 * 3 * 64) + (30 * 30) * 64, (28 * 28) * (3 * 3 * 64 * 32) + (28 * 28) * 32],
        ),
    ],
)
def test_the_examples_of_the_documentation_have_its_shapes_and_parameters(model, shapes, parameters):
    local = [layer.facts for layer in summarize(compose_config(f"model={model}")).layers if layer.type in LOCAL]
    assert [facts.output_shape for facts in local] == shapes
    assert [facts.parameters for facts in local] == parameters


def test_deepface_has_the_papers_sizes():
    layers = summarize(compose_config("model=deepface", "data.num_classes=4030")).layers
    shapes = {layer.name: layer.facts.output_shape[1:] for layer in layers}
    assert shapes["c1"] == (142, 142, 32)
    assert shapes["m2"] == (71, 71, 32)
    assert shapes["c3"] == (63, 63, 16)
    assert shapes["l4"] == (55, 55, 16)
    assert shapes["l5"] == (25, 25, 16)
    assert shapes["l6"] == (21, 21, 16)
    assert (shapes["f7"], shapes["f8"]) == ((4096,), (4030,))


@pytest.mark.parametrize("model", TWINS)
def test_twins_have_the_same_layers_but_for_the_local_ones(model):
    local, conv, dense = (summarize(compose_config(f"model={model}{twin}")).layers for twin in ("", "_conv", "_dense"))
    assert any(layer.type in LOCAL for layer in local)
    assert not any(layer.type in LOCAL for layer in (*conv, *dense))
    assert [layer.facts.output_shape for layer in conv] == [layer.facts.output_shape for layer in local]
    assert all(twin.type.startswith("Conv") for twin, layer in zip(conv, local, strict=True) if layer.type in LOCAL)
    width = "outputs" if model == "lecun_net3" else "filters"
    kept = [layer.name for layer in local]
    wanted = [_width(layer, width) for layer in local if layer.type in LOCAL]
    units = [layer.arguments["units"] for layer in dense if layer.type == "Dense"]
    assert units[: len(wanted)] == wanted
    others = [layer for layer in dense if layer.type != "Dense" and layer.name != "flatten"]
    assert all(layer.name in kept for layer in others)


def _width(layer, width):
    positions = layer.facts.output_shape[1:-1] if width == "outputs" else ()
    return prod(positions) * layer.arguments["filters"]


def test_the_older_baselines_see_the_same_windows():
    for local, shared in (("lc1d", "conv1d"), ("lc2d", "conv2d")):
        shapes = [
            [layer.facts.output_shape for layer in summarize(compose_config(f"model={name}")).layers]
            for name in (local, shared)
        ]
        assert shapes[0] == shapes[1]


def test_an_experiment_changes_all_groups_and_the_command_line_wins():
    config = compose_config("experiment=smooth_cosine")
    assert config.training.loss == {"type": "CategoricalCrossentropy", "label_smoothing": 0.1}
    assert list(config.training.metrics) == ["accuracy", "top2"]
    assert config.optimizer["learning_rate"]["type"] == "CosineDecay"
    assert compose_config("experiment=shared_weights").seed == 1
    assert compose_config("experiment=shared_weights", "seed=2", "model=dense").model_dump()["seed"] == 2
    config = compose_config("experiment=smooth_cosine", "optimizer=sgd", "optimizer.learning_rate=3e-4")
    assert (config.optimizer["type"], config.optimizer["learning_rate"]) == ("SGD", 3e-4)
