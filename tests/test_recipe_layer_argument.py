"""A new argument of the locally connected layers is a row, its place in the signature and the code that uses it."""

import inspect

import pytest
from recipes import Copy

import lctrain.layers
from lctrain.config.allowlist import classes, nested_group
from lctrain.config.layer_arguments import BOTH, LAYER_ARGUMENTS, list_arguments
from lctrain.layers.weights import KERNEL_FANS

ROW = '\n    LayerArgument("output_scale", checks.positive),'
LOCAL = "lctrain/layers/local.py"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    made = Copy(tmp_path_factory.mktemp("argument"))
    last = 'LayerArgument("kernel_fans", checks.one_of("position", "legacy"), keras2="in_training_only"),'
    made.insert("lctrain/config/layer_arguments.py", ROW, behind=last)
    made.insert(LOCAL, "\n        output_scale=1.0,", behind='        kernel_fans="position",')
    check = '\n        self.output_scale = check_argument("output_scale", output_scale, rank)'
    made.insert(LOCAL, check, behind='self.kernel_fans = check_argument("kernel_fans", kernel_fans, rank)')
    use = "\n        outputs = self.output_scale * outputs"
    behind = "outputs = locally_connected(inputs, self.kernel, self.window, self.groups, self.data_format)"
    made.insert(LOCAL, use, behind=behind)
    made.generate()
    return made


def test_its_values_are_checked_and_described(copy):
    copy.run("""
import jsonschema
from lctrain.config.json_schema import config_schema
from lctrain.config.specs import find_problems_in_spec

layer = {"type": "LocallyConnected1D", "filters": 3, "kernel_size": 2}
(problem,) = find_problems_in_spec({**layer, "output_scale": -2}, "model.layers.lc1", "layers")
assert str(problem) == "`model.layers.lc1.output_scale` must be a positive number; got -2.", problem
assert find_problems_in_spec({**layer, "output_scale": 2}, "model.layers.lc1", "layers") == []
(near,) = find_problems_in_spec({**layer, "output_scal": 2}, "model.layers.lc1", "layers")
assert near.message.endswith("Did you mean `output_scale`?"), near
schema = config_schema()
validator = jsonschema.Draft7Validator({"$ref": "#/$defs/layers", "$defs": schema["$defs"]})
assert validator.is_valid({**layer, "output_scale": 2.5}) and not validator.is_valid({**layer, "output_scale": -2})
assert schema["$defs"]["layers.LocallyConnected1D"]["properties"]["output_scale"]["default"] == 1.0
""")
    assert "- `output_scale` = `1.0`: a positive number" in copy.run_lctrain("schema", "--markdown")


def test_it_is_computed_with_saved_and_refused_by_formats_that_lack_it(copy):
    copy.run("""
import keras, numpy
from lctrain import api
from lctrain.layers import LocallyConnected2D
from lctrain.legacy import UnsupportedExportError, export_model

inputs = numpy.random.default_rng(0).normal(size=(4, 5, 7, 2)).astype("float32")
layer = {"type": "LocallyConnected2D", "filters": 3, "kernel_size": [3, 2], "use_bias": False}
plain, scaled = (
    api.build({"layers": {"lc1": {**layer, **more}}}, input_shape=(5, 7, 2)) for more in ({}, {"output_scale": 2.5})
)
scaled.set_weights(plain.get_weights())
numpy.testing.assert_allclose(scaled(inputs), 2.5 * plain(inputs), rtol=1e-5)
scaled.save("scaled.keras")
loaded = keras.models.load_model("scaled.keras")
assert loaded.get_layer("lc1").output_scale == 2.5
numpy.testing.assert_array_equal(loaded(inputs), scaled(inputs))
assert lctrain.model_to_config(scaled)["layers"]["lc1"]["output_scale"] == 2.5
try:
    LocallyConnected2D(3, 2, output_scale="big")
except ValueError as error:
    assert str(error) == "`output_scale` must be a positive number; got 'big'.", error
else:
    raise AssertionError("it takes a text")
try:
    export_model(scaled, "scaled.h5", "keras2-h5")
except UnsupportedExportError as error:
    assert "output_scale" in str(error) and "must be 1.0 in Keras 2" in str(error), error
else:
    raise AssertionError("Keras 2 takes it")
""")


def test_a_job_trains_with_it(copy):
    scale = "+model.layers.lc1.output_scale=0.5"
    assert "val_loss" in copy.run_lctrain("model=lc2d", "training=fast", "training.epochs=1", scale)


@pytest.mark.parametrize("class_name", BOTH)
def test_signatures_name_the_arguments_of_the_rows(class_name):
    signature = inspect.signature(getattr(lctrain.layers, class_name)).parameters
    names = [row.name for row in list_arguments(class_name)]
    assert len(set(names)) == len(names)
    assert set(names) == set(signature) - {"weights", "kwargs"}
    assert {*names, "trainable", "dtype"} == set(classes("layers")[class_name].arguments)


def test_objects_alone_have_no_check_and_fans_are_those_of_the_initializer():
    for row in LAYER_ARGUMENTS:
        assert (row.check is None) == (nested_group(row.name) is not None), row.name
    (fans,) = (row.check for row in LAYER_ARGUMENTS if row.name == "kernel_fans")
    assert tuple(KERNEL_FANS) == fans.names
