"""What CI checks besides the tests: formatting, lint, which room imports which, and types. `python .ci/check.py`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = Path(sys.executable).parent
COMMANDS = [
    [TOOLS / "ruff", "format", "--check", "."],
    [TOOLS / "ruff", "check", "."],
    [TOOLS / "lint-imports"],
    [TOOLS / "mypy"],
]

failed = [command for command in COMMANDS if subprocess.run(command, cwd=ROOT, check=False).returncode != 0]
sys.exit(f"{len(failed)} of {len(COMMANDS)} checks failed" if failed else 0)
