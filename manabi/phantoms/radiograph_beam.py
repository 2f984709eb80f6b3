"""What X-rays of a chest film's energies are left behind a patient: a few energy bins and the law of Lambert and Beer.

A patient is four area densities in g/cm²: soft tissue, fat, bone mineral and lung tissue, each with its own mass
attenuation (:mod:`manabi.phantoms.ct.materials`), so that contrast falls with the tube voltage as it does in reality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.materials import mass_attenuation
from manabi.phantoms.ct.spectra import kv_spectrum

TISSUES = ("soft", "fat", "bone", "lung")
"""Order of the area densities in ``maps``."""
SUBSTANCES = ("muscle", "adipose", "cortical_bone", "lung")
"""What stands for them."""
LUNG_DENSITY = 0.20
"""g/cm³ of the lung that a nodule takes the place of, in deep inspiration (our choice)."""


@dataclass(frozen=True)
class BeamParameters:
    """The tube.

    Attributes:
        kvp: tube voltage, 60 to 150 kV; 120 for chest films.
        aluminium_mm: filtration in mm of aluminium.
        copper_mm: and of copper.
        bins: energy bins; three differ from thirty by less than 1 % behind 20 cm of water.
    """

    kvp: float = 120.0
    aluminium_mm: float = 3.0
    copper_mm: float = 0.1
    bins: int = 3


def sample_beam(rng: np.random.Generator, domain: str = "training") -> BeamParameters:
    """Draw a tube: 110 to 130 kV, or for the held-out domain 80 to 100 or 135 to 145 kV with other filters."""
    if domain == "held_out":
        kvp = rng.uniform(80, 100) if rng.random() < 0.5 else rng.uniform(135, 145)
        return BeamParameters(float(kvp), float(rng.uniform(2.0, 6.0)), float(rng.choice([0.0, 0.2])))
    return BeamParameters(float(rng.uniform(110, 130)), float(rng.uniform(2.5, 4.0)), float(rng.uniform(0.05, 0.2)))


@lru_cache(maxsize=4096)
def attenuation_table(beam: BeamParameters) -> tuple[np.ndarray, np.ndarray]:
    """Mass attenuation ``(bins, 4)`` in cm²/g of the four tissues, and the bins' share of the open beam's signal."""
    if not 1 <= beam.bins <= 64:
        raise InvalidInputError(f"A beam has 1 to 64 energy bins; got {beam.bins}.")
    spectrum = kv_spectrum(beam.kvp, beam.aluminium_mm, beam.copper_mm, beam.bins)
    energies = np.array(spectrum.energies_kev)
    table = np.stack([mass_attenuation(name, energies) for name in SUBSTANCES], axis=1)
    return table.astype(np.float32), np.array(spectrum.weights, np.float32)


def transmitted(maps: Tensor, beams: Sequence[BeamParameters]) -> Tensor:
    """Share of the open beam's signal that passes without scattering, ``(b, rows, columns)``.

    Args:
        maps: ``(b, 4, rows, columns)`` area densities in g/cm².
        beams: one for each film; with the same number of bins.
    """
    tables = [attenuation_table(beam) for beam in beams]
    mu = torch.as_tensor(np.stack([t[0] for t in tables]), device=maps.device)
    weights = torch.as_tensor(np.stack([t[1] for t in tables]), device=maps.device)
    batch, _, rows, columns = maps.shape
    lines = torch.bmm(mu, maps.reshape(batch, 4, -1)).neg_().exp_()
    return torch.bmm(weights[:, None, :], lines).reshape(batch, rows, columns)
