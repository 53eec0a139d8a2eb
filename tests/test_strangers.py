"""A configuration from a stranger is only data: what it can't do, each refused by name."""

import copy

import pytest
import yaml
from conftest import make_config

from lctrain.composition.overrides import check_arguments
from lctrain.composition.user_files import check_user_file
from lctrain.config import validate
from lctrain.config.interpolation import resolve
from lctrain.config.limits import MAX_NESTING, find_in_text
from lctrain.errors import ConfigError, UserError

HEADER = "# @package _global_\n"
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)
DEEP = "[" * (MAX_NESTING + 1) + "]" * (MAX_NESTING + 1)
FILES = [
    (
        "model/bad.yaml",
        "hydra: {job_logging: {handlers: {a: {(): os.mkdir, path: PWNED}}}}",
        "must not configure `hydra`",
    ),
    (
        "model/bad.yaml",
        '"hy\\x64ra": {job_logging: {handlers: {a: {(): os.mkdir, path: PWNED}}}}',
        "must not configure `hydra`",
    ),
    ("model/bad.yaml", "<<: {hydra: {callbacks: {a: {path: PWNED}}}}", "must not configure `hydra`"),
    (
        "model/bad.yaml",
        "hydra: {callbacks: {a: {_target_: os.mkdir, path: PWNED}}}",
        "line 2: must not hold `_target_`",
    ),
    ("model/bad.yaml", "layers:\n  a:\n    _target_: os.mkdir\n", "line 4: must not hold `_target_`"),
    ("model/bad.yaml", "layers: [{x: {_partial_: true}}]", "line 2: must not hold `_partial_`"),
    ("model/bad.yaml", "hydra: {searchpath: ['file:///tmp']}", "must not configure `hydra`"),
    ("model/bad.yaml", "defaults: [{override /hydra/launcher: joblib}]", "must not configure `hydra`"),
    ("model/bad.yaml", "defaults: [{override /hydra/sweeper: optuna}]", "must not configure `hydra`"),
    ("model/bad.yaml", "defaults: [{override /hydra/job_logging: evil}]", "must not configure `hydra`"),
    (
        "model/bad.yaml",
        "# @package hydra.callbacks\na: {path: PWNED}",
        "`@package` must be _group_ or _global_; got 'hydra",
    ),
    (
        "model/bad.yaml",
        "# @x y\u2028# @package hydra.callbacks\na: {path: PWNED}",
        "`@package` must be _group_ or _global_",
    ),
    ("hydra/job_logging/bad.yaml", "handlers: {a: {(): os.mkdir, path: PWNED}}", "must not hold a group `hydra`"),
    ("Hydra/callbacks/bad.yaml", "a: 3", "must not hold a group `hydra`"),
    ("model/bad.yaml", "defaults: [../../elsewhere/evil]", "`defaults` must name choices, not paths"),
    ("model/bad.yaml", "defaults: [{/data: ../../elsewhere/evil}]", "`defaults` must name choices, not paths"),
    ("model/bad.yaml", "defaults: [//etc/evil]", "`defaults` must name choices, not paths"),
    ("model/bad.yaml", "defaults: [{/data: '${x}'}]", "`defaults` must name choices, not paths"),
    ("model/bad.yaml", "name: ${oc.env:HOME}", "line 2: must not use the resolver `oc.env`"),
    ("model/bad.yaml", "name: a${ oc.env :HOME,x}", "line 2: must not use the resolver `oc.env`"),
    ("model/bad.yaml", "name: ${oc.decode:x}", "line 2: must not use the resolver `oc.decode`"),
    ("model/bad.yaml", "name: ${nonsense:x}", "line 2: must not use the resolver `nonsense`"),
    ("model/bad.yaml", "a: ${data.num_classes", "line 2: must close every `${` with a `}`; got '${data.num_classes'"),
    ("model/bad.yaml", LAUGHS, "line 2: must not use anchors and aliases (`&a`)"),
    ("model/bad.yaml", "a: *b", "line 2: must not use anchors and aliases (`*b`)"),
    ("model/bad.yaml", f"a: {DEEP}", "nests values more than 64 deep"),
    ("model/bad.yaml", "a: " + "x" * 2**20, "must be at most 1,048,576 bytes (1 MiB); it has 1,048,599."),
    ("model/bad.yaml", b"name: \xff", "must be text in UTF-8"),
]


def write(folder, name, text):
    path = folder / "configs" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else (HEADER * ("# @" not in text) + text).encode())
    return path


@pytest.mark.parametrize(("name", "text", "message"), FILES)
def test_a_users_file_is_refused_by_name(tmp_path, name, text, message):
    path = write(tmp_path, name, text)
    with pytest.raises(UserError, match="configs/") as raised:
        check_user_file(tmp_path / "configs", name)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize(("name", "text", "message"), [FILES[0], FILES[4], FILES[18], FILES[22]])
def test_the_command_line_refuses_it_too(tmp_path, run_lctrain, name, text, message):
    write(tmp_path, name, text)
    process = run_lctrain(tmp_path, "--config-dir", "configs", "model=bad", timeout=20)
    assert process.returncode == 2
    assert message in process.stderr
    assert f"configs/{name}" in process.stderr
    assert "Traceback" not in process.stderr
    assert list(tmp_path.rglob("PWNED")) == []
    assert not (tmp_path / "mlflow.db").exists()


