"""From Python: configurations built, models written back, and R keras' verbs."""

import json

import keras
import numpy as np
import pytest
import yaml
from conftest import make_config, make_graph
from test_conf import LARGE, MODELS, compose_config
from test_shapes import CASES, make_layer
from test_shapes_of_graphs import CALLED_WITH_SEVERAL
from test_shapes_of_graphs import CASES as CASES_OF_GRAPHS
from test_shapes_of_graphs import make as make_layer_of_graph

import lctrain
from lctrain.composition.choices import config_folder
from lctrain.config.allowlist import classes
from lctrain.errors import ConfigError, UserError
from lctrain.layers import LocallyConnected1D, LocallyConnected2D, LocallyConnected3D
from lctrain.model.build import build_model
from lctrain.r import layer_locally_connected_1d, layer_locally_connected_2d, layer_locally_connected_3d

VERBS = {
    layer_locally_connected_1d: (LocallyConnected1D, (11, 2), (9, 4)),
    layer_locally_connected_2d: (LocallyConnected2D, (7, 11, 2), (5, 9, 4)),
    layer_locally_connected_3d: (LocallyConnected3D, (5, 7, 11, 2), (3, 5, 9, 4)),
}
SHAPE = {"input_shape": (5, 7, 2)}


def one_layer(**arguments):
    return {"layers": {"a": {"type": "Dense", **arguments}}}


LAYERS = {"lc1": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": [3, 2]}, "flatten": {"type": "Flatten"}}


def describe(model):
    return [
        (type(layer), layer.get_config()) for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)
    ]


def assert_equal_models(first, second):
    assert describe(first) == describe(second)
    assert first.name == second.name
    assert first.input_shape == second.input_shape
    assert first.output_shape == second.output_shape
    assert [weight.shape for weight in first.weights] == [weight.shape for weight in second.weights]


def test_importing_the_names_loads_nothing(run_python):
    code = "import sys, lctrain; print({'tensorflow', 'keras', 'mlflow', 'hydra', 'yaml'} & set(sys.modules))"
    assert run_python(code).strip() == "set()"
    assert lctrain.r.layer_locally_connected_2d is layer_locally_connected_2d
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        _ = lctrain.biuld


def test_the_old_name_of_the_verbs_of_r_warns():
    with pytest.warns(FutureWarning, match="`lctrain.compose` is now `lctrain.r`"):
        from lctrain.compose import layer_locally_connected_2d as found
    assert found is layer_locally_connected_2d
    with pytest.raises(AttributeError, match="no attribute 'layer_dense'"):
        _ = lctrain.compose.layer_dense


def test_build_makes_the_model_of_a_mapping():
    model = lctrain.build({"layers": LAYERS}, input_shape=(5, 7, 2), implementation=2)
    assert model.output_shape == (None, 3 * 6 * 3)
    assert model.get_layer("lc1").implementation == 2
    first = lctrain.build({"layers": LAYERS}, input_shape=(5, 7, 2), data_format="channels_first", precision="float64")
    assert (first.input_shape, first.get_layer("lc1").dtype) == ((None, 2, 5, 7), "float64")


def test_build_makes_the_model_of_a_packaged_file():
    path = config_folder() / "model" / "lc2d.yaml"
    model = lctrain.build(path, input_shape=(8, 8, 1), num_classes=10)
    assert_equal_models(model, build_model(compose_config("model=lc2d")))
    assert lctrain.build(str(path), input_shape=[8, 8, 1], num_classes=4).output_shape == (None, 4)


