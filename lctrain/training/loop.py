"""The training loop: epochs of steps, from wherever an earlier process came, to the same bits as without the break.

Keras' own `fit` can't begin in the midst of an epoch, keeps the order of examples in an iterator, and is interrupted
by an exception in any place. Here a step is Keras' `train_function` and a validation is Keras' `evaluate`; what is
between them is ours.
"""

import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import keras

from lctrain.config import Config
from lctrain.config.schema import TrainingConfig
from lctrain.errors import TrainingFailed
from lctrain.system.signals import Terminated, interrupts
from lctrain.system.terminal import print_folded
from lctrain.training.batches import Batches
from lctrain.training.callbacks import Logs
from lctrain.training.checkpoint_manager import CheckpointManager
from lctrain.training.checkpoints import Checkpoint, DamagedCheckpointError
from lctrain.training.metric_monitor import EarlyStopping, Plateau, make_metric_monitors
from lctrain.training.progress_bar import EpochBar
from lctrain.training.state import TrainingState
from lctrain.training.variables import are_finite, list_variables, read_variables, write_variables

History = dict[str, list[float]]


class CheckInterrupts(keras.callbacks.Callback):
    """Stops an evaluation between two batches where a signal has asked for it."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        interrupts.check()


class Loop:
    """One training of a compiled model.

    Args:
        model: compiled.
        batches: of the training split.
        validation: of the validation split.
        config: validated.
        callbacks: Keras'; called at epochs and batches as by `fit`.
        checkpoint_manager: keeps states, and gives the one to go on from.
    """

    def __init__(
        self,
        model: keras.Model,
        batches: Batches,
        validation: Batches,
        config: Config,
        callbacks: Iterable[keras.callbacks.Callback] = (),
        checkpoint_manager: CheckpointManager | None = None,
    ):
        self.model, self._batches, self._validation = model, batches, validation
        self._training: TrainingConfig = config.training
        self._checkpoint_manager = checkpoint_manager or CheckpointManager(None, config.training.checkpoint)
        self.history: History = {}
        self.state = TrainingState()
        self._metric_monitors = make_metric_monitors(config.training)
        progress = config.training.progress
        progress = progress if progress != "auto" else "bar" if sys.stdout.isatty() else "lines"
        self._bar = EpochBar() if progress == "bar" else None
        self._callbacks = keras.callbacks.CallbackList(
            [*callbacks, *([self._bar] if self._bar else [])],
            add_progbar=progress == "lines",
            verbose=2,
            epochs=config.training.epochs,
            steps=batches.num_batches,
            model=model,
        )
        with model.distribute_strategy.scope():  # what holds variables is made now: metrics, the optimizer's slots
            model._symbolic_build(data_batch=batches.first())
        self._variables = list_variables(model)

    def run(self) -> History:
        """Trains to the end; returns the metrics of each epoch.

        Raises:
            TrainingFailed: a loss that is no finite number, or weights at the end.
            KeyboardInterrupt, Terminated: after a signal, once the state is kept.
        """
        self._restore_newest()
        try:
            with self._bar or nullcontext():
                for _ in self.steps():
                    pass
        except (KeyboardInterrupt, Terminated):
            if interrupts.is_pending:  # then it was raised where the state is one to go on from
                self._save()
            raise
        self._save()
        self._finish()
        return self.history

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes to a state that was kept.

        Raises:
            DamagedCheckpointError: it is of another model, or no state of a training.
        """
        try:
            self.state = TrainingState(**checkpoint.meta["progress"])
            self.history = {name: list(values) for name, values in checkpoint.meta["history"].items()}
            for name, metric_monitor in self._metric_monitors.items():
                metric_monitor.state = dict(checkpoint.meta["watchers"][name])
        except (KeyError, TypeError, AttributeError) as error:
            raise DamagedCheckpointError(f"it is no state of a training: {error}") from error
        write_variables(self._variables, checkpoint.arrays)

    def make_checkpoint(self) -> Checkpoint:
        """All that the training goes on from."""
        metric_monitors = {name: metric_monitor.state for name, metric_monitor in self._metric_monitors.items()}
        meta = {"step": self.state.step, "progress": asdict(self.state)}
        return Checkpoint(
            read_variables(self._variables), meta | {"history": self.history, "watchers": metric_monitors}
        )

    def steps(self) -> Iterator[float]:
        """Trains call by call, epochs' ends included, and gives the loss since the epoch began after each.

        After each the state is one to go on from.
        """
        self.model.make_train_function()
        batches = None
        while not self.state.has_ended and self.state.epoch < self._training.epochs:
            self._callbacks.on_epoch_begin(self.state.epoch)
            if self.state.batch == 0 and self.state.metrics is None:
                self.model.reset_metrics()
            while self.state.batch < self._batches.num_batches:
                if batches is None:
                    batches = self._open_stream()
                yield self._step(batches)
            if self._training.steps_per_execution > 1:
                batches = None  # a call takes as many as there are: it must find the epoch's end
            self._end_epoch()

    def next_batch(self) -> tuple[Any, ...]:
        """What the next step is trained on: inputs, labels, and maybe weights."""
        is_first = self.state.batch == self._batches.num_batches
        begin = (self.state.epoch + 1, 0) if is_first else (self.state.epoch, self.state.batch)
        return next(iter(self._batches.stream(*begin)))

    def _restore_newest(self) -> None:
        checkpoint = self._checkpoint_manager.read_resumable()
        if checkpoint is not None:
            self.restore(checkpoint)
            print_folded(self.state.format_position(self._training.epochs), sys.stderr)
            self._replay_history()
        else:
            self._save()
        self.model.stop_training = False
        self._callbacks.on_train_begin()

    def _replay_history(self) -> None:
        """Gives the metrics of the epochs before to callbacks that keep them: they may not have lasted."""
        frequency, num_epochs = self._training.validation_frequency, self._training.epochs
        metrics: list[dict[str, float]] = [{} for _ in range(self.state.epoch)]
        for name, values in self.history.items():
            every = frequency if name.startswith("val_") else 1
            for i, value in enumerate(values):
                metrics[min((i + 1) * every, num_epochs) - 1][name] = value
        for callback in self._callbacks.callbacks:
            if hasattr(callback, "catch_up"):
                callback.catch_up(metrics)

    def _open_stream(self) -> Iterator[Any]:
        """An iterator over the batches that follow."""
        is_endless = self._training.steps_per_execution == 1
        num_epochs = self._training.epochs - self.state.epoch if is_endless else 1
        dataset = self._batches.stream(self.state.epoch, self.state.batch, num_epochs)
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync > 1:
            dataset = strategy.experimental_distribute_dataset(dataset)
        return iter(dataset)

    def _step(self, batches: Iterator[Any]) -> float:
        state = self.state
        num_steps = min(self._training.steps_per_execution, self._batches.num_batches - state.batch)
        self._callbacks.on_train_batch_begin(state.batch)
        logs = self.model.train_function(batches)
        loss = float(logs["loss"])
        if self._training.stop_on_nan and not math.isfinite(loss):
            raise NonFiniteLoss(loss, num_steps)
        state.batch += num_steps
        state.step += num_steps
        self._callbacks.on_train_batch_end(state.batch - 1, logs)
        if self._checkpoint_manager.is_due(state.step, num_steps):
            self._save()
        interrupts.check()
        return loss

    def _end_epoch(self) -> None:
        state, epoch = self.state, self.state.epoch
        if state.metrics is None:
            state.metrics = {name: float(value) for name, value in self.model.get_metrics_result().items()}
        metrics = dict(state.metrics)
        is_last = epoch + 1 == self._training.epochs
        if (epoch + 1) % self._training.validation_frequency == 0 or is_last:
            validated = evaluate(self.model, self._validation)
            metrics |= {f"val_{name}": value for name, value in validated.items()}
        self._update_monitors(metrics, epoch)
        for name, value in metrics.items():
            self.history.setdefault(name, []).append(value)
        state.epoch, state.batch, state.metrics = epoch + 1, 0, None
        self._callbacks.on_epoch_end(epoch, metrics)
        state.has_ended = state.has_ended or self.model.stop_training
        if self._checkpoint_manager.is_due_after_epoch(epoch + 1):
            self._save()
        interrupts.check()

    def _update_monitors(self, metrics: dict[str, float], epoch: int) -> None:
        """Gives the monitors an epoch's metrics, and does as they say."""
        updates = {name: monitor.update(metrics, epoch) for name, monitor in self._metric_monitors.items()}
        if updates.get("best"):
            self._checkpoint_manager.save_best(self.make_checkpoint())
        for monitor in self._metric_monitors.values():
            if isinstance(monitor, Plateau) and monitor.lower(self.model.optimizer):
                rate = float(self.model.optimizer.learning_rate)
                print_folded(f"Epoch {epoch + 1}: the learning rate is {rate:g} from now on.", sys.stderr)
            if isinstance(monitor, EarlyStopping) and monitor.must_stop:
                self.state.has_ended = True

    def _save(self) -> None:
        if not self._has_nonfinite_weights():
            self._checkpoint_manager.save(self.make_checkpoint())

    def _has_nonfinite_weights(self) -> bool:
        """Whether the next loss must be inf or nan, so that there is nothing to go on to."""
        return self._training.stop_on_nan and not are_finite(self.model.weights)

    def _finish(self) -> None:
        """Takes the best epoch's weights, where they are wanted, and the averages that the optimizer has kept."""
        self._callbacks.on_train_end({name: values[-1] for name, values in self.history.items()})
        if "best" in self._metric_monitors:
            self._restore_best()
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self._has_nonfinite_weights():
            raise NonFiniteWeights

    def _restore_best(self) -> None:
        metric_monitor = self._metric_monitors["best"]
        epoch = metric_monitor.state["best_epoch"]
        if epoch is None:
            message = f"`{metric_monitor.monitor}` was a finite number in no epoch; the last epoch's weights are taken"
            print_folded(f"Warning: {message}.", sys.stderr)
            return
        best = self._checkpoint_manager.read_best(epoch)
        if best is not None:
            write_variables(self._variables, best)


class NonFiniteLoss(TrainingFailed):
    """A loss that is no finite number, after a call that took so many steps."""

    def __init__(self, loss: float, num_steps: int):
        super().__init__(f"the loss became {loss}")
        self.num_steps = num_steps


class NonFiniteWeights(TrainingFailed):
    """Weights that are not finite after the last step, whose loss was."""

    def __init__(self) -> None:
        super().__init__("the last step left weights that are inf or nan")


def evaluate(model: keras.Model, batches: Batches) -> dict[str, float]:
    """`loss` and each metric on all batches.

    Raises:
        KeyboardInterrupt, Terminated: after a signal.
    """
    return dict(model.evaluate(batches.whole(), callbacks=[CheckInterrupts()], verbose=0, return_dict=True))
