"""The allowlist: equal to the real signatures, and every argument of it has a check that accepts its default."""

import json

import pytest
from generate_classes import ACTIVATIONS, CLASSES_FILE, NOT_NAMED, OWN_ACTIVATIONS, R_NAMES, make_table

import lctrain.layers
from lctrain.config.allowlist import activations, aliases, classes, find_class, nested_group
from lctrain.config.arguments import find_check
from lctrain.config.specs import find_problems_in_spec
from lctrain.implementations import JOB_CHOICES

GROUPS = (
    *("layers", "cells", "optimizers", "schedules", "initializers", "regularizers", "constraints", "losses", "metrics"),
)


def test_the_stored_table_is_what_the_signatures_say():
    stored = json.loads(CLASSES_FILE.read_text())
    assert stored == json.loads(json.dumps(make_table())), "run: python tests/generate_classes.py"
    assert set(stored) == {*GROUPS, "activations", "aliases", "left_out", "not_compilable"}


def test_every_argument_has_a_check_that_accepts_its_default():
    num_checked = 0
    for group in GROUPS:
        for entry in classes(group).values():
            for name in entry.arguments:
                if nested_group(name) in (None, "schedules"):
                    check = find_check(entry.name, group, name)
                    default = entry.optional.get(name)
                    assert default is None or check(default) is None, (group, entry.name, name, default)
                    num_checked += 1
    assert num_checked > 1000


def test_every_class_of_keras_is_on_the_list_or_left_out_for_a_reason():
    import keras

    modules = {"schedules": keras.optimizers.schedules} | {
        group: getattr(keras, group) for group in GROUPS if group not in ("cells", "schedules")
    }
    seen = set()
    for group, module in modules.items():
        named = {*classes(group), *aliases(group), *(classes("cells") if group == "layers" else ())}
        names = {name for name, value in vars(module).items() if isinstance(value, type)}
        forgotten = names - named - set(NOT_NAMED)
        assert not forgotten, (group, forgotten)
        assert not named & set(NOT_NAMED)
        seen |= names
    assert set(NOT_NAMED) <= seen
    functions = {
        name
        for name, value in vars(keras.activations).items()
        if callable(value) and not name.startswith("_") and not isinstance(value, type)
    }
    assert functions - set(ACTIVATIONS) == {"deserialize", "get", "serialize", "threshold"}  # the last needs arguments


def test_nothing_on_the_list_runs_code_or_opens_paths():
    arguments = {name for group in GROUPS for entry in classes(group).values() for name in entry.arguments}
    assert not arguments & {"function", "fn", "filepath", "module", "vocabulary", "weights", "name", "_target_"}


def test_no_check_accepts_a_path_or_a_piece_of_code():
    hostile = ("/etc/passwd", "../x", "os.system", "lambda x: x", "${oc.env:HOME}", {"type": "Lambda"}, [["os"], "x"])
    for group in GROUPS:
        for entry in classes(group).values():
            for name in entry.arguments:
                if nested_group(name) is None:
                    for value in hostile:
                        assert find_check(entry.name, group, name)(value) is not None, (entry.name, name, value)
                else:
                    for value in hostile:
                        assert find_problems_in_spec({"type": entry.name, name: value}, "x", group), (
                            entry.name,
                            name,
                            value,
                        )


def test_the_r_names_are_types():
    assert {f"layer_locally_connected_{rank}d": f"LocallyConnected{rank}D" for rank in (1, 2, 3)} == R_NAMES
    for name, class_name in R_NAMES.items():
        assert find_class("layers", name).name == class_name


