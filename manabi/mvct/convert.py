"""Running a converter over a volume, and putting its answer where it is wanted and nowhere else.

The network's input is cut to its window; its answer is turned into a correction in HU. Above the window the correction
fades to nothing over :data:`PASS_HU`, so that dense bone and metal keep their HU to whatever the input holds; below it
the correction is that of the window's floor, so that nothing is ever painted with the floor itself (our choices; the
authors' code cuts bone at its window and fills with the floor).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from manabi.context import Context
from manabi.errors import CorruptModelError
from manabi.mvct.prepare import Crop, Work
from manabi.mvct.window import HuWindow

if TYPE_CHECKING:
    import torch

    from manabi.bundle import Bundle
    from manabi.context import Precision

PASS_HU = 1000.0
"""Width above the window over which the correction fades: HU stay in order for corrections up to this (our choice)."""
BATCH = 4
"""Slices per forward pass; more are not faster on a processor (measured: see the benchmark) and need more memory."""
CHUNK = 32
"""Slices whose inputs are in memory at a time."""


@dataclass(frozen=True)
class Settings:
    """How a bundle's network is applied.

    Attributes:
        kind: ``mvct`` or ``cbct``.
        source: window of the input.
        target: window of the output.
        pixel_mm: pixel size along I and J that the network was trained at; None for any.
        context: number of slices the network sees (odd); the middle one is converted.
        slice_mm: distance of these slices; None takes the input's neighbours, whatever their distance.
        precisions: arithmetic in which the model was checked.
    """

    kind: str = "mvct"
    source: HuWindow = HuWindow()
    target: HuWindow = HuWindow()
    pixel_mm: tuple[float, float] | None = None
    context: int = 1
    slice_mm: float | None = None
    precisions: tuple[Precision, ...] = ("float32",)

    @classmethod
    def of(cls, bundle: Bundle) -> Settings:
        """The settings in a bundle's metadata, section ``mvct``.

        Raises:
            CorruptModelError: where they cannot be meant.
        """
        facts: Mapping[str, Any] = bundle.metadata["manabi"].get("mvct", {})
        pixel, slices = facts.get("spacing_mm"), int(facts.get("context_slices", 1))
        kind = facts.get("kind", "mvct")
        if kind not in ("mvct", "cbct") or slices < 1 or slices % 2 == 0:
            raise CorruptModelError(
                f"Bundle {bundle.name} says kind={kind!r} and context_slices={slices}; expected mvct or cbct, and an "
                "odd number of slices. Get the bundle again from where it came."
            )
        return cls(
            kind,
            HuWindow.of(facts.get("window_source", (-1000.0, 1000.0))),
            HuWindow.of(facts.get("window_target", (-1000.0, 1000.0))),
            None if pixel is None else (float(pixel[0]), float(pixel[1])),
            slices,
            None if facts.get("slice_mm") is None else float(facts["slice_mm"]),
            bundle.precision,  # type: ignore[arg-type]
        )


class Converter:
    """A network on one input: HU in, HU out, slice by slice within a crop.

    Args:
        network: ``network(x)`` converts ``(m, context, rows, columns)`` to ``(m, 1, rows, columns)``, both scaled to
            -1 … 1; ``network.back(y)`` converts back.
        settings: of its bundle.
        work: the input.
        crop: the part to convert.
        context: device, precision, progress, cancellation.
    """

    def __init__(self, network: nn.Module, settings: Settings, work: Work, crop: Crop, context: Context) -> None:
        self.network, self.settings, self.context = network, settings, context
        self.work, self.crop = work, crop
        self.hu = crop.of(work.hu)
        self._step = 1.0 if settings.slice_mm is None else settings.slice_mm / float(work.image.spacing_mm[2])

    @property
    def can_go_back(self) -> bool:
        """Whether the network holds the way back, for the cycle residual."""
        return bool(getattr(self.network, "has_return", False))

    def converted(self, hu: np.ndarray | None = None) -> np.ndarray:
        """HU ``(m, rows, columns)`` that the network says, for the crop's slices.

        Args:
            hu: the crop's HU, all its slices; None takes the input's.
        """
        source = self.settings.source.scaled(self.hu if hu is None else hu)
        return self.settings.target.hu(self._run(source, self.network))

    def residual(self, converted: np.ndarray) -> np.ndarray:
        """Cycle residual in HU: what the way back makes of ``converted``, minus the input within its window.

        Args:
            converted: of :meth:`converted`.
        """
        whole = np.array(self.hu)
        whole[self.crop.slices] = converted
        again = self.settings.source.hu(self._run(self.settings.target.scaled(whole), _Back(self.network)))
        return again - self.settings.source.clipped(self.hu[self.crop.slices])

    def correction(self, converted: np.ndarray) -> np.ndarray:
        """Converted minus input, HU ``(m, rows, columns)``; the input is cut to the network's window first."""
        return converted - self.settings.source.clipped(self.hu[self.crop.slices])

    def _run(self, scaled: np.ndarray, network: nn.Module) -> np.ndarray:
        """Outputs ``(m, rows, columns)``, -1 … 1, of the crop's slices, from all slices scaled to -1 … 1."""
        from manabi.inference import predict_stack

        numbers, out = self.crop.slices, []
        for first in range(0, len(numbers), CHUNK):
            chunk = numbers[first : first + CHUNK]
            stack = context_stack(scaled, chunk, self.settings.context, self._step)
            with self.context.span(first / len(numbers), (first + len(chunk)) / len(numbers)):
                part = predict_stack(
                    network, stack, context=self.context, batch=BATCH, allowed_precisions=self.settings.precisions
                )
            out.append(np.clip(part[:, 0], -1.0, 1.0))
        return np.concatenate(out)


