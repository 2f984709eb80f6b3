"""Ctrl-C: the first one asks the work to stop, the second one stops the process.

A method runs in a thread of its own while the main thread waits, because Python answers signals in the main thread
only, and not while that is inside a long call of a C library.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from manabi.errors import CancelledError

T = TypeVar("T")


class _State:
    """What Ctrl-C has to stop now."""

    def __init__(self) -> None:
        self.cancel: threading.Event | None = None
        self.asked = False


_state = _State()


@contextmanager
def ctrl_c() -> Iterator[None]:
    """Handle Ctrl-C as this module says, within the block; outside the main thread it changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.cancel, _state.asked = None, False
    former = signal.signal(signal.SIGINT, _on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def in_thread(work: Callable[[], T], cancel: threading.Event) -> T:
    """Do ``work`` in a thread, with Ctrl-C setting ``cancel``; returns or raises what it does."""
    outcome: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        """Do the work, and keep what came of it."""
        try:
            outcome.append(work())
        except BaseException as error:  # carried over to the waiting thread, which raises it
            errors.append(error)

    thread = threading.Thread(target=body, name="manabi-run", daemon=True)
    _state.cancel = cancel
    try:
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
    finally:
        _state.cancel = None
    if errors:
        raise errors[0]
    return outcome[0]


def _on_interrupt(_signal: int, _frame: FrameType | None) -> None:
    if _state.cancel is None:
        raise CancelledError("Cancelled. Nothing was written.")
    if _state.asked:
        from manabi.process_tree import kill_tree

        kill_tree(os.getpid(), wait_s=0.5)
        os._exit(130)
    _state.asked = True
    _state.cancel.set()
    sys.stderr.write("Stopping at the next step; press Ctrl-C again to end at once.\n")
