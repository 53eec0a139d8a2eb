"""Launchers and sweepers beyond Hydra's own: which there are, what each needs, and which of their keys run no code."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which

from lctrain.errors import UserError, suggest


@dataclass(frozen=True)
class Kind:
    """What a value must look like: nothing that Hydra would resolve, or that would end a line of a batch script.

    Args:
        described: in words.
        pattern: of all of it.
        least: of a number, the least that it may be.
        most: and the most.
        may_be_null: whether null, which leaves the choice to the launcher, is taken too.
    """

    described: str
    pattern: str
    least: float = -math.inf
    most: float = math.inf
    may_be_null: bool = True

    def has_form(self, value: str | None) -> bool:
        if value == "null" and self.may_be_null:
            return True
        if value is None or not re.fullmatch(self.pattern, value):
            return False
        return self.least == -math.inf or self.least <= float(value) <= self.most


WHOLE = r"-?\d+"
COUNT = Kind("a whole number from 1", WHOLE, least=1)
COUNT_OR_NONE = Kind("a whole number from 0", WHOLE, least=0)
NEEDED_COUNT = Kind("a whole number from 1", WHOLE, least=1, may_be_null=False)
PROCESSES = Kind("a whole number from 1, or -1 for one per core", r"-1|0*[1-9]\d*")
DECIMAL = r"-?\d+(\.\d+)?(e-?\d+)?"
AMOUNT = Kind("a number from 0", DECIMAL, least=0)
SHARE = Kind("a number from 0 to 1", DECIMAL, least=0, most=1)
NAME = Kind("a name, without blanks or quotes", r"[\w.:/@%+=-]+")
NULL = Kind("null", "null")
DIRECTION = Kind("minimize or maximize", "minimize|maximize", may_be_null=False)


@dataclass(frozen=True)
class Plugin:
    """A choice of `hydra/launcher` or `hydra/sweeper`.

    Args:
        choice: what it is called among the files and Hydra's plugins.
        extra: the optional extra of lctrain that brings it; None for Hydra's own.
        module: what that extra installs.
        keys: those that run no code, below `hydra.launcher` or `hydra.sweeper`, and what each may be.
        program: a command that it calls; None where it calls none.
    """

    choice: str
    extra: str | None
    module: str
    keys: Mapping[str, Kind]
    program: str | None = None

    @property
    def is_installed(self) -> bool:
        try:
            return find_spec(self.module) is not None
        except ModuleNotFoundError:
            return False


QUEUE_KEYS = {
    **dict.fromkeys(("timeout_min", "cpus_per_task", "cpus_per_gpu", "mem_gb", "nodes", "tasks_per_node"), COUNT),
    **dict.fromkeys(("gpus_per_node", "gpus_per_task", "signal_delay_s", "max_num_timeout"), COUNT_OR_NONE),
    **dict.fromkeys(("partition", "qos", "account", "constraint", "exclude", "gres", "name", "comment"), NAME),
    **{"array_parallelism": COUNT, "mem_per_gpu": NAME, "mem_per_cpu": NAME},
}
RAY_KEYS = {
    **{"ray.init.address": NAME, "ray.init.num_cpus": COUNT_OR_NONE, "ray.init.num_gpus": COUNT_OR_NONE},
    "ray.init.object_store_memory": COUNT,
    **{"ray.remote.num_cpus": AMOUNT, "ray.remote.num_gpus": AMOUNT, "ray.remote.memory": COUNT},
    **{"ray.remote.max_retries": COUNT_OR_NONE, "ray.remote.scheduling_strategy": NAME},
}
OPTUNA_KEYS = {
    **{"n_trials": NEEDED_COUNT, "n_jobs": NEEDED_COUNT, "direction": DIRECTION},
    **{"study_name": NAME, "max_failure_rate": SHARE, "storage": NULL},
    **{"sampler.seed": COUNT_OR_NONE, "sampler.n_startup_trials": COUNT_OR_NONE, "sampler.multivariate": NAME},
}
PLUGINS = {
    "hydra/launcher": {
        "basic": Plugin("basic", None, "hydra", {}),
        "joblib": Plugin(
            "joblib_workers",
            "joblib",
            "hydra_plugins.hydra_joblib_launcher",
            {"n_jobs": PROCESSES, "verbose": COUNT_OR_NONE},
        ),
        "slurm": Plugin("slurm", "slurm", "hydra_plugins.hydra_submitit_launcher", QUEUE_KEYS, program="sbatch"),
        "ray": Plugin("ray_cluster", "ray", "hydra_plugins.hydra_ray_launcher", RAY_KEYS),
    },
    "hydra/sweeper": {
        "basic": Plugin("basic", None, "hydra", {"max_batch_size": COUNT}),
        "optuna": Plugin("optuna_study", "optuna", "hydra_plugins.hydra_optuna_sweeper", OPTUNA_KEYS),
    },
}
# What the program itself sets: jobs of a sweep share what their files make. Those that have ended leave no
# configuration behind, those that are only looked at no folder.
SHARED = "hydra.sweeper._target_=hydra_plugins.lctrain_launchers.sweepers.GridSweeper"
LEAN = "+hydra.callbacks.forget_config._target_=hydra_plugins.lctrain_launchers._callbacks.ForgetConfig"
DRY = "hydra.launcher._target_=hydra_plugins.lctrain_launchers.launchers.DryLauncher"
OF_LAUNCHING = re.compile(r"[+~]*hydra[./](launcher|sweeper)\b")
SAMPLER = "hydra/sweeper/sampler"
SAMPLERS = ("tpe", "random", "grid", "cmaes", "nsgaii", "motpe")
SHELL_KEYS = ("setup", "srun_args", "additional_parameters", "python", "submitit_folder")
ELSEWHERE = {  # names that others use
    "submitit_slurm": "slurm, which is that and waits even for jobs that SLURM has killed",
    "submitit_local": "joblib: submitit_local starts all jobs at once",
    "ray_aws": "ray: ray_aws starts machines by shell commands",
}


def is_plugin_key(key: str) -> bool:
    """Whether a key sets something of a launcher or sweeper, whichever that is.

    >>> is_plugin_key("hydra.launcher.n_jobs"), is_plugin_key("hydra.sweep.dir")
    (True, False)
    """
    return key.startswith(("hydra.launcher.", "hydra.sweeper."))


def without_launcher(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra's own launcher and sweeper take it: what it says of others is left out.

    >>> without_launcher(["-m", "hydra/launcher=joblib", "+hydra.launcher.n_jobs=2", "seed=0,1"])
    ['-m', 'seed=0,1']
    """
    return [argument for argument in arguments if not OF_LAUNCHING.match(argument)]


