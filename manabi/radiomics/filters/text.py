"""Filters as short texts: ``log:3,mode=ibsi``."""

from __future__ import annotations

import dataclasses
from typing import Any

from manabi.errors import InvalidInputError
from manabi.radiomics.filters.spec import KINDS, PARAMETERS, FilterSpec

WHOLE = ("level", "start_level", "energy_distance", "support", "samples")
REAL = ("sigma_mm", "truncate", "wavelength_mm", "gamma", "theta_deg", "theta_step_deg", "radius")
FLAGS = ("planar", "use_spacing")


def parsed(text: str) -> dict[str, Any]:
    """The values of a text; see :meth:`FilterSpec.parse`.

    Raises:
        InvalidInputError: the text does not follow the form, or names what is no parameter.
    """
    kind, _, rest = str(text).strip().partition(":")
    kinds = {name.lower(): name for name in KINDS}
    if kind.strip().lower() not in kinds:
        raise InvalidInputError(f"A filter begins with one of {', '.join(KINDS)}; got {text!r}.")
    kind = kinds[kind.strip().lower()]
    values: dict[str, Any] = {"kind": kind}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            name, value = _main(kind, text), name
        if name in values:
            raise InvalidInputError(f"{name} stands twice in the filter {text!r}. Give it once.")
        values[name] = _value(name, value, text)
    return values


def written(spec: FilterSpec) -> str:
    """The text of a filter: kind, mode, and what differs from the defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(spec)}
    parts = [f"{name}={_text(value)}" for name, value in spec.parameters.items() if value != defaults[name]]
    return f"{spec.kind}:" + ",".join([f"mode={spec.mode}", *parts])


def _main(kind: str, text: str) -> str:
    """The parameter that a bare value means."""
    for (name, _), parameters in PARAMETERS.items():
        if name == kind and parameters:
            return parameters[0]
    raise InvalidInputError(f"{kind} takes no value; got {text!r}.")


def _value(name: str, value: str, text: str) -> Any:
    """One value from its text."""
    try:
        if name in WHOLE:
            return int(value)
        if name in REAL:
            return float(value)
        if name in FLAGS:
            return {"true": True, "false": False}[value.lower()]
        if name == "bands":
            return tuple(value.split("+"))
        if name == "riesz":
            return tuple(int(order) for order in value.split("+"))
    except (ValueError, KeyError):
        raise InvalidInputError(f"{name} cannot be {value!r} in the filter {text!r}.") from None
    return value


def _text(value: Any) -> str:
    """One value as text."""
    if isinstance(value, bool):
        return str(value).lower()
    return "+".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
