"""What every denoising filter has in common: parameters that check themselves, ``apply``, and a ``grid`` to tune."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from manabi.errors import InvalidInputError
from manabi.filters.noise import estimate_noise_std, noise_fraction
from manabi.parameters import Parameters

Spacing = float | Sequence[float]
Pairs = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Filter(Parameters, ABC):
    """A classical denoising filter: a frozen dataclass of its parameters.

    Attributes:
        noise_fraction: standard deviation of the noise as a fraction of the image's maximum, so that one setting serves
            images in counts and normalised ones; None estimates the noise of each image by
            :func:`manabi.filters.noise.estimate_noise_std`, which is right for white noise only. Filters that do not
            need the noise ignore it.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    noise_fraction: float | None = field(
        default=None, metadata={"help": "noise standard deviation / image maximum; none: estimated", "low": 0.0}
    )

    def apply(self, image: np.ndarray, spacing_mm: Spacing = 1.0, noise_std: float | None = None) -> np.ndarray:
        """The denoised image.

        Args:
            image: ``(rows, columns)``, or ``(slices, rows, columns)``; not changed.
            spacing_mm: pixel size, one number or one per axis of the array; with 1.0, lengths in mm are in pixels.
            noise_std: standard deviation of the noise in the units of the image, instead of ``noise_fraction``.

        Returns:
            float32, of the shape of ``image``.

        Raises:
            InvalidInputError: for an image that is not 2-D or 3-D, real and finite, or an impossible spacing.
        """
        array = checked_image(image)
        return self._apply(array, _spacings(spacing_mm, array.ndim), self._noise(array, noise_std))

    @classmethod
    @abstractmethod
    def grid(cls) -> list[Self]:
        """The settings that tuning tries; multiples of the noise, so they hold for any count level."""

    @classmethod
    def candidates(cls, pairs: Pairs) -> list[Self]:
        """The grid with what can be measured on (noisy, reference) pairs filled in: here the noise."""
        fraction = noise_fraction(pairs)
        return [cls.of({**vars(one), "noise_fraction": fraction}) for one in cls.grid()]

    @abstractmethod
    def _apply(self, image: np.ndarray, spacing_mm: tuple[float, ...], noise_std: float) -> np.ndarray:
        """Filter a checked float32 image."""

    def _noise(self, image: np.ndarray, noise_std: float | None) -> float:
        if noise_std is None and self.noise_fraction is None:
            return estimate_noise_std(image)
        std = noise_std if noise_std is not None else self.noise_fraction * float(image.max())  # type: ignore[operator]
        if not (np.isfinite(std) and std >= 0) and noise_std is not None:
            raise InvalidInputError(f"noise_std must be a number of at least 0; got {noise_std}.")
        return max(float(std), 0.0)


def checked_image(image: np.ndarray) -> np.ndarray:
    """The image as float32 (a copy where it was not); raises InvalidInputError unless 2-D or 3-D, real and finite."""
    array = np.asarray(image)
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype.kind not in "biuf":
        raise InvalidInputError(
            "A filter takes real numbers in an array (rows, columns) or (slices, rows, columns); got shape "
            f"{array.shape} of {array.dtype}."
        )
    array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise InvalidInputError("The image holds NaN or infinite values. Replace them before filtering.")
    return array


def _spacings(spacing_mm: Spacing, count: int) -> tuple[float, ...]:
    values = np.ravel(np.asarray(spacing_mm, float))
    if values.size == 1:
        values = np.repeat(values, count)
    if values.size != count or not np.isfinite(values).all() or values.min() <= 0:
        raise InvalidInputError(f"spacing_mm must be positive, one number or one for each of {count} axes; "
                                f"got {spacing_mm}.")
    return tuple(float(v) for v in values)