def test_build_makes_the_model_of_a_whole_configuration_as_a_run_logs_it(tmp_path):
    config = compose_config("model=lc1d", "implementation=3")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(), sort_keys=False))
    assert_equal_models(lctrain.build(path), build_model(config))
    assert lctrain.build(path, input_shape=(32, 1)).input_shape == (None, 32, 1)
    references = make_config()
    references["model"]["layers"]["head"]["units"] = "${data.num_classes}"
    assert lctrain.build(references).output_shape == (None, 4)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ({"layers": LAYERS}, {}, "`input_shape` must be given"),
        ({"layer": LAYERS}, SHAPE, "must hold `layers`, or a `model` that does"),
        ({"model": 3}, SHAPE, "must hold `layers`, or a `model` that does"),
        (
            {"layers": LAYERS},
            SHAPE | {"precison": "float64"},
            "`precison` .* Did you mean `precision`",
        ),
        ({"layers": LAYERS}, SHAPE | {"precision": "f8"}, "`precision` must be one of .*got 'f8'"),
        ({"layers": LAYERS}, {"input_shape": (5, 0, 2)}, r"`data.input_shape.1` must be greater than 0; got 0"),
        (
            {"layers": LAYERS},
            {"input_shape": (2, 7, 2)},
            r"`model.layers.lc1.kernel_size` must .*got \(3, 2\)",
        ),
        (one_layer(unit=3), {"input_shape": (5,)}, r"`layers.a.unit` is not an argument"),
        (
            one_layer(units="${data.num_classes}"),
            {"input_shape": (5,)},
            "Give `num_classes`",
        ),
        (
            one_layer(units="${oc.env:HOME}"),
            {"input_shape": (5,)},
            "`layers.a.units` can't be",
        ),
        (
            one_layer(units="${nope}"),
            {"input_shape": (5,)},
            "`layers.a.units` can't be resolved",
        ),
        (make_config(seeds=3), {}, "`seeds` is not a known key. Did you mean `seed`"),
    ],
)
def test_what_can_not_be_built_is_told(content, arguments, message):
    with pytest.raises(UserError, match=message):
        lctrain.build(content, **arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers: &all {flat: Flatten}\nmore: *all\n", r"stranger.yaml, line 1: must not use anchors and aliases"),
        ("layers: {a: {_target_: os.system}}\n", r"stranger.yaml, line 1: must not hold `_target_`"),
        ("layers: {a: {type: Dense, units: '${oc.env:HOME}'}}\n", r"line 1: must not use the resolver `oc.env`"),
        (f"layers: {'[' * 65}{']' * 65}\n", r"line 1: nests values more than 64 deep"),
        (
            f"# {'x' * 2**20}\nlayers: {{flat: Flatten}}\n",
            r"must be at most 1,048,576 bytes \(1 MiB\); it has 1,048,60",
        ),
    ],
)
def test_a_file_from_a_stranger_is_only_data(tmp_path, text, message):
    (tmp_path / "stranger.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        lctrain.build(tmp_path / "stranger.yaml", input_shape=(5, 2))


def test_a_mapping_from_a_stranger_is_only_data():
    with pytest.raises(ConfigError, match=r"`layers.a.kernel_initializer._target_` is not taken"):
        lctrain.build(one_layer(units=3, kernel_initializer={"_target_": "os.system"}), input_shape=(5,))
    deep = 3
    for _ in range(200):
        deep = (deep,)
    with pytest.raises(ConfigError, match="nests values more than 64 deep"):
        lctrain.build(one_layer(units=deep), input_shape=(5,))


def test_files_are_read_as_the_command_line_reads_them(tmp_path):
    path = tmp_path / "m.yaml"
    first = 'a: {type: Dense, units: "${data.num_classes}", kernel_regularizer: {l2: 1e-4}}'
    second = 'b: {type: Dense, units: "${..a.units}", activation: relu}'
    path.write_text(f"# @package _group_\ndefaults: [nothing]\nlayers:\n  {first}\n  {second}\n")
    model = lctrain.build(path, input_shape=(5,), num_classes=3)
    assert model.output_shape == (None, 3)
    assert model.get_layer("a").kernel_regularizer.l2 == pytest.approx(1e-4)
    path.write_text(path.read_text().replace("..a.units", "..a.unit"))
    with pytest.raises(ConfigError, match=r"`layers.b.units` can't be resolved: there is no '..a.unit'. Did you mean"):
        lctrain.build(path, input_shape=(5,), num_classes=3)


def test_a_graph_is_built_with_the_shapes_that_it_declares():
    config = make_graph()["model"]
    model = lctrain.build(config)
    assert model.input_shape == [(None, 11, 3), (None, 5, 7, 2)]
    assert model.output_shape == [(None, 4), (None, 11, 3)]
    with pytest.raises(UserError, match=r"`input_shape` can't be one shape for several `inputs`; got \[5, 2\]"):
        lctrain.build(config, input_shape=(5, 2))
    one = {
        "inputs": {"x": [9, 2]},
        "layers": {"lc1": {"type": "LocallyConnected1D", "filters": 3, "kernel_size": (2,)}},
    }
    assert lctrain.build(one).output_shape == (None, 8, 3)
    assert lctrain.build(one, input_shape=(5, 2)).output_shape == (None, 4, 3)


def test_files_that_hold_no_mapping_are_told(tmp_path):
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "open.yaml").write_text("layers: {")
    with pytest.raises(UserError, match=r"must hold a mapping; got .*list.yaml', which holds \[1\]"):
        lctrain.build(tmp_path / "list.yaml", input_shape=(3,))
    with pytest.raises(UserError, match=r"`config_or_path` must be a YAML file; got .*open.yaml"):
        lctrain.build(tmp_path / "open.yaml", input_shape=(3,))
    with pytest.raises(UserError, match=r"nowhere.yaml must be a plain file"):
        lctrain.build(tmp_path / "nowhere.yaml", input_shape=(3,))


