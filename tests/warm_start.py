"""What tests have loaded once, and fork for each command line that they run."""

import os
import pkgutil
import runpy
import sys
from importlib import import_module
from types import MappingProxyType

LEFT_OUT = ("lctrain.__main__", "lctrain.legacy.child")  # to import these is to run them


def load():
    """Loads what jobs need, and all of lctrain."""
    import lctrain
    from lctrain.job.run import load_code

    load_code()
    for module in pkgutil.walk_packages(lctrain.__path__, "lctrain."):
        if module.name not in LEFT_OUT:
            import_module(module.name)


def run(folder, arguments, stdout, stderr, variables=MappingProxyType({})):
    """A command line, as all that a process does from now on.

    `stdout` and `stderr` are the files, or terminals, that it writes to, `variables` of the environment are set, or
    removed where they are None.
    """
    for number, path in enumerate((stdout, stderr), start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    os.chdir(folder)
    sys.argv[1:] = arguments
    runpy.run_module("lctrain", run_name="__main__", alter_sys=True)
