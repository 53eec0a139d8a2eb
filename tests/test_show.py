"""The verbs that look before anything runs: real processes, and nothing left behind."""

import json
import re

import pytest
import yaml
from conftest import make_graph

from lctrain.composition.choices import list_choices
from lctrain.config.json_schema import file_schema

FIRST_LAYER = r"lc1 +│ LocallyConnected2D │ \(None, 6, 6, 16\) │ +5,760 │ +9 │ +10.4 k"


def test_show_prints_shapes_parameters_connectivity_costs_and_the_choice(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "show", "model=lc2d", "model.layers.lc2.implementation=3", "optimizer=sgd")
    assert process.returncode == 0, process.stderr
    assert re.search(FIRST_LAYER, process.stdout), process.stdout
    assert "one training step, 32 examples, 1 optimizer slot" in process.stdout
    assert re.search(r"lc1 +│ memory, MB .*│ 2 \(auto\)", process.stdout)
    assert re.search(r"lc2 +│ memory, MB .*│ 3 *\n", process.stdout)
    assert "25,610 parameters, 49.8 kFLOP for one example's forward pass." in process.stdout
    assert list(tmp_path.iterdir()) == []


def test_show_tells_what_does_not_fit_and_goes_on_to_the_next_job(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "show", "-m", "model.layers.lc1.kernel_size=9,2")
    assert process.returncode == 1
    assert process.stderr.startswith("Error in job 0: `model.layers.lc1.kernel_size` must not exceed")
    assert "(None, 7, 7, 16)" in process.stdout
    assert list(tmp_path.iterdir()) == []


def test_show_of_deepface_loads_neither_keras_nor_tensorflow_and_allocates_no_weights(tmp_path, run_python):
    out = run_python(
        """
import resource, sys
from lctrain.cli import main
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert main(["show", "model=deepface"]) == 0
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown < 150_000, "tensorflow" not in sys.modules, "keras" not in sys.modules, "mlflow" not in sys.modules)
""",
        tmp_path,
    )
    assert out.splitlines()[-1] == "True True True True"
    assert "102,453,834 parameters" in out
    assert re.search(r"l4 .*│ memory, MB .*│ batched \(auto\)", out)


def test_check_passes_what_is_right_without_loading_tensorflow(tmp_path, run_python):
    out = run_python(
        """
import sys
from lctrain.cli import main
assert main(["check", "-m", "model=lc2d,dense", "optimizer=adam,sgd"]) == 0
print({"tensorflow", "keras", "mlflow"} & set(sys.modules))
""",
        tmp_path,
    )
    assert "4 configurations are valid." in out
    assert out.splitlines()[-1] == "set()"
    assert list(tmp_path.iterdir()) == []


def test_check_tells_of_every_wrong_job_before_one_could_start(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "check", "-m", "model.layers.lc1.filters=0,2", "model.layers.lc2.kernel_size=2,7")
    assert process.returncode == 2
    assert "Error in job 0: `model.layers.lc1.filters` must be a positive integer; got 0." in process.stderr
    assert "Error in job 1: `model.layers.lc1.filters` must be a positive integer; got 0." in process.stderr
    assert "Error in job 3: `model.layers.lc2.kernel_size` must not exceed" in process.stderr
    assert process.stderr.endswith("Error: 3 of 4 jobs can't be run.\n")
    assert "valid." not in process.stdout
    assert list(tmp_path.iterdir()) == []


def test_check_of_one_wrong_configuration_exits_with_2(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "check", "model.layers.head.units=7")
    assert process.returncode == 2
    assert process.stderr.startswith("Error: `model.layers.head` must give one score per class")
    assert "got (None, 7)" in process.stderr


