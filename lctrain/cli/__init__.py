"""`python -m lctrain [VERB] ...`: the verbs, their help, and how their errors end."""

import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from lctrain import __version__
from lctrain.cli.parser import split_verb
from lctrain.errors import (
    EXIT_CLOSED_PIPE,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NO_MEMORY,
    EXIT_TERMINATED,
    PrintError,
    TrainingFailed,
    UserError,
    exit_code_of,
    suggest,
)
from lctrain.implementations import JOB_CHOICES
from lctrain.system.loading import loading
from lctrain.system.process_setup import open_standard_files, prepare_process
from lctrain.system.signals import Terminated, leave_at_once
from lctrain.system.terminal import find_width, format_folded, print_folded


class Verb(NamedTuple):
    """A row of the table of verbs.

    Args:
        module: in this folder; it has `make_parser()` and `run(options, print_error)`.
        line: on what the verb does.
    """

    module: str
    line: str


VERBS = {
    "train": Verb("train", "train one model, or several with -m; the verb may be left out"),
    "evaluate": Verb(
        "evaluate", "loss and metrics of a run's model on its test split, or on other data: run=ID|latest"
    ),
    "predict": Verb(
        "predict", "what a run's model predicts, as CSV or .npy: run=ID|latest [--inputs PATH] [--out FILE]"
    ),
    "bench": Verb("bench", "time every locally connected layer and the whole model; --out FILE writes JSON"),
    "sync": Verb(
        "sync", "deliver what runs logged while their store was out of reach: sync [FOLDER ...]; --moved mends a store"
    ),
    "show": Verb("show", "print layers, shapes, parameters and costs, building nothing; --svg FILE draws them"),
    "check": Verb("check", "validate a configuration, or every job of a sweep with -m, and run nothing"),
    "ls": Verb("ls", "list groups and their choices, each with a line on what it is: ls [GROUP ...]"),
    "cp": Verb("cp", "copy a packaged choice to edit: cp model=lc2d NEW_NAME [--config-dir my_configs]"),
    "report": Verb("report", "compare the jobs of a sweep: table, picture, HTML page; --sweep ID|latest, --out DIR"),
    "import": Verb(
        "import_", "make today's model of a Keras 1, Keras 2 or tf.keras file: import OLD.h5 --out FOLDER [--strict]"
    ),
    "export": Verb(
        "export",
        "write a model for others: export RUN_OR_FILE --to keras2-h5|dl4j-h5|savedmodel|tflite [--out FILE] "
        "[--implementation batched]",
    ),
    "kernels": Verb(
        "kernels",
        "draw what a layer has learnt, position by position: kernels RUN_OR_FILE [--layer NAME] [--out FILE]",
    ),
    "doctor": Verb("doctor", "say what is installed, and what works here; --json for scripts"),
    "ui": Verb("ui", "show the store in MLflow's UI, on this machine alone: ui [--port N]"),
    "schema": Verb("schema", "print the language as JSON Schema for editors, or with --markdown as a page"),
}
HELP = ("--help", "-h")
WIDTH = 118  # columns of lists, where the output is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: as in `sys.argv[1:]`, which is the default.

    Returns:
        The exit code: 0 done, 1 failed, 2 the user's mistake, 3 does not fit into memory, 130 and 143 for the signals,
        141 where nobody reads the output any more, as behind `| head -1`.
    """
    open_standard_files()
    try:
        exit_code = run_command(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()  # here, since at the interpreter's end a closed pipe is a message
    except BrokenPipeError:
        return leave_at_once(EXIT_CLOSED_PIPE)
    except OSError as error:  # `run_command` prints all others
        _print_if_possible(f"Error: standard output can't be written: {error.strerror}.")
        return leave_at_once(EXIT_FAILED)
    try:
        sys.stderr.flush()
    except OSError:  # at the interpreter's end it would change the exit code
        return leave_at_once(exit_code)
    return exit_code


def run_command(arguments: Sequence[str]) -> int:
    """Runs one command line, and prints its error; returns the exit code.

    Raises:
        BrokenPipeError: nobody reads the output any more.
        OSError: standard output can't be written.
    """
    debug, wants_help = "--debug" in arguments, arguments[:1] == ["help"] or bool({*HELP} & {*arguments})
    arguments = [argument for argument in arguments if argument not in ("--debug", *HELP)]
    word, others = split_verb(arguments)
    if wants_help:
        print(
            load_verb(word).make_parser().format_help().rstrip() if word in VERBS else help_text(find_width(sys.stdout))
        )
        return EXIT_DONE
    if "--version" in arguments:
        print(f"lctrain {__version__}")
        return EXIT_DONE

    def print_error(error: Exception, heading: str) -> None:
        _print_error(error, heading, debug)

    prepare_process()
    try:
        if word in VERBS:
            return run_verb(word, others, print_error)
        if word is None or word.startswith(("-", "+", "~")) or "=" in word:
            return run_verb("train", arguments, print_error)
        if word == "lctrain":
            raise UserError(
                f"`lctrain` is typed twice. Leave one out: {shlex.join(['python', '-m', 'lctrain', *others])}"
            )
        raise UserError(f"`{word}` is not a verb. {suggest(word, VERBS)} What is set takes the form KEY=VALUE.")
    except (KeyboardInterrupt, Terminated) as interrupt:
        is_terminated = isinstance(interrupt, Terminated)
        print_folded(" ".join(["Terminated." if is_terminated else "Interrupted.", *_notes(interrupt)]), sys.stderr)
        return leave_at_once(EXIT_TERMINATED if is_terminated else EXIT_INTERRUPTED)
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None:
            print(flush=True)  # which fails again where standard output is what can't be written
        return _print_error(error, "Error", debug)


def load_verb(name: str) -> ModuleType:
    with loading():
        return import_module(f"lctrain.cli.{VERBS[name].module}")


def run_verb(name: str, arguments: Sequence[str], print_error: PrintError) -> int:
    """Runs a verb; returns its exit code.

    Args:
        name: in `VERBS`.
        arguments: the command line without the verb.
        print_error: prints the error of one of several jobs under a heading.
    """
    verb = load_verb(name)
    exit_code: int = verb.run(verb.make_parser().parse(arguments), print_error)
    return exit_code


def help_text(width: int | None) -> str:
    """What `--help` prints: verbs, groups and examples, without composing or loading anything.

    Args:
        width: of the terminal; None where it goes elsewhere.
    """
    from lctrain.composition.choices import list_choices

    verbs = "\n".join(f"  {name:<10} {line}" for name, (_, line) in VERBS.items())
    choices = "\n".join(f"  {group:<10} {', '.join(names)}" for group, names in list_choices().items())
    verbs = format_folded(verbs, width, indent=11)
    groups = format_folded(choices, width or WIDTH, indent=11)
    text = f"""lctrain {__version__}: declarative training of locally connected networks.

