"""What a filter's parameters may be."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from manabi.errors import InvalidInputError
from manabi.radiomics.filters import spec as of
from manabi.radiomics.filters.spec import FilterSpec

LEVELS = 8
"""Deeper than this a wavelet of any image holds nothing but its mean (our choice)."""


def settled(spec: FilterSpec) -> dict[str, Any]:
    """Values that are put in another form: the convention filled in, lists as tuples, capitals, whole floats.

    Raises:
        InvalidInputError: the filter is unknown, or not to be had by that convention.
    """
    values: dict[str, Any] = {"mode": _mode(spec)}
    bands = (spec.bands,) if isinstance(spec.bands, str) and spec.bands else spec.bands
    values["bands"] = tuple(str(band).upper() for band in bands)
    values["kernels"] = str(spec.kernels).upper()
    values["riesz"] = None if spec.riesz is None else tuple(spec.riesz)
    for name in ("sigma_mm", "wavelength_mm", "truncate", "gamma", "theta_deg", "theta_step_deg", "radius"):
        value = getattr(spec, name)
        values[name] = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return values


def _mode(spec: FilterSpec) -> str:
    """The convention that is asked for, else the filter's first."""
    if spec.kind not in of.KINDS:
        raise InvalidInputError(f"kind must be one of {', '.join(of.KINDS)}; got {spec.kind!r}.")
    modes = [mode for kind, mode in of.PARAMETERS if kind == spec.kind]
    if spec.mode and spec.mode not in modes:
        raise InvalidInputError(f"{spec.kind} is to be had by {' or '.join(modes)}; got mode {spec.mode!r}.")
    return spec.mode or modes[0]


def check(spec: FilterSpec) -> None:
    """Refuse a parameter that is out of its range or foreign to the filter.

    Raises:
        InvalidInputError: naming the parameter, what it may be, and what came.
    """
    counted = of.PARAMETERS[spec.kind, spec.mode]
    for field in dataclasses.fields(spec):
        value, name = getattr(spec, field.name), field.name
        if name in ("kind", "mode"):
            continue
        if name not in counted:
            if value != field.default:
                raise InvalidInputError(
                    f"{name} does not count for {spec.kind} ({spec.mode}), which takes "
                    f"{', '.join(counted) or 'no parameters'}. Leave it out."
                )
            continue
        fits, expected = RULES[name]
        if not fits(spec, value):
            raise InvalidInputError(f"{spec.kind}: {name} must be {expected}; got {value!r}.")


def _whole(low: int, high: float = math.inf) -> Callable[[FilterSpec, Any], bool]:
    """Whether a value is a whole number of a range."""
    return lambda spec, value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _positive(spec: FilterSpec, value: Any) -> bool:
    """Whether a value is a finite number above 0."""
    return of.positive(value)


def _bands(spec: FilterSpec, value: Any) -> bool:
    """Whether every band has one letter for each axis and stands there once."""
    size = 2 if spec.planar else 3
    return len(set(value)) == len(value) and all(len(band) == size and set(band) <= set("LH") for band in value)


def _laws(spec: FilterSpec, value: Any) -> bool:
    """Whether a text is two or three of Laws' kernels."""
    return len(value) in (4, 6) and all(of.LAWS_KERNEL.fullmatch(value[n : n + 2]) for n in range(0, len(value), 2))


def _riesz(spec: FilterSpec, value: Any) -> bool:
    """Whether the orders of a Riesz transform are whole numbers, one for each axis, and not all 0."""
    if value is None:
        return True
    size = 2 if spec.planar else 3
    return len(value) == size and all(_whole(0, 8)(spec, order) for order in value) and sum(value) > 0


def _support(spec: FilterSpec, value: Any) -> bool:
    """Whether a side is an odd number of voxels."""
    return _whole(1)(spec, value) and value % 2 == 1


def _degrees(spec: FilterSpec, value: Any) -> bool:
    """Whether a value is a finite angle."""
    return isinstance(value, float) and math.isfinite(value)


def _step(spec: FilterSpec, value: Any) -> bool:
    """Whether steps of an angle fill the turn: 0 is none."""
    return _degrees(spec, value) and (value == 0 or 0 < value <= 360 and abs(360 / value - round(360 / value)) < 1e-9)


def _one_of(*choices: Any) -> Callable[[FilterSpec, Any], bool]:
    """Whether a value is one of several, and of their type."""
    return lambda spec, value: value in choices and type(value) is type(choices[0])


RULES: dict[str, tuple[Callable[[FilterSpec, Any], bool], str]] = {
    "family": (
        lambda spec, value: isinstance(value, str) and bool(of.WAVELET_FAMILY.fullmatch(value)),
        "a wavelet of PyWavelets, such as coif1, db3, haar, bior2.4",
    ),
    "level": (_whole(1, LEVELS), f"a whole number from 1 to {LEVELS}"),
    "start_level": (_whole(0, LEVELS), f"a whole number from 0 to {LEVELS}"),
    "bands": (_bands, "texts of L and H, one letter for each axis filtered (x, y, z), each once; or empty for all"),
    "sigma_mm": (_positive, "a length above 0 mm"),
    "truncate": (_positive, "a number above 0"),
    "kernels": (_laws, "two or three of L3 E3 S3 L5 E5 S5 W5 R5, such as L5E5E5"),
    "energy_distance": (lambda spec, value: value is None or _whole(0)(spec, value), "a number of voxels, or None"),
    "support": (_support, "an odd number of voxels"),
    "wavelength_mm": (_positive, "a length above 0 mm"),
    "gamma": (_positive, "a number above 0"),
    "theta_deg": (_degrees, "an angle in degrees"),
    "theta_step_deg": (_step, "an angle that divides 360 degrees, or 0"),
    "riesz": (_riesz, "orders of 0 to 8, one for each axis filtered (x, y, z) and not all 0; or None"),
    "rotations": (_one_of(*of.ROTATIONS), f"one of {', '.join(of.ROTATIONS)}"),
    "boundary": (_one_of(*of.BOUNDARIES), f"one of {', '.join(of.BOUNDARIES)}"),
    "planar": (_one_of(True, False), "True or False"),
    "use_spacing": (_one_of(True, False), "True or False"),
    "radius": (_positive, "a number of pixels above 0"),
    "samples": (_whole(2, 64), "a whole number from 2 to 64"),
}
"""Parameter -> whether a value fits, and what is expected."""
