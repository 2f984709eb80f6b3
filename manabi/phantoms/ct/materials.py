"""What bodies, couches and fillings are made of, and how strongly they weaken X-rays from 10 keV to 4 MeV.

Cross-sections are the database of Elam, Ravel and Sieber (A new atomic database for X-ray spectroscopic calculations,
2002, 10.1016/S0969-806X(01)00227-4) up to 800 keV. Above, Compton scattering follows Klein and Nishina, the small rest
continues as a power of the energy, and pair production is Maximon's series (J. Res. NBS 72B, 1968, 79-88) without
screening: within 2 % of NIST's tables for water and calcium up to 4 MeV.

Compositions are those of ICRU Report 44 (1989) and of Woodard and White (1986, 10.1259/0007-1285-59-708-1209) for
skull, jaw and teeth; those of dental work, mask and couch are typical ones (our choice).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from manabi.errors import InvalidInputError

AVOGADRO = 6.02214076e23
ELECTRON_RADIUS_CM = 2.8179403e-13
ELECTRON_MASS_KEV = 510.99895
FINE_STRUCTURE = 1 / 137.035999
LOWEST_KEV, TABLE_END_KEV, HIGHEST_KEV = 10.0, 800.0, 4000.0


@dataclass(frozen=True)
class Material:
    """A substance.

    Attributes:
        name: its key in ``MATERIALS``.
        density: g/cm³.
        composition: element symbol to its share of the mass; shares are scaled to sum to 1.
        metal: it is carried as a basis substance of its own, never as a mixture of water and bone.
    """

    name: str
    density: float
    composition: Mapping[str, float] = field(hash=False)
    metal: bool = False

    def __post_init__(self) -> None:
        """Scale the shares and refuse what has no table."""
        unknown = sorted(set(self.composition) - set(_tables()))
        total = sum(self.composition.values())
        if unknown or self.density < 0 or total <= 0 or min(self.composition.values()) < 0:
            raise InvalidInputError(
                f"Material {self.name!r} needs a density and positive shares of known elements"
                f"{'; unknown: ' + ', '.join(unknown) if unknown else ''}. Known: {', '.join(_tables())}."
            )
        object.__setattr__(self, "composition", {k: v / total for k, v in self.composition.items()})

    def attenuation(self, energy_kev: np.ndarray | float) -> np.ndarray:
        """Linear attenuation in 1/mm at photon energies in keV, same shape."""
        return mass_attenuation(self, energy_kev) * self.density / 10.0


@dataclass(frozen=True)
class _Table:
    """One element: atomic number, mass, and log-log tables."""

    z: int
    a: float
    energy: np.ndarray
    photo_coherent: np.ndarray
    incoherent: np.ndarray

    def at(self, energy: np.ndarray) -> np.ndarray:
        """Mass attenuation in cm²/g."""
        inside = np.minimum(energy, TABLE_END_KEV)
        rest = np.exp(np.interp(np.log(inside), np.log(self.energy), np.log(self.photo_coherent)))
        compton = np.exp(np.interp(np.log(inside), np.log(self.energy), np.log(self.incoherent)))
        steps = np.diff(np.log(self.photo_coherent[-2:])) / np.diff(np.log(self.energy[-2:]))
        slope = float(steps[0])
        rest *= (energy / inside) ** slope
        per_gram = AVOGADRO / self.a
        above = np.where(energy > TABLE_END_KEV, klein_nishina_cm2(energy) * self.z * per_gram, compton)
        return rest + above + per_gram * self.z**2 * pair_production_cm2(energy)


@lru_cache(maxsize=1)
def _tables() -> dict[str, _Table]:
    record = json.loads(Path(__file__).with_name("attenuation.json").read_text(encoding="utf-8"))["elements"]
    return {
        name: _Table(one["z"], one["a"], *(np.array(one[k]) for k in ("energy_kev", "photo_coherent", "incoherent")))
        for name, one in record.items()
    }


def klein_nishina_cm2(energy_kev: np.ndarray) -> np.ndarray:
    """Compton cross-section of one free electron in cm² (O. Klein, Y. Nishina, 1929, 10.1007/BF01366453)."""
    k = np.asarray(energy_kev, float) / ELECTRON_MASS_KEV
    log = np.log1p(2 * k)
    shape = (1 + k) / k**2 * (2 * (1 + k) / (1 + 2 * k) - log / k) + log / (2 * k) - (1 + 3 * k) / (1 + 2 * k) ** 2
    return 2 * math.pi * ELECTRON_RADIUS_CM**2 * shape


def pair_production_cm2(energy_kev: np.ndarray) -> np.ndarray:
    """Pair production in a nucleus' field over Z², in cm²: Maximon's series for photons below 2 MeV, used above too."""
    k = np.maximum(np.asarray(energy_kev, float) / ELECTRON_MASS_KEV, 2.0)
    rho = (2 * k - 4) / (2 + k + 2 * np.sqrt(2 * k))
    series = 1 + rho / 2 + 23 * rho**2 / 40 + 11 * rho**3 / 60 + 29 * rho**4 / 960
    return FINE_STRUCTURE * ELECTRON_RADIUS_CM**2 * 2 * math.pi / 3 * ((k - 2) / k) ** 3 * series


def mass_attenuation(material: Material | str, energy_kev: np.ndarray | float) -> np.ndarray:
    """Mass attenuation in cm²/g.

    Args:
        material: a material, or its name in ``MATERIALS``.
        energy_kev: photon energies from 10 to 4000 keV, any shape.

    Raises:
        InvalidInputError: for an energy outside that range or an unknown name.
    """
    energy = np.asarray(energy_kev, float)
    if energy.size and not (energy.min() >= LOWEST_KEV and energy.max() <= HIGHEST_KEV):
        raise InvalidInputError(f"Attenuation is known from {LOWEST_KEV:g} to {HIGHEST_KEV:g} keV.")
    shares = material_of(material).composition
    return sum((share * _tables()[name].at(energy) for name, share in shares.items()), np.zeros_like(energy))


def electron_density(material: Material | str) -> float:
    """Electrons per volume over those of water."""
    return _electrons(material_of(material)) / _electrons(MATERIALS["water"])


def _electrons(material: Material) -> float:
    tables = _tables()
    per_gram = sum(share * tables[name].z / tables[name].a for name, share in material.composition.items())
    return material.density * per_gram


def hu_at(material: Material | str, energy_kev: float) -> float:
    """Hounsfield units that a scanner of one energy would show."""
    ratio = material_of(material).attenuation(energy_kev) / MATERIALS["water"].attenuation(energy_kev)
    return float(1000 * (ratio - 1))


def mixture(name: str, parts: Mapping[str, float], density: float) -> Material:
    """A mixture of ``MATERIALS`` by mass (name to share) at a density in g/cm³."""
    shares: dict[str, float] = {}
    for part, weight in parts.items():
        for element, share in material_of(part).composition.items():
            shares[element] = shares.get(element, 0.0) + weight * share
    return Material(name, density, shares)


def with_iodine(material: Material | str, mg_per_ml: float) -> Material:
    """The material with contrast agent: that much iodine dissolved in each millilitre."""
    base, iodine = material_of(material), mg_per_ml / 1000
    shares = {name: share * base.density for name, share in base.composition.items()}
    shares["I"] = shares.get("I", 0.0) + iodine
    return Material(f"{base.name}+{mg_per_ml:g}mgI", base.density + iodine, shares)


def material_of(material: Material | str) -> Material:
    """The material of that name; raises InvalidInputError listing the names."""
    if isinstance(material, Material):
        return material
    if material not in MATERIALS:
        raise InvalidInputError(f"Unknown material {material!r}. Known: {', '.join(MATERIALS)}.")
    return MATERIALS[material]


def _percent(text: str) -> dict[str, float]:
    """``"H 11.2 O 88.8"`` as shares."""
    words = text.split()
    return {name: float(value) / 100 for name, value in zip(words[::2], words[1::2], strict=True)}


_LISTED: tuple[tuple[str, float, str, bool], ...] = (
    ("air", 0.001205, "N 75.5 O 23.2 Ar 1.3", False),
    ("water", 1.0, "H 11.19 O 88.81", False),
    ("lung", 0.26, "H 10.3 C 10.5 N 3.1 O 74.9 Na 0.2 P 0.2 S 0.3 Cl 0.3 K 0.2", False),
    ("adipose", 0.95, "H 11.4 C 59.8 N 0.7 O 27.8 Na 0.1 S 0.1 Cl 0.1", False),
    ("muscle", 1.05, "H 10.2 C 14.3 N 3.4 O 71.0 Na 0.1 P 0.2 S 0.3 Cl 0.1 K 0.4", False),
    ("brain", 1.04, "H 10.7 C 14.5 N 2.2 O 71.2 Na 0.2 P 0.4 S 0.2 Cl 0.3 K 0.3", False),
    ("blood", 1.06, "H 10.2 C 11.0 N 3.3 O 74.5 Na 0.1 P 0.1 S 0.2 Cl 0.3 K 0.2 Fe 0.1", False),
    ("csf", 1.007, "H 11.1 O 88.0 Na 0.5 Cl 0.4", False),
    ("skin", 1.09, "H 10.0 C 20.4 N 4.2 O 64.5 Na 0.2 P 0.1 S 0.2 Cl 0.3 K 0.1", False),
    ("soft_tissue", 1.06, "H 10.2 C 14.3 N 3.4 O 70.8 Na 0.2 P 0.3 S 0.3 Cl 0.2 K 0.3", False),
    ("lymph", 1.03, "H 10.8 C 4.1 N 1.1 O 83.2 Na 0.3 S 0.1 Cl 0.4", False),
    ("thyroid", 1.05, "H 10.4 C 11.9 N 2.4 O 74.5 Na 0.2 P 0.1 S 0.1 Cl 0.2 K 0.1 I 0.1", False),
    ("eye_lens", 1.07, "H 9.6 C 19.5 N 5.7 O 64.6 Na 0.1 P 0.1 S 0.3 Cl 0.1", False),
    ("cartilage", 1.10, "H 9.6 C 9.9 N 2.2 O 74.4 Na 0.5 P 2.2 S 0.9 Cl 0.3", False),
    ("red_marrow", 1.03, "H 10.5 C 41.4 N 3.4 O 43.9 P 0.1 S 0.2 Cl 0.2 K 0.2 Fe 0.1", False),
    ("yellow_marrow", 0.98, "H 11.5 C 64.4 N 0.7 O 23.1 Na 0.1 S 0.1 Cl 0.1", False),
    ("spongiosa", 1.18, "H 8.5 C 40.4 N 2.8 O 36.7 Na 0.1 Mg 0.1 P 3.4 S 0.2 Cl 0.2 K 0.1 Ca 7.4 Fe 0.1", False),
    ("cranium", 1.61, "H 5.0 C 21.2 N 4.0 O 43.5 Na 0.1 Mg 0.2 P 8.1 S 0.3 Ca 17.6", False),
    ("mandible", 1.68, "H 4.6 C 19.9 N 4.1 O 43.5 Na 0.1 Mg 0.2 P 8.6 S 0.3 Ca 18.7", False),
    ("cortical_bone", 1.92, "H 3.4 C 15.5 N 4.2 O 43.5 Na 0.1 Mg 0.2 P 10.3 S 0.3 Ca 22.5", False),
    ("dentine", 2.14, "H 2.7 C 12.0 N 3.5 O 43.0 Mg 0.8 P 12.5 Ca 25.5", False),
    ("enamel", 2.90, "H 0.7 C 1.5 O 41.0 Mg 0.3 P 18.0 Ca 38.5", False),
    ("pmma", 1.19, "H 8.05 C 59.98 O 31.96", False),
    ("mask", 1.14, "H 8.8 C 63.1 O 28.1", False),
    ("couch_skin", 1.60, "H 1.5 C 92.0 O 6.5", False),
    ("foam", 0.08, "H 8.0 C 62.0 N 6.0 O 24.0", False),
    ("iodine", 4.93, "I 100", True),
    ("titanium", 4.54, "Ti 100", True),
    ("steel", 7.90, "Fe 70 Cr 18 Ni 12", True),
    ("cobalt_chrome", 8.40, "Co 68 Cr 32", True),
    ("zirconia", 6.05, "Zr 74.0 O 26.0", True),
    ("amalgam", 11.0, "Hg 48 Ag 28 Sn 15 Cu 9", True),
    ("gold", 16.0, "Au 77 Ag 14 Cu 9", True),
)

MATERIALS: dict[str, Material] = {
    name: Material(name, density, _percent(text), metal) for name, density, text, metal in _LISTED
}