@pytest.mark.parametrize(("name", "shape", "arguments"), CASES)
def test_every_layer_is_written_back_and_built_again(tmp_path, name, shape, arguments):
    frozen = {"trainable": False} if "trainable" in classes("layers")[name].arguments else {}
    model = keras.Sequential([keras.Input(shape[1:]), make_layer(name, arguments | frozen)], name="one")
    config = lctrain.model_to_config(model, tmp_path / "one.yaml")
    assert yaml.safe_load((tmp_path / "one.yaml").read_text()) == config
    again = lctrain.build(tmp_path / "one.yaml", input_shape=shape[1:])
    assert_equal_models(again, model)
    again.set_weights(model.get_weights())
    inputs = np.random.default_rng(0).standard_normal((3, *shape[1:])).astype("float32")
    np.testing.assert_array_equal(np.asarray(again(inputs)), np.asarray(model(inputs)))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in LARGE])
def test_every_model_of_the_zoo_is_written_back_and_built_again(name):
    config = compose_config(f"model={name}")
    model = build_model(config)
    again = lctrain.build(lctrain.model_to_config(model), input_shape=config.data.input_shape)
    assert_equal_models(again, model)


def test_nested_objects_seeds_and_dtypes_are_written_and_defaults_are_not():
    head = keras.layers.Dense(
        4,
        activation="softmax",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=3),
        kernel_regularizer=keras.regularizers.L1L2(l1=0.25, l2=0.5),
        activity_regularizer="l2",
        kernel_constraint=keras.constraints.MaxNorm(3, axis=1),
        bias_initializer="zeros",
        dtype="float64",
        name="head",
    )
    drop = keras.layers.Dropout(0.5, seed=7, name="drop")
    model = keras.Sequential([keras.Input((6,)), drop, head], name="small")
    config = lctrain.model_to_config(model)
    assert json.loads(json.dumps(config)) == {
        "name": "small",
        "layers": {
            "drop": {"type": "Dropout", "rate": 0.5, "seed": 7},
            "head": {
                "type": "Dense",
                "dtype": "float64",
                "units": 4,
                "activation": "softmax",
                "kernel_initializer": {"type": "RandomNormal", "stddev": 0.5, "seed": 3},
                "kernel_regularizer": {"type": "L1L2", "l1": 0.25, "l2": 0.5},
                "activity_regularizer": "L2",
                "kernel_constraint": {"type": "MaxNorm", "max_value": 3, "axis": 1},
            },
        },
    }
    assert_equal_models(lctrain.build(config, input_shape=(6,)), model)