@pytest.mark.parametrize("verb", ["check", "show"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-m", "seed=glob(*)"],
            "`seed` is no group of choices, which alone glob(*) can sweep. List the values: A,B,C.",
        ),
        (["-m", "model.layers.lc1.filters=glob(*)"], "`model.layers.lc1.filters` is no group of choices, which alone"),
        (["-m", "training=glob(sl*)"], "`training` has no choice that glob(sl*) matches; it has "),
        (
            ["-m", "seed=interval(1,3)"],
            "`seed` interval(1,3) has no end of values: search it with hydra/sweeper=optuna",
        ),
        (["sweep.resume=multirun/x"], "`sweep.resume` is not taken here: give the sweep's own command line, -m and"),
    ],
)
def test_what_can_not_be_swept_is_told(tmp_path, run_lctrain, verb, arguments, message):
    process = run_lctrain(tmp_path, verb, *arguments)
    assert (process.returncode, process.stdout, process.stderr[: 7 + len(message)]) == (2, "", f"Error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_check_of_a_sweep_sees_what_all_jobs_must_share(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "check", "-m", "sweep.on_error=continue,stop")
    assert process.returncode == 2
    assert "Error in job 1: `sweep` must be the same for all jobs of a sweep." in process.stderr


def test_check_prints_what_hydra_is_asked_for(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "check", "--cfg", "job")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("data:")
    assert "is valid." not in process.stdout


@pytest.fixture
def graph_folder(tmp_path):
    """A folder for --config-dir with the model `graph`."""
    path = tmp_path / "c" / "model" / "graph.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(make_graph()["model"], sort_keys=False))
    return tmp_path


def test_a_graph_is_shown_with_what_each_layer_reads_without_loading_keras(graph_folder, run_python):
    out = run_python(
        """
import sys
from lctrain.cli import main
assert main(["show", "--config-dir", "c", "model=graph", "--svg", "graph.svg"]) == 0
print({"tensorflow", "keras", "mlflow"} & set(sys.modules))
""",
        graph_folder,
    )
    assert "graph on left (None, 11, 3), frames (None, 5, 7, 2)" in out
    assert re.search(r"again +│ LocallyConnected1D +│ \(None, 11, 3\) +│ local +│ +of local │ +6 │", out)
    assert re.search(r"both +│ Concatenate +│ \(None, 53\) +│ drop, pooled │", out)
    assert re.search(r"steps +│ memory, MB .*│ 3 *\n", out)
    assert "Outputs: head, sum.\n" in out
    assert out.splitlines()[-1] == "set()"
    assert "again: LocallyConnected1D" in (graph_folder / "graph.svg").read_text()


def test_a_multirun_flag_may_stand_among_the_overrides(graph_folder, run_lctrain):
    own = ("--config-dir", "c", "model=lc2d,dense", "-m", "optimizer=adam,sgd")
    process = run_lctrain(graph_folder, "check", *own)
    assert (process.returncode, process.stdout.splitlines()[-1]) == (0, "4 configurations are valid.")


def test_check_tells_what_no_data_set_can_feed(graph_folder, run_lctrain):
    process = run_lctrain(graph_folder, "check", "--config-dir", "c", "model=graph")
    assert process.returncode == 2
    assert "`model.inputs` must be one input to be trained on `digits`" in process.stderr
    assert "`model.outputs` must be one layer to be trained on `digits`" in process.stderr


def test_an_experiment_is_copied_listed_and_checked(tmp_path, run_lctrain):
    copied = run_lctrain(tmp_path, "cp", "experiment=smooth_cosine", "mine")
    assert copied.returncode == 0, copied.stderr
    first, second, *_ = (tmp_path / "my_configs" / "experiment" / "mine.yaml").read_text().splitlines()
    assert (first, second) == (
        "# @package _global_",
        "# python -m lctrain --config-dir my_configs experiment=mine",
    )
    assert (tmp_path / "my_configs" / "schema" / "experiment.json").is_file()
    own = ("--config-dir", "my_configs")
    assert run_lctrain(tmp_path, "check", *own, "experiment=mine", "optimizer=sgd").stdout == "`lc2d` is valid.\n"
    listed = run_lctrain(tmp_path, "ls", "experiment", *own).stdout
    assert re.search("^  mine +The 2D net with smoothed labels", listed, re.MULTILINE)


def test_ls_lists_every_choice_with_its_description(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "ls")
    assert process.returncode == 0, process.stderr
    for group, choices in list_choices().items():
        lines = process.stdout.partition(f"{group}:\n")[2].splitlines()[: len(choices)]
        assert [line.split()[0] for line in lines] == choices
        assert all(len(line.split()) > 3 for line in lines)


def test_what_cp_copies_is_found_listed_and_used(tmp_path, run_lctrain):
    copied = run_lctrain(tmp_path, "cp", "model=lc2d", "mine")
    assert copied.returncode == 0, copied.stderr
    path = tmp_path / "my_configs" / "model" / "mine.yaml"
    text = path.read_text()
    assert text.startswith("# python -m lctrain --config-dir my_configs model=mine\n")
    assert "\nname: mine\n" in text
    (modeline,) = re.findall(r"^# yaml-language-server: \$schema=(.*)$", text, re.MULTILINE)
    assert (path.parent / modeline).resolve() == tmp_path / "my_configs" / "schema" / "model.json"
    assert json.loads((path.parent / modeline).read_text()) == json.loads(json.dumps(file_schema("model")))
    path.write_text(text.replace("filters: 16", "filters: 5"))
    own = ("--config-dir", "my_configs")
    shown = run_lctrain(tmp_path, "show", *own, "model=mine")
    assert "mine on (None, 8, 8, 1)" in shown.stdout
    assert "(None, 6, 6, 5)" in shown.stdout
    listed = run_lctrain(tmp_path, "ls", "model", *own)
    assert re.search("^  mine +Two locally connected layers", listed.stdout, re.MULTILINE)
    assert "optimizer:" not in listed.stdout


def test_a_link_to_nothing_is_listed_and_told(tmp_path, run_lctrain):
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "dangling.yaml").symlink_to("nowhere.yaml")
    listed = run_lctrain(tmp_path, "ls", "model", "--config-dir", "own")
    assert listed.returncode == 0
    assert re.search(r"^  dangling +\(can't be read: No such file", listed.stdout, re.MULTILINE)
    process = run_lctrain(tmp_path, "check", "model=dangling", "--config-dir", "own")
    assert "own/model/dangling.yaml can't be read; it links to nowhere.yaml, which is not there" in process.stderr


