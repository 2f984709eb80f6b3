"""The worker processes of a batch, each with one case at a time."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import manabi
from manabi import log
from manabi.batch.folder import FAILED, BatchFolder, Case, Row
from manabi.errors import CancelledError, WorkerError
from manabi.failure import Failure
from manabi.worker_process import Message, WorkerProcess, python_executable, start_process

POLL_S = 0.1
SHUTDOWN_S = 4.0
"""Longer than a cancelled child takes to remove what it has half written."""
SILENCE_S = 300.0
"""A worker process that is heard of no more for so long is given up; it says every 2 s that it works (our choice)."""
DEAD_S = 5.0
"""So long the last words of a process that has ended may be on their way."""


class Slot:
    """A place for one worker process, and the case it has in hand."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: WorkerProcess | None = None
        self.case: Case | None = None
        self.fraction = 0.0
        self.since = 0.0


class Pool:
    """Hands cases to worker processes and gives back what became of them.

    Args:
        request: what the processes must know (:meth:`manabi.batch.request.BatchRequest.for_child`).
        settings: ``key=value`` texts of every case.
        folder: the batch's.
        workers: number of processes.
    """

    def __init__(self, request: Mapping[str, Any], settings: Sequence[str], folder: BatchFolder, workers: int) -> None:
        self._request, self._settings, self._folder = dict(request), tuple(settings), folder
        self._slots = [Slot(number) for number in range(workers)]
        self._messages: queue.SimpleQueue[tuple[Slot, WorkerProcess, Message]] = queue.SimpleQueue()
        self.details: dict[str, str] = {}
        """Tracebacks of unforeseen errors, by case."""

    @property
    def under_way(self) -> list[Case]:
        """The cases that are being worked on."""
        return [slot.case for slot in self._slots if slot.case is not None]

    @property
    def fractions(self) -> float:
        """How much of the cases under way is done, in cases."""
        return sum(slot.fraction for slot in self._slots if slot.case is not None)

    def run(
        self, cases: Sequence[Case], cancel: threading.Event, on_step: Callable[[str], None]
    ) -> Generator[Row | str, None, None]:
        """Work on all cases; yields the name of each that is done, and the row of each that failed.

        Args:
            cases: in the order in which they are begun.
            cancel: set it to stop; what is half done leaves nothing.
            on_step: called with a short text whenever something moved.

        Raises:
            CancelledError: after ``cancel`` was set.
        """
        waiting = deque(cases)
        try:
            for slot in self._slots:
                yield from self._give(slot, waiting)
            while self.under_way:
                if cancel.is_set():
                    raise CancelledError("Cancelled. Finished cases are kept; the same command continues.")
                yield from self._take(waiting, on_step)
                yield from self._look_after(waiting)
        finally:
            self._end()

    def _take(self, waiting: deque[Case], on_step: Callable[[str], None]) -> Iterator[Row | str]:
        """Wait for a message, and act on it."""
        try:
            slot, process, message = self._messages.get(timeout=POLL_S)
        except queue.Empty:
            return
        if process is not slot.process or slot.case is None:
            return
        event = message.get("event")
        if event == "progress":
            slot.fraction = float(message["fraction"])
            on_step(f"{slot.case.name} {message['text']}")
        elif event in ("done", "failed", "broken", "closed"):
            yield slot.case.name if event == "done" else self._failed(slot, slot.case, message)
            slot.case = None
            if event in ("broken", "closed"):
                process.kill()
                slot.process = None
            yield from self._give(slot, waiting)

    def _look_after(self, waiting: deque[Case]) -> Iterator[Row | str]:
        """Give up processes that have died or hang, so that no case waits for ever."""
        for slot in self._slots:
            process = slot.process
            if process is None or slot.case is None:
                continue
            silent_s = process.silent_s(starting=True)
            if silent_s > SILENCE_S:
                process.fate = f"The worker process hung: it was not heard of for {SILENCE_S:.0f} s, and was ended."
            elif process.alive or silent_s <= DEAD_S:
                continue
            yield self._failed(slot, slot.case, {"event": "closed"})
            process.kill()
            slot.case, slot.process = None, None
            yield from self._give(slot, waiting)

    def _give(self, slot: Slot, waiting: deque[Case]) -> Iterator[Row]:
        """Begin the next case in a slot, whose process is started where none runs."""
        while waiting and slot.case is None:
            case = waiting.popleft()
            slot.case, slot.fraction, slot.since = case, 0.0, time.monotonic()
            job = {
                "id": case.name,
                "inputs": dict(case.source.inputs),
                "folder": str((self._folder.path / case.name).absolute()),
                "settings": [*self._settings, *case.source.settings],
                "overwrite": self._folder.has_result(case),
            }
            try:
                self._running(slot).send(job)
            except WorkerError as error:
                slot.case, slot.process = None, None
                yield failed_row(case.name, error)

    def _running(self, slot: Slot) -> WorkerProcess:
        if slot.process is None:
            command = [python_executable(), "-m", "manabi.batch.child"]
            started = start_process(command, child_environment())
            slot.process = WorkerProcess(started, lambda process, m: self._messages.put((slot, process, m)))
            slot.process.send({**self._request, "lock": str(self._folder.child_lock(slot.number).absolute())})
        return slot.process

    def _failed(self, slot: Slot, case: Case, message: Message) -> Row:
        if message["event"] == "closed":
            words = "The worker was ended." if slot.process is None else slot.process.obituary()
            return failed_row(case.name, WorkerError(words), time.monotonic() - slot.since)
        failure = Failure.from_dict(message)
        if message.get("details"):
            self.details[case.name] = str(message["details"])
        text = failure.message if failure.exit_code != 1 else f"{failure.type}: {failure.message}"
        return Row(case.name, FAILED, message["seconds"], error=text, exit_code=failure.exit_code)

    def _end(self) -> None:
        """End all processes, side by side, with what they started."""
        enders = [
            threading.Thread(target=slot.process.shut_down, args=(SHUTDOWN_S,))
            for slot in self._slots
            if slot.process is not None
        ]
        for slot in self._slots:
            slot.process = None
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()


def failed_row(name: str, error: BaseException, seconds: float | None = None) -> Row:
    """The row of a case that failed, its reason on one line without names and paths."""
    failure = Failure.of(error)
    text = " ".join(log.REDACTOR.redact(failure.message).split())
    passed = None if seconds is None else round(seconds, 3)
    return Row(name, FAILED, passed, error=text, exit_code=failure.exit_code)


def child_environment() -> dict[str, str]:
    """This process' environment, in which the child finds this Manabi even where it is not installed."""
    root = Path(manabi.__file__).resolve().parents[1]
    if root.name in ("site-packages", "dist-packages"):
        return dict(os.environ)
    paths = [str(root), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
