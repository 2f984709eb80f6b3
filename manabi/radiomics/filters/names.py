"""Names of responses, and pyradiomics' names of filters. Names hold no "_": it ends the image's part of a feature's."""

from __future__ import annotations

from typing import Any

from manabi.errors import InvalidInputError
from manabi.radiomics.filters.spec import PYRADIOMICS, FilterSpec

TYPES = {
    "original": "Original",
    "wavelet": "Wavelet",
    "log": "LoG",
    "square": "Square",
    "squareroot": "SquareRoot",
    "logarithm": "Logarithm",
    "exponential": "Exponential",
    "gradient": "Gradient",
    "lbp-2D": "LBP2D",
}
"""Our filter -> pyradiomics' image type."""

SHORT = {
    "sigma_mm": "sigma",
    "wavelength_mm": "lambda",
    "theta_deg": "theta",
    "theta_step_deg": "step",
    "energy_distance": "energy",
}
SILENT = {"family", "bands", "kernels", "support"}
"""Parameters whose value stands without their name."""


def number(value: float) -> str:
    """A number as pyradiomics writes it into names: 3.0 -> "3-0"."""
    return str(value).replace(".", "-")


def ibsi_name(spec: FilterSpec, band: str = "") -> str:
    """The name of a response by the IBSI convention: the filter and whatever differs from the defaults.

    Such as ``ibsi-log-sigma-3-0``, ``ibsi-wavelet-coif1-LLH-rotations-max``, ``ibsi-laws-L5E5E5-energy-7``.
    """
    parts = ["ibsi", spec.kind]
    defaults = FilterSpec.__dataclass_fields__
    for name, value in spec.parameters.items():
        if name == "bands":
            parts.append(band)
        elif name == "family" or value != defaults[name].default:
            parts += [_part(value)] if name in SILENT else [SHORT.get(name, name), _part(value)]
    return "-".join(filter(None, parts))


def _part(value: Any) -> str:
    """One value in a name."""
    if isinstance(value, tuple):
        return "".join(str(v) for v in value)
    return number(value) if not isinstance(value, bool) else str(value).lower()


def pyradiomics_type(spec: FilterSpec) -> tuple[str, dict[str, Any]]:
    """pyradiomics' image type and its arguments.

    Raises:
        InvalidInputError: pyradiomics does not have the filter, or cannot leave bands out.
    """
    if spec.mode != PYRADIOMICS:
        raise InvalidInputError(f"pyradiomics has no {spec.kind} by the IBSI convention. Choose the built-in engine.")
    if spec.bands:
        raise InvalidInputError("pyradiomics cannot choose bands of a wavelet; it gives all eight. Leave bands out.")
    arguments: dict[str, dict[str, Any]] = {
        "wavelet": {"wavelet": spec.family, "level": spec.level, "start_level": spec.start_level},
        "log": {"sigma": [spec.sigma_mm]},
        "gradient": {"gradientUseSpacing": spec.use_spacing},
        "lbp-2D": {"lbp2DRadius": spec.radius, "lbp2DSamples": spec.samples},
    }
    return TYPES[spec.kind], arguments.get(spec.kind, {})
