"""What a reader of a pelvic CT and its organs must not overlook, each as a text that says what to do.

Metal and truncation are found as in MVCTConvert (:mod:`manabi.mvct.metal`, :mod:`manabi.mvct.truncation`). The source
has no such checks; all limits are our choice, and parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from manabi.errors import GeometryError
from manabi.mvct.metal import Metal, find_metal
from manabi.mvct.padding import find_padding
from manabi.mvct.tissue_map import body_mask, bounding_box, eroded, smooth_in
from manabi.mvct.truncation import find_truncation
from manabi.parameters import Parameters
from manabi.pelvis.structures import PELVIS
from manabi.structures.report import Measured, flags
from manabi.structures.structure_set import StructureSet
from manabi.volume import Volume

METAL, TRUNCATED, CUT, EMPTY, VOLUME, CONTRAST, NO_BODY = (
    "metal", "truncated", "cut", "empty", "volume", "contrast", "no body",
)  # fmt: skip
AIR_HU = -1000.0
BLADDER = "bladder"
URINE_MARGIN_MM, URINE_SMOOTH_MM = 4.0, 2.0
"""How far within its outline the bladder is looked at, so that neither wall nor fat counts, and the smoothing there."""
URINE_PERCENTILE = 95.0
"""Contrast medium sinks to the back: the brightest part tells, not the mean."""
LEAST_URINE_ML = 1.0
"""With less to look at, nothing is said of contrast medium."""


@dataclass(frozen=True)
class CheckLimits(Parameters):
    """From where on something is told.

    Attributes:
        implant_ml: of metal in the body; less is markers and seeds, told only where streaks reach the organs.
        cut_percent: of an organ's largest area that is left on the first or last slice.
        empty_bladder_ml: a bladder with less is nearly empty; planning bladders are mostly above 70 mL.
        contrast_hu: the brightest urine above this holds contrast medium; without, it is at 0 to 20 HU.
    """

    implant_ml: float = field(default=2.0, metadata={"low": 0.0, "help": "metal from this volume is told, mL"})
    cut_percent: float = field(default=2.0, metadata={"low": 0.0, "high": 100.0, "help": "area at the image's end"})
    empty_bladder_ml: float = field(default=50.0, metadata={"low": 0.0, "help": "a bladder with less is nearly empty"})
    contrast_hu: float = field(default=40.0, metadata={"help": "urine above this holds contrast medium"})


@dataclass(frozen=True)
class Alert:
    """Something to look at.

    Attributes:
        kind: :data:`METAL`, :data:`TRUNCATED`, :data:`CUT`, :data:`EMPTY`, :data:`VOLUME`, :data:`CONTRAST` or
            :data:`NO_BODY`.
        text: what was found, and what to do.
        structure: name of the organ; empty where it is about the image.
    """

    kind: str
    text: str
    structure: str = ""


def check(
    ct: Volume, labels: Volume, known: StructureSet = PELVIS, limits: CheckLimits | None = None
) -> list[Alert]:  # fmt: skip
    """Everything below, about the image first.

    Args:
        ct: HU.
        labels: of ``known`` on the same grid; structures without a voxel are told to be missing.
        known: the structures, without sides.
        limits: from where on something is told.

    Raises:
        GeometryError: where labels and CT do not lie on the same grid.
    """
    if not labels.grid.same_as(ct.grid):
        raise GeometryError(
            f"The labels {labels.shape} do not lie on the CT's grid {ct.shape}. Resample them to the CT first."
        )
    scene = _Scene.of(ct, labels, known)
    limits = limits or CheckLimits()
    if not scene.body.any():
        return [Alert(NO_BODY, "The field of view shows no body. Check that the series is a CT in Hounsfield units.")]
    metal = find_metal(scene.hu, scene.spacing_mm, scene.body)
    organs = (*_cut(scene, limits), *_volumes(scene), *_empty(scene, limits), *_contrast(scene, metal, limits))
    return [*_metal(scene, metal, limits), *_truncated(scene), *organs]


@dataclass(frozen=True, eq=False)
class _Scene:
    """CT and organs with axes as close to right, anterior, superior as the image's own: slice 0 is the lowest.

    Attributes:
        given: HU as the image has them.
        hu: the same with air for padding.
        body: mask of the patient.
        labels: the structures' classes.
        spacing_mm: of I, J, K.
        known: the structures.
    """

    given: np.ndarray
    hu: np.ndarray
    body: np.ndarray
    labels: np.ndarray
    spacing_mm: np.ndarray
    known: StructureSet

    @classmethod
    def of(cls, ct: Volume, labels: Volume, known: StructureSet) -> _Scene:
        """From images of any orientation."""
        canonical = ct.reoriented()
        given = np.asarray(canonical.array)
        padding = find_padding(given)
        hu = given if padding is None else np.where(padding, AIR_HU, given)
        spacing = canonical.spacing_mm
        return cls(given, hu, body_mask(hu, spacing), np.asarray(labels.reoriented().array), spacing, known)

    def organ(self, name: str) -> np.ndarray:
        """Mask of a structure."""
        return self.labels == self.known.classes[name]

    def ml(self, mask: np.ndarray) -> float:
        """Volume of a mask."""
        return float(mask.sum()) * float(np.prod(self.spacing_mm)) / 1000.0

    def words(self, slices: list[int]) -> str:
        """Slices by number from the feet."""
        first, last = slices[0] + 1, slices[-1] + 1
        place = f"slice {first}" if first == last else f"slices {first} to {last}"
        return f"{place} of {len(self.hu)}, counted from the feet"


# --- the image --------------------------------------------------------------------------------------------------------


def _metal(scene: _Scene, metal: Metal, limits: CheckLimits) -> Iterator[Alert]:
    """An implant, or smaller metal whose streaks reach an organ."""
    reached = [one.words for one in scene.known.structures if scene.organ(one.name)[metal.streaked].any()]
    if not metal.present or (metal.volume_ml < limits.implant_ml and not reached):
        return
    implant = metal.volume_ml >= limits.implant_ml
    what = f", such as an artificial hip,{_side(scene, metal, limits)}" if implant else ", such as markers,"
    text = (
        f"Check the organs near metal: {metal.volume_ml:.1f} mL of it{what} in "
        f"{scene.words([part.index for part in metal.slices])}."
    )
    if reached:
        text += (
            f" Streaks disturb {len(metal.streaked)} slices and reach {_listed(reached)}: correct the outlines there "
            "by hand, on a reconstruction with metal artefact reduction or an MR where there is one."
        )
    yield Alert(METAL, f"{text} Replace the HU of metal and streaks before a dose is calculated.")


def _side(scene: _Scene, metal: Metal, limits: CheckLimits) -> str:
    """On which side of the body an implant lies: on both where each has one."""
    middle = float(np.nonzero(scene.body.any((0, 1)))[0].mean())
    right = np.arange(metal.mask.shape[2]) > middle
    found = [name for name, half in (("right", right), ("left", ~right))
             if scene.ml(metal.mask[:, :, half]) >= limits.implant_ml]  # fmt: skip
    return " on both sides" if len(found) == 2 else f" on the {found[0]}" if found else ""


def _truncated(scene: _Scene) -> Iterator[Alert]:
    found = find_truncation(scene.given, scene.spacing_mm, scene.body)
    if found.cut:
        yield Alert(
            TRUNCATED,
            f"The field of view cuts the body off in {len(found.cut)} of {len(scene.hu)} slices (about "
            f"{100 * found.largest_loss:.0f} % of it is missing where most is). Reconstruct with a larger field of "
            "view; calculate no dose on this image.",
        )


# --- the organs -------------------------------------------------------------------------------------------------------


def _cut(scene: _Scene, limits: CheckLimits) -> Iterator[Alert]:
    """Organs that go on beyond the first or last slice."""
    for one in scene.known.structures:
        areas = scene.organ(one.name).sum((1, 2))
        ends = {"lowest": areas[0], "highest": areas[-1]}
        for end, area in ends.items():
            share = 100.0 * float(area) / max(float(areas.max()), 1.0)
            if area and share >= limits.cut_percent:
                yield Alert(
                    CUT,
                    f"The field of view ends within the {one.words}: on the {end} slice it still has {share:.0f} % of "
                    "its largest area. Load or scan the slices beyond; do not use its volume or dose-volume values.",
                    one.name,
                )


def _volumes(scene: _Scene) -> Iterator[Alert]:
    """Volumes outside what the set calls plausible, in the report's words."""
    for one in scene.known.structures:
        row = Measured(one.name, "", scene.ml(scene.organ(one.name)), None, 0.0)
        for text in flags([row], scene.known, 0.0):
            yield Alert(VOLUME, f"{text} Go through its outline slice by slice before it is used.", one.name)