def test_no_file_is_overwritten(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("layers: {}  # by hand\n")
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    with pytest.raises(UserError, match=r"`path` '.*mine\.yaml' exists\. Choose another name"):
        lctrain.model_to_config(model, path)
    assert path.read_text() == "layers: {}  # by hand\n"
    with pytest.raises(UserError, match=r"`path` must be a file in a folder that exists; got '.*nowhere"):
        lctrain.model_to_config(model, tmp_path / "nowhere" / "mine.yaml")


def test_a_fixed_batch_is_built_and_written_back():
    config = {"name": "fixed", "layers": {"head": {"type": "Dense", "units": 3}}, "batch_size": 11}
    model = lctrain.build(config, input_shape=(5,))
    assert model.input_shape == (11, 5)
    assert lctrain.model_to_config(model) == config


def test_a_functional_stack_is_written_like_a_sequential_one():
    inputs = keras.Input((5, 7, 2))
    outputs = keras.layers.Flatten(name="flatten")(LocallyConnected2D(3, 2, name="lc1")(inputs))
    config = lctrain.model_to_config(keras.Model(inputs, outputs, name="f"))
    lc1 = {"type": "LocallyConnected2D", "filters": 3, "kernel_size": 2}
    assert config == {"name": "f", "layers": {"lc1": lc1, "flatten": {"type": "Flatten"}}}


def make_branches():
    inputs = keras.Input((5,), name="in")
    left = keras.layers.Dense(3, name="left")(inputs)
    right = keras.layers.Dense(3, name="right")(inputs)
    return keras.Model(inputs, [left, right], name="branches")


def make_shared():
    inputs = [keras.Input((5, 7, 2), name="one"), keras.Input((5, 7, 2), name="other")]
    local = LocallyConnected2D(2, (3, 2), padding="same", name="local")
    both = [local(local(inputs[0])), local(inputs[1])]
    merged = keras.layers.Concatenate(name="merged")([*both, inputs[0]])
    return keras.Model(inputs, keras.layers.Flatten(name="flat")(merged), name="shared")


def make_nested():
    inputs = keras.Input((11, 9, 6, 2), name="frames")
    local = LocallyConnected2D(3, 2, activation="relu", kernel_regularizer="l2", name="inner")
    steps = keras.layers.TimeDistributed(local, name="steps")(inputs)
    flat = keras.layers.TimeDistributed(keras.layers.Flatten(), name="flat")(steps)
    masked = keras.layers.Masking(0.5, name="masked")(flat)
    cells = [keras.layers.GRUCell(4, reset_after=False), keras.layers.LSTMCell(3, kernel_initializer="he_normal")]
    stacked = keras.layers.RNN(cells, return_sequences=True, name="stacked")(masked)
    backward = keras.layers.LSTM(4, go_backwards=True, use_bias=False, return_sequences=True)
    forward = keras.layers.LSTM(4, return_sequences=True)
    both = keras.layers.Bidirectional(forward, backward_layer=backward, name="both")(stacked)
    attended = keras.layers.MultiHeadAttention(2, 3, name="attended")(both, key=stacked, value=both)
    return keras.Model(inputs, keras.layers.Add(name="sum")([both, attended]), name="nested")


@pytest.mark.parametrize("make_model", [make_branches, make_shared, make_nested])
def test_a_graph_is_written_back_and_built_again(tmp_path, make_model):
    model = make_model()
    config = lctrain.model_to_config(model, tmp_path / "graph.yaml")
    again = lctrain.build(tmp_path / "graph.yaml")
    assert lctrain.model_to_config(again) == config
    assert again.input_shape == model.input_shape
    again.set_weights(model.get_weights())
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((3, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    inputs = inputs if len(inputs) > 1 else inputs[0]
    outputs = zip(keras.tree.flatten(again(inputs)), keras.tree.flatten(model(inputs)), strict=True)
    for output, wanted in outputs:
        np.testing.assert_array_equal(np.asarray(output), np.asarray(wanted))


def test_a_graph_is_written_with_its_wiring():
    assert lctrain.model_to_config(make_branches()) == {
        "name": "branches",
        "inputs": {"in": [5]},
        "layers": {"left": {"type": "Dense", "units": 3}, "right": {"type": "Dense", "units": 3, "inputs": "in"}},
        "outputs": ["left", "right"],
    }
    layers = lctrain.model_to_config(make_shared())["layers"]
    assert [name for name, spec in layers.items() if spec.get("shares") == "local"] == ["local_2", "local_3"]
    assert sorted(layers["merged"]["inputs"]) == ["local_2", "local_3", "one"]


@pytest.mark.parametrize(
    ("name", "shapes", "arguments"),
    [case for case in CASES_OF_GRAPHS if case.id != "Normalization-2"],  # `axis: null` is no axis to a configuration
)
def test_every_other_layer_is_written_back_and_built_again(name, shapes, arguments):
    inputs = [keras.Input(shape[1:], name=f"in{index}") for index, shape in enumerate(shapes)]
    layer = make_layer_of_graph(name, {**arguments, "name": "layer"})
    outputs = layer(*inputs) if name in CALLED_WITH_SEVERAL or len(inputs) == 1 else layer(inputs)
    model = keras.Model(inputs, outputs, name="one")
    config = lctrain.model_to_config(model)
    again = lctrain.build(config, input_shape=shapes[0][1:] if len(shapes) == 1 else None)
    assert lctrain.model_to_config(again) == config
    assert again.output_shape == model.output_shape
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]


def call_one(layer, size=5, by_name=False, place=None, spare=False, **arguments):
    """A model of one layer, called in a way that configurations have no word for."""
    inputs = keras.Input((size, 3), name="in")
    outputs = layer([inputs, inputs] if by_name else inputs, **arguments)
    outputs = outputs if place is None else outputs[place]
    ends = [inputs, keras.Input((5,), name="spare")] if spare else {"in": inputs} if by_name else inputs
    return keras.Model(ends, outputs)


def make_operations():
    inputs = keras.Input((5,), name="in")
    return keras.Model(inputs, inputs + keras.layers.Dense(5, name="d")(inputs))


class OwnModel(keras.Model):
    pass


class OwnDense(keras.layers.Dense):
    pass


class OwnZeros(keras.initializers.Zeros):
    pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: call_one(keras.layers.Dropout(0.5, name="drop"), training=True), "drop` is called with `training`"),
        (lambda: call_one(keras.layers.LSTM(3, name="l"), mask=np.ones((1, 5), bool)), "l` is called with `mask`"),
        (lambda: call_one(keras.layers.Add(name="sum"), by_name=True), r"`model.inputs` must be one tensor or a list"),
        (lambda: call_one(keras.layers.ReLU(name="r"), size=None), r"inputs.in` must have known .*\(None, None, 3\)"),
        (lambda: call_one(keras.layers.LSTM(3, return_state=True, name="l"), place=1), "l` gives several tensors"),
        (make_operations, "`model.layers.add` must be of a class .* got Add"),
        (lambda: OwnModel(), "`model` must be Sequential or functional; got OwnModel"),
        (lambda: keras.Sequential([keras.Input((3,))]), "`model` must have a layer"),
        (lambda: call_one(keras.layers.ReLU(name="r"), spare=True), "`model.inputs.spare` is unconnected"),
        (
            lambda: keras.Sequential([keras.layers.Lambda(abs, name="l")]),
            "layers.l` must be of a class .* Lambda",
        ),
        (lambda: keras.Sequential([OwnDense(3, name="own")]), "`model.layers.own` must be of a class .* OwnDense"),
        (
            lambda: keras.Sequential([keras.layers.Dense(3, activation=abs, name="d")]),
            "layers.d.activation` must be",
        ),
        (lambda: keras.Sequential([keras.layers.ReLU(name="2nd")]), "`model.layers.2nd` has a name that"),
        (
            lambda: keras.Sequential([keras.layers.BatchNormalization(synchronized=True, name="n")]),
            "`model.layers.n.synchronized` is set to what configurations can't say",
        ),
        (
            lambda: keras.Sequential([keras.layers.Dense(3, kernel_initializer=OwnZeros(), name="d")]),
            "`model.layers.d.kernel_initializer.type` must be a class that",
        ),
    ],
)
def test_what_a_configuration_can_not_say_is_told(model, message):
    with pytest.raises(ConfigError, match=message):
        lctrain.model_to_config(model())


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_makes_a_layer_adds_to_a_model_or_calls_on_a_tensor(verb):
    kind, shape, output = VERBS[verb]
    layer = verb(filters=4, kernel_size=3, name="mine", trainable=False)
    assert type(layer) is kind
    assert (layer.name, layer.trainable, layer.filters) == ("mine", False, 4)

    model = keras.Sequential([keras.Input(shape)])
    assert verb(model, 4, 3, activation="relu") is model
    assert model.output_shape == (None, *output)
    assert model.layers[-1].activation is keras.activations.relu

    inputs = keras.Input(shape)
    assert verb(inputs, 4, 3).shape == (None, *output)
    array = np.ones((6, *shape), "float32")
    assert verb(array, 4, 3).shape == (6, *output)
    assert verb(keras.ops.convert_to_tensor(array), 4, 3).shape == (6, *output)


