"""Figures of the package's shape. `python .ci/figures.py [FOLDER]` prints those of a checkout, by default this one.

- Body lines of a function are those from its first statement behind the docstring to its end.
- A place names the implementations where one literal (a tuple, a list, a set, the keys of a mapping, a `Literal`), or
  the comparisons of one function, hold "batched" and another of them.
"""

import ast
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "lctrain"
MAX_BODY, MAX_FILE = 40, 300  # lines
NAMES = {"1", "2", "3", "auto", "tuned"}  # of implementations, beside "batched"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_loose_modules(package: Path) -> list[str]:
    """Modules at the top of the package, those that every package has aside."""
    return sorted(file.stem for file in package.glob("*.py") if file.stem not in ("__init__", "__main__"))


def count_lines(folder: Path) -> int:
    return sum(map(_count_file, _list_files(folder)))


def find_long_functions(package: Path, limit: int = MAX_BODY) -> dict[str, int]:
    """By file and name, the body lines of functions that have more than a limit."""
    lengths = {
        f"{file.relative_to(package).as_posix()}:{function.name}": count_body_lines(function)
        for file in _list_files(package)
        for function in _list_functions(_parse(file))
    }
    return {name: length for name, length in lengths.items() if length > limit}


def count_body_lines(function: Function) -> int:
    has_docstring = ast.get_docstring(function) is not None
    body = function.body[1:] if has_docstring else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def find_long_files(package: Path, limit: int = MAX_FILE) -> dict[str, int]:
    """By path, the lines of files that have more than a limit."""
    lengths = {
        file.relative_to(package).as_posix(): len(file.read_text().splitlines()) for file in _list_files(package)
    }
    return {name: length for name, length in lengths.items() if length > limit}


def find_implementation_places(package: Path) -> list[str]:
    """Files that list the implementations."""
    return [
        file.relative_to(package).as_posix()
        for file in _list_files(package)
        if any(_names_implementations(node) for node in ast.walk(_parse(file)))
    ]


def _names_implementations(node: ast.AST) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        # A table of rows has the names in its first column.
        values = [one.elts[0] if isinstance(one, ast.Tuple) and one.elts else one for one in node.elts]
    elif isinstance(node, ast.Dict):
        values = [key for key in node.keys if key is not None]
    elif isinstance(node, Function):
        compares = [one for one in ast.walk(node) if isinstance(one, ast.Compare)]
        values = [value for one in compares for value in (one.left, *one.comparators)]
    else:
        return False
    constants = [one.value for one in values if isinstance(one, ast.Constant)]
    found = {str(constant) for constant in constants if not isinstance(constant, bool)}
    return "batched" in found and bool(found & NAMES)


def _count_file(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def _list_files(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _list_functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def print_figures(package: Path) -> None:
    loose, functions, files = find_loose_modules(package), find_long_functions(package), find_long_files(package)
    places = find_implementation_places(package)
    print(f"loose modules at the top: {len(loose)}: {', '.join(loose)}")
    print(f"lines of cli/: {count_lines(package / 'cli'):,}")
    print(f"lines of {package.name}/: {count_lines(package):,}")
    print(f"functions over {MAX_BODY} body lines: {len(functions)}")
    for name, length in functions.items():
        print(f"  {name} {length}")
    print(f"files over {MAX_FILE} lines: {len(files)}")
    for name, length in files.items():
        print(f"  {name} {length}")
    print(f"places that name the implementations: {len(places)}: {', '.join(places)}")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # for `| head`
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    print_figures(root / PACKAGE)
