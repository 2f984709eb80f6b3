"""Functions as the slots of signals, and called by timers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import qt


def calling(function: Callable[..., Any], *given: Any) -> Callable[..., None]:
    """A slot that calls ``function(*given)``; what the signal brings along is left out."""
    return partial(_call, function, given)


def timer(interval_ms: int, function: Callable[[], None]) -> qt.QTimer:
    """A timer that calls a function again and again, once it is started."""
    made = qt.QTimer()
    made.setInterval(interval_ms)
    made.connect("timeout()", function)
    return made


def _call(function: Callable[..., Any], given: tuple[Any, ...], *_brought: object) -> None:
    function(*given)
