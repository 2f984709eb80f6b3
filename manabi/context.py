"""Everything about *how* a method runs that is not the method's own: device, progress, cancellation, seed, model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from manabi.errors import CancelledError

Precision = Literal["auto", "float32", "bfloat16", "float16"]
ProgressCallback = Callable[[float, str], None]


@dataclass
class Context:
    """How a run is done.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; what was taken is in the provenance.
        precision: arithmetic of the networks; ``auto`` takes what the method's model allows and the device has.
        on_progress: called with a fraction from 0 to 1 and a short text; may be called from the running thread only.
        cancel: set it (from any thread) to stop the run at the next step.
        seed: everything random in the run follows from it.
        bundle: name, or path, of the bundle to use instead of the method's default.
        memory_limit_mb: upper bound for the memory that inference plans with; None takes what is free.
        warnings: what was changed to make the run work; filled while it runs.
        used_device: the device that did the work, filled while it runs.
        used_precision: arithmetic of the networks that was taken, filled while it runs.
        used_bundle: provenance of the bundle that did the work, filled while it runs.
    """

    device: str = "auto"
    precision: Precision = "auto"
    on_progress: ProgressCallback | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    seed: int = 0
    bundle: str | None = None
    memory_limit_mb: float | None = None
    warnings: list[str] = field(default_factory=list)
    used_device: str | None = None
    used_precision: Precision | None = None
    used_bundle: dict[str, str] | None = None
    _span: tuple[float, float] = (0.0, 1.0)

    def check_cancelled(self) -> None:
        """Raise CancelledError if the run was cancelled."""
        if self.cancel.is_set():
            raise CancelledError("Cancelled. Nothing was written.")

    def progress(self, fraction: float, text: str = "") -> None:
        """Report progress (within the current span) and stop if the run was cancelled."""
        self.check_cancelled()
        if self.on_progress is not None:
            low, high = self._span
            self.on_progress(low + (high - low) * min(max(fraction, 0.0), 1.0), text)

    def warn(self, text: str) -> None:
        """Record something the user should know about how the run was done (once)."""
        if text not in self.warnings:
            self.warnings.append(text)

    def span(self, low: float, high: float) -> Span:
        """``with context.span(0.2, 0.8):`` scales the progress reported inside."""
        return Span(self, low, high)


class Span:
    """Scales progress within a part of a run."""

    def __init__(self, context: Context, low: float, high: float) -> None:
        self._context, self._low, self._high = context, low, high

    def __enter__(self) -> Context:
        self._outer = self._context._span
        low, high = self._outer
        width = high - low
        self._context._span = (low + width * self._low, low + width * self._high)
        return self._context

    def __exit__(self, *_: object) -> None:
        self._context._span = self._outer