def test_links_to_folders_are_refused(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "configs" / "model").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="configs/model must be a folder, not a link to one"):
        check_user_file(tmp_path / "configs", "model/mine.yaml")


def test_what_is_data_is_taken(tmp_path):
    text = "defaults:\n  - override /data@_global_.data: digits_rows\nlayers:\n  a: {units: '${data.num_classes}'}\n"
    write(tmp_path, "model/mine.yaml", HEADER + text)
    check_user_file(tmp_path / "configs", "model/mine.yaml")
    assert find_in_text(text) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra.callbacks.a.path=x"], "`hydra.callbacks.a.path` is not taken"),
        (["+hydra.callbacks={a: {path: x}}"], "`hydra.callbacks` is not taken"),
        (["hydra={callbacks: {a: {path: x}}}"], "`hydra` is not taken"),
        (["model@hydra.callbacks=lc2d"], "`model@hydra.callbacks` is not taken"),
        (["hydra/callbacks=x"], "`hydra/callbacks` is not taken"),
        (["+hydra.callbacks.a._target_=os.mkdir"], "`+hydra.callbacks.a._target_=os.mkdir` is not taken"),
        (["model.layers.lc1={_target_: os.mkdir}"], "is not taken: a configuration is data"),
        (["hydra.searchpath=[file:///tmp]"], "`hydra.searchpath` is not taken"),
        (["+hydra.searchpath=[file:///tmp]"], "`hydra.searchpath` is not taken"),
        (["hydra/launcher=submitit_local"], "one of basic, joblib, slurm, ray; got 'submitit_local'. Use joblib"),
        (["hydra/sweeper=ax"], "`hydra/sweeper` must be one of basic, optuna; got 'ax'"),
        (["hydra/job_logging=evil"], "`hydra/job_logging` must be one of lctrain, default"),
        (["hydra.job_logging.handlers.a.path=x"], "`hydra.job_logging.handlers.a.path` is not taken"),
        (["hydra.verbos=true"], "Did you mean `hydra.verbose`?"),
        (["hydra.output_subdir=../.."], "`hydra.output_subdir` must stay in the run's own folder; got '../..'"),
        (["hydra.job.name=/tmp/x"], "`hydra.job.name` must stay in the run's own folder; got '/tmp/x'"),
        (["hydra.sweep.subdir='../x'"], "`hydra.sweep.subdir` must stay in the run's own folder"),
        (["hydra.output_subdir=~/x"], "`hydra.output_subdir` must stay in the run's own folder"),
        (["model=../../x"], "`model` must be one of its choices, not a path; got '../../x'"),
        (["-m", "model=lc2d,../x"], "`model` must be one of its choices, not a path"),
        (["model=//etc/x"], "`model` must be one of its choices, not a path"),
        (["--experimental-rerun", "x.pickle"], "`--experimental-rerun` is not taken"),
        (["--config-name", "../x"], "`--config-name` must name a file in the folder"),
        (["model.layers.a=" + DEEP], "`model.layers.a` nests values more than 64 deep"),
        (["+" + ".".join("a" * 80) + "=1"], "nests values more than 64 deep"),
    ],
)
def test_an_argument_is_refused_by_name(arguments, message):
    with pytest.raises(UserError, match="`") as raised:
        check_arguments(arguments)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["hydra.verbose=true", "hydra.run.dir=elsewhere/${now:%H}", "hydra/job_logging=none", "hydra/launcher=basic"],
        ["-m", "model=lc2d,lc1d", "tracking.folder=/tmp/store", "~model.layers.pool"],
        ["+model.layers.extra={type: Dropout, rate: 0.2, after: lc1}", "optimizer=adamw"],
    ],
)
def test_what_configures_a_job_is_taken(arguments):
    check_arguments(arguments)


def problems_of(change):
    raw = copy.deepcopy(make_config())
    change(raw)
    with pytest.raises(ConfigError, match="`") as raised:
        validate(*resolve(raw))
    return {problem.path: problem.message for problem in raised.value.problems}


