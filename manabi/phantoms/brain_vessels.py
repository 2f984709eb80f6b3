"""Arteries and large venous sinuses of a simulated head: the circle of Willis and trees over the brain's surface.

Trunks follow the named arteries at places in the pons frame (:mod:`manabi.phantoms.brain_landmarks`), measured in 14
whole-head label maps and one MR angiogram (our measurement). Beyond them branches divide towards targets scattered over
their territory's surface, with calibres after Murray's law, ``r_parent³ = sum r_child³`` (Murray CD. The physiological
principle of minimum work. PNAS 1926, 10.1073/pnas.12.3.207), and Bezier-bent pieces, the recipe of synthetic vessel
trees in arXiv 2504.11858. Every piece is kept off the brain's tissue and near its surface (our choice).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from manabi.phantoms import brain_vessel_atlas as atlas
from manabi.phantoms.brain_landmarks import Landmarks, landmarks_of
from manabi.phantoms.brain_vessel_branches import Branches
from manabi.phantoms.brain_vessel_paint import paint, paint_values

__all__ = ["Landmarks", "Tree", "Vessels", "grow", "landmarks_of", "paint", "paint_values", "sample_vessels"]

ABSENT = {"acom": 0.06, "pcom_left": 0.3, "pcom_right": 0.3}
"""How often a communicating artery is missing or too thin to be seen (our choice, from the usual surveys of the
circle)."""
FETAL = 0.1
"""How often a posterior cerebral artery comes from the carotid, per side (our choice)."""


@dataclass(frozen=True)
class Vessels:
    """One head's vessels.

    Attributes:
        radius: factor of all radii.
        bend: tortuosity, 1 is usual.
        density: factor of the number of ends of every tree.
        acom: whether there is an anterior communicating artery.
        pcom_left: whether there is a left posterior communicating artery; likewise ``pcom_right``.
        pcom_right: see ``pcom_left``.
        fetal_left: whether the left posterior cerebral artery comes from the carotid; likewise ``fetal_right``.
        fetal_right: see ``fetal_left``.
        vertebral: the left vertebral artery's radius over the right one's.
        sinus: the left transverse sinus's radius over the right one's.
    """

    radius: float = 1.0
    bend: float = 1.0
    density: float = 1.0
    acom: bool = True
    pcom_left: bool = True
    pcom_right: bool = True
    fetal_left: bool = False
    fetal_right: bool = False
    vertebral: float = 1.0
    sinus: float = 0.8


@dataclass(frozen=True)
class Tree:
    """Cones, one per piece of a vessel.

    Attributes:
        start_mm: ``(n, 3)`` RAS mm, upstream end.
        end_mm: ``(n, 3)`` RAS mm, downstream end.
        start_radius_mm: ``(n,)``.
        end_radius_mm: ``(n,)``.
        pulses_at: ``(n,)`` pulses of TR 22 ms that the blood has lived through since it left the neck, at a speed that
            grows with the radius; veins hold :data:`manabi.phantoms.brain_vessel_branches.VENOUS_PULSES`.
        vein: ``(n,)`` bool.
    """

    start_mm: np.ndarray
    end_mm: np.ndarray
    start_radius_mm: np.ndarray
    end_radius_mm: np.ndarray
    pulses_at: np.ndarray
    vein: np.ndarray

    def __len__(self) -> int:
        return len(self.start_mm)

    def only(self, chosen: np.ndarray) -> Tree:
        """The pieces where ``chosen (n,)`` is true."""
        return Tree(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    @property
    def arteries(self) -> Tree:
        """The arteries alone."""
        return self.only(~self.vein)

    @property
    def veins(self) -> Tree:
        """The venous sinuses alone."""
        return self.only(self.vein)

    @property
    def volume_ml(self) -> float:
        """Sum of the cones' volumes in mL; overlaps at joints are not counted twice."""
        length = np.linalg.norm(self.end_mm - self.start_mm, axis=1)
        a, b = self.start_radius_mm, self.end_radius_mm
        return float((np.pi / 3.0 * length * (a * a + a * b + b * b)).sum() / 1000.0)


def sample_vessels(rng: np.random.Generator) -> Vessels:
    """Draw one head's vessels (ranges: our choice)."""
    present = {name: bool(rng.random() >= share) for name, share in ABSENT.items()}
    fetal = rng.random(2) < FETAL
    return Vessels(
        radius=float(rng.uniform(0.9, 1.12)),
        bend=float(rng.uniform(0.6, 1.6)),
        density=float(rng.uniform(0.8, 1.3)),
        fetal_left=bool(fetal[0]),
        fetal_right=bool(fetal[1]),
        vertebral=float(rng.uniform(0.65, 1.4)),
        sinus=float(rng.uniform(0.4, 1.1)),
        acom=present["acom"],
        pcom_left=present["pcom_left"] or bool(fetal[0]),
        pcom_right=present["pcom_right"] or bool(fetal[1]),
    )


def grow(rng: np.random.Generator, landmarks: Landmarks, parameters: Vessels | None = None) -> Tree:
    """Grow one head's vessels.

    Args:
        rng: draws shapes, targets and (without ``parameters``) the parameters.
        landmarks: of the brain, from :func:`landmarks_of`.
        parameters: calibre, tortuosity and which communicating arteries there are; drawn where None.
    """
    parameters = parameters or sample_vessels(rng)
    branches = Branches(rng, landmarks, parameters.radius, parameters.bend)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        _anterior(branches, parameters, side, sign)
    _posterior(branches, parameters)
    branches.trunk(atlas.mirrored(atlas.ACOM, 1.0), (0.8, 0.8), branches.reached["a1_right"])
    if not parameters.acom:
        branches.undo()
    _sinuses(branches, parameters.sinus)
    return Tree(**branches.arrays())


def _anterior(branches: Branches, parameters: Vessels, side: str, sign: float) -> None:
    """Carotid, middle and anterior cerebral artery of one side."""
    pulses = branches.trunk(atlas.mirrored(atlas.CAROTID, sign), (2.4, 2.1), 0.0, close=False)
    branches.reached[f"carotid_{side}"] = pulses
    stem = branches.trunk(atlas.mirrored(atlas.M1, sign), (1.6, 1.5), pulses)
    for path, count, radius, place in atlas.M2:
        targets = branches.targets(place, sign, round(count * parameters.density))
        branches.tree(atlas.mirrored(path, sign), targets, radius, stem)
    first = branches.trunk(atlas.mirrored(atlas.A1, sign), (1.25, 1.2), pulses)
    branches.reached[f"a1_{side}"] = first
    targets = branches.targets("aca", sign, round(atlas.ACA_ENDS * parameters.density))
    branches.comb(atlas.mirrored(atlas.A2, sign), targets, 1.2, first)


def _posterior(branches: Branches, parameters: Vessels) -> None:
    """Vertebral and basilar arteries, posterior cerebral and cerebellar arteries, posterior communicating arteries."""
    ratio = float(np.sqrt(parameters.vertebral))
    joint, ends = 0.0, {}
    for side, sign, factor in (("left", -1.0, ratio), ("right", 1.0, 1.0 / ratio)):
        ends[side] = branches.trunk(atlas.mirrored(atlas.VERTEBRAL, sign), (1.55 * factor, 1.4 * factor), 0.0)
        joint = max(joint, ends[side])
    tip = branches.trunk(atlas.mirrored(atlas.BASILAR, 1.0), (1.65, 1.5), joint)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        fetal = parameters.fetal_left if side == "left" else parameters.fetal_right
        present = parameters.pcom_left if side == "left" else parameters.pcom_right
        pulses = branches.trunk(atlas.mirrored(atlas.P1, sign), (0.5, 0.5) if fetal else (1.2, 1.2), tip)
        wide = (1.05, 1.0) if fetal else (0.7, 0.6)
        over = branches.trunk(atlas.mirrored(atlas.PCOM, sign), wide, branches.reached[f"carotid_{side}"])
        if not present:
            branches.undo()
        pulses = over if fetal and present else pulses
        targets = branches.targets("pca", sign, round(atlas.PCA_ENDS * parameters.density))
        branches.tree(atlas.mirrored(atlas.P2, sign), targets, 1.2, pulses)
        for path, count, radius, place, source in atlas.CEREBELLAR:
            targets = branches.targets(place, sign, round(count * parameters.density))
            branches.tree(atlas.mirrored(path, sign), targets, radius, ends[side] if source == "vertebral" else tip)


def _sinuses(branches: Branches, ratio: float) -> None:
    """Superior sagittal, transverse and sigmoid sinuses."""
    middle = branches.outline(0.0, atlas.SAGITTAL_DEG)
    branches.sinus(middle, (0.9, 2.0, 2.8, 3.2, 3.4))
    for sign, factor in ((-1.0, np.sqrt(ratio)), (1.0, 1.0 / np.sqrt(max(ratio, 0.5)))):
        path = branches.transverse(middle[-1], sign)
        branches.sinus(path, np.array((2.9, 2.9, 3.0, 2.8)) * factor)
