"""What a sweep tells while its jobs run, wherever they run: read from their records."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from lctrain.sweep.records import Record, Records

LOOK = 0.5  # seconds between two looks at the records


class SweepMonitor:
    """Tells of every job that starts and ends: job i of n, and about how long the others will take.

    Args:
        records: of the sweep.
        num_jobs: how many there are to be.
        print_line: prints a line.
        common: overrides of every job, which are not told of each.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        records: Records,
        num_jobs: int,
        print_line: Callable[[str], None],
        common: Collection[str] = (),
        now: Callable[[], float] = time.time,
    ):
        self._records, self._num_jobs, self._print_line, self._common, self._now = (
            records,
            num_jobs,
            print_line,
            common,
            now,
        )
        self._started = now()
        before = records.read_all()
        self._seen = {record.number: record for record in before if record.status == "done"}
        self._attempts_before = {record.number: record.attempt for record in before if record.status != "done"}
        self._num_before = len(self._seen)
        if self._seen:
            print_line(f"{len(self._seen)} of {num_jobs} jobs are done already.")

    def look(self) -> None:
        """Tells what is new since the last look."""
        for record in self._records.read_all(but={number for number, seen in self._seen.items() if seen.has_ended}):
            if record.attempt == self._attempts_before.get(record.number):
                continue  # how it ended then is not what happens now
            is_known = record.number in self._seen
            self._seen[record.number] = record
            if is_known and not record.has_ended:
                continue
            place = f"[{record.number + 1}/{self._num_jobs}] Job {record.number}"
            if record.has_ended:
                self._print_line(f"{place} {describe_end(record)}.{self._time_left()}")
            else:
                special = [override for override in record.overrides if override not in self._common]
                self._print_line(f"{place}: {' '.join(special or record.overrides)}")
                if record.warning:
                    self._print_line(f"Warning: {record.warning}")

    def _time_left(self) -> str:
        """An estimate from the jobs that ended since the start; nothing once all have."""
        num_ended = sum(record.has_ended for record in self._seen.values())
        num_new = num_ended - self._num_before
        num_left = self._num_jobs - num_ended
        if num_left <= 0 or num_new <= 0:
            return ""
        seconds = (self._now() - self._started) / num_new * num_left
        return f" {num_left} left, about {as_duration(seconds)}."


@contextmanager
def watch(progress: SweepMonitor) -> Iterator[None]:
    """Looks at the records while the block runs, and once more when it ends."""
    is_over = threading.Event()

    def keep_looking() -> None:
        while not is_over.wait(LOOK):
            progress.look()

    thread = threading.Thread(target=keep_looking, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        progress.look()


def describe_end(record: Record) -> str:
    """How a job ended, in a few words.

    >>> describe_end(Record(0, [], "done", "", 0.0, seconds=15.21, metrics={"test_accuracy": 0.96667}))
    'is done after 15 s: test accuracy 0.9667'
    >>> describe_end(Record(0, [], "killed", "", 0.0, seconds=3.0, reason="killed by SIGKILL"))
    'was killed after 3 s: killed by SIGKILL'
    """
    words = {"done": "is done", "failed": "has failed", "timed_out": "took too long", "refused": "does not fit"}
    ended = words.get(record.status, f"was {record.status}")
    if record.status == "done":
        message = _best_known(record.metrics)
    else:
        message = record.reason.splitlines()[0] if record.reason else ""
    after = "" if record.status == "skipped" else f" after {as_duration(record.seconds)}"
    return f"{ended}{after}{': ' if message else ''}{message}".rstrip(".")


def _best_known(metrics: Mapping[str, float]) -> str:
    tested = [name for name in metrics if name.startswith("test_")]
    name = next((name for name in tested if name != "test_loss"), "test_loss")
    return f"{name.replace('_', ' ', 1)} {metrics[name]:.4f}" if name in metrics else ""


def as_duration(seconds: float) -> str:
    """
    >>> as_duration(4.4), as_duration(75.2), as_duration(7300)
    ('4 s', '1 min 15 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
