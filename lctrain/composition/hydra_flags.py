"""Hydra's own flags and what argparse needs to know of each, without loading Hydra; a test compares them with Hydra's.

The verbs pass them on.
"""

import argparse
from typing import Any

MULTIRUN = ("--multirun", "-m")
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
HYDRA_FLAGS: dict[tuple[str, ...], dict[str, Any]] = {
    MULTIRUN: {"nargs": 0, "help": "run a job for each combination of the values in KEY=A,B"},
    ("--config-dir", "-cd"): {"metavar": "FOLDER", "help": "a folder with configuration files of your own"},
    ("--config-name", "-cn"): {"metavar": "NAME", "help": "the file to start from in place of config.yaml"},
    ("--config-path", "-cp"): {"metavar": "FOLDER", "help": "the folder to start from in place of lctrain's own"},
    ("--cfg", "-c"): {"choices": ("job", "hydra", "all"), "help": "show the composed configuration, run nothing"},
    ("--resolve",): {"nargs": 0, "help": "with --cfg: resolve references"},
    ("--package", "-p"): {"metavar": "KEY", "help": "with --cfg: show this part alone"},
    ("--info", "-i"): {
        "nargs": "?",
        "const": "all",
        "choices": INFO,
        "metavar": "WHAT",
        "help": f"show what Hydra knows: {', '.join(INFO)}",
    },
    ("--run", "-r"): {"nargs": 0, "help": "run one job, as without the flag"},
    ("--shell-completion", "-sc"): {"nargs": 0, "help": "install=SHELL or uninstall=SHELL: the shell's completion"},
    ("--hydra-help",): {"nargs": 0, "help": "list Hydra's own flags"},
    ("--experimental-rerun",): {"help": argparse.SUPPRESS},
}
PRINTING = [  # by which Hydra runs nothing
    name
    for names in HYDRA_FLAGS
    if names[0] in ("--cfg", "--info", "--hydra-help", "--shell-completion")
    for name in names
]
