"""What happened during a test: failures that Slicer would show, dialogs, exits, restarts, installations."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


class StandInError(Exception):
    """Something that would fail, block or stay empty in Slicer; recorded, so that catching it does not hide it."""


@dataclass
class Recorder:
    """The record of one test; emptied by :meth:`clear`.

    Attributes:
        failures: each fails the test.
        exits: codes given to ``slicer.util.exit``.
        restarts: how often Slicer was told to restart.
        installed: calls of ``slicer.packaging``, as (function, arguments).
        opened: what was handed to the desktop (``QDesktopServices.openUrl``).
        installer: called with the requirements instead of pip; tests may set it.
    """

    failures: list[str] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    restarts: int = 0
    installed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    installer: Any = None

    def clear(self) -> None:
        """Forget everything."""
        self.__init__()  # type: ignore[misc]

    def fail(self, message: str) -> StandInError:
        """Record a failure; raise what is returned."""
        self.failures.append(message)
        return StandInError(message)

    def exception(self, where: str, error: BaseException) -> None:
        """Record an exception that Slicer prints and goes on after; under ``--testing`` Slicer then ends with 1."""
        text = "".join(traceback.format_exception(error))
        sys.stderr.write(text)
        self.failures.append(f"exception in {where}: {text}")

    @contextmanager
    def expecting(self, text: str) -> Iterator[None]:
        """The body must record a failure that holds ``text``; it is forgotten then. StandInError is caught."""
        before = len(self.failures)
        with suppress(StandInError):
            yield
        new = self.failures[before:]
        self.failures[before:] = [failure for failure in new if text not in failure]
        if len(self.failures) - before == len(new):
            raise AssertionError(f"expected a failure with {text!r}; recorded were {new}")


recorder = Recorder()


def guarded(where: str, function: Any, *args: Any) -> Any:
    """Call a function as Slicer calls Python: an exception is printed and recorded, and does not go further."""
    try:
        return function(*args)
    except Exception as error:
        recorder.exception(where, error)
        return None
