"""Signals: put off to the end of a step, whose state is kept."""

import os
import signal
import subprocess
import sys
import threading

import keras
import pytest
from made_trainings import NUM_BATCHES, TRAINING, assert_same_bits, fit, prepare, state_of

from lctrain import training
from lctrain.system.signals import Interrupts, Terminated, interrupts
from lctrain.training import loop as loop_module
from lctrain.training.checkpoints import Checkpoints

LAYERS = {
    "lc1": {"type": "LocallyConnected2D", "filters": 3, "kernel_size": [3, 2]},
    "drop": {"type": "Dropout", "rate": 0.3},
    "flatten": {"type": "Flatten"},
    "head": {"type": "Dense", "units": 4, "activation": "softmax"},
}
CHANGES = {"model": {"name": "noisy", "layers": LAYERS}, "training": TRAINING | {"best": "val_loss"}}
RAISED = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
SAID = {signal.SIGINT: "^$", signal.SIGTERM: "143"}


@pytest.fixture(scope="module")
def expected():
    """How the training ends that no signal reaches."""
    model, history, _ = fit(**CHANGES)
    return history, state_of(model)


@pytest.fixture(autouse=True)
def _handlers_are_restored():
    before = {number: signal.getsignal(number) for number in RAISED}
    yield
    assert {number: signal.getsignal(number) for number in RAISED} == before
    assert not interrupts.is_pending


class SignalIn(keras.callbacks.Callback):
    """Sends this process a signal in the midst of a step, which is counted from 1."""

    def __init__(self, number, step):
        super().__init__()
        self._number, self._left = number, step
        self.num_steps = 0

    def on_train_batch_begin(self, batch, logs=None):
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._number)

    def on_train_batch_end(self, batch, logs=None):
        self.num_steps += 1


def fit_until(number, folder, callbacks=(), changes=CHANGES):
    with (
        pytest.raises(RAISED[number], match=SAID[number]) as raised,
        interrupts.deferred(lambda: pytest.fail("not yet")),
    ):
        fit(folder, callbacks, **changes)
    return raised.value


def assert_goes_on(folder, expected):
    model, history, _ = fit(folder, **CHANGES)
    assert history == expected[0]
    assert_same_bits(state_of(model), expected[1])


@pytest.mark.parametrize(
    ("number", "step"),
    [(signal.SIGINT, 1), (signal.SIGINT, 3), (signal.SIGTERM, NUM_BATCHES), (signal.SIGTERM, NUM_BATCHES + 2)],
)
def test_the_step_is_finished_and_kept(number, step, expected, tmp_path, capfd):
    sender = SignalIn(number, step)
    error = fit_until(number, tmp_path, [sender])
    if number == signal.SIGTERM:
        assert error.code == 143
    assert sender.num_steps == step
    assert "the step is finished and kept" in capfd.readouterr().err
    checkpoint = Checkpoints(tmp_path, keep=2).read_newest()
    assert checkpoint.meta["step"] == step
    if step in (3, NUM_BATCHES):
        assert_goes_on(tmp_path, expected)


def test_a_call_of_several_steps_is_finished(tmp_path):
    changes = CHANGES | {"training": CHANGES["training"] | {"steps_per_execution": 3}}
    fit_until(signal.SIGINT, tmp_path, [SignalIn(signal.SIGINT, 1)], changes)
    assert Checkpoints(tmp_path, keep=2).read_newest().meta["step"] == 3


@pytest.mark.parametrize("number", RAISED, ids=str)
def test_a_validation_is_left_and_done_again(number, expected, tmp_path, monkeypatch):
    evaluate, calls = loop_module.evaluate, []

    def interrupted(model, batches):
        calls.append(len(calls))
        if len(calls) == 2:
            os.kill(os.getpid(), number)
        return evaluate(model, batches)

    monkeypatch.setattr(loop_module, "evaluate", interrupted)
    fit_until(number, tmp_path)
    assert calls == [0, 1]
    checkpoint = Checkpoints(tmp_path, keep=2).read_newest()
    progress = checkpoint.meta["progress"]
    assert (progress["epoch"], progress["batch"], progress["step"]) == (1, NUM_BATCHES, 2 * NUM_BATCHES)
    assert progress["metrics"]["loss"] == expected[0]["loss"][1]
    assert checkpoint.meta["history"]["loss"] == expected[0]["loss"][:1]
    assert_goes_on(tmp_path, expected)
    assert calls == [0, 1, 2]


def test_evaluation_by_itself_can_be_interrupted():
    model, splits, config = prepare()
    with pytest.raises(KeyboardInterrupt, match=r"^$"), interrupts.deferred(lambda: None):  # noqa: PT012 - the signal comes first
        os.kill(os.getpid(), signal.SIGINT)
        training.evaluate(model, splits.test, config)
        pytest.fail("it went on")


@pytest.mark.parametrize("number", RAISED, ids=str)
def test_the_end_of_the_block_checks_too(number):
    done = []
    with pytest.raises(RAISED[number], match=SAID[number]), interrupts.deferred(lambda: None):  # noqa: PT012 - what is tested
        os.kill(os.getpid(), number)
        done.append("the rest of the block")
    assert done


def test_the_first_signal_counts():
    with pytest.raises(Terminated, match="143"), interrupts.deferred(lambda: None):  # noqa: PT012 - what is tested
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.is_pending


def test_without_a_signal_nothing_is_raised():
    interrupts.check()
    with interrupts.deferred(lambda: None):
        interrupts.check()
        assert not interrupts.is_pending


def test_an_inner_block_leaves_it_to_the_outer_one():
    with pytest.raises(KeyboardInterrupt, match=r"^$"), interrupts.deferred(lambda: None):  # noqa: PT012 - what is tested
        with interrupts.deferred(lambda: None):
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.is_pending


def test_other_threads_change_nothing():
    seen = []

    def hold():
        before = signal.getsignal(signal.SIGINT)
        with Interrupts().deferred(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert seen == [True]


def start_python(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


TWICE = """
import os, signal, sys
from lctrain.system.signals import interrupts

with interrupts.deferred(lambda: print("last words", flush=True)):
    os.kill(os.getpid(), signal.{first})
    print("goes on")
    os.kill(os.getpid(), signal.SIGINT)
    print("never")
"""


@pytest.mark.parametrize("first", ["SIGINT", "SIGTERM"])
def test_a_second_interrupt_ends_the_process_at_once(first):
    finished = start_python(TWICE.format(first=first))
    assert finished.returncode == 130
    assert finished.stdout.split("\n") == ["goes on", "last words", ""]
    assert "Ctrl-C ends at once" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_nobody_need_read_what_a_signal_says():
    code = TWICE.format(first="SIGINT").replace("import os,", "import os; os.close(2); import", 1)
    finished = start_python(code)
    assert (finished.returncode, finished.stdout) == (130, "goes on\nlast words\n")
