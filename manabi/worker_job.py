"""One request to a worker under way, as its client sees it: taken in, watched over, and ended."""

from __future__ import annotations

import queue
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manabi.context import ProgressCallback
from manabi.errors import CancelledError, ManabiError, WorkerError
from manabi.failure import Failure
from manabi.preflight import Preflight
from manabi.result import Result
from manabi.result_codec import decode_result
from manabi.worker_process import Message, WorkerProcess

if TYPE_CHECKING:
    from manabi.worker_client import WorkerClient

OUTCOMES = ("result", "loaded", "pong", "preflight", "error", "closed")
"""Events after which nothing more comes for a job."""
GIVEN_UP = "The job was given up."
COLLATERAL = (
    "The run was ended because another run was cancelled and did not stop, which ends the worker with all its runs. "
    "Start it again (press Apply again)."
)


class Job:
    """One request under way; made by :meth:`WorkerClient.submit`, :meth:`~WorkerClient.load` and the like."""

    def __init__(self, client: WorkerClient, job_id: int, folder: Path, on_progress: ProgressCallback | None) -> None:
        self.id = job_id
        self.folder = folder
        self.sources: dict[str, Any] = {}
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.process: WorkerProcess | None = None
        self._client = client
        self._on_progress = on_progress
        self._reply: Message | None = None
        self._error: ManabiError | None = None
        self._result: Result | None = None
        self._started = False
        self._kill_at: float | None = None

    @property
    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._reply is not None or self._error is not None

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._kill_at is not None

    def cancel(self) -> None:
        """Ask the run to stop; one that waits for its turn is dropped.

        When a run that has begun does not stop within the client's grace, :meth:`poll` kills the worker, and with it
        every other run of this client.
        """
        if self.done or self._kill_at is not None:
            return
        self._kill_at = time.monotonic() + self._client.cancel_grace_s
        if self.process is not None:
            try:
                self.process.send({"id": self.id, "op": "cancel"})
            except WorkerError:
                self._kill_at = time.monotonic()

    def abandon(self) -> None:
        """Cancel a job whose outcome nobody will ask for; its files go when it has ended, without being polled."""
        if self.done:
            return
        self.cancel()
        self._error = CancelledError(GIVEN_UP)
        self._client.abandon(self)

    def poll(self, wait_s: float = 0.0) -> bool:
        """Take in what the worker said, waiting up to ``wait_s`` for a first message; True once the job is done."""
        if self.done:
            return True
        try:
            message = self.messages.get(timeout=wait_s) if wait_s > 0 else self.messages.get_nowait()
            while not self.done:
                self._take(message)
                message = self.messages.get_nowait()
        except queue.Empty:
            self._check_alive()
        return self.done

    def result(self) -> Result:
        """The result of a run that is done.

        Raises:
            CancelledError: when the run was cancelled.
            WorkerError: when the worker died, hung, or the job is not done.
            ManabiError: whatever the method raised.
        """
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise WorkerError("This job has no result: it is not done, or it was not a run.")
        return self._result

    def preflight(self) -> Preflight:
        """What a preflight that is done found.

        Raises:
            WorkerError: when the worker died, or the job is not a preflight that is done.
        """
        self.check()
        if self._reply is None or self._reply["event"] != "preflight":
            raise WorkerError("This job has found nothing: it is not done, or it was not a preflight.")
        return Preflight.from_dict(self._reply["preflight"])

    def check(self) -> None:
        """Raise the error that the job ended with, if it did."""
        if self._error is not None:
            raise self._error

    def _take(self, message: Message) -> None:
        event = message.get("event")
        self._started = self._started or event in ("started", "progress", "heartbeat")
        if event == "progress" and self._on_progress is not None:
            self._on_progress(float(message["fraction"]), str(message["text"]))
        elif event == "error":
            self._finish(error=Failure.from_dict(message).to_error())
        elif event == "closed":
            self._died()
        elif event in OUTCOMES:
            self._finish(reply=message)

    def _check_alive(self) -> None:
        """Called when nothing was said: is the process there, is it heard of, and should it have stopped by now?"""
        if self._is_overdue():
            self._client.kill_worker(because=COLLATERAL)
            self._finish(error=CancelledError("Cancelled; the worker had to be ended. Nothing was written."))
        elif self.process is not None and not self.process.alive and self.messages.empty():
            self._died()
        elif self.process is not None and self.process.silent_s() > self._client.silence_s:
            why = f"The worker fell silent for {self._client.silence_s:.0f} s and was ended."
            self._client.kill_worker(because=why)
            self._finish(error=WorkerError(why))

    def _is_overdue(self) -> bool:
        """Whether only killing the worker stops this run; never for one that waits while another one runs."""
        if self._kill_at is None or time.monotonic() < self._kill_at:
            return False
        return self._started or not self._client.is_wanted_beside(self)

    def _died(self) -> None:
        words = "The worker was ended." if self.process is None else self.process.obituary()
        if self.cancelled:
            self._finish(error=CancelledError("Cancelled. Nothing was written."))
        else:
            self._finish(error=WorkerError(words))
        self._client.kill_worker(self.process, because=words)

    def _finish(self, reply: Message | None = None, error: ManabiError | None = None) -> None:
        if self.done:
            return
        self._reply, self._error = reply, error
        try:
            if reply is not None and reply["event"] == "result":
                self._result = decode_result(reply["result"], self.folder, self.sources)
        except ManabiError as unreadable:
            self._error = unreadable
        finally:
            self._client.forget(self)