class _Back(nn.Module):
    """The way back of a pair as a network of its own."""

    def __init__(self, pair: nn.Module) -> None:
        super().__init__()
        self.pair = pair

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return self.pair.back(y)  # type: ignore[operator]


def context_stack(hu: np.ndarray, numbers: np.ndarray, context: int, step: float = 1.0) -> np.ndarray:
    """Slices with their neighbours, ``(m, context, rows, columns)``.

    Args:
        hu: ``(n, rows, columns)``.
        numbers: the m slices in the middle.
        context: odd number of slices.
        step: distance of the neighbours in slices; between two slices they are interpolated linearly. Beyond the ends
            the last slice is repeated.
    """
    half = context // 2
    places = np.clip(numbers[:, None] + step * np.arange(-half, half + 1), 0, len(hu) - 1)
    below = np.floor(places).astype(int)
    share = (places - below).astype(np.float32)
    stack = hu[below]
    if share.any():
        above = hu[np.minimum(below + 1, len(hu) - 1)]
        stack = stack + share[:, :, None, None] * (above - stack)
    return np.asarray(stack, np.float32)


def passing(hu: np.ndarray, window: HuWindow) -> np.ndarray:
    """Share of the correction that applies at an HU: 1 up to the window's upper bound, 0 from PASS_HU above it."""
    return np.clip((window.high + PASS_HU - hu) / PASS_HU, 0.0, 1.0).astype(np.float32)


def applied(
    work: Work,
    correction: np.ndarray,
    window: HuWindow,
    fade: np.ndarray | None = None,
    strength: float = 1.0,
    way_back: str = "correction",
) -> np.ndarray:
    """The converted image at the input's own voxels, in the order of ``work.straight``; float32 HU.

    Args:
        work: the input.
        correction: HU on the work grid.
        window: of the input; see :func:`passing`.
        fade: of :func:`manabi.mvct.prepare.fading` on the work grid; None corrects everywhere.
        strength: share of the correction.
        way_back: ``correction`` adds the interpolated correction to the input's own values; ``resample`` takes the
            values of the work grid. Without resampling both are the same.
    """
    before = np.asarray(work.straight.array)
    if not work.resampled:
        change = correction.astype(np.float32, copy=True)
    elif way_back == "resample":
        change = work.to_straight(work.hu + correction, float(before.min())) - before
    else:
        change = np.array(work.to_straight(correction))
    change *= passing(before, window)
    if fade is not None:
        change *= work.to_straight(fade)
    if strength != 1.0:
        change *= np.float32(strength)
    if work.padding is not None:
        change[work.padding] = 0.0
    return before + change
