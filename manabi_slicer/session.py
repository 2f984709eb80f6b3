"""The one background worker that all modules share, so that whichever runs second finds it warm."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from manabi.worker_client import Job, WorkerClient
    from manabi_slicer.process import Start

IDLE_S = 20 * 60.0
"""A worker that nobody used for so long is ended, and its memory is free again (our choice)."""


class Session:
    """Keeps the worker's client; made once, see :func:`session`.

    Args:
        start: how the worker's process is started; by default a ``QProcess``. Tests give their own.
        command: what is started; by default Slicer's Python with Manabi's worker.
    """

    def __init__(self, start: Start | None = None, command: Callable[[], tuple[str, ...]] | None = None) -> None:
        self._start = start
        self._command = command
        self._client: WorkerClient | None = None
        self._used = time.monotonic()
        self._users = 0
        self._loads: dict[tuple[str, str | None], tuple[int | None, Job]] = {}

    def client(self) -> WorkerClient:
        """The client; the worker itself starts with the first request and again after it ended."""
        from manabi.worker_client import WorkerClient

        self._used = time.monotonic()
        if self._client is None:
            from manabi_slicer import process

            command = (self._command or process.worker_command)()
            self._client = WorkerClient(command, self._start or process.start)
        return self._client

    def is_warm(self, method: str, bundle: str | None) -> bool:
        """Whether the worker that runs was told to load this model."""
        return self.pid is not None and self._loads.get((method, bundle), (None, None))[0] == self.pid

    def warm_up(self, method: str, bundle: str | None, device: str = "auto") -> None:
        """Start the worker and load a model ahead of the first run; errors are left for the run to tell."""
        if not self.is_warm(method, bundle):
            job = self.client().load(method, {"bundle": bundle, "device": device})
            self._loads[method, bundle] = (self.pid, job)

    @property
    def pid(self) -> int | None:
        """The worker's process id, None where none runs."""
        return None if self._client is None else self._client.pid

    def enter(self) -> None:
        """One more panel uses the worker."""
        self._users += 1

    def leave(self) -> None:
        """A panel is gone; with the last one the worker ends."""
        self._users = max(self._users - 1, 0)
        if self._users == 0:
            self.close()

    def rest(self, busy: bool) -> None:
        """Called now and then: take in what loads have said, and end a worker that was idle for :data:`IDLE_S`."""
        for _pid, job in self._loads.values():
            job.poll()
        if busy:
            self._used = time.monotonic()
        elif self._client is not None and time.monotonic() - self._used > IDLE_S:
            self.close()

    def close(self) -> None:
        """End the worker with everything it started and remove its files."""
        client, self._client = self._client, None
        self._loads.clear()
        if client is not None:
            client.close()


@cache
def session() -> Session:
    """The session of this Slicer."""
    return Session()
