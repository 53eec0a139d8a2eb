"""Sweeps under other launchers than Hydra's own, each against the real thing; and what of their settings is taken."""

import pytest

from lctrain.cli import launchers
from lctrain.cli.overrides import check_arguments, leave_keys_to_validation
from lctrain.errors import UserError


@pytest.fixture
def all_installed(monkeypatch):
    monkeypatch.setattr(launchers, "find_spec", lambda _: True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra/launcher=submitit_slurm"], "Use slurm, which is that and waits even for jobs that SLURM has killed."),
        (["hydra/launcher=ray_aws"], "Use ray: ray_aws starts machines by shell commands."),
        (["hydra/launcher=slrum"], "Did you mean `slurm`?"),
        (["hydra/launcher=joblib,ray"], "`hydra/launcher` must be one of basic, joblib, slurm, ray; got 'joblib,ray'"),
        (["~hydra/launcher"], "`hydra/launcher` must be one of basic, joblib, slurm, ray; got None"),
        (["hydra/launcher@hydra.callbacks=slurm"], "`hydra/launcher@hydra.callbacks` is not taken"),
        (["hydra/launcher=slurm", "hydra.launcher.setup=[rm -rf x]"], "`hydra.launcher.setup` is not taken: it would"),
        (["+hydra.launcher.additional_parameters.wrap=rm"], "is not taken: it would run commands of a shell"),
        (["hydra/launcher=slurm", "hydra.launcher.partition=a\nrm"], "`hydra.launcher.partition` must be a name"),
        (["hydra/launcher=slurm", "hydra.launcher.account=${oc.env:HOME}"], "`hydra.launcher.account` must be a name"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=1,2"], "`hydra.launcher.n_jobs` must be a whole number"),
        (["hydra.launcher.n_jobs=2"], "`hydra.launcher.n_jobs` belongs to hydra/launcher=joblib; the command line has"),
        (["hydra/launcher=joblib", "hydra.launcher.njobs=2"], "Did you mean `hydra.launcher.n_jobs`?"),
        (
            ["hydra/launcher=joblib", "hydra.launcher.temp_folder=/tmp"],
            "of Hydra's settings those alone that run no code",
        ),
        (["hydra/sweeper=optuna", "hydra.sweeper.storage=sqlite:///x.db"], "`hydra.sweeper.storage` must be null; got"),
        (["hydra/sweeper=optuna", "+hydra.sweeper.custom_search_space=os.mkdir"], "that run no code"),
        (["hydra/sweeper=optuna", "hydra.sweeper.direction=down"], "must be minimize or maximize; got 'down'"),
        (["hydra/sweeper/sampler=grid"], "`hydra/sweeper/sampler` must be one of tpe, random, grid"),
        (["hydra/sweeper=optuna", "hydra/sweeper/sampler=gird"], "`hydra/sweeper/sampler` must be one of tpe, random"),
    ],
)
def test_a_setting_that_runs_code_or_is_not_there_is_refused_by_name(all_installed, arguments, message):
    with pytest.raises(UserError, match="`") as raised:
        check_arguments(["-m", *arguments])
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=-1"],
        ["hydra/launcher=slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gres=gpu:a100:2"],
        ["hydra/launcher=slurm", "hydra.launcher.timeout_min=90", "hydra.launcher.mem_gb=null"],
        [
            "hydra/launcher=ray",
            "hydra.launcher.ray.init.address=ray://head:10001",
            "hydra.launcher.ray.remote.num_gpus=0.5",
        ],
        ["hydra/launcher=ray", "+hydra.launcher.ray.init.object_store_memory=null"],
        [
            "hydra/sweeper=optuna",
            "hydra/sweeper/sampler=random",
            "hydra.sweeper.sampler.seed=3",
            "hydra.sweeper.storage=null",
        ],
        ["hydra/launcher=basic", "hydra.sweeper.max_batch_size=2"],
    ],
)
def test_what_runs_no_code_is_taken(all_installed, arguments):
    check_arguments(["-m", *arguments])


def test_a_key_is_set_whether_the_launcher_names_it_or_not():
    assert leave_keys_to_validation("+hydra.launcher.ray.init.num_cpus=3") == "++hydra.launcher.ray.init.num_cpus=3"
    assert leave_keys_to_validation("hydra.sweeper.n_trials=3") == "++hydra.sweeper.n_trials=3"
    assert leave_keys_to_validation("hydra/sweeper=optuna") == "hydra/sweeper=optuna_study"


@pytest.mark.parametrize(
    ("group", "name"), [("launcher", "joblib"), ("launcher", "slurm"), ("launcher", "ray"), ("sweeper", "optuna")]
)
def test_a_launcher_that_is_not_installed_names_the_extra(monkeypatch, group, name):
    monkeypatch.setattr(launchers, "find_spec", lambda _: None)
    with pytest.raises(
        UserError, match=rf"`hydra/{group}={name}` needs the extra `{name}`: pip install 'lctrain\[{name}\]'"
    ):
        check_arguments(["-m", f"hydra/{group}={name}"])


def test_a_launcher_without_a_sweep_is_refused(all_installed):
    with pytest.raises(UserError, match=r"`hydra/launcher=joblib` counts for a sweep alone\. Add -m"):
        check_arguments(["hydra/launcher=joblib"])