def choose(group: str, name: str) -> str:
    """The override by which Hydra gets a launcher or sweeper that the user named.

    >>> choose("hydra/launcher", "ray")
    'hydra/launcher=ray_cluster'
    """
    return f"{group}={PLUGINS[group][name].choice}"


def check_plugins(overrides: Sequence[tuple[str, str | None]], is_multirun: bool) -> None:
    """Refuses launchers and sweepers that are not there, and keys of theirs that run code or that they don't have.

    Args:
        overrides: key and value of each on the command line, those of other keys among them.
        is_multirun: whether there is a sweep at all.

    Raises:
        UserError: names the key and what is taken instead.
    """
    chosen = dict(overrides)
    for group, plugins in PLUGINS.items():
        name = chosen.get(group, "basic")
        if name is None or name not in plugins:
            hint = f"Use {ELSEWHERE[name]}." if name is not None and name in ELSEWHERE else suggest(str(name), plugins)
            raise UserError(f"`{group}` must be one of {', '.join(plugins)}; got {name!r}. {hint}")
        if plugins[name].extra is not None:
            _check_usable(group, name, plugins[name], is_multirun)
    if SAMPLER in chosen and (chosen.get("hydra/sweeper") != "optuna" or chosen[SAMPLER] not in SAMPLERS):
        message = f"must be one of {', '.join(SAMPLERS)}, with hydra/sweeper=optuna"
        raise UserError(f"`{SAMPLER}` {message}; got {chosen[SAMPLER]!r}.")
    for key, value in overrides:
        if is_plugin_key(key):
            _check_key(key, value, chosen)


def _check_usable(group: str, name: str, plugin: Plugin, is_multirun: bool) -> None:
    if not plugin.is_installed:
        raise UserError(f"`{group}={name}` needs the extra `{plugin.extra}`: pip install 'lctrain[{plugin.extra}]'")
    if not is_multirun:
        raise UserError(f"`{group}={name}` counts for a sweep alone. Add -m, or leave it out.")
    if plugin.program is not None and which(plugin.program) is None:
        message = f"needs the command `{plugin.program}`, which is not found on this machine's PATH"
        raise UserError(f"`{group}={name}` {message}. Start the sweep where jobs can be submitted.")


def _check_key(key: str, value: str | None, chosen: Mapping[str, str | None]) -> None:
    _, part, name = key.split(".", 2)
    group = f"hydra/{part}"
    choice = chosen.get(group, "basic") or ""
    keys = PLUGINS[group][choice].keys
    if name.partition(".")[0] in SHELL_KEYS:
        raise UserError(f"`{key}` is not taken: it would run commands of a shell, and a configuration is data.")
    if name not in keys:
        owners = [other for other, plugin in PLUGINS[group].items() if name in plugin.keys]
        if owners:
            raise UserError(f"`{key}` belongs to {group}={' or '.join(owners)}; the command line has {choice}.")
        hint = suggest(key, [f"hydra.{part}.{each}" for each in keys])
        raise UserError(f"`{key}` is not taken: of Hydra's settings those alone that run no code. {hint}")
    if not keys[name].has_form(value):
        raise UserError(f"`{key}` must be {keys[name].described}; got {value!r}.")
