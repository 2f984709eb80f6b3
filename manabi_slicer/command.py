"""``manabi`` commands beside Slicer: started, followed by a timer, told of when they end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence

from manabi_slicer import process
from manabi_slicer.slots import timer

POLL_MS = 100


class Command:
    """One ``manabi`` command in Slicer's Python, in the background.

    Args:
        arguments: after ``manabi``.
        on_end: called in the main thread with the exit status and what the command said, errors included.
        start: starts the process; tests give their own.
    """

    def __init__(
        self, arguments: Sequence[str], on_end: Callable[[int, str], None], start: process.Start | None = None
    ) -> None:
        command = [process.python_executable(), "-m", "manabi", *arguments]
        self._on_end = on_end
        self._process = (start or process.start)(command, dict(os.environ))
        self._said: list[bytes] = []
        self._readers = [self._reader(self._process.stdout), self._reader(self._process.stderr)]
        self._timer = timer(POLL_MS, self._poll)
        self._timer.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return int(self._process.pid)

    @property
    def ended(self) -> bool:
        """Whether it has ended, whichever way."""
        return not self._timer.active

    def cancel(self) -> None:
        """End it with everything it started; ``on_end`` is called as when it ends by itself."""
        from manabi.process_tree import kill_tree

        if not self.ended:
            kill_tree(self.pid)

    def abandon(self) -> None:
        """End it, and tell nobody; for when Slicer or the panel goes."""
        self.cancel()
        self._timer.stop()

    def _reader(self, stream: Iterable[bytes]) -> threading.Thread:
        thread = threading.Thread(target=lambda: self._said.extend(stream), daemon=True)
        thread.start()
        return thread

    def _poll(self) -> None:
        status = self._process.poll()
        if status is None:
            return
        self._timer.stop()
        for reader in self._readers:
            reader.join(1.0)
        self._on_end(status, b"".join(self._said).decode("utf-8", "replace"))
