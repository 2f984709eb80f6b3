"""Which series of an archive a method takes for one of its inputs; every method declares its own.

A rule says what a series must be and, among several of one study, which is preferred. It is a draft for a person, who
sees why each series was taken or left out and can change it: :mod:`manabi.archive`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from manabi.errors import InvalidInputError

REGIONS = ("head", "neck", "chest", "heart", "breast", "abdomen", "pelvis", "spine", "limbs", "whole body")
"""Parts of the body that rules and :mod:`manabi.archive.words` speak of."""
CONTRASTS = (
    "T1", "T1 with contrast agent", "T2", "FLAIR", "proton density", "heavily T2", "angiography", "susceptibility",
    "diffusion", "perfusion", "functional", "unknown",
)  # fmt: skip
"""MR contrasts that rules and :mod:`manabi.archive.words` speak of."""
ORIENTATIONS = ("axial", "coronal", "sagittal", "oblique")


@dataclass(frozen=True)
class SeriesRule:
    """What a series must be to be taken for an input.

    Patterns are regular expressions, in small letters, searched in what the header says of the examination: body part,
    descriptions of study and series, protocol, manufacturer and model, with ``_``, ``-`` and the like as blanks.

    Attributes:
        modalities: DICOM modality codes; empty takes those of the input.
        regions: parts of the body (:data:`REGIONS`); a series that says another one is left out, one that says none is
            not. Empty takes any.
        needs: patterns of which at least one must be found; empty needs none.
        without: patterns of which none may be found.
        prefers: patterns; the earlier one that is found, the better.
        image_types: parts of the values of ImageType, in capitals, of which at least one must be there.
        contrasts: MR contrasts (:data:`CONTRASTS`) that are taken, best first; empty takes any.
        orientations: of the slices, those that are taken; empty takes any. Axial slices are preferred.
        least_slices: fewest slices.
        least_extent_mm: least distance from the first slice to the last, with one spacing.
        most_spacing_mm: largest distance between slices.
        best_spacing_mm: from and to; series whose spacing lies nearer to it are preferred.
        derived: whether images are taken that were computed from others.
        frontal: of radiographs, whether lateral ones are left out.
        every: whether every series that fits is a case; otherwise the best one of a study is.
        automatic: whether a series is used without a person saying so; otherwise it is only named.
        refers_to: name of the input whose series this one must refer to, as a segmentation does to its image. Each one
            is then a case, together with what it refers to.
    """

    modalities: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    prefers: tuple[str, ...] = ()
    image_types: tuple[str, ...] = ()
    contrasts: tuple[str, ...] = ()
    orientations: tuple[str, ...] = ()
    least_slices: int = 1
    least_extent_mm: float = 0.0
    most_spacing_mm: float = math.inf
    best_spacing_mm: tuple[float, float] = (0.0, math.inf)
    derived: bool = False
    frontal: bool = False
    every: bool = False
    automatic: bool = True
    refers_to: str = ""

    def __post_init__(self) -> None:
        """Refuse words that nothing would ever be found under."""
        for name, given, known in (
            ("regions", self.regions, REGIONS),
            ("contrasts", self.contrasts, CONTRASTS),
            ("orientations", self.orientations, ORIENTATIONS),
        ):
            unknown = [word for word in given if word not in known]
            if unknown:
                raise InvalidInputError(f"{name}: {', '.join(unknown)} unknown. Choose of {', '.join(known)}.")