def _empty(scene: _Scene, limits: CheckLimits) -> Iterator[Alert]:
    if BLADDER not in scene.known.classes:
        return
    volume = scene.ml(scene.organ(BLADDER))
    if 0.0 < volume < limits.empty_bladder_ml:
        yield Alert(
            EMPTY,
            f"Check the bladder: it is nearly empty ({volume:.0f} mL, below {limits.empty_bladder_ml:g} mL). Scan "
            "again with a fuller bladder where that is how the patient will be treated; check its border with bowel "
            "and prostate.",
            BLADDER,
        )


def _contrast(scene: _Scene, metal: Metal, limits: CheckLimits) -> Iterator[Alert]:
    """Bright urine, where no streaks are that look like it."""
    bright = _brightest_urine(scene, metal)
    if bright is not None and bright > limits.contrast_hu:
        yield Alert(
            CONTRAST,
            f"Check the bladder: it holds contrast medium ({bright:.0f} HU at its brightest; urine has 0 to 20 HU). "
            "Check its border where layers of different brightness meet, and replace its HU by those of water before "
            "a dose is calculated.",
            BLADDER,
        )


def _brightest_urine(scene: _Scene, metal: Metal) -> float | None:
    """HU of the brightest smoothed urine (95th percentile); None where too little of it can be seen."""
    if BLADDER not in scene.known.classes:
        return None
    bladder = scene.organ(BLADDER)
    bladder[metal.streaked] = False
    if not bladder.any():
        return None
    box = bounding_box(bladder, (1, 1, 1))
    inside = eroded(bladder[box], URINE_MARGIN_MM, scene.spacing_mm)
    if scene.ml(inside) < LEAST_URINE_ML:
        return None
    smooth = smooth_in(np.asarray(scene.hu[box], np.float32), inside, URINE_SMOOTH_MM, scene.spacing_mm)
    return float(np.percentile(smooth[inside], URINE_PERCENTILE))


def _listed(words: list[str]) -> str:
    return "the " + (words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}")
