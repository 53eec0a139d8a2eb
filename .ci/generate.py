"""Writes the files that come from the tables of the package anew: `python .ci/generate.py`. Tests compare them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*arguments: str) -> str:
    """What a Python of this environment prints in the checkout; an error ends all."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


run("tests/generate_classes.py")
run("-m", "lctrain", "schema", "--out", "conf/schema")
(ROOT / "docs" / "config.md").write_text(run("-m", "lctrain", "schema", "--markdown"), encoding="utf-8")
