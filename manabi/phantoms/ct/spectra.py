"""Photon spectra of planning, cone-beam and megavoltage imaging beams, in a few energy bins.

The tube's spectrum is Kramers' law with tungsten's lines, filtered by aluminium and copper (H. A. Kramers, 1923,
10.1080/14786442308565244). The megavoltage one has the same law at 3.5 MeV, filtered by a thick target (TomoTherapy's
imaging beam: K. J. Ruchala et al., 1999, 10.1088/0031-9155/44/10/316; R. Jeraj et al., 2004,
10.1118/1.1639148). Both give the mean
energies that are published for such beams, not their fine structure (our choice): in the Compton plateau the shape of
the megavoltage spectrum hardly changes any tissue's value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.materials import Material, material_of

LINES_KEV = ((58.0, 0.30), (59.3, 0.52), (67.2, 0.17), (69.1, 0.05))
"""Tungsten's K lines and their relative strength."""
LINE_SHARE = 0.09
"""Share of a 120 kVp tube's photons in the K lines; it grows from the K edge on (our choice, after TASMIP's tables)."""
K_EDGE_KEV = 69.5
MV_NOMINAL_MEV = 3.5


@dataclass(frozen=True)
class Spectrum:
    """What a detector weighs: energies and their share of the signal of the open beam.

    Attributes:
        energies_kev: mean energy of each bin.
        weights: detected signal of each bin without an object; sums to 1.
    """

    energies_kev: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is not a spectrum."""
        if len(self.energies_kev) != len(self.weights) or not self.weights:
            raise InvalidInputError("A spectrum needs as many weights as energies, and at least one.")
        if min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-6:
            raise InvalidInputError(f"A spectrum's weights are positive and sum to 1; got {self.weights}.")

    @property
    def mean_kev(self) -> float:
        """Signal-weighted mean energy."""
        return float(np.dot(self.energies_kev, self.weights))

    def attenuation(self, material: Material | str) -> np.ndarray:
        """Linear attenuation of a material in 1/mm at each energy ``(k,)``."""
        return material_of(material).attenuation(np.array(self.energies_kev))

    def transmission(self, material: Material | str, length_mm: np.ndarray | float) -> np.ndarray:
        """Share of the signal left behind a thickness of one material, same shape as ``length_mm``."""
        length = np.asarray(length_mm, float)
        return np.exp(-length[..., None] * self.attenuation(material)) @ np.array(self.weights)

    def effective_attenuation(self, material: Material | str, behind_mm: float = 200.0) -> float:
        """Attenuation in 1/mm of a thin piece behind that much water, as a scanner's correction sees it."""
        left = np.array(self.weights) * np.exp(-behind_mm * self.attenuation("water"))
        return float(np.dot(left, self.attenuation(material)) / left.sum())


def kv_spectrum(kvp: float = 120.0, aluminium_mm: float = 7.0, copper_mm: float = 0.25, bins: int = 10) -> Spectrum:
    """A tube's spectrum, weighed by energy as a scintillator does.

    Args:
        kvp: tube voltage, 60 to 150 kV.
        aluminium_mm: filtration in mm of aluminium.
        copper_mm: and of copper.
        bins: energy bins.
    """
    if not 60 <= kvp <= 150:
        raise InvalidInputError(f"The tube voltage must be 60 to 150 kV; got {kvp:g}.")
    energy = np.arange(15.0, kvp, 0.5) + 0.25
    photons = kvp / energy - 1
    photons = photons * np.exp(-material_of(TUNGSTEN).attenuation(energy) * 0.008)
    lines = np.zeros_like(energy)
    for line, share in LINES_KEV:
        lines[np.argmin(np.abs(energy - line))] += share
    photons = _filtered(energy, photons, aluminium_mm, copper_mm)
    strength = LINE_SHARE * max(kvp - K_EDGE_KEV, 0.0) / (120.0 - K_EDGE_KEV)
    photons += lines * photons.sum() * strength / (1 - strength)
    return _binned(energy, photons * energy, bins)


def cbct_spectrum(kvp: float = 110.0, bins: int = 10) -> Spectrum:
    """A cone-beam scanner's tube on a linear accelerator: softer voltage, harder filter (our choice)."""
    return kv_spectrum(kvp, aluminium_mm=5.0, copper_mm=0.4, bins=bins)


def mv_spectrum(nominal_mev: float = MV_NOMINAL_MEV, bins: int = 8) -> Spectrum:
    """A megavoltage imaging beam, weighed by the energy a gas detector's walls take up (nearly all photons alike).

    Args:
        nominal_mev: energy of the electrons on the target, 1 to 4 MeV.
        bins: energy bins.
    """
    if not 1 <= nominal_mev <= 4:
        raise InvalidInputError(f"The nominal energy must be 1 to 4 MeV; got {nominal_mev:g}.")
    top = 1000 * nominal_mev
    energy = np.arange(100.0, top, 10.0) + 5.0
    photons = _filtered(energy, top / energy - 1, 20.0, 0.0)
    photons = photons * np.exp(-material_of(TUNGSTEN).attenuation(energy) * 1.5)
    return _binned(energy, photons, bins)


TUNGSTEN = Material("tungsten", 19.3, {"W": 1.0})
ALUMINIUM = Material("aluminium", 2.70, {"Al": 1.0})
COPPER = Material("copper", 8.96, {"Cu": 1.0})


def _filtered(energy: np.ndarray, photons: np.ndarray, aluminium_mm: float, copper_mm: float) -> np.ndarray:
    return photons * np.exp(-ALUMINIUM.attenuation(energy) * aluminium_mm - COPPER.attenuation(energy) * copper_mm)


def _binned(energy: np.ndarray, signal: np.ndarray, bins: int) -> Spectrum:
    """Bins of equal signal, each at its own mean energy."""
    share = np.cumsum(signal) / signal.sum()
    groups = np.minimum((share * bins * (1 - 1e-9)).astype(int), bins - 1)
    weight = np.bincount(groups, signal, bins)
    mean = np.bincount(groups, signal * energy, bins) / np.maximum(weight, 1e-30)
    kept = weight > 0
    weight = weight[kept] / weight[kept].sum()
    return Spectrum(tuple(float(e) for e in mean[kept]), tuple(float(w) for w in weight))
