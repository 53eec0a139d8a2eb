"""Every file under conf/ composes, validates and builds; and says in its first line how to use it."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lctrain.builder import build_model, build_optimizer
from lctrain.cli.hydra_app import config_folder, list_choices
from lctrain.config import validate
from lctrain.data import LOADERS, load_splits

CHOICES = [(group, choice) for group, choices in list_choices().items() for choice in choices]


def compose_config(*overrides):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return validate(OmegaConf.to_container(compose("config", list(overrides)), resolve=True))


def test_every_file_is_covered():
    files = sorted(path.relative_to(config_folder()).as_posix() for path in Path(config_folder()).rglob("*.yaml"))
    own = ["config.yaml", "hydra/hydra_logging/lctrain.yaml", "hydra/job_logging/lctrain.yaml"]
    assert files == sorted(own + [f"{group}/{choice}.yaml" for group, choice in CHOICES])
    assert len(files) == 20


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_validates_and_builds(group, choice):
    model = ["model=dense"] if group == "data" else []  # the dense baseline takes any shape
    config = compose_config(f"{group}={choice}", *model)
    if group != "experiment":
        name = config.optimizer["type"].lower() if group == "optimizer" else getattr(config, group).name
        assert name == choice
    assert build_model(config).output_shape == (None, 10)
    build_optimizer(config.optimizer)
    splits = load_splits(config.data, config.data_format)
    assert list(splits.train.inputs.shape[1:]) == config.data.input_shape


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_file_opens_with_its_command_and_what_it_is(group, choice):
    lines = (config_folder() / group / f"{choice}.yaml").read_text().splitlines()
    if group == "experiment":
        assert lines.pop(0) == "# @package _global_"  # which Hydra reads in the first line alone
    first, second, *_ = lines
    assert first.startswith("# python -m lctrain ")
    assert f"{group}={choice}" in first
    assert second.startswith("# ")


def test_every_loader_has_a_choice():
    assert sorted(LOADERS) == list_choices()["data"]


def test_a_model_chooses_its_data_and_the_command_line_wins():
    assert compose_config("model=lc1d").data.name == "digits_rows"
    assert compose_config("model=lc1d", "data=synthetic").data.name == "synthetic"


def test_the_baselines_see_the_same_windows():
    for local, shared in (("lc1d", "conv1d"), ("lc2d", "conv2d")):
        shapes = [
            [layer.output.shape for layer in build_model(compose_config(f"model={name}")).layers]
            for name in (local, shared)
        ]
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("model", "parameters"), [("lc1d", 14_442), ("lc2d", 25_610)])
def test_parameters_are_those_of_the_header(model, parameters):
    config = compose_config(f"model={model}")
    assert build_model(config).count_params() == parameters
    assert f"{parameters:,} parameters" in (config_folder() / "model" / f"{model}.yaml").read_text()


def test_an_experiment_changes_all_groups_and_the_command_line_wins():
    config = compose_config("experiment=smooth_cosine")
    assert config.training.loss == {"type": "CategoricalCrossentropy", "label_smoothing": 0.1}
    assert list(config.training.metrics) == ["accuracy", "top2"]
    assert config.optimizer["learning_rate"]["type"] == "CosineDecay"
    assert compose_config("experiment=shared_weights").seed == 1
    assert compose_config("experiment=shared_weights", "seed=2", "model=dense").model_dump()["seed"] == 2
    config = compose_config("experiment=smooth_cosine", "optimizer=sgd", "optimizer.learning_rate=3e-4")
    assert (config.optimizer["type"], config.optimizer["learning_rate"]) == ("SGD", 3e-4)
