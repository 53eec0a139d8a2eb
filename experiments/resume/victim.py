"""`python -m lctrain` in a process that kills itself at a chosen moment, or tells what it ended with.

--die MOMENT -- ARGUMENTS      dies by SIGKILL at that moment, in the given epoch
--report FILE -- ARGUMENTS     writes digests of the final weights, optimizer and seeds
"""

import argparse
import hashlib
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from lctrain.cli import main
from lctrain.system.process_setup import prepare_process

MOMENTS = ("first_step", "mid_epoch", "epoch_end", "in_save", "in_validation", "later_in_epoch", "in_model")
MID_BATCH, LATER_BATCH = 9, 14  # of an epoch


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arrange_death(moment: str, epoch: int) -> None:
    """Wraps the function in whose midst, or behind which, the process is to die."""
    from lctrain.training import checkpoints, loop

    def die_behind(owner, name, is_time):
        function = getattr(owner, name)

        def wrapped(self, *arguments, **named):
            result = function(self, *arguments, **named)
            if is_time(self):
                die()
            return result

        setattr(owner, name, wrapped)

    def at(batch):
        return lambda one: one.state.epoch == epoch and one.state.batch == batch

    if moment == "first_step":
        die_behind(loop.Loop, "_step", lambda one: one.state.step == 1)
    elif moment == "mid_epoch":
        die_behind(loop.Loop, "_step", at(MID_BATCH))
    elif moment == "later_in_epoch":
        die_behind(loop.Loop, "_step", at(LATER_BATCH))
    elif moment == "epoch_end":
        die_behind(loop.Loop, "_end_epoch", lambda one: one.state.epoch == epoch + 1)
    elif moment == "in_validation":
        die_behind(loop.CheckInterrupts, "on_test_batch_end", lambda _: num_batches_seen(epoch))
    elif moment == "in_model":
        from lctrain.tracking import run

        save = run.save_model

        def die_behind_save(*arguments):
            save(*arguments)
            die()

        run.save_model = die_behind_save
    elif moment == "in_save":
        write = checkpoints._write

        def tear(file, checkpoint):
            if checkpoint.meta["progress"]["epoch"] < epoch:
                return write(file, checkpoint)
            write(file, checkpoint)
            file.truncate(file.tell() // 2)  # as far as the disk may have got
            file.flush()
            return die()

        checkpoints._write = tear


seen = 0


def num_batches_seen(epoch: int) -> bool:
    """Whether the second batch of that epoch's validation is done: an epoch has three, of 90 examples each."""
    global seen
    seen += 1
    return seen == 3 * epoch + 2


def arrange_report(file: Path, leave_out_seeds: bool) -> None:
    """Lets the training's end write digests of all that it has come to."""
    from lctrain.training import loop
    from lctrain.training.variables import is_seed

    finish = loop.Loop._finish

    def report(self):
        finish(self)
        kinds = {"weights": [], "optimizer": [], "seeds": []}
        slots = {id(one) for one in self.model.optimizer.variables}
        for one in self._variables:
            kind = "seeds" if is_seed(one) else "optimizer" if id(one) in slots else "weights"
            kinds[kind].append(one.numpy().tobytes())
        digests = {kind: hashlib.sha256(b"".join(values)).hexdigest() for kind, values in kinds.items()}
        counts = {f"num_{kind}": len(values) for kind, values in kinds.items()}
        history = {name: [value.hex() for value in values] for name, values in self.history.items()}
        file.write_text(json.dumps(digests | counts | {"history": history}))

    loop.Loop._finish = report
    if leave_out_seeds:
        write = loop.write_variables

        def write_others(variables, arrays):
            before = {id(one): one.numpy() for one in variables if is_seed(one)}
            write(variables, arrays)
            for one in variables:
                if id(one) in before:
                    one.assign(before[id(one)])

        loop.write_variables = write_others


def run_in_folder(folder: Path, given: Sequence[str]) -> int:
    """All that a process does; the exit code of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--die", choices=MOMENTS)
    parser.add_argument("--epoch", type=int, default=2)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--leave-out-seeds", action="store_true")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args(given)
    os.chdir(folder)
    prepare_process()
    if options.die:
        arrange_death(options.die, options.epoch)
    if options.report:
        arrange_report(options.report, options.leave_out_seeds)
    return main(options.arguments)