def test_names_are_found_in_keras_own_spellings():
    import keras

    for group in ("initializers", "regularizers", "constraints", "optimizers"):
        for name in classes(group):
            if name not in ("Constant", "Lamb"):  # which Keras does not find by its bare name
                found = getattr(keras, group).get(name.lower() if group == "optimizers" else name)
                assert type(found).__name__ == name
    for spelling, name in {
        "glorot_uniform": "GlorotUniform",
        "l1_l2": "L1L2",
        "max_norm": "MaxNorm",
        "zeros": "Zeros",
    }.items():
        assert any(find_class(group, spelling) is classes(group).get(name) is not None for group in GROUPS)
    assert all(callable(keras.activations.get(name)) for name in activations() if name not in OWN_ACTIVATIONS)
    assert list(lctrain.layers.OWN_ACTIVATIONS) == OWN_ACTIVATIONS
    for alias, name in aliases("losses").items():
        if alias.islower() and alias in {"mse", "kld", "huber", "log_cosh", "binary_crossentropy", "cosine_similarity"}:
            assert keras.losses.get(alias) is getattr(keras.losses, name)().fn


def test_implementations_are_those_of_the_layers():
    from lctrain.layers import IMPLEMENTATION_NAMES

    assert set(JOB_CHOICES) == {*IMPLEMENTATION_NAMES, "tuned"}


@pytest.mark.parametrize(
    ("class_name", "argument", "right", "wrong"),
    [
        ("Conv2D", "kernel_size", [3, [3, 2]], [0, [3], [3, 0], "3", True, 2.0, None]),
        ("LocallyConnected1D", "strides", [1, [2]], [0, [1, 2], -1]),
        ("LocallyConnected2D", "padding", ["valid", "SAME", [[1, 0], [0, 2]]], ["causal", 3, [1, 1], [[1, 0]]]),
        ("LocallyConnected1D", "padding", ["causal", [[1, 0]]], [[1, 0], [[1, -1]], [[1, 0], [1, 0]]]),
        ("LocallyConnected1D", "use_bias", [True, "shared"], ["sharde", 1]),
        ("UpSampling1D", "size", [2], [[2], 0]),
        ("Conv1D", "padding", ["causal", "same"], ["full"]),
        ("ZeroPadding2D", "padding", [1, [1, 2], [[1, 2], [0, 3]]], [-1, [1, 2, 3], "same", [[1, 2, 3], 1]]),
        ("ZeroPadding1D", "padding", [1, [1, 2]], [[1], [-1, 1]]),
        ("Dropout", "rate", [0, 0.5, 0.0], [1, -0.1, "0.5", True]),
        ("Dense", "units", [1, 10], [0, 1.0, False, "10"]),
        ("Dense", "use_bias", [True, False], [0, 1, "true"]),
        ("Dense", "activation", ["relu"], ["rely", 3, ["relu"]]),
        ("BatchNormalization", "axis", [-1, 1, [1, 2]], [1.5, [], "1", True]),
        ("BatchNormalization", "scale", [True], [2.0]),
        ("Rescaling", "scale", [0.5, [0.5, 1]], ["a", [], True]),
        ("Reshape", "target_shape", [[3, -1]], [3, [0], []]),
        ("Dense", "dtype", ["float32", "mixed_bfloat16"], ["int8"]),
        ("LocallyConnected1D", "implementation", [1, "auto"], [1.0, True, 4, "1"]),
        ("Dropout", "noise_shape", [[None, 1]], [3]),
    ],
)
def test_checks_accept_what_is_right_and_refuse_what_is_wrong(class_name, argument, right, wrong):
    check = find_check(class_name, "layers", argument)
    for value in right:
        assert check(value) is None, value
    for value in wrong:
        assert isinstance(check(value), str), value


def test_a_number_beyond_all_floats_is_refused():
    assert find_check("Adam", "optimizers", "learning_rate")(10**400) == "a positive number"
    assert find_check("Rescaling", "layers", "scale")([10**400]) == "a finite number or a list of them"


def test_nested_objects_are_checked_like_layers():
    spec = {
        "type": "Dense",
        "units": 3,
        "kernel_regularizer": {"type": "L2", "l22": 1},
        "bias_initializer": {"seed": 1},
    }
    problems = {problem.path: problem.message for problem in find_problems_in_spec(spec, "head", "layers")}
    assert problems == {
        "head.kernel_regularizer.l22": "is not an argument of L2. Did you mean `l2`?",
        "head.bias_initializer": "has no `type`. Name the class, as in `type: GlorotUniform`.",
    }
