"""A new data set is a row, a file that loads it and a file that chooses it; nothing else in lctrain/ lists them."""

import re
from pathlib import Path
from typing import get_args

import pytest
from recipes import Copy

from lctrain.config.schema import DATA_SETS
from lctrain.config.tasks import TASKS
from lctrain.data.dataset_info import import_function

ROOT = Path(__file__).parent.parent
TABLE = "lctrain/config/schema/datasets.py"
FIRST = "DATA_SETS: dict[str, DataSet] = {\n"
ROW = """    "stripes": DataSet(
        plain_schema("stripes", "60 pictures of 5x7 pixels with stripes that lie or stand."),
        load="lctrain.data.stripes:make_stripes",
        facts=Facts.in_memory([5, 7, 1], 60, num_classes=2),
    ),
"""
LOADER = '''"""Pictures of stripes."""

import numpy as np

from lctrain.config.schema import DataConfig
from lctrain.data.splits import Loaded, Split


def make_stripes(data: DataConfig) -> Loaded:
    """Of one pixel's width, in every second picture upright."""
    lying = np.indices((5, 7))[0] % 2
    standing = np.indices((5, 7))[1] % 2
    images = np.stack([lying, standing] * 30).astype(np.float32)[..., None]
    return Loaded({"train": Split(images, np.arange(60) % 2)})
'''
CHOICE = """# python -m lctrain data=stripes
# Pictures of stripes.
# yaml-language-server: $schema=../schema/data.json
name: stripes
input_shape: [5, 7, 1]
num_classes: 2
validation_fraction: 0.2
test_fraction: 0.2
split_seed: 0
"""
COMMAND = ("model=dense", "data=stripes")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    copy = Copy(tmp_path_factory.mktemp("copy"))
    copy.insert(TABLE, ROW, behind=FIRST)
    copy.write("lctrain/data/stripes.py", LOADER)
    copy.write("conf/data/stripes.yaml", CHOICE)
    return copy


def test_a_new_data_set_is_listed_checked_and_shown(copy):
    assert re.search(r"stripes +Pictures of stripes", copy.run_lctrain("ls", "data"))
    assert copy.run_lctrain("check", *COMMAND) == "`dense` is valid.\n"
    assert "5x7x1" in copy.run_lctrain("show", *COMMAND).replace(", ", "x")


def test_a_new_data_set_gets_its_schema_and_its_section_by_the_commands_that_write_them(copy):
    copy.run_lctrain("schema", "data", "--out", "conf/schema")
    assert '"stripes"' in (copy.folder / "conf" / "schema" / "data.json").read_text()
    assert "## `data`, `name`: `stripes`\n\n60 pictures" in copy.run_lctrain("schema", "--markdown")


def test_a_model_trains_on_a_new_data_set(copy):
    printed = copy.run_lctrain(*COMMAND, "training.epochs=1", "training.batch_size=12", "training.progress=none")
    assert "test accuracy" in printed


@pytest.mark.parametrize("name", DATA_SETS)
def test_a_row_holds_what_can_be_imported_and_is_chosen(name):
    row = DATA_SETS[name]
    assert name in get_args(row.schema.model_fields["name"].annotation)
    assert all(callable(import_function(one)) for one in (row.load, row.facts) if isinstance(one, str))
    assert {*row.user_keys, *row.reading} <= set(row.schema.model_fields)
    assert set(row.tasks or ()) <= set(TASKS)
    assert f"\nname: {name}\n" in (ROOT / "conf" / "data" / f"{name}.yaml").read_text()


def test_a_job_of_a_new_data_set_can_be_sent_to_another_process(copy):
    copy.run("""
import pickle
from lctrain.config.schema import DATA_SETS

for name, row in DATA_SETS.items():
    assert pickle.loads(pickle.dumps(row.schema)) is row.schema, name
assert "stripes" in DATA_SETS
""")
