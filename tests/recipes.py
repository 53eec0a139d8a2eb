"""What the recipes of CONTRIBUTING.md are tested by: a copy of the package, in which they are done."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = ("lctrain", "conf", "hydra_plugins")
GENERATORS = (".ci/generate.py", "tests/generate_classes.py")


class Copy:
    """A copy of the package in a folder of its own, which Python finds before the one that is installed."""

    def __init__(self, folder):
        self.folder = folder
        for part in PARTS:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in GENERATORS:
            (folder / file).parent.mkdir()
            shutil.copy(ROOT / file, folder / file)
        (folder / "docs").mkdir()

    def write(self, path, text):
        assert not (self.folder / path).exists()
        (self.folder / path).write_text(text)

    def insert(self, path, line, behind):
        """Adds a line behind the only place in a file that holds a text."""
        file = self.folder / path
        before, found, after = file.read_text().partition(behind)
        assert found, f"{path} lacks {behind!r}"
        assert behind not in after, f"{path} has {behind!r} twice"
        file.write_text(f"{before}{found}{line}{after}")

    def generate(self):
        """Writes the generated files anew, as CONTRIBUTING.md says."""
        self._run(GENERATORS[0])

    def run(self, code):
        """Runs a piece of Python; what it prints."""
        place = "import lctrain, pathlib; assert pathlib.Path(lctrain.__file__).parts[:-2] == pathlib.Path.cwd().parts"
        return self._run("-c", f"{place}\n{code}")

    def run_lctrain(self, *arguments):
        return self._run("-m", "lctrain", *arguments)

    def start(self, *arguments):
        """A Python of the copy that has ended, in whatever way."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        settings = {"capture_output": True, "text": True, "timeout": 240, "check": False}
        return subprocess.run([sys.executable, *arguments], cwd=self.folder, env=environment, **settings)

    def _run(self, *arguments):
        finished = self.start(*arguments)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout
