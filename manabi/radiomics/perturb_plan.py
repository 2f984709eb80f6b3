"""What is done to an image and its mask, and the plan that many of them are drawn from; nothing heavy is imported.

The building blocks and their letters are those of Zwanenburg et al., Assessing robustness of radiomic features by
image perturbation, Sci Rep 2019;9:614 (10.1038/s41598-018-36938-4): N noise, R rotation, T translation, V volume,
C contour. A chain is a word of these letters. They are always applied in the order N, R and T (one interpolation), V,
C, whatever the order of the letters. Of the source's 18 methods, NTVC gave the fewest features that were called robust
but were not so between test and retest (3.3 % in lung, 10.0 % in head and neck), and is the default. The numbers of the
ranges below are our choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np

from manabi.errors import InvalidInputError

LETTERS = "NRTVC"
ESTIMATED: Literal["estimated"] = "estimated"
MOST_ROTATION_DEG = 45.0
LEAST_SUPERVOXEL_MM3 = 1.0
_LARGEST_SEED = 2**31

Noise = float | Literal["estimated"]
Shift = tuple[float, float, float]


@dataclass(frozen=True)
class Perturbation:
    """One change of an image and its mask. The default changes nothing.

    Attributes:
        rotation_deg: turn of the patient about the mask's centroid, within the plane of the slices: right-handed about
            the slice axis, which is taken to point towards R, A or S, so that a flipped copy of an image turns alike.
        translation: shift of the patient in voxels along (slice, row, column) axes, each axis taken to point towards
            R, A or S.
        volume_change: part of the mask's volume that is added (positive) or removed (negative).
        noise: standard deviation of the white Gaussian noise that is added, in the image's units; ``estimated``
            measures the image's own; 0 adds none.
        contour: whether the mask is replaced by a random choice of supervoxels.
        supervoxel_mm3: largest volume of a supervoxel; 500 mm³ in the source's program (MIRP).
        seed: of everything random.
    """

    rotation_deg: float = 0.0
    translation: Shift = (0.0, 0.0, 0.0)
    volume_change: float = 0.0
    noise: Noise = 0.0
    contour: bool = False
    supervoxel_mm3: float = 500.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        _check_rotation(self.rotation_deg)
        _check_shift(self.translation)
        _check_volume(self.volume_change)
        _check_noise(self.noise)
        if not self.supervoxel_mm3 >= LEAST_SUPERVOXEL_MM3:
            raise InvalidInputError(f"supervoxel_mm3 must be at least 1 mm³; got {self.supervoxel_mm3}.")
        if self.seed < 0:
            raise InvalidInputError(f"seed must be 0 or more; got {self.seed}.")

    @property
    def moves(self) -> bool:
        """Whether the patient is turned or shifted, so that the image is interpolated."""
        return self.rotation_deg != 0 or any(self.translation)

    @property
    def name(self) -> str:
        """What is done, in words for a table, such as ``N T(0.25 0.75 0.25) V(-10 %) C``."""
        parts = [
            "" if self.noise == 0 else "N" if self.noise == ESTIMATED else f"N({self.noise:g})",
            f"R({self.rotation_deg:+g} deg)" if self.rotation_deg else "",
            f"T({' '.join(f'{part:g}' for part in self.translation)})" if any(self.translation) else "",
            f"V({100 * self.volume_change:+g} %)" if self.volume_change else "",
            "C" if self.contour else "",
        ]
        return " ".join(part for part in parts if part) or "unchanged"


@dataclass(frozen=True)
class PerturbationPlan:
    """Which perturbations are drawn, and how many.

    Attributes:
        chain: letters of what is done, of ``NRTVC``.
        repeats: how many perturbations of each image; at least 2.
        rotations_deg: turns to draw from.
        translations: fractions of a voxel to draw from, for every axis by itself.
        volume_changes: parts of the volume to draw from.
        noise: see :class:`Perturbation`.
        supervoxel_mm3: see :class:`Perturbation`.
    """

    chain: str = "NTVC"
    repeats: int = 10
    rotations_deg: tuple[float, ...] = (-12.0, -8.0, -4.0, 4.0, 8.0, 12.0)
    translations: tuple[float, ...] = (0.25, 0.75)
    volume_changes: tuple[float, ...] = (-0.15, -0.1, -0.05, 0.05, 0.1, 0.15)
    noise: Noise = ESTIMATED
    supervoxel_mm3: float = 500.0

    def __post_init__(self) -> None:
        """Refuse unknown letters, too few repeats and values that no perturbation can have."""
        if not self.chain or set(self.chain) - set(LETTERS) or len(set(self.chain)) != len(self.chain):
            raise InvalidInputError(f"A chain is made of the letters {LETTERS}, each once; got {self.chain!r}.")
        if self.repeats < 2:
            raise InvalidInputError(f"Repeatability needs at least 2 repeats; got {self.repeats}.")
        for letter, values in {"R": self.rotations_deg, "T": self.translations, "V": self.volume_changes}.items():
            if letter in self.chain and not values:
                raise InvalidInputError(f"The chain has the letter {letter}, but no values to draw from.")
        for angle in self.rotations_deg:
            _check_rotation(angle)
        _check_shift(self.translations)
        for change in self.volume_changes:
            _check_volume(change)
        _check_noise(self.noise)
        if "N" in self.chain and self.noise == 0:
            raise InvalidInputError("The chain has the letter N, but the noise is 0.")


def perturbations(plan: PerturbationPlan, seed: int) -> tuple[Perturbation, ...]:
    """The perturbations of a plan; the same seed gives the same ones.

    Every value of a range is used about equally often: the ranges are shuffled and gone through again and again (our
    choice; the source takes all combinations).

    Raises:
        InvalidInputError: where the seed is negative.
    """
    if seed < 0:
        raise InvalidInputError(f"seed must be 0 or more; got {seed}.")
    rng = np.random.default_rng(seed)
    still = ((0.0, 0.0, 0.0),)
    turns = _dealt(rng, plan.rotations_deg if "R" in plan.chain else (0.0,), plan.repeats)
    shifts = _dealt(rng, tuple(product(plan.translations, repeat=3)) if "T" in plan.chain else still, plan.repeats)
    changes = _dealt(rng, plan.volume_changes if "V" in plan.chain else (0.0,), plan.repeats)
    seeds = rng.integers(0, _LARGEST_SEED, plan.repeats)
    return tuple(
        Perturbation(
            rotation_deg=turn,
            translation=shift,
            volume_change=change,
            noise=plan.noise if "N" in plan.chain else 0.0,
            contour="C" in plan.chain,
            supervoxel_mm3=plan.supervoxel_mm3,
            seed=int(own),
        )
        for turn, shift, change, own in zip(turns, shifts, changes, seeds, strict=True)
    )


@dataclass
class _Deck:
    """Cards that are dealt in random order and shuffled anew when all are out."""

    cards: tuple[Any, ...]
    rng: np.random.Generator
    left: list[int] = field(default_factory=list)

    def deal(self) -> Any:
        """The next card."""
        if not self.left:
            self.left = self.rng.permutation(len(self.cards)).tolist()
        return self.cards[self.left.pop()]


def _dealt(rng: np.random.Generator, cards: tuple[Any, ...], count: int) -> list[Any]:
    """``count`` cards of a deck."""
    deck = _Deck(cards, rng)
    return [deck.deal() for _ in range(count)]


def _check_rotation(angle_deg: float) -> None:
    """Refuse turns that are no small change of position."""
    if not abs(angle_deg) <= MOST_ROTATION_DEG:
        raise InvalidInputError(f"A rotation must lie within ±{MOST_ROTATION_DEG:g} degrees; got {angle_deg}.")


def _check_shift(voxels: tuple[float, ...]) -> None:
    """Refuse shifts that are not below a voxel."""
    if not all(math.isfinite(part) and abs(part) < 1 for part in voxels):
        raise InvalidInputError(f"A translation must lie between -1 and 1 voxel; got {voxels}.")


def _check_volume(change: float) -> None:
    """Refuse changes that leave nothing, or something else than the tumour."""
    if not -0.9 <= change <= 2.0:
        raise InvalidInputError(f"volume_change must lie between -0.9 and 2 (-90 to 200 %); got {change}.")


def _check_noise(noise: Noise) -> None:
    """Refuse negative noise and unknown words."""
    if noise != ESTIMATED and (isinstance(noise, str) or not 0 <= noise < math.inf):
        raise InvalidInputError(f"noise must be 'estimated' or a standard deviation of 0 or more; got {noise!r}.")
