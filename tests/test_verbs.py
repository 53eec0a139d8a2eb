"""The verbs' command lines: flags and overrides in any order, Hydra's flags passed on, and each verb's own help."""

import argparse
import re
from pathlib import Path

import pytest
import yaml
from hydra._internal.utils import get_args_parser

from lctrain.cli import VERBS, load_verb, main
from lctrain.cli.parser import split_verb
from lctrain.composition.hydra_flags import HYDRA_FLAGS
from lctrain.errors import UserError


@pytest.fixture
def configs(tmp_path, monkeypatch):
    """A working folder with a folder of configurations, in which one model is."""
    (tmp_path / "mine" / "model").mkdir(parents=True)
    layers = "{flatten: Flatten, head: {type: Dense, units: '${data.num_classes}', activation: softmax}}"
    (tmp_path / "mine" / "model" / "tiny.yaml").write_text(f"name: tiny\nlayers: {layers}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_hydras_flags_are_all_of_its_parser():
    known = {tuple(sorted(action.option_strings)) for action in get_args_parser()._actions if action.option_strings}
    own = {("--help", "-h"), ("--version",)}  # which are lctrain's
    assert {tuple(sorted(names)) for names in HYDRA_FLAGS} == known - own
    takes_value = {
        action.option_strings[0]: action.nargs for action in get_args_parser()._actions if action.option_strings
    }
    for names, settings in HYDRA_FLAGS.items():
        assert settings.get("nargs") == next(takes_value[name] for name in names if name in takes_value), names


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_its_own_help_with_every_flag(verb, capsys):
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: lctrain {verb} [-h]")
    parser = load_verb(verb).make_parser()
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            assert all(name in text for name in action.option_strings), action.option_strings
            assert action.help, action
    assert main(["-h", verb]) == 0
    assert capsys.readouterr().out == text


def test_without_a_verb_help_is_of_all(capsys):
    for arguments in (["--help"], ["help"], ["help", "show"], ["model=lc2d", "-h"], ["-m", "model=lc2d", "--help"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out.startswith("lctrain 0.1.0: declarative training")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config-dir", "mine", "check", "model=tiny"],
        ["check", "--config-dir", "mine", "model=tiny"],
        ["check", "model=tiny", "--config-dir", "mine"],
        ["check", "seed=1", "--config-dir=mine", "model=tiny"],
        ["-cd", "mine", "--debug", "check", "model=tiny"],
        ["check", "model=tiny", "--config-d", "mine"],
    ],
    ids=" ".join,
)
def test_a_folder_of_configurations_stands_anywhere(configs, capsys, arguments):
    assert main(arguments) == 0
    assert capsys.readouterr().out == "`tiny` is valid.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "seed=1", "-m", "training.epochs=2,3", "training.batch_size=4"],
        ["check", "seed=1", "training.epochs=2,3", "training.batch_size=4", "--multirun"],
        ["-m", "check", "seed=1", "training.epochs=2,3"],
        ["check", "seed=1", "training.epochs=2,3", "hydra.mode=MULTIRUN"],
    ],
    ids=" ".join,
)
def test_a_sweep_is_asked_for_anywhere(configs, capsys, arguments):
    assert main(arguments) == 0
    assert capsys.readouterr().out == "2 configurations are valid.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cfg", "job", "seed=3", "training.epochs=7"],
        ["seed=3", "--cfg", "job", "training.epochs=7"],
        ["train", "seed=3", "training.epochs=7", "-c", "job"],
        ["check", "seed=3", "--cfg=job", "training.epochs=7"],
    ],
    ids=" ".join,
)
def test_hydra_shows_what_was_composed(configs, capsys, arguments):
    assert main(arguments) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["seed"], config["training"]["epochs"]) == (3, 7)


def test_hydras_other_flags_reach_it(configs, run_lctrain):
    listed = run_lctrain(configs, "train", "--hydra-help")
    assert listed.returncode == 0
    assert "--hydra-help : Hydra's help" in listed.stdout
    part = run_lctrain(configs, "seed=3", "-p", "optimizer", "--cfg", "job")
    assert "learning_rate" in part.stdout
    assert "seed" not in part.stdout
    shown = run_lctrain(configs, "seed=3", "--info", "defaults")
    assert "config" in shown.stdout
    assert shown.returncode == 0, shown.stderr
    script = run_lctrain(configs, "-sc", "install=bash")
    assert "hydra_bash_completion" in script.stdout
    refused = run_lctrain(configs, "--experimental-rerun", "some.pkl")
    assert "`--experimental-rerun` is not taken: it would run what a pickle holds." in refused.stderr


