"""What a process does that `run_in_process` has started: it calls one function and writes down what came of it."""

import contextlib
import importlib
import os
import pickle
import shutil
import signal
import sys
import threading
import time
import traceback
from functools import partial
from pathlib import Path

from lctrain.errors import EXIT_TERMINATED
from lctrain.system.files import replace_file, use_temporary_folder
from lctrain.system.loading import claim_process
from lctrain.system.signals import last_steps, leave, leave_at_once

REQUEST, RESULT = "request", "result"  # files in the folder of a request
GRACE = 30.0  # seconds that a job gets to end its run before it is killed, or left to itself where nobody waits


def serve(folder: Path) -> None:
    """Does what the request in a folder says, and leaves its result there.

    Standard input ends with the process that waits for this one, which then is asked to end too.
    """
    claim_process()
    lifeline = os.dup(0)  # which no process that this one starts inherits
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    threading.Thread(target=_end_with, args=(lifeline, folder), daemon=True).start()
    use_temporary_folder(folder)
    module, name, arguments, memory_limit = pickle.loads((folder / REQUEST).read_bytes())
    if memory_limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    try:
        function = getattr(importlib.import_module(module), name)
        answer = ("done", function(*arguments))
        data = pickle.dumps(answer)
    except Exception as error:
        with contextlib.suppress(OSError):  # a full disk has no room for it, but the reason is told all the same
            traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        data = pickle.dumps(("raised", {"reason": reason, "error": _picklable(error)}))
    replace_file(folder / RESULT, data, survives_power_loss=False)


def _end_with(lifeline: int, folder: Path) -> None:
    """A job does not outlive the process that waits for it: nobody would know of it, nor remove the folder."""
    os.read(lifeline, 1)
    last_steps.append(partial(shutil.rmtree, folder, ignore_errors=True))
    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
    leave_at_once(EXIT_TERMINATED)


def _picklable(error: Exception) -> Exception | None:
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))
    except Exception:  # exceptions pickle in any way their authors chose; the reason is told without them
        return None
    return copy


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
    leave(0)