@pytest.mark.parametrize("key", ["_target_", "_partial_", "_args_", "_recursive_", "_convert_"])
@pytest.mark.parametrize("path", ["", "model", "model.layers.lc1", "optimizer", "training", "data", "tracking"])
def test_keys_that_make_objects_are_refused_anywhere(path, key):
    def change(raw):
        group = raw
        for name in path.split(".") if path else ():
            group = group[name]
        group[key] = "os.system"

    problems = problems_of(change)
    where = f"{path}.{key}" if path else key
    assert list(problems) == [where]
    assert problems[where] == "is not taken: a configuration is data. `type` names a class."


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("${oc.env:HOME}", "must not use the resolver `oc.env`"),
        ("x-${oc.env:HOME}", "must not use the resolver `oc.env`"),
        ("${hydra:runtime.cwd}", "must not use the resolver `hydra`"),
        ("${nonsense:}", "must not use the resolver `nonsense`"),
        ("${${seed}:HOME}", "must hold references of the form ${KEY} alone"),
        ("${oc.${seed}:HOME}", "must hold references of the form ${KEY} alone"),
        ("${seed", "must hold references of the form ${KEY} alone"),
        ("${sede}", "there is no 'sede'. Did you mean `seed`"),
        ("${data.num_clases}", "there is no 'data.num_clases'. Did you mean `data.num_classes`?"),
        ("${model.name}", "it refers to itself"),
        ("${.name}", "it refers to itself"),
        ("${model}", "it refers to itself"),
        ("${}", "there is no ''"),
        ("${....seed}", "there is no '....seed'"),
        ("???", "it is ???, a value that must be given"),
    ],
)
def test_a_value_that_is_no_reference_is_refused(value, message):
    problems = problems_of(lambda raw: raw["model"].__setitem__("name", value))
    assert list(problems) == ["model.name"]
    assert problems["model.name"].startswith("can't be resolved: ")
    assert message in problems["model.name"]


def test_environment_secrets_do_not_reach_what_is_logged(tmp_path, run_lctrain, monkeypatch):
    monkeypatch.setenv("LCTRAIN_TEST_SECRET", "hunter2")
    for override in (
        "model.name=${oc.env:LCTRAIN_TEST_SECRET}",
        "tracking.experiment='a${oc.env:LCTRAIN_TEST_SECRET}'",
    ):
        process = run_lctrain(tmp_path, override, timeout=20)
        assert process.returncode == 2
        assert "must not use the resolver `oc.env`" in process.stderr
        assert "hunter2" not in process.stderr + process.stdout
    assert not (tmp_path / "mlflow.db").exists()


def test_references_resolve_as_hydra_users_know_them():
    raw = {
        "a": {"b": [1, {"c": "x"}], "whole": "${.b}", "text": "${a.b[1].c}-${..n}", "far": "${a.whole.1.c}"},
        "n": 3,
        "same": "${a}",
        "plain": "\\${n}",
        "none": None,
        "nothing": "${none}",
    }
    resolved, problems = resolve(raw)
    assert problems == []
    assert resolved["a"] == {"b": [1, {"c": "x"}], "whole": [1, {"c": "x"}], "text": "x-3", "far": "x"}
    assert resolved["same"] == resolved["a"]
    assert resolved["same"] is not resolved["a"]
    assert (resolved["plain"], resolved["nothing"]) == ("${n}", None)
    assert "*id" not in yaml.safe_dump(resolved)


def test_references_can_not_grow_into_gigabytes():
    lists = {"x0": list(range(10))} | {f"x{i}": [f"${{x{i - 1}}}"] * 10 for i in range(1, 12)}
    texts = {"x0": "x" * 10} | {f"x{i}": f"${{x{i - 1}}}" * 10 for i in range(1, 12)}
    for raw in (lists, texts):
        _, problems = resolve(raw)
        assert any("references give more than 1,048,576" in problem.message for problem in problems)


def test_long_chains_of_references_are_told():
    _, problems = resolve({"x0": 1} | {f"x{i}": f"${{x{i - 1}}}" for i in range(1, 3000)} | {"last": "${x2999}"})
    assert resolve({"a": "${b}", "b": "${c}", "c": 3})[0] == {"a": 3, "b": 3, "c": 3}
    assert problems == []
    chain = {f"x{i}": f"${{x{i + 1}}}" for i in range(3000)} | {"x3000": 1}
    assert "it refers through more than 64 others" in resolve(chain)[1][0].message


def test_values_that_nest_too_deeply_are_told():
    def change(raw):
        value = raw["model"]["layers"]["lc1"]
        for _ in range(5000):
            value["x"] = {}
            value = value["x"]

    (problem,) = problems_of(change).values()
    assert problem == "nests values more than 64 deep. Flatten them."


@pytest.mark.parametrize("folder", ["..", "/tmp/elsewhere", "~/elsewhere", "a/../../b"])
def test_a_file_can_not_put_artifacts_outside_the_run_folder(tmp_path, run_lctrain, folder):
    write(tmp_path, "tracking/mine.yaml", f"name: local\nfolder: {folder}\nexperiment: x\n".encode())
    work = tmp_path / "work"
    work.mkdir()
    process = run_lctrain(work, "--config-dir", "../configs", "tracking=mine", timeout=20)
    assert process.returncode == 2
    assert f"`tracking.folder` must lie in the working folder where a file chooses it; got '{folder}'" in process.stderr
    assert not list(tmp_path.rglob("mlflow.db"))


def test_a_file_that_would_never_be_read_is_told(tmp_path, run_lctrain):
    (tmp_path / "configs" / "model").mkdir(parents=True)
    (tmp_path / "configs" / "model" / "lc2d.yaml").write_text("name: mine\nlayers: {flatten: {type: Flatten}}\n")
    process = run_lctrain(tmp_path, "show", "--config-dir", "configs", "model=lc2d", timeout=20)
    assert process.returncode == 2
    assert "configs/model/lc2d.yaml has the name of lctrain's own model/lc2d" in process.stderr