@pytest.mark.parametrize("arguments", [["-cn", "start", "check"], ["check", "--config-name", "start"]], ids=" ".join)
def test_a_file_to_start_from_is_chosen_anywhere(configs, capsys, arguments):
    (configs / "mine" / "start.yaml").write_text("defaults: [config, _self_]\nseed: 11\n")
    assert main([*arguments, "training.epochs=7", "--config-dir", "mine", "--cfg", "job"]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["seed"], config["training"]["epochs"]) == (11, 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mulitrun", "seed=1,2"], "`--mulitrun` is not taken by `train`. Did you mean `--multirun`?"),
        (["show", "seed=1", "--sgv", "x.svg"], "`--sgv` is not taken by `show`. Did you mean `--svg`?"),
        (["bench", "--otu=x"], "`--otu` is not taken by `bench`. Did you mean `--out`?"),
        (["check", "--confg-dir", "mine"], "`--confg-dir` is not taken by `check`. Did you mean `--config-dir`?"),
        (["check", "--deubg"], "`--deubg` is not taken by `check`. Did you mean `--debug`?"),
        (["sync", "--drop"], "`--drop` is not taken by `sync`. Did you mean `--drop-deleted`?"),
        (["ls", "--config-dri", "x"], "`--config-dri` is not taken by `ls`. Did you mean `--config-dir`?"),
        (["schema", "--markdwon"], "`--markdwon` is not taken by `schema`. Did you mean `--markdown`?"),
        (
            ["cp", "model=lc2d", "mine", "more"],
            "`more` is not taken by `cp`. What it takes: python -m lctrain cp --help",
        ),
        (["show", "--cfg", "jbo"], "`--cfg/-c` must be one of 'job', 'hydra', 'all'; got 'jbo'"),
        (["check", "--config-dir"], "`--config-dir/-cd` must have a value behind it. Usage: lctrain check"),
        (["import"], "`import`: the following arguments are required: file. Usage: lctrain import"),
        (["--config-dir", "mine", "chekc"], "`chekc` is not a verb. Did you mean `check`?"),
        (["ui", "-m"], "`ui` takes no -m: it shows one store."),
        (["predict", "--multirun", "run=1"], "`predict` takes no -m: it is for one run."),
    ],
)
def test_wrong_flags_are_told_with_the_nearest(configs, capsys, arguments, message):
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert message in re.sub(r"\s+", " ", errors), errors


def test_the_verb_is_the_first_word_that_belongs_to_no_flag_of_hydras():
    assert split_verb([]) == (None, [])
    assert split_verb(["-m", "-cd", "show", "check", "a=1"]) == ("check", ["-m", "-cd", "show", "a=1"])
    assert split_verb(["--config-dir=show", "check"]) == ("check", ["--config-dir=show"])
    assert split_verb(["--port", "5", "ui"]) == ("--port", ["5", "ui"])


def test_the_store_may_stand_before_the_run(configs):
    from lctrain.job.sources import split_source

    assert split_source(["tracking=local", "tracking.keras"]) == ("tracking.keras", ["tracking=local"])
    with pytest.raises(UserError, match="`RUN_OR_FILE` is missing: the id of a run"):
        split_source(["tracking.folder=x"])
    with pytest.raises(
        UserError, match=r"`run=latest`: the run or file stands by itself here\. Type latest in its place\."
    ):
        split_source(["run=latest"])


@pytest.mark.parametrize(
    ("arguments", "word", "others"),
    [
        (["--info", "config"], None, ["--info", "config"]),
        (["--info", "check"], "check", ["--info"]),
        (["--info=config", "check"], "check", ["--info=config"]),
        (["-i", "searchpath", "show", "model=lc2d"], "show", ["-i", "searchpath", "model=lc2d"]),
        (["-m", "check", "a=1"], "check", ["-m", "a=1"]),
    ],
)
def test_the_verb_is_found_behind_flags_of_hydra(arguments, word, others):
    assert split_verb(arguments) == (word, others)


@pytest.mark.parametrize(
    ("verb", "arguments", "name", "value"),
    [
        ("sync", ["--", "-dash"], "folders", ["-dash"]),
        ("import", ["--out", "f", "--", "-f.h5"], "file", Path("-f.h5")),
        ("kernels", ["--", "-x"], "source", "-x"),
        ("check", ["--config-dir=-dash", "model=mine"], "arguments", ["--config-dir=-dash", "model=mine"]),
        ("show", ["--s", "a.svg"], "svg", Path("a.svg")),
        ("predict", ["--in", "a.npy", "run=1"], "inputs", Path("a.npy")),
        ("ui", ["--p", "5000"], "port", "5000"),
    ],
)
def test_words_that_begin_with_a_dash_and_abbreviations_are_read(verb, arguments, name, value):
    assert getattr(load_verb(verb).make_parser().parse(arguments), name) == value


@pytest.mark.parametrize(("verb", "arguments"), [("export", ["--to", "tflite"]), ("kernels", [])])
def test_overrides_are_not_among_what_is_required(verb, arguments):
    with pytest.raises(
        UserError, match=r"the following arguments are required: RUN_OR_FILE\. Usage: lctrain \w+ "
    ) as raised:
        load_verb(verb).make_parser().parse(arguments)
    assert "--cfg" not in str(raised.value)


@pytest.mark.parametrize(
    "arguments",
    [["kernels", "nope", "--cfg", "job"], ["kernels", "nope", "--info=plugins"], ["report", "--cfg", "job"]],
)
def test_a_flag_that_only_prints_is_refused_where_a_configuration_is_needed(tmp_path, run_lctrain, arguments):
    finished = run_lctrain(tmp_path, *arguments)
    assert finished.returncode == 2
    assert "is not taken here: with it nothing is composed" in finished.stderr
