"""What commands load, and when: in new processes, since others have loaded more."""

import sys

import pytest

from lctrain.system.loading import hidden

HEAVY = "{'hydra', 'keras', 'mlflow', 'numpy', 'pydantic', 'rich', 'tensorflow'} & set(sys.modules)"


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["ls"], set()),
        (["show", "model=lc2d"], {"hydra", "numpy", "pydantic", "rich"}),
        (["check", "model=lc2d"], {"hydra", "numpy", "pydantic"}),
    ],
)
def test_a_command_loads_what_it_takes(tmp_path, run_python, arguments, loaded):
    out = run_python(f"import sys\nfrom lctrain.cli import main\nmain({arguments})\nprint(sorted({HEAVY}))", tmp_path)
    assert out.splitlines()[-1] == str(sorted(loaded))


def test_help_loads_few_modules_of_python_too(tmp_path, run_python):
    slow = "{'asyncio', 'dataclasses', 'difflib', 'importlib.metadata', 'inspect', 'json', 'logging', 'traceback'}"
    before = "import sys; before = set(sys.modules)"
    code = (
        f"{before}\nfrom lctrain.cli import main\nmain(['--help'])\nprint(sorted({slow} & set(sys.modules) - before))"
    )
    assert run_python(code, tmp_path).splitlines()[-1] == "[]"


def test_one_job_is_composed_once(tmp_path, run_python):
    code = """
from hydra._internal.config_loader_impl import ConfigLoaderImpl
compose, num_composed = ConfigLoaderImpl.load_configuration, []
def count(*arguments, **named):
    num_composed.append(1)
    return compose(*arguments, **named)
ConfigLoaderImpl.load_configuration = count
from lctrain.cli import main
assert main(["check", "model=lc2d"]) == 0
print(len(num_composed))
"""
    assert run_python(code, tmp_path).splitlines()[-1] == "1"


def test_a_job_loads_before_its_first_step_no_package_that_it_does_not_use(tmp_path, run_python):
    # Splits are drawn by scikit-learn, which takes SciPy; MLflow's own are loaded before memory is measured.
    code = """
import gc, sys
from lctrain.job import run
load = run.load_libraries
def load_and_watch(config):
    devices = load(config)
    print("loaded", sorted(unused & set(sys.modules)), gc.isenabled(), gc.get_freeze_count() > 100_000)
    from lctrain.benchmark.timing import FirstStepTimer
    end = FirstStepTimer.on_train_batch_end
    def end_and_print(timer, batch, logs=None):
        if timer.seconds is None:
            print("first step", sorted((unused - taken) & set(sys.modules)))
        end(timer, batch, logs)
    FirstStepTimer.on_train_batch_end = end_and_print
    return devices
run.load_libraries = load_and_watch
unused = {"IPython", "jax", "matplotlib", "mlflow", "pandas", "scipy", "sklearn", "sqlalchemy"}
taken = {"mlflow", "pandas", "scipy", "sklearn", "sqlalchemy"}
sys.argv[1:] = ["model=lc2d", "training=fast"]
from lctrain.__main__ import run as run_process
run_process()
"""
    lines = run_python(code, tmp_path).splitlines()
    assert "loaded [] True True" in lines
    assert "first step []" in lines


def test_a_process_that_is_not_ours_alone_can_search_all_that_is_loaded(run_python):
    code = """
import gc
from lctrain.system.loading import claim_process, loading
def load(name):
    with loading():
        __import__(name)
    return gc.get_freeze_count() > 0, gc.isenabled()
print(load("colorsys"))
claim_process()
print(load("colorsys"), load("netrc"))
"""
    assert run_python(code).splitlines() == ["(False, True)", "(False, True) (True, True)"]


def test_what_is_hidden_is_there_again_and_what_was_loaded_stays(monkeypatch):
    with hidden(["this"]):
        assert "this" not in sys.modules  # in a process that others use too nothing is hidden
    monkeypatch.setattr("lctrain.system.loading._is_claimed", True)
    with hidden(["this", "json"]):
        assert "this" in sys.modules
        with pytest.raises(ModuleNotFoundError, match="this"):
            import this  # noqa: F401
        import json

        assert json is sys.modules["json"]
    assert "this" not in sys.modules


WRAPT = "import wrapt; wrapt.register_post_import_hook(lambda module: print('a hook'), 'keras')"
MLFLOW = WRAPT.replace("import wrapt", "import mlflow.utils.import_hooks as wrapt")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pass", "pass"),
        ("pass", "importlib.reload(lctrain)"),
        ("pass", "del sys.modules['lctrain']; import lctrain"),
        (WRAPT, "pass"),
        ("pass", WRAPT),
        (MLFLOW, "pass"),
        ("pass", MLFLOW),
    ],
)
def test_layers_are_loaded_behind_keras_whoever_loads_it(run_python, before, after):
    code = f"""
import importlib, sys
{before}
import lctrain
assert 'keras' not in sys.modules
{after}
import keras
print('lctrain.layers' in sys.modules, keras.__spec__.loader.get_filename('keras') == keras.__file__)
"""
    hooks = [line for line in (before, after) if line in (WRAPT, MLFLOW)]
    assert run_python(code) == "a hook\n" * len(hooks) + "True True\n"
