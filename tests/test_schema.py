"""JSON Schema and reference page: made from what checks configurations, and in agreement with it."""

import copy
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import make_config, make_graph

from lctrain.composition.choices import config_folder, list_choices
from lctrain.config import Config, validate
from lctrain.config.allowlist import classes, nested_group
from lctrain.config.arguments import find_check
from lctrain.config.docs_page import reference_page
from lctrain.config.json_schema import GROUPS_OF_OBJECTS, config_schema, file_groups, file_schema
from lctrain.errors import ConfigError

ROOT = Path(__file__).parent.parent
GROUPS = ("layers", "optimizers", *GROUPS_OF_OBJECTS)
FILES = [(group, choice) for group, choices in list_choices().items() for choice in choices]
SCALARS = [True, False, -3, -1, 0, 1, 2, 3, 7, -0.5, 0.0, 0.5, 1.0, 1.5, "", "relu", "same", "SAME", "valid", "batched"]
SCALARS += ["shared", "channels_first", "float32", "nearest", "position", "fan_in", "uniform", "nope"]
LISTS = [[], [1], [1, 2], [1, 2, 3], [0, 1], [-1, 3], [0.5, 1], ["a"], [[1, 2]], [[1, 2], [0, 3]], [None, 1], [[1], 2]]
DENSE = {"type": "Dense", "units": 3}
ARGUMENTS = [
    (group, entry.name, name)
    for group in GROUPS
    for entry in classes(group).values()
    for name in entry.arguments
    if nested_group(name) is None
]


TRAINING = {"name": "a", "epochs": 1, "batch_size": 1, "progress": "none"}
LESS_RATE = {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.5}
RATE = {"type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 30}


def one_layer(**arguments):
    return {"name": "a", "layers": {"head": DENSE | arguments}}


def is_valid(instance, schema):
    return jsonschema.Draft7Validator(schema).is_valid(instance)


@pytest.fixture(scope="module")
def whole():
    schema = config_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_the_stored_schemas_and_page_are_what_would_be_written():
    stored = {path.stem: json.loads(path.read_text()) for path in (config_folder() / "schema").glob("*.json")}
    made = {group: json.loads(json.dumps(file_schema(group))) for group in file_groups()}
    assert stored == made, "run: python -m lctrain schema --out conf/schema"
    page = (ROOT / "docs" / "config.md").read_text()
    assert page == reference_page(), "run: python -m lctrain schema --markdown > docs/config.md"


@pytest.mark.parametrize(("group", "choice"), FILES)
def test_every_file_names_its_schema_and_follows_it(group, choice):
    path = config_folder() / group / f"{choice}.yaml"
    (reference,) = re.findall(r"^# yaml-language-server: \$schema=(.*)$", path.read_text(), re.MULTILINE)
    schema = json.loads((path.parent / reference).read_text())
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_the_main_file_names_its_schema_and_follows_it():
    text = (config_folder() / "config.yaml").read_text()
    assert "# yaml-language-server: $schema=schema/config.json\n" in text
    schema = json.loads((config_folder() / "schema" / "config.json").read_text())
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("group", "content"),
    [
        ("model", {"name": "a"}),
        ("model", {"name": "a", "layers": {}}),
        ("model", {"name": "a", "layers": {"lc1": {"type": "LocalyConnected2D"}}}),
        ("model", {"name": "a", "layers": {"lc1": {"filters": 3}}}),
        ("model", {"name": "a", "layers": {"head": {"type": "Dense"}}}),
        ("model", {"name": "a", "layers": {"head": {"type": "Dense", "unit": 3}}}),
        ("model", {"name": "a", "layers": {"head": {"type": "Dense", "units": 0}}}),
        ("model", {"name": "a", "layers": {"head": DENSE | {"kernel_regularizer": "l3"}}}),
        ("model", {"name": "a", "layers": {"head": DENSE | {"kernel_regularizer": {"type": "L3"}}}}),
        ("model", {"defaults": ["lc2d"], "layer": {}}),
        ("model", {"name": "a", "layers": {"head": DENSE | {"kernel_regularizer": {"l3": 1e-4}}}}),
        ("model", {"name": "a", "layers": {"head": DENSE | {"kernel_regularizer": {"l2": {"l3": 1e-4}}}}}),
        ("model", {"name": "a", "layers": {"head": DENSE | {"inputs": 3}}}),
        ("model", {"name": "a", "layers": {"head": DENSE | {"inputs": []}}}),
        ("model", {"name": "a", "layers": {"flat": "Flaten"}}),
        ("model", {"name": "a", "layers": {"steps": {"type": "TimeDistributed", "layer": {"type": "Dens"}}}}),
        ("model", {"name": "a", "layers": {"again": {"shares": 3}}}),
        ("model", {"name": "a", "layers": {"head": DENSE}, "inputs": {"x": [0, 2]}}),
        ("model", {"name": "a", "layers": {"head": DENSE}, "outputs": []}),
        ("model", {"name": "a", "layers": {"head": DENSE}, "output": ["head"]}),
        ("model", {"defaults": ["lc2d"], "layers": {"lc1": {"fliters": 3}}}),
        ("optimizer", {"type": "Adam", "learning_rate": {"type": "CosineDecays"}}),
        ("optimizer", {"type": "Adam", "learning_rate": {"type": "CosineDecay", "decay_steps": 3}}),
        ("training", TRAINING | {"loss": "msee"}),
        ("training", TRAINING | {"metrics": {"a": {"type": "AUCs"}}}),
        ("training", TRAINING | {"metrics": ["acuracy"]}),
        ("experiment", {"model": {"layer": {}}}),
        ("experiment", {"optimizer": {"learning_rat": 3}}),
        ("experiment", {"trainings": {}}),
        ("data", {"name": "digits"}),
        ("data", {"defaults": ["synthetic"], "num_clases": 3}),
        ("optimizer", {"type": "Adm"}),
        ("optimizer", {"type": "Adam", "learning_rat": 1}),
        ("training", {"name": "a", "epochs": 0, "batch_size": 1, "progress": "none"}),
        ("config", {"seeds": 3}),
    ],
)
def test_mistakes_are_seen_in_an_editor(group, content):
    assert not is_valid(content, file_schema(group))