def test_a_copied_data_choice_keeps_the_name_that_says_what_it_is(tmp_path, run_lctrain):
    assert run_lctrain(tmp_path, "cp", "data=synthetic_volumes", "cubes", "--config-dir", "c").returncode == 0
    checked = run_lctrain(tmp_path, "check", "--config-dir", "c", "data=cubes", "model=dense")
    assert (checked.returncode, checked.stdout) == (0, "`dense` is valid.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls", "modle"], "`modle` is not a group. Did you mean `model`?"),
        (["ls", "--config-dir", "nowhere"], "`--config-dir` must be a folder; got 'nowhere'"),
        (["cp"], "`cp` takes what to copy and a new name"),
        (["cp", "model=lc2d"], "`cp` takes what to copy and a new name"),
        (["cp", "modle=lc2d", "mine"], "`modle` is not a group. Did you mean `model`?"),
        (["cp", "model=lc2x", "mine"], "`model` has no choice 'lc2x'. Did you mean `lc2d`?"),
        (["cp", "model=lc2d", "lc1d"], "`lc1d` must be a new name"),
        (["cp", "model=lc2d", "../mine"], "`../mine` must be a name of letters"),
        (["cp", "model=lc2d", "taken"], "taken.yaml` exists. Choose another name"),
        (["shwo", "model=lc2d"], "`shwo` is not a verb. Did you mean `show`?"),
    ],
)
def test_mistakes_of_ls_and_cp_are_told(tmp_path, run_lctrain, arguments, message):
    (tmp_path / "my_configs" / "model").mkdir(parents=True)
    (tmp_path / "my_configs" / "model" / "taken.yaml").write_text("name: taken\n")
    process = run_lctrain(tmp_path, *arguments)
    assert process.returncode == 2
    assert message in process.stderr
    assert "Traceback" not in process.stderr
    assert [path.name for path in tmp_path.rglob("*.yaml")] == ["taken.yaml"]
