"""What the arithmetic of shapes refuses or gives is what Keras does, for every layer on shapes that suit it or not."""

import pytest
from conftest import make_config
from test_every_layer import ARGUMENTS, VALUES, input_shapes

from lctrain.config import validate
from lctrain.config.allowlist import classes
from lctrain.errors import ConfigError
from lctrain.model.build import build_model
from lctrain.model.summary import summarize

SHAPES = ([7], [1], [6, 5], [5, 6], [9, 7, 3], [3, 9, 7], [5, 6, 4, 3], [4, 5, 6, 7, 3])
PAIRS = [
    *(([6, 5], [6, 4]), ([6, 5], [5]), ([6, 5], [1, 5]), ([9, 7, 3], [6, 5]), ([7], [9]), ([6, 5], [4, 6])),
    ([9, 7, 3], [9, 7, 3]),
]
TAKE_MORE = (  # in Keras, which says shapes for numbers of axes that their documentation does not have
    *(f"Adaptive{kind}Pooling{rank}D" for kind in ("Average", "Max") for rank in (1, 2, 3)),
    *("CenterCrop", "GroupQueryAttention", "MelSpectrogram", "RNN", "RandomCrop", "Resizing"),
)
TAKE_LESS = ("Pipeline",)  # in Keras, which does not infer the shapes of some
CASES = [
    (name, shapes)
    for name in sorted(classes("layers"))
    for shapes in [
        *((shape,) * len(input_shapes(name)) for shape in SHAPES),
        *(PAIRS if len(input_shapes(name)) == 2 else []),
    ]
]


def make_case(name, shapes):
    """A model of the layer, and of a second output, of which no scores are asked."""
    required = {argument: VALUES.get(argument) for argument in classes("layers")[name].required}
    inputs = {f"x{index}": shape for index, shape in enumerate(shapes)}
    layer = {"type": name, **required, **ARGUMENTS.get(name, {}), "inputs": list(inputs)}
    layers = {"it": layer, "other": {"type": "Identity", "inputs": "x0"}}
    return validate(make_config(model={"name": "m", "inputs": inputs, "layers": layers, "outputs": ["it", "other"]}))


def compute(config):
    try:
        facts = summarize(config).layers[0].facts
    except ConfigError:
        return None
    return facts.output_shape, facts.parameters


def build(config):
    try:
        layer = build_model(config).get_layer("it")
    except ConfigError:
        return None
    return tuple(layer.output.shape), layer.count_params()


def test_the_cases_hold_every_layer_and_both_outcomes():
    computed = [compute(make_case(*case)) for case in CASES]
    assert {name for name, _ in CASES} == set(classes("layers"))
    assert 200 < sum(outcome is None for outcome in computed) < len(CASES) - 200


@pytest.mark.parametrize("name", sorted(classes("layers")))
def test_what_fits_is_what_keras_builds(name):
    for shapes in [shapes for other, shapes in CASES if other == name]:
        config = make_case(name, shapes)
        computed, built = compute(config), build(config)
        if (computed is None and name in TAKE_MORE) or (built is None and name in TAKE_LESS):
            continue
        assert computed == built, shapes