usage: python -m lctrain [VERB] [GROUP=CHOICE ...] [KEY=VALUE ...] [-m]

Verbs:
{verbs}

Groups and their choices:
{groups}

Top-level keys:
  implementation={"|".join(map(str, JOB_CHOICES))}   data_format=channels_last|channels_first
  precision=float32|float64|mixed_float16|mixed_bfloat16   jit_compile=true|false|auto
  strategy=none|mirrored   seed=INTEGER   deterministic=true|false
  resume=true|RUN_ID   init_from=RUN_ID|latest|FILE.keras

Examples:
  python -m lctrain model=lc2d implementation=2
  python -m lctrain model=lc2d model.layers.lc1.strides=2 training.epochs=5
  python -m lctrain -m model=lc2d implementation=1,2,3,batched
  python -m lctrain bench -m model=lc2d implementation=1,2,3,batched
  python -m lctrain '+model.layers.new={{type: Dropout, rate: 0.2, after: lc1}}'
  python -m lctrain '~model.layers.dropout'
  python -m lctrain show model=deepface
  python -m lctrain model=lc2d training.epochs=500 resume=true    goes on where the same command was killed
  python -m lctrain evaluate run=latest
  python -m lctrain predict run=latest --inputs new.csv
  python -m lctrain import old.h5 --out new
  python -m lctrain model=lc2d --cfg job          shows the composed configuration

  --debug brings tracebacks back; `python -m lctrain train --hydra-help` lists Hydra's own flags."""
    return format_folded(text, width)


def _notes(error: BaseException) -> list[str]:
    """What was added on how to go on."""
    return getattr(error, "__notes__", [])


def _print_error(error: Exception, heading: str, debug: bool) -> int:
    """Prints an error in one or a few lines; returns the exit code that it stands for."""
    text = "\n".join(str(error).splitlines()[:3])
    if debug:
        import traceback  # here, since `--help` must be quick

        traceback.print_exception(error)
    elif isinstance(error, UserError | TrainingFailed):
        _print_if_possible(f"{heading}: {error}")
    elif exit_code_of(error) == EXIT_NO_MEMORY:
        _print_if_possible(f"{heading}: the job does not fit into memory: {text}")
    else:
        hint = "Run again with --debug for the traceback."
        _print_if_possible(f"{heading}: {type(error).__name__}: {text}\n{hint}")
    return exit_code_of(error)


def _print_if_possible(text: str) -> None:
    """On standard error, which may be full; the exit code tells then."""
    try:
        print_folded(text, sys.stderr)
    except BrokenPipeError:
        raise
    except OSError:
        pass
