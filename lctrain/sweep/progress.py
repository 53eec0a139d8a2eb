"""What a sweep prints while its jobs run, wherever they run: read from their records."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress

from lctrain.sweep.records import Record, Records

POLL_SECONDS = 0.5


class SweepMonitor:
    """Prints a line for every job that starts and ends: job i of n, and about how long the others will take.

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
        self._records, self._num_jobs, self._common = records, num_jobs, common
        self._print_line, self._now = print_line, now
        self._started = now()
        before = records.read_all()
        self._seen = {record.number: record for record in before if record.status == "done"}
        self._attempts_before = {record.number: record.attempt for record in before if record.status != "done"}
        self._num_before = len(self._seen)
        if self._seen:
            print_line(f"{len(self._seen)} of {num_jobs} jobs are done already.")

    def print_news(self) -> None:
        """Prints what is new since the last call."""
        for record in self._records.read_all(but={number for number, seen in self._seen.items() if seen.has_ended}):
            if record.attempt == self._attempts_before.get(record.number):
                continue  # how it ended then is not what happens now
            is_known = record.number in self._seen
            self._seen[record.number] = record
            if is_known and not record.has_ended:
                continue
            place = f"[{record.number + 1}/{self._num_jobs}] Job {record.number}"
            if record.has_ended:
                self._print_line(f"{place} {format_end(record)}.{self._format_time_left()}")
            else:
                special = [override for override in record.overrides if override not in self._common]
                self._print_line(f"{place}: {' '.join(special or record.overrides)}")
                if record.warning:
                    self._print_line(f"Warning: {record.warning}")

    def _format_time_left(self) -> str:
        """An estimate from the jobs that ended since the start; nothing once all have."""
        num_ended = sum(record.has_ended for record in self._seen.values())
        num_new = num_ended - self._num_before
        num_left = self._num_jobs - num_ended
        if num_left <= 0 or num_new <= 0:
            return ""
        seconds = (self._now() - self._started) / num_new * num_left
        return f" {num_left} left, about {format_duration(seconds)}."


@contextmanager
def watch(monitor: SweepMonitor) -> Iterator[None]:
    """Looks at the records while the block runs, and once more when it ends."""
    is_over = threading.Event()

    def poll() -> None:
        with suppress(BrokenPipeError):  # nobody reads it any more, which the block's end tells the program
            while not is_over.wait(POLL_SECONDS):
                monitor.print_news()

    thread = threading.Thread(target=poll, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        monitor.print_news()


def format_end(record: Record) -> str:
    """How a job ended, in a few words.

    >>> format_end(Record(0, [], "done", "", 0.0, seconds=15.21, metrics={"test_accuracy": 0.96667}))
    'is done after 15 s: test accuracy 0.9667'
    >>> format_end(Record(0, [], "killed", "", 0.0, seconds=3.0, reason="killed by SIGKILL"))
    'was killed after 3 s: killed by SIGKILL'
    """
    words = {"done": "is done", "failed": "has failed", "timed_out": "took too long", "refused": "does not fit"}
    ended = words.get(record.status, f"was {record.status}")
    if record.status == "done":
        message = _format_best_metric(record.metrics)
    else:
        message = record.reason.splitlines()[0] if record.reason else ""
    after = "" if record.status == "skipped" else f" after {format_duration(record.seconds)}"
    return f"{ended}{after}{': ' if message else ''}{message}".rstrip(".")


def _format_best_metric(metrics: Mapping[str, float]) -> str:
    tested = [name for name in metrics if name.startswith("test_")]
    name = next((name for name in tested if name != "test_loss"), "test_loss")
    return f"{name.replace('_', ' ', 1)} {metrics[name]:.4f}" if name in metrics else ""


def format_duration(seconds: float) -> str:
    """
    >>> format_duration(4.4), format_duration(75.2), format_duration(7300)
    ('4 s', '1 min 15 s', '2 h 1 min')
    """
    minutes, left = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"
