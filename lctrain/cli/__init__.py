"""`python -m lctrain [VERB] ...`: the verbs, their help, and how their errors end."""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence

from lctrain import __version__
from lctrain.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_USER_ERROR,
    UserError,
    suggest,
)

log = logging.getLogger(__name__)


def train(arguments: Sequence[str]) -> int:
    from lctrain.cli.hydra_app import run_jobs
    from lctrain.cli.job import run_job

    return run_jobs(run_job, arguments)


VERBS: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "train": ("train one model, or several with -m; the verb may be left out", train),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: as in `sys.argv[1:]`, which is the default.

    Returns:
        The exit code: 0 done, 1 failed, 2 the user's mistake, 130 and 143 for the signals.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if arguments[:1] in (["--help"], ["-h"], ["help"]):
        print(help_text())
        return EXIT_DONE
    if arguments[:1] == ["--version"]:
        print(f"lctrain {__version__}")
        return EXIT_DONE
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads these when it is loaded
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _find_verb(arguments)
    except UserError as error:
        return _tell(error, EXIT_USER_ERROR, debug)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        return _tell(error, EXIT_FAILED, debug)


def help_text() -> str:
    """What `--help` prints: verbs, groups and examples, without composing or loading anything."""
    from lctrain.cli.hydra_app import list_choices

    verbs = "\n".join(f"  {name:<10} {line}" for name, (line, _) in VERBS.items())
    groups = "\n".join(f"  {group:<10} {', '.join(choices)}" for group, choices in list_choices().items())
    return f"""lctrain {__version__}: declarative training of locally connected networks.

usage: python -m lctrain [VERB] [GROUP=CHOICE ...] [KEY=VALUE ...] [-m]

Verbs:
{verbs}

Groups and their choices:
{groups}

Top-level keys:
  implementation=1|2|3|batched|auto   data_format=channels_last|channels_first
  precision=float32|float64|mixed_float16|mixed_bfloat16   jit_compile=true|false   seed=INTEGER

Examples:
  python -m lctrain model=lc2d implementation=2
  python -m lctrain model=lc2d model.layers.lc1.strides=2 training.epochs=5
  python -m lctrain -m model=lc2d implementation=1,2,3,batched
  python -m lctrain model=lc2d --cfg job          shows the composed configuration

  --debug brings tracebacks back; `python -m lctrain train --hydra-help` lists Hydra's own flags."""


def _find_verb(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "train"
    if name in VERBS:
        return VERBS[name][1](arguments[1:])
    if name[0] in "-+~" or "=" in name:
        return train(arguments)
    raise UserError(f"`{name}` is not a verb. {suggest(name, VERBS)} What is set takes the form KEY=VALUE.")


def _tell(error: Exception, exit_code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    elif isinstance(error, UserError):
        print(f"Error: {error}", file=sys.stderr)
    else:
        first_lines = "\n".join(str(error).splitlines()[:3])
        print(
            f"Error: {type(error).__name__}: {first_lines}\nRun again with --debug for the traceback.", file=sys.stderr
        )
    return exit_code


def _terminate(signal_number, frame):
    raise SystemExit(EXIT_TERMINATED)
