"""Jobs of a sweep share what their files make, and are what Hydra makes of each by itself."""

import pickle
import shlex

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lctrain.composition import dry_run
from lctrain.composition.choices import config_folder
from lctrain.composition.sweep_loader import SweepLoader
from lctrain.errors import UserError
from lctrain.sweep.run import validate_jobs

CHOICES = """
model=lc1d|model=nosuch|model=[lc2d]|model=[]|model=3|++model=lc2d|~model|~model=lc2d|~model=lc1d|model@foo=lc2d|optimizer=sgd
~optimizer|optimizer=null|experiment=digits|+experiment=digits|~experiment|debug=fast|data=mnist|data=digits,mnist|seed=1,2
seed=range(3)|nogroup/x=3|mine=one|+mine=one|precision=one|+precision=one|precision=3|++precision={a: 1}
"""
VALUES = """
seed=3|+seed=4|++seed=null|++seed=true|++seed=inf|++seed='3'|++seed=1_000|seed=int(3.2)|++seed=str([1,2])|++seed=???|++seed=
++seed=[1,2]|~seed|~seed=0|~seed=1|seed@foo=1|++optimizer.learning_rate=0.1|++optimizer.learning_rate=1e-3
~optimizer.learning_rate|++optimizer={momentum: 0.3}|++optimizer={}|++model.layers.lc1.kernel_size=[3,5]
++model.layers.lc1.kernel_size=3|++model.layers.lc1.kernel_size.0=2|++model.layers.lc1.filters=${seed}|++model.layers.lc1=null
++model.layers.lc1='text'|++model.layers.lc1=${.conv}|++model.layers=[1,2]|++model={layers: {lc1: {filters: 3}}}
++model.layers.x={type: Dropout, rate: 0.2, after: lc1}|~model.layers.dropout|~model.layers.nosuch|++model.outputs=[a]
++model.name="a b"|++model.name=${seed}|++model.name=x_${data.name}|++model.name='${'|++model.name='${hydra.job.name}'
~model.name|~model.name=lc2d|++training.batch_size=???|++training.list=[a,{b: 1}]|++training.list.1={c: 2}
++training=${data}|++training.epochs=4|++training.x.y=2|++data.num_classes=${oc.env:NOSUCH}|~data.num_classes|++data=[1]|++data.name=${model}
++new.key.deep=1|++new.key=2|+new.key=3|~new|++a=${.b}|++1=2|++x={1: a, true: b}|++x=''
implementation=auto|implementation=2
"""
FORMS = [form for block in (CHOICES, VALUES) for form in block.strip().replace("\n", "|").split("|")]
MINE = "name: one\nseed: ${training.epochs}\nnumbers: [1, '${seed}', {a: null}]\nwhere: ${hydra.job.name}\n"


@pytest.fixture(scope="module")
def loaders(tmp_path_factory):
    """Hydra's own loader, ours, and what each job starts from; with choices of the user's own."""
    folder = tmp_path_factory.mktemp("own")
    for group in ("mine", "precision"):  # the second is a key as well
        (folder / group).mkdir()
        (folder / group / "one.yaml").write_text(MINE)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        search_path = GlobalHydra.instance().config_loader().get_search_path()
    search_path.prepend("command-line", str(folder), anchor="schema")
    hydras = ConfigLoaderImpl(search_path)
    master = hydras.load_configuration("config", ["hydra.sweep.dir=x"], RunMode.MULTIRUN)
    return hydras, SweepLoader(hydras), master


def compose(loader, master, overrides):
    """All that can be told of a composed configuration, or of why there is none."""
    try:
        config = loader.load_sweep_config(master, list(overrides))
    except Exception as error:
        return type(error), str(error), type(error.__cause__), str(error.__cause__)
    flags = [(node._get_flag("struct"), node._get_flag("readonly")) for node in (config, config.hydra)]
    return OmegaConf.to_yaml(config), repr(OmegaConf.to_container(config, resolve=False)), flags


