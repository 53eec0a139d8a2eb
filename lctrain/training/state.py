"""How far a training is."""

from dataclasses import dataclass


@dataclass
class TrainingState:
    """How far a training is.

    Args:
        epoch: epochs that are done with all that belongs to them.
        batch: batches of the next epoch that are done.
        step: steps in all.
        metrics: of that epoch's training, once its steps are done and before its end is.
        has_ended: whether no epoch follows.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    metrics: dict[str, float] | None = None
    has_ended: bool = False

    def format_position(self, num_epochs: int) -> str:
        """Where a training of so many epochs goes on."""
        if self.has_ended or self.epoch == num_epochs:
            return f"All {self.step} steps were done before; what follows them is done now."
        return f"Going on from step {self.step}, in epoch {self.epoch + 1} of {num_epochs}."