def test_a_verb_takes_initial_weights_and_a_fixed_batch_and_r_null_as_the_default():
    kernel = np.arange(3 * 4 * 5, dtype="float32").reshape(3, 4, 5)
    bias = np.ones((3, 5), "float32")
    layer = layer_locally_connected_1d(None, 5, 2, weights=[kernel, bias], name=None, data_format=None, batch_size=None)
    layer.build((None, 4, 2))
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)
    model = keras.Sequential()
    assert layer_locally_connected_1d(model, 5, 2, input_shape=(4, 2), batch_size=6) is model
    assert model.output_shape == (6, 3, 5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layer_locally_connected_1d("x", 4, 3), TypeError, "`object` must be None, .* got 'x'"),
        (
            lambda: layer_locally_connected_1d(None, None, 3),
            ValueError,
            "`filters` must be .*; got None",
        ),
        (
            lambda: layer_locally_connected_2d(None, 4, (3, 3, 3)),
            ValueError,
            r"`kernel_size` .*got \(3, 3, 3\)",
        ),
        (lambda: layer_locally_connected_1d(None, 4, 3, batch_size=6), ValueError, "`batch_size` .*got 6 alone"),
        (
            lambda: layer_locally_connected_1d(None, 4, 3, input_shape=(4, 2)),
            ValueError,
            r"`input_shape` .*\(4, 2\)",
        ),
    ],
)
def test_a_verb_refuses_what_it_can_not_use(make, error, message):
    with pytest.raises(error, match=message):
        make()
