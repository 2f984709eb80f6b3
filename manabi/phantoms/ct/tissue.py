"""From images and tissue maps to what a beam passes through: densities of a few basis substances.

Every tissue is a mixture of water and cortical bone as far as X-rays of 40 keV to 3 MeV can tell, within a few parts
in a thousand; fat has a little less than no bone. Metals and iodine are carried as themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.materials import MATERIALS, Material, hu_at, mass_attenuation, material_of

Densities = dict[str, Tensor]
"""Name of a basis substance to its density map in g/cm³ ``(n, rows, columns)``."""

SOFT, HARD = "water", "cortical_bone"
KVCT_KEV = 75.0
"""Energy that planning CT values stand for (effective energy of 120 to 130 kVp behind a body)."""
FITTED_KEV = np.array([45.0, 55.0, 65.0, 75.0, 90.0, 110.0, 500.0, 1000.0, 2000.0])
LADDER = ("lung", "adipose", "water", "muscle", "blood", "spongiosa", "cranium", "cortical_bone", "enamel", "titanium")
"""Substances that values of a planning CT run through, from -1000 up; between two, a mixture of both (our choice)."""
AIR_BELOW_HU = -980.0
"""What a planning CT shows below this is taken as empty: air, noise in it, and fillers such as -1024 (our choice)."""


@lru_cache(maxsize=256)
def basis_of(material: Material | str) -> Mapping[str, float]:
    """Densities in g/cm³ of the basis substances that together weaken X-rays as the material does.

    Args:
        material: a material, or its name in ``MATERIALS``. Metals are their own basis; dissolved iodine too.
    """
    chosen = material_of(material)
    if chosen.metal:
        if MATERIALS.get(chosen.name) != chosen:
            raise InvalidInputError(f"A metal must be one of MATERIALS; got {chosen.name!r}.")
        return {chosen.name: chosen.density}
    share = chosen.composition.get("I", 0.0)
    parts = {"iodine": share * chosen.density} if share else {}
    water = mass_attenuation(SOFT, FITTED_KEV)
    wanted = (mass_attenuation(chosen, FITTED_KEV) - share * mass_attenuation("iodine", FITTED_KEV)) / water
    table = np.stack([np.ones_like(water), mass_attenuation(HARD, FITTED_KEV) / water], axis=1)
    soft, hard = np.linalg.lstsq(table, wanted, rcond=None)[0] * chosen.density
    return {SOFT: float(soft), HARD: float(hard), **parts}


@lru_cache(maxsize=1)
def _ladder() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """HU of the rungs ``(r,)``, their densities ``(r, b)``, and the basis substances."""
    names = (SOFT, HARD, LADDER[-1])
    rungs = [[basis_of(name).get(basis, 0.0) for basis in names] for name in LADDER]
    return (
        np.array([-1000.0, *(hu_at(name, KVCT_KEV) for name in LADDER)]),
        np.array([[0.0] * len(names), *rungs]),
        names,
    )


def densities_of_hu(hu: Tensor) -> Densities:
    """What a planning CT shows, as densities; values below ``AIR_BELOW_HU`` are empty, above titanium's are titanium.

    Args:
        hu: any shape; fillers below -1000 are allowed, NaN is refused.
    """
    values, rungs, names = _ladder()
    image = hu.float()
    if bool(torch.isnan(image).any()):
        raise InvalidInputError("The image holds values that are not numbers (NaN); replace them by -1000 first.")
    image = torch.where(image < AIR_BELOW_HU, torch.full_like(image, -1000.0), image).clamp_(max=float(values[-1]))
    found = {name: torch.zeros_like(image) for name in names}
    brightest = float(image.max()) if image.numel() else -1000.0
    for low, high, start, end in zip(values, values[1:], rungs, rungs[1:], strict=False):
        if low >= brightest:
            break
        climbed = (image - float(low)).clamp_(0.0, float(high - low))
        for name, slope in zip(names, (end - start) / (high - low), strict=True):
            if slope:
                found[name].add_(climbed, alpha=float(slope))
    return {name: found[name] for name in names if name == SOFT or bool(found[name].any())}


def fractions_of_hu(hu: Tensor) -> Tensor:
    """Densities of water, cortical bone and titanium in g/cm³ ``(3, *hu.shape)``; see :func:`densities_of_hu`."""
    found = densities_of_hu(hu)
    empty = torch.zeros_like(hu, dtype=torch.float32)
    return torch.stack([found.get(name, empty) for name in _ladder()[2]])


def densities_of_tissues(
    labels: Tensor, materials: Sequence[Material | str], relative_density: Tensor | None = None
) -> Densities:
    """Densities of a label map.

    Args:
        labels: ``(n, rows, columns)`` integers, indices into ``materials``.
        materials: what each label is made of.
        relative_density: factor on the density of each voxel (texture, partial filling), same shape.

    Raises:
        InvalidInputError: for a label without a material.
    """
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < len(materials):
        raise InvalidInputError(
            f"Labels run from {int(labels.min())} to {int(labels.max())}, but there are {len(materials)} materials."
        )
    parts = [basis_of(material) for material in materials]
    found = {}
    for name in _basis_names(parts):
        table = torch.tensor([part.get(name, 0.0) for part in parts], device=labels.device)
        found[name] = table[labels.long()] if relative_density is None else table[labels.long()] * relative_density
    return found


def densities_of_fractions(fractions: Mapping[str, Tensor]) -> Densities:
    """Densities of partial volumes: name of a material to its share of each voxel ``(n, rows, columns)``."""
    if not fractions:
        raise InvalidInputError("There must be at least one material.")
    parts = {name: basis_of(name) for name in fractions}
    found: Densities = {}
    for name, share in fractions.items():
        for basis, density in parts[name].items():
            term = share.float() * density
            found[basis] = found[basis] + term if basis in found else term
    return found


def _basis_names(parts: Sequence[Mapping[str, float]]) -> list[str]:
    """Every basis substance in use; water always, and first."""
    return list(dict.fromkeys([SOFT, *(name for part in parts for name in part)]))