def test_a_complete_configuration_follows_the_schema_and_broken_ones_do_not(whole):
    whole.validate(json.loads(json.dumps(make_config())))
    whole.validate(validate(make_config()).model_dump())
    for path, value in (("implementation", 7), ("data.num_clases", 3), ("schema_version", 2), ("optimizer.type", "a")):
        broken = copy.deepcopy(make_config())
        *parents, last = path.split(".")
        place = broken
        for parent in parents:
            place = place[parent]
        place[last] = value
        assert not whole.is_valid(broken)
        with pytest.raises(ConfigError, match=last):
            validate(broken)


@pytest.mark.parametrize(
    ("group", "content"),
    [
        ("model", make_graph()["model"]),
        ("model", one_layer(kernel_regularizer="l2", kernel_initializer="glorot_uniform", activation="relu")),
        ("model", one_layer(kernel_regularizer={"l2": 1e-4}, kernel_constraint={"max_norm": {"max_value": 3}})),
        ("model", one_layer(kernel_regularizer={"l1": 1e-4, "l2": 1e-3})),
        ("model", one_layer(kernel_regularizer={"L1L2": {"l1": 1e-4}}, bias_initializer={"constant": 0.5})),
        ("model", {"name": "a", "layers": {"r": {"type": "RNN", "cell": {"GRUCell": {"units": 3}}}, "head": DENSE}}),
        ("model", {"name": "a", "layers": {"t": {"type": "TimeDistributed", "layer": {"Dense": 3}}, "head": DENSE}}),
        ("optimizer", {"type": "adamw", "learning_rate": RATE}),
        (
            "optimizer",
            {"type": "SGD", "learning_rate": {"cosine_decay": {"initial_learning_rate": 1, "decay_steps": 3}}},
        ),
        ("training", TRAINING | {"loss": "categorical_crossentropy", "metrics": {"a": "auc", "b": {"type": "AUC"}}}),
        ("training", TRAINING | {"loss": {"huber": 2.0}, "metrics": ["auc", {"type": "AUC", "curve": "PR"}]}),
        ("training", TRAINING | {"loss": None, "metrics": "accuracy"}),
    ],
)
def test_what_is_valid_is_valid_in_an_editor(group, content, whole):
    validate(make_config(**{group: content}))
    jsonschema.Draft7Validator(file_schema(group)).validate(content)
    whole.validate(json.loads(json.dumps(make_config(**{group: content}))))


def test_an_optimizer_may_be_its_name_alone(whole):
    assert validate(make_config(optimizer="adamw")).optimizer == {"type": "AdamW"}
    assert whole.is_valid(json.loads(json.dumps(make_config(optimizer="adamw"))))
    assert not whole.is_valid(json.loads(json.dumps(make_config(optimizer="adamv"))))


@pytest.mark.parametrize("config", [make_config(), make_graph()])
def test_a_validated_configuration_is_valid_again_and_follows_the_schema(config, whole):
    complete = validate(config).model_dump()
    assert validate(complete).model_dump() == complete
    whole.validate(json.loads(json.dumps(complete)))


@pytest.mark.parametrize(("group", "class_name", "argument"), ARGUMENTS)
def test_the_schema_of_an_argument_accepts_what_its_check_accepts(group, class_name, argument):
    check = find_check(class_name, group, argument)
    schema = check.json_schema()
    for value in SCALARS:
        integral = isinstance(value, float) and value.is_integer()  # 1.0 is an integer to JSON Schema
        assert integral or is_valid(value, schema) == (check(value) is None), value
    for value in LISTS:
        assert is_valid(value, schema) or check(value) is not None or value == [], value
    assert check.describe()


def test_the_page_holds_every_class_argument_and_key():
    page = reference_page()
    for group in GROUPS:
        for entry in classes(group).values():
            section = page.partition(f"\n## {group.capitalize()}\n")[2]
            section = section.partition(f"### {entry.name}\n")[2].partition("\n### ")[0]
            assert all(f"- `{name}`" in section for name in entry.arguments), entry.name
    assert all(f"| `{name}` |" in page for name in Config.model_fields)
    assert all("description" in field for field in Config.model_json_schema()["properties"].values())


def test_the_verb_prints_what_the_tests_compare(tmp_path, run_lctrain):
    assert json.loads(run_lctrain(tmp_path, "schema").stdout) == json.loads(json.dumps(config_schema()))
    assert json.loads(run_lctrain(tmp_path, "schema", "model").stdout) == json.loads(json.dumps(file_schema("model")))
    assert run_lctrain(tmp_path, "schema", "--markdown").stdout == reference_page()
    process = run_lctrain(tmp_path, "schema", "modle")
    assert (process.returncode, process.stderr) == (2, "Error: `modle` is not a group. Did you mean `model`?\n")


def test_an_unknown_version_of_the_language_is_refused():
    with pytest.raises(ConfigError, match="`schema_version` must be one of 1; got 2"):
        validate(make_config(schema_version=2))
    assert validate(make_config()).schema_version == 1
