"""`import` and `export`: models of Keras 1, Keras 2 and tf.keras, in and out."""

import argparse
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lctrain import legacy
from lctrain.errors import EXIT_DONE, UserError, suggest

SHAPE = re.compile(r"\d+([,x ]+\d+)*")
FORMATS = ("keras2-h5", "dl4j-h5", "savedmodel", "tflite")
ENDINGS = {"keras2-h5": ".h5", "dl4j-h5": ".h5", "savedmodel": "", "tflite": ".tflite"}
LINES_SHOWN = 20


class _Parser(argparse.ArgumentParser):
    """Tells of mistakes as the other verbs do."""

    def error(self, message: str):
        raise UserError(f"`{self.prog.split()[-1]}`: {message}. {self.format_usage().strip()}")


def run_import(arguments: Sequence[str], tell: Callable[[Exception, str], None]) -> int:
    """Makes today's model, its configuration and a report of an old model's file.

    Raises:
        UserError: as `lctrain.legacy.import_model`.
    """
    parser = _Parser("lctrain import", add_help=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--input-shape")
    parser.add_argument("--backend")
    parser.add_argument("--keras-version")
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args(list(arguments))
    imported = legacy.import_model(
        options.file,
        options.out,
        weights=options.weights,
        input_shape=_read_shape(options.input_shape),
        backend=options.backend,
        keras_version=options.keras_version,
        strict=options.strict,
    )
    told = imported.report.as_text().splitlines()
    print("\n".join(told[:LINES_SHOWN]))
    if len(told) > LINES_SHOWN:
        print(f"... {len(told) - LINES_SHOWN} more lines are in {options.out / 'report.txt'}")
    parameters = imported.model.count_params()
    print(f"{options.out} holds model.keras ({parameters:,} parameters), model.yaml, report.txt and report.json")
    return EXIT_DONE


def run_export(arguments: Sequence[str], tell: Callable[[Exception, str], None]) -> int:
    """Writes the model of a run or of a .keras file in a format that others read.

    Raises:
        UserError: as `lctrain.legacy.export_model`; no such run or file.
    """
    parser = _Parser("lctrain export", add_help=False)
    parser.add_argument("source")
    parser.add_argument("--to", required=True)
    parser.add_argument("--out", type=Path)
    options, rest = parser.parse_known_args(list(arguments))
    if options.to not in FORMATS:
        raise UserError(
            f"`--to` must be one of {', '.join(FORMATS)}; got {options.to!r}. {suggest(options.to, FORMATS)}"
        )
    out = options.out or Path(f"model{ENDINGS[options.to]}")
    if out.exists():
        raise UserError(f"`--out` {str(out)!r} exists. Choose another name, or remove it first.")
    with tempfile.TemporaryDirectory(prefix="lctrain-export-") as folder:
        file = _find_model(options.source, rest, Path(folder))
        from lctrain.training import load_model

        report = legacy.export_model(load_model(file, "source"), out, options.to)
    for line in report.lines[:LINES_SHOWN]:
        print(line)
    print(f"{out} holds the model as {options.to}")
    return EXIT_DONE


def _find_model(source: str, rest: Sequence[str], folder: Path) -> Path:
    """The model's file: the one named, or that of a run in the store that the command line composes."""
    if source.endswith(".keras"):
        if rest:
            raise UserError(f"`export` of a file takes no {rest[0]!r}: it is in no store.")
        return Path(source)
    from lctrain.cli.dry import compose_dry
    from lctrain.tracking import fetch_run
    from lctrain.tracking.store import read_tracking

    return fetch_run(read_tracking(compose_dry(rest)["tracking"]), source, folder, "source").model_file


def _read_shape(text: str | None) -> list[int] | None:
    if text is None:
        return None
    if not SHAPE.fullmatch(text.strip("()[] ")):
        raise UserError(f"`--input-shape` must be sizes, as in 28,28,1, without the batch; got {text!r}.")
    return [int(size) for size in re.findall(r"\d+", text)]
