"""The process that reads files from strangers: `python -m lctrain.legacy.child FOLDER`.

It limits itself before it opens anything, reads `request.json` and leaves `result.json` or `error.json`.
"""

import errno
import json
import os
import sys
import traceback
from pathlib import Path

from lctrain.errors import UserError
from lctrain.legacy.errors import as_data

# The exit code where the folder has no room for what was found.
NO_ROOM = 74


def limit(memory: int, cpu_seconds: int, file_size: int) -> None:
    """Bounds what this process may use, where the system can (POSIX)."""
    try:
        import resource
    except ImportError:
        return
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(kind)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))


def run(folder: Path) -> None:
    """Does what the request in the folder asks for."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    limit(**request.pop("limits"))
    from lctrain.legacy.parsing import Request, parse

    error = None
    try:
        parse(Request(**request), folder)
    except UserError as known:
        error = as_data(known)
    except (NameError, ImportError):
        raise  # a fault of ours, whatever the file holds
    except OSError as unwritten:
        if unwritten.errno not in (None, errno.ENOSPC, errno.EDQUOT, errno.EROFS):  # NumPy's tofile gives none
            raise
        sys.exit(NO_ROOM)
    except MemoryError:
        error = {"kind": "UnsafeFileError", "text": "reading the file takes more memory than its size allows."}
    except Exception as unknown:  # what a stranger's file made of our own code is the file's fault to its user
        traceback.print_exc()
        error = {
            "kind": "LegacyFileError",
            "text": f"the file is damaged: {type(unknown).__name__}: {str(unknown)[:300]}",
        }
    if error is not None:
        (folder / "error.json").write_text(json.dumps(error), encoding="utf-8")


if __name__ == "__main__":
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # no filter from elsewhere
    run(Path(sys.argv[1]))
