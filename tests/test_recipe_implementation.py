"""A new implementation is a new file in ops/ and a row; nothing else in lctrain/ lists the implementations."""

import ast
from pathlib import Path

import pytest
from recipes import Copy

from lctrain.implementations import IMPLEMENTATIONS

ROOT = Path(__file__).parent.parent
FILE = '''"""Implementation "twice_half": half of what another file computes, twice."""

from lctrain.ops import batched


def locally_connected(inputs, kernel, window, groups, data_format):
    return 2.0 * batched.locally_connected(0.5 * inputs, kernel, window, groups, data_format)
'''
ROW = """
        Implementation("twice_half", "twice_half", colour=4, patch_copies=3),"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    made = Copy(tmp_path_factory.mktemp("implementation"))
    made.write("lctrain/ops/twice_half.py", FILE)
    made.insert("lctrain/implementations.py", ROW, behind='"batched", "batched", colour=3, is_chosen=lambda _: True),')
    return made


def test_a_model_with_it_is_built_and_computes_the_same(copy):
    copy.run("""
import keras, numpy
from lctrain import api
from lctrain.layers import IMPLEMENTATION_NAMES, LocallyConnected2D, convert_implementation

assert "twice_half" in IMPLEMENTATION_NAMES
keras.utils.set_random_seed(0)
inputs = numpy.random.default_rng(0).normal(size=(4, 5, 7, 2)).astype("float32")
layers = {
    "lc1": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": [3, 2]},
    "lc2": {"type": "LocallyConnected2D", "filters": 4, "kernel_size": 2, "strides": 2, "padding": "same"},
}
model = api.build({"layers": layers}, input_shape=(5, 7, 2), implementation="twice_half")
local = [layer for layer in model.layers if hasattr(layer, "resolved_implementation")]
assert local and all(layer.resolved_implementation == "twice_half" for layer in local)
outputs = model.predict(inputs, verbose=0)
assert outputs.std() > 0
for other in IMPLEMENTATION_NAMES:
    numpy.testing.assert_allclose(convert_implementation(model, other).predict(inputs, verbose=0), outputs, atol=1e-6)
try:
    LocallyConnected2D(3, 2, implementation="twice_hlf")
except ValueError as error:
    expected = "must be one of 1, 2, 3, 'batched', 'twice_half', 'auto'; got 'twice_hlf'. Did you mean `twice_half`?"
    assert str(error) == f"`implementation` {expected}", error
""")


def test_show_tells_what_it_costs_and_help_names_it(copy):
    table = copy.run_lctrain("show", "model=lc2d", "implementation=twice_half")
    heading = next(line for line in table.splitlines() if "runs with" in line)
    names = heading.replace("┃", " ").split()
    assert names == ["layer", "1", "2", "3", "batched", "twice_half", "runs", "with"]
    memory = [float(cell) for cell in next(line for line in table.splitlines() if "memory" in line).split("│")[2:7]]
    assert memory[4] > memory[3] > 0
    assert "implementation=1|2|3|batched|twice_half|auto|tuned" in copy.run_lctrain("--help")


def test_the_schema_for_editors_the_report_the_doctor_and_tuning_know_it(copy):
    copy.run("""
import json
import jsonschema
from lctrain.config.arguments import find_check
from lctrain.config.json_schema import config_schema
from lctrain.cost import LayerSizes, train_step_cost
from lctrain.doctor.tensorflow import IMPLEMENTATIONS
from lctrain.geometry import Window
from lctrain.report.theme import LIGHT, pick_colours

schema = config_schema()
of_layer = find_check("LocallyConnected1D", "layers", "implementation").json_schema()
for part in (schema["properties"]["implementation"], of_layer):
    part = {**part, "$defs": schema["$defs"]}
    jsonschema.Draft7Validator(part).validate("twice_half")
    assert not jsonschema.Draft7Validator(part).is_valid("twice")
assert pick_colours(["twice_half"], LIGHT)["twice_half"] == LIGHT.colours[4]
assert list(IMPLEMENTATIONS)[-1] == "twice_half"
sizes = LayerSizes(Window((32, 32), (3, 3), (1, 1)), in_channels=3, filters=64)
costs = {name: train_step_cost(sizes, name, 8) for name in IMPLEMENTATIONS}
assert costs["twice_half"].patches == 3 * costs["batched"].patches
assert costs["twice_half"].flops == costs["batched"].flops
""")


def test_no_other_place_lists_the_implementations():
    listed = {str(name) for name in IMPLEMENTATIONS}
    places = {}
    for file in sorted((ROOT / "lctrain").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            parts = getattr(node, "elts", None) or getattr(node, "keys", None) or []
            values = {str(part.value) for part in parts if isinstance(part, ast.Constant)}
            if len(values & listed) > 1 and "batched" in values:
                places[str(file.relative_to(ROOT))] = values
    assert places == {}
    modules = {file.stem for file in (ROOT / "lctrain" / "ops").glob("*.py")}
    assert {row.module for row in IMPLEMENTATIONS.values()} < modules
