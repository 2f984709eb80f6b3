"""What settings may be: one check for each kind of field, with errors that name it and say what it may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from manabi.errors import InvalidInputError
from manabi.radiomics.texture.options import AGGREGATIONS

if TYPE_CHECKING:
    from manabi.radiomics.settings import ExtractionSettings

Spacing = tuple[float | None, float | None, float | None]
Range = tuple[float | None, float | None]


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        raise InvalidInputError(f"{name} must be one of {', '.join(choices)}; got {value!r}.")


def spacing(value: Any) -> Spacing | None:
    """The spacing as three numbers or None each; None where nothing is resampled."""
    if value is None:
        return None
    sides = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 3
    if len(sides) != 3 or not all(s is None or (is_number(s) and s > 0) for s in sides):
        raise InvalidInputError(
            f"resample_mm must be one positive number or three (slice, row, column), None to keep an axis; got {value}."
        )
    k, j, i = (None if s is None else float(s) for s in sides)
    return None if (k, j, i) == (None, None, None) else (k, j, i)


def intensity_range(value: Any) -> Range | None:
    """The range as two numbers or None each; None where it is open at both ends."""
    if value is None:
        return None
    ends = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(ends) != 2 or not all(e is None or is_number(e) for e in ends):
        raise InvalidInputError(f"resegment_hu must be two numbers (lowest, highest), None where open; got {value}.")
    low, high = (None if e is None else float(e) for e in ends)
    if low is not None and high is not None and low >= high:
        raise InvalidInputError(f"resegment_hu must go from a lower to a higher intensity; got {low:g} to {high:g}.")
    return None if low is None and high is None else (low, high)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number and not a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def numbers(settings: ExtractionSettings) -> None:
    """Refuse numbers which cannot be meant."""
    for name in ("outlier_sigma", "bin_width", "ivh_bin_width", "normalise_scale"):
        value = getattr(settings, name)
        if value is not None and not (is_number(value) and value > 0):
            raise InvalidInputError(f"{name} must be a positive number or None; got {value!r}.")
    for name, least in (("bin_count", 2), ("ivh_bin_count", 2)):
        value = getattr(settings, name)
        if value is not None and not (isinstance(value, int) and value >= least):
            raise InvalidInputError(f"{name} must be a whole number of at least {least}, or None; got {value!r}.")
    if not is_number(settings.energy_shift):
        raise InvalidInputError(f"energy_shift must be a number; got {settings.energy_shift!r}.")
    for first, second in (("bin_width", "bin_count"), ("ivh_bin_width", "ivh_bin_count")):
        if getattr(settings, first) is not None and getattr(settings, second) is not None:
            raise InvalidInputError(f"Give either {first} or {second}, not both.")


def families(settings: ExtractionSettings, known: tuple[str, ...]) -> None:
    """Refuse families which the mode does not have, and settings that would extract nothing."""
    if unknown := sorted(set(settings.families) - set(known)):
        raise InvalidInputError(f"Families of mode {settings.mode} are {', '.join(known)}; got {', '.join(unknown)}.")
    one_of("aggregation", settings.aggregation, AGGREGATIONS)
    if not settings.original and not settings.filters:
        raise InvalidInputError("Nothing to extract from: set original, or give filters.")


def convention(settings: ExtractionSettings) -> None:
    """Refuse what the chosen convention does not have."""
    if settings.mode == "pyradiomics":
        if settings.round_hu or settings.ivh_bin_width is not None or settings.ivh_bin_count is not None:
            raise InvalidInputError("round_hu, ivh_bin_width and ivh_bin_count belong to mode ibsi; leave them out.")
        if settings.resegment_hu is not None and settings.outlier_sigma is not None:
            raise InvalidInputError("pyradiomics re-segments once: give resegment_hu or outlier_sigma, not both.")
        return
    if settings.engine == "pyradiomics":
        raise InvalidInputError("The engine pyradiomics computes in mode pyradiomics only.")
    if settings.normalise_scale is not None or settings.energy_shift:
        raise InvalidInputError("normalise_scale and energy_shift belong to mode pyradiomics; leave them out.")
