"""Drawing chests for films: those of the CT phantom, standing and breathing in deeply (our choices of ranges)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms import thorax_sampling
from manabi.phantoms.radiograph_film import check_domain, sample_film
from manabi.phantoms.radiograph_geometry import FilmGeometry
from manabi.phantoms.radiograph_parameters import NoduleChoice, RadiographParameters
from manabi.phantoms.radiograph_vessels import sample_style
from manabi.phantoms.thorax_parameters import Chest, ThoraxParameters
from manabi.phantoms.thorax_shape import HALF_WIDTH

SIZE = 1.05
"""Of a chest in deep inspiration over the CT phantom's."""
TALL = (0.74, 0.98)
"""Limits of the lungs' height down to the domes over the chest's inner width."""
CALM_SHARE = 0.15
"""Share of films that were taken before the patient had breathed in deeply."""
MOST_NODULES = 3
DENSITIES = ("", "solid", "part_solid", "ground_glass")
FIELD_MM = 384.0
"""Side of a film, where ``pixel_mm`` is not given: between the 35 and 43 cm of cassettes."""


def sample(rng: np.random.Generator, choices: Mapping[str, Any]) -> RadiographParameters:
    """Draw one film; see :meth:`manabi.phantoms.radiograph.RadiographPhantom.sample_parameters`."""
    given = dict(choices)
    domain, pathology = str(given.pop("domain", "training")), str(given.pop("pathology", "normal"))
    chest = sample_chest(rng, domain, pathology)
    vessels, film = sample_style(rng, domain), sample_film(rng, domain)
    drawn, seeds = int(rng.integers(0, MOST_NODULES + 1)), rng.integers(2**31, size=2)
    matrix = int(given.pop("matrix", 256))
    geometry = FilmGeometry(matrix, float(given.pop("pixel_mm", FIELD_MM / max(matrix, 1))))
    nodules = NoduleChoice(
        _count(given.pop("nodules", drawn)),
        float(given.pop("diameter_mm", 0.0)),
        str(given.pop("density", "") or ""),
        int(seeds[0]),
    )
    if given:
        raise InvalidInputError(f"The radiograph has no {', '.join(sorted(given))}.")
    if nodules.density not in DENSITIES or not 0 <= nodules.diameter_mm <= 60:
        raise InvalidInputError(
            f"density is one of {', '.join(DENSITIES[1:])} and diameter_mm 0 to 60; got {nodules.density!r} and "
            f"{nodules.diameter_mm:g}."
        )
    return RadiographParameters(chest, vessels, geometry, film, nodules, int(seeds[1]))


def sample_chest(
    rng: np.random.Generator, domain: str = "training", pathology: str = "normal"
) -> ThoraxParameters:  # fmt: skip
    """Draw a chest, upright, in deep inspiration.

    Args:
        rng: source of everything random.
        domain: ``training`` or ``held_out``; the latter's patients are of other builds.
        pathology: a key of :data:`manabi.phantoms.thorax_disease.KINDS`.

    Raises:
        InvalidInputError: for an unknown domain or pathology.
    """
    check_domain(domain)
    drawn = thorax_sampling.sample(rng, {"pathology": pathology, "arms": "down", "couch": "none"})
    return replace(drawn, chest=_upright(rng, drawn.chest, domain), disease=replace(drawn.disease, raised=0.0))


def _count(value: Any) -> int:
    if int(value) != value or not 0 <= value <= MOST_NODULES:
        raise InvalidInputError(f"nodules is 0 to {MOST_NODULES}; got {value!r}.")
    return int(value)


def _upright(rng: np.random.Generator, chest: Chest, domain: str) -> Chest:
    """The chest as it stands before a film."""
    deep = float(rng.uniform(8, 30)) if rng.random() > CALM_SHARE else float(rng.uniform(-10, 8))
    size = SIZE * chest.size
    wide = 2 * HALF_WIDTH * size
    tall = max(chest.apex_right, chest.apex_left) + 0.5 * (chest.dome_right + chest.dome_left) + deep
    fit = float(np.clip(tall / wide, *TALL)) * wide / tall
    return replace(
        chest,
        size=size,
        apex_right=fit * chest.apex_right,
        apex_left=fit * chest.apex_left,
        dome_right=fit * (chest.dome_right + deep),
        dome_left=fit * (chest.dome_left + deep),
        contrast_hu=float(rng.uniform(35, 50)),
        turn_deg=0.0,
        oesophagus_air=0.0,
        recess=float(np.clip(rng.normal(66.0, 10.0), 48, 90)),
        spread=float(rng.uniform(30, 190)),
        heart=chest.heart * (float(rng.uniform(0.9, 1.2)) if domain == "held_out" else 1.0),
        fat=chest.fat * (float(rng.uniform(0.6, 1.5)) if domain == "held_out" else 1.0),
    )
