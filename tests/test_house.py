"""The shape of the package: its rooms, its words, and the sizes of its files and functions."""

import ast
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lctrain"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
MAX_LOOSE_MODULES, MAX_CLI_LINES, MAX_BODY_LINES, MAX_FILE_LINES = 7, 1700, 40, 320
# English images, where the field has plain words: an identifier may hold none of them.
# fmt: off
IMAGES = {
    "alike", "begun", "breathe", "breathes", "chatter", "confess", "courier", "gossip", "hear", "heard", "herald",
    "holding", "judge", "judged", "judges", "judging", "keeper", "keepers", "kin", "lent", "look", "looks",
    "messenger", "mouth", "nag", "obey", "said", "say", "says", "sibling", "spoken", "stranger", "tell", "teller",
    "tellers", "telling", "tells", "told", "twin", "twins", "watcher", "watchers", "whisper", "witness",
}
# fmt: on
MODULE_IMAGES = IMAGES | {"rest"}  # `*rest` is fine


def load_figures():
    spec = importlib.util.spec_from_file_location("figures", ROOT / ".ci" / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


figures = load_figures()


def find_rooms(package):
    """Folders with modules, and modules, at the top of a package."""
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    return folders | {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}


def find_contract(kind, name=""):
    (found,) = [one for one in CONTRACTS if one["type"] == kind and one["name"].startswith(name)]
    return found


def find_identifiers(source):
    """Names that a source defines or binds: of functions, classes, arguments, variables, attributes and imports."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.alias(asname=str()):
                yield node.asname
            case ast.ExceptHandler(name=str()) | ast.MatchAs(name=str()) | ast.MatchStar(name=str()):
                yield node.name
            case ast.MatchMapping(rest=str()):
                yield node.rest


def split_words(identifier):
    """The words of an identifier, split at underscores, digits and changes of case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)]


def find_images(source):
    return sorted({name for name in find_identifiers(source) if IMAGES & set(split_words(name))})


def find_importers(package, module):
    """Files that import a module, or something of it."""
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            if any(name == module or name.startswith(f"{module}.") for name in names):
                found.add(path.relative_to(package).as_posix())
    return found


def test_the_layers_are_the_rooms():
    contract = find_contract("layers")
    assert len(contract["layers"]) == len(set(contract["layers"]))
    assert set(contract["layers"]) == find_rooms(PACKAGE)
    assert contract["containers"] == ["lctrain"]
    assert contract["exhaustive"] is True
    assert set(contract["exhaustive_ignores"]) == {"__main__", "conf"}


def test_only_tracking_uses_mlflow():
    contract = find_contract("forbidden", "only tracking uses mlflow")
    assert contract["source_modules"] == ["lctrain"]
    assert contract["forbidden_modules"] == ["mlflow"]
    assert contract["ignore_imports"] == ["lctrain.tracking.** -> mlflow"]


def test_nothing_imports_the_verbs():
    importers = {path for path in find_importers(PACKAGE, "lctrain.cli") if not path.startswith("cli/")}
    assert importers == {"__main__.py"}


def test_what_imports_a_module_is_found(tmp_path):
    (tmp_path / "room").mkdir()
    sources = {
        "a.py": "import lctrain.cli",
        "b.py": "from lctrain import cli",
        "room/c.py": "def late():\n    from lctrain.cli.train import run_train",
        "d.py": "import lctrain.client\nfrom lctrain import clips",
    }
    for path, source in sources.items():
        (tmp_path / path).write_text(source)
    assert find_importers(tmp_path, "lctrain.cli") == {"a.py", "b.py", "room/c.py"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_identifiers_are_the_fields_words(path):
    assert find_images(path.read_text(encoding="utf-8")) == []
    assert not MODULE_IMAGES & set(split_words(path.stem if path.stem != "__init__" else path.parent.name))


def test_images_are_found():
    source = """
import time as twin
class MetricWatcher:
    def hearAll(self, courier, /, *told, lent_gpu=None, **judge):
        self._isBegun = [teller for teller in told]
        keeper: int = 3
        (a, (breathe, b)) = 1, (2, 3)
        with open(a) as holding:
            pass
        try:
            fine = header = selector = retold = rest = 1
        except OSError as chatter:
            pass
"""
    names = ["MetricWatcher", "_isBegun", "breathe", "chatter", "courier", "hearAll", "holding", "judge", "keeper"]
    assert find_images(source) == [*names, "lent_gpu", "teller", "told", "twin"]


def test_few_modules_are_loose():
    assert len(figures.find_loose_modules(PACKAGE)) <= MAX_LOOSE_MODULES


def test_the_verbs_are_small():
    assert figures.count_lines(PACKAGE / "cli") <= MAX_CLI_LINES


def test_functions_are_short():
    assert figures.find_long_functions(PACKAGE, MAX_BODY_LINES) == {}


def test_files_are_short():
    assert figures.find_long_files(PACKAGE, MAX_FILE_LINES) == {}


def test_figures_count_what_they_say(tmp_path, capsys):
    package = tmp_path / "lctrain"
    (package / "cli").mkdir(parents=True)
    (package / "__init__.py").write_text('"""A package."""\n')
    (package / "loose.py").write_text('NAMES = (1, 2, "batched")\nOTHER = ("batched", "numpy")\n')
    body = "\n".join(f"        x = {i}" for i in range(41))
    (package / "cli" / "long.py").write_text(f'class A:\n    def run(self):\n        """Runs.\n\n        """\n{body}\n')
    (package / "cli" / "flat.py").write_text("x = 1\n" * 301)
    assert figures.find_loose_modules(package) == ["loose"]
    assert figures.find_long_functions(package) == {"cli/long.py:run": 41}
    assert figures.find_long_files(package) == {"cli/flat.py": 301}
    assert figures.find_implementation_places(package) == ["loose.py"]
    figures.print_figures(package)
    assert "lines of cli/: 347\nlines of lctrain/: 350\n" in capsys.readouterr().out