def test_every_form_of_override_composes_as_with_hydra(loaders):
    hydras, ours, master = loaders
    expected = {form: compose(hydras, master, [form]) for form in FORMS}
    assert {form: compose(ours, master, [form]) for form in FORMS} == expected
    again = {form: compose(ours, master, [form]) for form in reversed(FORMS)}  # no form has changed what is kept
    assert again == expected
    assert sum(len(outcome) == 4 for outcome in expected.values()) > 20  # errors are among them


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(FORMS), min_size=2, max_size=6))
@example(["+mine=one", "~mine.where", "~mine.seed=10", "++training.epochs=4"])
@example(["+mine=one", "++training.epochs=4", "~mine.seed=10"])
@example(["+mine=one", "~mine.where=lctrain", "++mine.numbers.1={x: 3}", "seed=3"])
@example(["+mine=one", "++mine.where.x=3", "++mine.numbers=[${seed}]"])
def test_overrides_in_any_order_compose_as_with_hydra(loaders, overrides):
    hydras, ours, master = loaders
    expected = compose(hydras, master, overrides)
    assert [compose(ours, master, overrides) for _ in range(2)] == 2 * [expected]


def test_a_launcher_sends_hydras_own_loader_to_where_a_job_runs(loaders):
    hydras, ours, master = loaders
    sent = pickle.loads(pickle.dumps(ours))
    assert type(sent) is ConfigLoaderImpl
    assert compose(sent, master, ["seed=3"]) == compose(hydras, master, ["seed=3"])


def look_at_jobs(arguments):
    """Jobs and errors of a sweep's validation."""
    errors = []
    try:
        jobs = validate_jobs(arguments, False, lambda error, heading: errors.append(f"{heading}: {error}"))
    except UserError as error:
        return str(error)
    return [(job.config, job.overrides, job.folder.name, job.number) for job in jobs], errors


SWEEPS = [
    "seed=1,2 optimizer.learning_rate=0.1,1e-3 model=lc2d",
    "model=lc1d,lc2d implementation=1,batched ~model.layers.dropout",
    "model=lc1d,lc2d model.layers.lc1.kernel_size=3,[3,5],[0,1] training.batch_size=32,x",
    "experiment=glob(i*) seed=range(2) debug=fast",
    "model.layers.lc1.filters=${seed},${nosuch} seed=4,null hydra.sweep.subdir=${hydra.job.override_dirname}",
    "seed=1,2 hydra.sweep.subdir=${model.name}_${seed}_${hydra:job.id}",
    "seed=1,2 hydra.sweep.subdir=same",
    "seed=1,2 hydra.sweep.subdir=${nosuch}",
    "'optimizer={type: SGD},{type: Adam, nosuch: 1}' training.monitor=val_loss,nosuch",
    "model=lc2d,nosuch seed=1,2",
    "~model.layers.nosuch seed=1,2",
    "filtres=3 seed=1,2 tracking.folder=a,b",
    "seed=1,2 hydra.job.chdir=true tracking.folder=x",
    "--config-dir mine model=own,lc2d seed=0,1",
    "--config-dir mine model=lc1d,other seed=0,1",
]


@pytest.mark.parametrize("command", SWEEPS)
def test_a_sweep_is_validated_as_job_by_job(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "model").mkdir(parents=True)
    lc1d = (config_folder() / "model" / "lc1d.yaml").read_text()
    for name in ("own", "lc1d"):  # the second is hidden by lctrain's own
        (tmp_path / "mine" / "model" / f"{name}.yaml").write_text(f"{lc1d}\nbatch_size: ${{training.batch_size}}\n")
    (tmp_path / "mine" / "model" / "other.yaml").write_text("name: other\n")
    arguments = ["-m", *shlex.split(command)]
    found = look_at_jobs(arguments)
    monkeypatch.setattr(dry_run, "is_sweep", lambda _: False)
    assert found == look_at_jobs(arguments)


def test_files_are_composed_once_however_many_jobs_there_are(monkeypatch, capsys):
    calls = []
    compose_files = ConfigLoaderImpl._compose_config_from_defaults_list

    def count(self, *args, **kwargs):
        calls.append(self)
        return compose_files(self, *args, **kwargs)

    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", count)
    for choices, lengths in ((1, (2, 100)), (2, (2, 30))):
        counted = []
        for num_seeds in lengths:
            calls.clear()
            models = ",".join(["lc2d", "lc1d"][:choices])
            jobs, errors = look_at_jobs(["-m", f"model={models}", f"seed=range({num_seeds})"])
            assert (len(jobs), errors) == (choices * num_seeds, [])
            counted.append(len(calls))
        assert counted == [counted[0]] * 2
        assert counted[0] == 1 + choices  # the sweep as a whole, and each model
