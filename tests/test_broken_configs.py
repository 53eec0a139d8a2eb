"""A table of broken configurations, each with the place that must be named and every word that must be said of it."""

import copy
from pathlib import Path

import pytest
import yaml
from conftest import make_config
from omegaconf._utils import get_yaml_loader

from lctrain.config import validate
from lctrain.config.interpolation import resolve
from lctrain.errors import ConfigError

CASES = yaml.load(Path(__file__).with_name("broken_configs.yaml").read_text(), Loader=get_yaml_loader())


def change(config, text):
    """Sets one dotted key, or deletes it (`~KEY`)."""
    key, _, value = text.partition(":")
    *parents, last = key.removeprefix("~").split(".")
    group = config
    for parent in parents:
        group = group[parent]
    if text.startswith("~"):
        del group[last]
    else:
        group[last] = yaml.load(value, Loader=get_yaml_loader())


@pytest.mark.parametrize("case", CASES, ids=[case["change"] for case in CASES])
def test_a_mistake_is_told_with_its_place_and_its_remedy(case):
    config = copy.deepcopy(make_config())
    validate(*resolve(config))
    change(config, case["change"])
    with pytest.raises(ConfigError, match="`") as raised:
        validate(*resolve(config))
    assert [(problem.path, problem.message) for problem in raised.value.problems] == [(case["at"], case["says"])]


def test_the_table_is_long_and_repeats_nothing():
    assert len({case["change"] for case in CASES}) == len(CASES) >= 60


def test_several_mistakes_are_told_together():
    config = copy.deepcopy(make_config())
    apart = [
        case
        for case in CASES
        if case["change"].startswith(("seed: -1", "training.epoch:", "tracking.foldr", "data.num_clases"))
    ]
    for case in apart:
        change(config, case["change"])
    with pytest.raises(ConfigError, match=r"^4 problems in the configuration:\n") as raised:
        validate(*resolve(config))
    message = {(problem.path, problem.message) for problem in raised.value.problems}
    assert message == {(case["at"], case["says"]) for case in apart}
