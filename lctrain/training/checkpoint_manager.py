"""When a training's state is written to its folder, and what happens where that can't be."""

import sys
import time
from pathlib import Path

import numpy as np

from lctrain.config.schema import CheckpointConfig
from lctrain.system.terminal import print_folded
from lctrain.training.checkpoints import (
    Checkpoint,
    Checkpoints,
    DamagedCheckpointError,
    read_checkpoint,
    write_checkpoint,
)

LARGEST_SHARE = 0.02  # of the time, for checkpoints that are due by time alone
BEST = "best.npz"


class CheckpointManager:
    """Keeps the newest states of a training, and its best one.

    Args:
        folder: where; None keeps the best one in memory, and no others.
        config: when.
    """

    def __init__(self, folder: Path | None, config: CheckpointConfig):
        self._folder = folder
        self._config = config
        self._checkpoints = None if folder is None else Checkpoints(folder, config.keep)
        self._best: Checkpoint | None = None
        self._saved_at = time.monotonic()
        self._pause = config.every_seconds

    def read_newest(self) -> Checkpoint | None:
        """The newest state that is whole; None where there is none."""
        return None if self._checkpoints is None else self._checkpoints.read_newest()

    def read_resumable(self) -> Checkpoint | None:
        """The newest state to go on from: one that is whole, and whose best epoch, if it remembers one, is there too.

        Else a training would end in other weights than without the break. None where there is none.
        """
        if self._checkpoints is None:
            return None
        self._checkpoints.clean()
        return self._checkpoints.read_newest(self._find_problem)

    def _find_problem(self, checkpoint: Checkpoint) -> str | None:
        """Why a state can't be gone on from, as the rest of a sentence; None where it can."""
        epoch = checkpoint.meta.get("watchers", {}).get("best", {}).get("best_epoch")
        if epoch is None or self._folder is None:
            return None
        try:
            kept = read_checkpoint(self._folder / BEST).meta["progress"]["epoch"]
        except (DamagedCheckpointError, OSError) as error:
            return f"remembers epoch {epoch + 1} as the best one, whose {BEST} can't be read ({error})"
        if kept < epoch:  # a later one is made again on the way
            return f"remembers epoch {epoch + 1} as the best one, and {BEST} is of epoch {kept + 1}"
        return None

    def is_due(self, num_steps_done: int, num_steps: int) -> bool:
        """Whether it is time to save, at the end of a call that took so many steps."""
        if self._checkpoints is None:
            return False
        every = self._config.every_steps
        if every is not None and num_steps_done // every > (num_steps_done - num_steps) // every:
            return True
        return self._pause is not None and time.monotonic() - self._saved_at >= self._pause

    def is_due_after_epoch(self, num_epochs_done: int) -> bool:
        every = self._config.every_epochs
        return self._checkpoints is not None and every is not None and num_epochs_done % every == 0

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes a state; where there is no room, says so, and the training goes on."""
        if self._checkpoints is None:
            return
        started = time.monotonic()
        try:
            self._checkpoints.save(checkpoint)
        except OSError as error:
            self._warn_not_saved(f"the checkpoint of step {checkpoint.meta['step']}", error)
        self._saved_at = time.monotonic()
        if self._config.every_seconds is not None:
            self._pause = max(self._config.every_seconds, (self._saved_at - started) / LARGEST_SHARE)

    def save_best(self, checkpoint: Checkpoint) -> None:
        self._best = checkpoint if self._folder is None else None
        if self._folder is None:
            return
        try:
            write_checkpoint(self._folder / BEST, checkpoint)
        except OSError as error:
            self._warn_not_saved("the best epoch so far", error)
            self._best = checkpoint  # in memory then, until there is a better one

    def read_best(self, epoch: int) -> dict[str, np.ndarray] | None:
        """The arrays of the best state; None, with a warning, where it could not be kept.

        Args:
            epoch: the best one, the first being 0: of another one the disk may have had no room for it.
        """
        if self._best is not None:
            return dict(self._best.arrays)
        if self._folder is None:
            return None
        try:
            best = read_checkpoint(self._folder / BEST)
            if best.meta["progress"]["epoch"] != epoch:
                raise DamagedCheckpointError("it is an earlier epoch's")
            return dict(best.arrays)
        except (DamagedCheckpointError, OSError) as error:
            message = f"the best epoch's weights can't be read ({error}); the last epoch's are taken"
            print_folded(f"Warning: {message}.", sys.stderr)
            return None

    def _warn_not_saved(self, what: str, error: OSError) -> None:
        message = f"{what} can't be written to {self._folder} ({error.strerror or error})"
        print_folded(f"Warning: {message}; training goes on, and the one before it stays.", sys.stderr)
