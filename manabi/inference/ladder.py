"""The out-of-memory ladder: smaller batch, smaller window, processor, and only then an error.

Every step is recorded in the context's warnings, in words that say what it means for the result.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from manabi.context import Context
from manabi.errors import OutOfMemoryError
from manabi.geometry import Shape

T = TypeVar("T")
_SIGNS_OF_SHORTAGE = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "alloc_failed",
)


@dataclass(frozen=True)
class Setting:
    """How a network is run: a rung of the ladder.

    Attributes:
        device: torch device string.
        batch: windows, or slices, in one forward pass.
        window: KJI size of a window; None where the work has no windows (slices).
        smallest: KJI size below which a window is not halved.
        multiple: window sizes are multiples of it.
    """

    device: str
    batch: int
    window: Shape | None = None
    smallest: Shape = (1, 1, 1)
    multiple: int = 1

    def smaller(self) -> Setting | None:
        """The next rung on the same device: half the batch, then half the longest side; None below the last."""
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        window = None if self.window is None else halved(self.window, self.smallest, self.multiple)
        return None if window is None else replace(self, window=window)


def halved(window: Shape, smallest: Shape, multiple: int) -> Shape | None:
    """The window with its longest side that can still shrink halved (rounded up); None when none can."""
    sides = list(window)
    for axis in sorted(range(3), key=lambda a: (-sides[a], a)):
        half = -(-sides[axis] // (2 * multiple)) * multiple
        shorter = max(half, smallest[axis])
        if shorter < sides[axis]:
            sides[axis] = shorter
            return sides[0], sides[1], sides[2]
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch, numpy or Python says that memory ran out (on whatever device)."""
    if isinstance(error, OutOfMemoryError):
        return False
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS_OF_SHORTAGE)


def climb_down(
    device: str, plan: Callable[[str], Setting], attempt: Callable[[Setting], T], context: Context
) -> T:
    """Attempt the work, with less memory after each shortage.

    Args:
        device: where to begin.
        plan: the first setting for a device.
        attempt: does the work from the start; raises torch's or Python's out-of-memory error when memory runs out.
        context: gets the warnings and the device that did the work.

    Raises:
        OutOfMemoryError: when the last step, on the processor, did not fit either.
    """
    setting: Setting | None = None
    while True:
        try:
            setting = setting or plan(device)
            context.used_device = device
            return attempt(setting)
        except (RuntimeError, MemoryError) as error:
            lacking = _lacking(error, device)
            if lacking is None:
                raise
            last_words = str(error).partition("\n")[0]
        _release(device)
        setting, device = _next(setting, device, lacking, last_words, context)


def _lacking(error: BaseException, device: str) -> str | None:
    """``memory``, or ``an operation`` that the device does not have, or None for any other error."""
    if is_out_of_memory(error):
        return "memory"
    if device == "mps" and isinstance(error, NotImplementedError):
        return "an operation"
    return None


def _next(
    setting: Setting | None, device: str, lacking: str, last_words: str, context: Context
) -> tuple[Setting | None, str]:
    """The next rung and its device, with its warning; a setting of None is planned afresh."""
    smaller = setting.smaller() if setting is not None and lacking == "memory" else None
    if setting is not None and smaller is not None:
        context.warn(_words(setting, smaller))
        return smaller, device
    if device != "cpu":
        context.warn(
            f"The graphics card ({device}) lacks {lacking} for this image, even in small parts; "
            "the processor did the work, which is slower."
        )
        return None, "cpu"
    raise OutOfMemoryError(
        "This image does not fit into memory, even in the smallest parts on the processor. Close other programs, "
        f"crop the image to the part of interest, or use a computer with more memory. (torch said: {last_words})"
    )


def _words(before: Setting, after: Setting) -> str:
    where = "The computer" if before.device == "cpu" else f"The graphics card ({before.device})"
    if after.batch < before.batch:
        return (
            f"{where} ran out of memory; {after.batch} instead of {before.batch} parts were computed at a time. "
            "The result is the same."
        )
    return (
        f"{where} ran out of memory with parts of {sides(before.window)} voxels; parts of {sides(after.window)} were "
        "used. Near their borders the result can differ slightly."
    )


def sides(window: Shape | None) -> str:
    """A window as users read it: ``256×256×96``, columns by rows by slices."""
    return "×".join(str(n) for n in reversed(window or ()))


def _release(device: str) -> None:
    """Give memory of the failed attempt back before the next one."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps" and torch.backends.mps.is_available():
        torch.mps.empty_cache()
