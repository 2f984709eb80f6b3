"""`FilterSpec`: which filter, with which parameters, by whose convention. Costs nothing to import."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manabi.errors import InvalidInputError

PYRADIOMICS = "pyradiomics"
IBSI = "ibsi"
BOUNDARIES = ("zero", "nearest", "periodize", "mirror")
ROTATIONS = ("none", "average", "max")
LAWS_KERNEL = re.compile(r"[LES]3|[LESWR]5")
WAVELET_FAMILY = re.compile(r"haar|dmey|(db|sym|coif)\d{1,2}|(bior|rbio)\d\.\d")

COMMON = ("boundary", "planar")
"""What every IBSI filter that is a convolution takes."""

PARAMETERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("original", PYRADIOMICS): (),
    ("wavelet", PYRADIOMICS): ("family", "level", "start_level", "bands"),
    ("log", PYRADIOMICS): ("sigma_mm",),
    ("square", PYRADIOMICS): (),
    ("squareroot", PYRADIOMICS): (),
    ("logarithm", PYRADIOMICS): (),
    ("exponential", PYRADIOMICS): (),
    ("gradient", PYRADIOMICS): ("use_spacing",),
    ("lbp-2D", PYRADIOMICS): ("radius", "samples"),
    ("mean", IBSI): ("support", *COMMON),
    ("log", IBSI): ("sigma_mm", "truncate", "riesz", *COMMON),
    ("laws", IBSI): ("kernels", "energy_distance", "rotations", "boundary"),
    ("gabor", IBSI): ("sigma_mm", "wavelength_mm", "gamma", "theta_deg", "theta_step_deg", "rotations", *COMMON),
    ("wavelet", IBSI): ("family", "level", "bands", "rotations", *COMMON),
    ("simoncelli", IBSI): ("level", "riesz", "planar"),
    ("shannon", IBSI): ("level", "riesz", "planar"),
}
"""Filter and convention -> the parameters that count for it; the first is what a bare value in a text means."""

KINDS = tuple(dict.fromkeys(kind for kind, _ in PARAMETERS))


@dataclass(frozen=True)
class FilterSpec:
    """One filter of an image; some give several responses (a wavelet gives its bands).

    ``pyradiomics``: names and values of pyradiomics 3.0.1 (van Griethuysen et al. 2017, 10.1158/0008-5472.CAN-17-0339).
    ``ibsi``: Depeursinge et al., IBSI reference manual on convolutional filters (2020, arXiv:2006.05470); Whybra et al.
    2024, 10.1148/radiol.231319. A parameter that does not count for a filter keeps its default; else it is refused.

    Attributes:
        kind: one of :data:`KINDS`.
        mode: "pyradiomics" or "ibsi"; empty means pyradiomics where it knows the filter, else ibsi.
        family: a wavelet of PyWavelets.
        level: decomposition level, from 1. pyradiomics gives the bands of all levels, ibsi those of this level.
        start_level: levels left out before the first one given (pyradiomics).
        bands: such as ("LLH",), letters in x, y, z order ("LH": x, y where planar); empty means all.
        sigma_mm: scale of a Laplacian of Gaussian or of Gabor's envelope.
        truncate: where the Laplacian of Gaussian ends, in sigma.
        kernels: Laws' kernels in x, y, z order ("L5E5E5"), or x, y ("L5E5": slice by slice).
        energy_distance: Chebyshev distance (voxels) of Laws' energy map, or None for the response itself.
        support: side of the mean filter, voxels, odd.
        wavelength_mm: Gabor's wavelength.
        gamma: Gabor's aspect ratio; more than 1 is narrower across.
        theta_deg: Gabor's orientation, clockwise in the (x, y) plane.
        theta_step_deg: orientations in such steps over the whole turn are pooled (averaged, unless rotations is "max");
            0 means theta_deg alone.
        riesz: orders of the Riesz transform in x, y, z, or None.
        rotations: pooling over right-angle rotations: 24 in space, 4 in the plane; Gabor: over the three planes.
        boundary: "zero", "nearest", "periodize" or "mirror" (the border voxel is repeated).
        planar: filter slice by slice.
        use_spacing: a gradient per mm; otherwise per voxel.
        radius: of local binary patterns, pixels.
        samples: of local binary patterns, round the circle.

    Raises:
        InvalidInputError: an unknown filter, or a parameter out of its range or foreign to the filter.
    """

    kind: str
    mode: str = ""
    family: str = "coif1"
    level: int = 1
    start_level: int = 0
    bands: tuple[str, ...] = ()
    sigma_mm: float | None = None
    truncate: float = 4.0
    kernels: str = ""
    energy_distance: int | None = None
    support: int | None = None
    wavelength_mm: float | None = None
    gamma: float = 1.0
    theta_deg: float = 0.0
    theta_step_deg: float = 0.0
    riesz: tuple[int, ...] | None = None
    rotations: str = "none"
    boundary: str = "mirror"
    planar: bool = False
    use_spacing: bool = True
    radius: float = 1.0
    samples: int = 8

    def __post_init__(self) -> None:
        """Settle the convention, put lists into tuples, and refuse what does not fit."""
        from manabi.radiomics.filters.check import check, settled

        for name, value in settled(self).items():
            object.__setattr__(self, name, value)
        check(self)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that count for this filter."""
        return {name: getattr(self, name) for name in PARAMETERS[self.kind, self.mode]}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: kind, mode, and the parameters that count."""
        values = {"kind": self.kind, "mode": self.mode, **self.parameters}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FilterSpec:
        """The filter that :meth:`to_dict` wrote.

        Raises:
            InvalidInputError: a name that is no parameter, or a value out of its range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown or "kind" not in values:
            raise InvalidInputError(
                f"A filter has a kind and may have {sorted(known - {'kind'})}; got {sorted(values)}. Correct the names."
            )
        return cls(**values)

    @classmethod
    def parse(cls, text: str) -> FilterSpec:
        """A filter from a short text.

        ``wavelet``, ``log:sigma_mm=3``, ``log:3,mode=ibsi``, ``laws:L5E5E5,energy_distance=7,rotations=max``,
        ``wavelet:db3,mode=ibsi,bands=LLH+LHL``, ``gabor:5,wavelength_mm=2,theta_step_deg=22.5,planar=true``.

        Raises:
            InvalidInputError: the text does not follow that form.
        """
        from manabi.radiomics.filters.text import parsed

        return cls.from_dict(parsed(text))

    def __str__(self) -> str:
        """The short text from which :meth:`parse` makes this filter again."""
        from manabi.radiomics.filters.text import written

        return written(self)

    def to_pyradiomics(self) -> tuple[str, dict[str, Any]]:
        """Image type and its arguments, for pyradiomics' ``enableImageTypeByName``.

        Raises:
            InvalidInputError: pyradiomics does not have this filter.
        """
        from manabi.radiomics.filters.names import pyradiomics_type

        return pyradiomics_type(self)


def reach_mm(spec: FilterSpec, spacing_mm: tuple[float, float, float] | None = None) -> float:
    """How far from a voxel its response reads the image, mm; see :func:`manabi.radiomics.filters.reach.reach_mm`."""
    from manabi.radiomics.filters.reach import reach_mm as reach

    return reach(spec, spacing_mm)


def positive(value: Any) -> bool:
    """Whether a value is a finite number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
