"""One run in the background, as a panel follows it: what it does, how long it takes, how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from manabi.errors import CancelledError, ManabiError

if TYPE_CHECKING:
    from manabi.result import Result
    from manabi.worker_client import Job
    from manabi_slicer.request import Request
    from manabi_slicer.watch import Watch

TRUSTED_FRACTION = 0.1
"""From this part of a run on, the time it still needs is judged by its progress (our choice)."""


class State(Enum):
    """Where a run is."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDED = (State.DONE, State.CANCELLED, State.FAILED)


@dataclass
class Progress:
    """What a run last said of itself.

    Attributes:
        fraction: 0 to 1.
        text: what it does.
        elapsed_s: since it was started.
        remaining_s: what it still needs, as far as can be told, or None.
        said: every text so far, in order; those that count ("Slice 3 of 64") once.
    """

    fraction: float = 0.0
    text: str = ""
    elapsed_s: float = 0.0
    remaining_s: float | None = None
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """It does something else now."""
        self.text = text
        if not self.said or _without_numbers(self.said[-1]) != _without_numbers(text):
            self.said.append(text)


class Run:
    """A job of the worker with its times; call :meth:`poll` from a timer.

    Args:
        submit: sends the job, given a progress callback; called at once.
        request: what was asked for.
        watch: tells whether the input was moved or changed meanwhile, or None.
        n_voxels: size of the inputs.
        expected_s: how long such a run took before, or None.
        clock: seconds; tests give their own.
    """

    def __init__(
        self,
        submit: Callable[[Callable[[float, str], None]], Job],
        request: Request,
        watch: Watch | None = None,
        n_voxels: int = 0,
        expected_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.request = request
        self.watch = watch
        self.n_voxels = n_voxels
        self.state = State.RUNNING
        self.error: ManabiError | None = None
        self.result: Result | None = None
        self.progress = Progress(text=_("Starting"))
        self._expected_s = expected_s
        self._clock = clock
        self._started = clock()
        self._job = submit(self._onProgress)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED

    def cancel(self) -> None:
        """Ask the run to stop; it does within the worker's grace, or the worker is ended with all it started."""
        if not self.ended:
            self.state = State.CANCELLING
            self.progress.text = _("Cancelling")
            self._job.cancel()

    def abandon(self) -> None:
        """Nobody waits for it any more: it is cancelled, and nobody has to poll it."""
        if not self.ended:
            self.cancel()
            self._job.abandon()

    def poll(self) -> bool:
        """Take in what came; True once the run has ended."""
        if self.ended:
            return True
        done = self._job.poll()
        self._note_times()
        if done:
            self._take()
        return self.ended

    def _take(self) -> None:
        try:
            self.result = self._job.result()
            self.state = State.DONE
            self.progress.fraction, self.progress.remaining_s = 1.0, 0.0
        except CancelledError as error:
            self.state, self.error = State.CANCELLED, error
        except ManabiError as error:
            self.state, self.error = State.FAILED, error

    def _onProgress(self, fraction: float, text: str) -> None:
        if self.state == State.RUNNING:
            self.progress.fraction = fraction
            self.progress.say(text or self.progress.text)

    def _note_times(self) -> None:
        elapsed = self._clock() - self._started
        self.progress.elapsed_s = elapsed
        self.progress.remaining_s = self._remaining(elapsed)

    def _remaining(self, elapsed: float) -> float | None:
        """From how long such runs took, and more and more from how far this one has come."""
        fraction = self.progress.fraction
        by_progress = elapsed * (1 - fraction) / fraction if fraction >= TRUSTED_FRACTION else None
        by_history = None if self._expected_s is None else max(self._expected_s - elapsed, 0.0)
        if by_progress is None or by_history is None:
            return by_history if by_progress is None else by_progress
        return fraction * by_progress + (1 - fraction) * by_history


def _without_numbers(text: str) -> str:
    return "".join(character for character in text if not character.isdigit())


def clock_text(seconds: float) -> str:
    """``0:07``, ``2:05``, ``1:02:05``."""
    whole = max(round(seconds), 0)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"
