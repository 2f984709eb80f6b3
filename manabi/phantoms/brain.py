"""A head in MR images of one or several contrasts, with its brain structures and arteries as truth.

Anatomy is a parametric head (:mod:`manabi.phantoms.brain_anatomy`) or a label map with FreeSurfer's codes
(:mod:`manabi.phantoms.brain_label_maps`); arteries are grown over its surface (:mod:`manabi.phantoms.brain_vessels`).
Signals follow from sequence equations (:mod:`manabi.phantoms.brain_contrast`). The source studies segment cerebrum,
cerebellum, brainstem and vessels from heavily T2-weighted MR cisternography and MR angiography (Sugino T et al. Med
Phys 2021;48:7215, 10.1002/mp.15192). In heavily T2-weighted images arteries show only as voids within fluid: elsewhere
an angiogram cannot be known from them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.phantoms.base import Case, Phantom
from manabi.phantoms.brain_anatomy import Anatomy
from manabi.phantoms.brain_contrast import USUAL
from manabi.phantoms.brain_contrast import Sequence as Protocol
from manabi.phantoms.brain_faults import Faults
from manabi.phantoms.brain_pose import Pose
from manabi.phantoms.brain_vessels import Vessels

PLANES = ("axial", "sagittal", "coronal")
PATHOLOGIES = ("normal", "hydrocephalus")
ANATOMIES = ("parametric", "labels")


@dataclass(frozen=True)
class Scan:
    """Where the image lies.

    Attributes:
        voxel_mm: pixel size in the slice.
        slice_mm: slice thickness, without gaps.
        plane: one of :data:`PLANES`.
        tilt_deg: obliqueness, about the right, anterior and superior axes.
        field_mm: extent to the right, anterior and superior.
        offset_mm: of its middle from the head's middle, RAS.
    """

    voxel_mm: float = 1.0
    slice_mm: float = 1.0
    plane: str = "axial"
    tilt_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    field_mm: tuple[float, float, float] = (180.0, 226.0, 186.0)
    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Protocols:
    """The sequence of every contrast; only those that are asked for are rendered."""

    t1: Protocol = USUAL["t1"]
    t2: Protocol = USUAL["t2"]
    heavy_t2: Protocol = USUAL["heavy_t2"]
    flair: Protocol = USUAL["flair"]
    tof: Protocol = USUAL["tof"]


@dataclass(frozen=True)
class BrainParameters:
    """Everything a case is rebuilt from.

    Attributes:
        contrasts: names of the images, keys of :data:`manabi.phantoms.brain_contrast.USUAL`; the first is what the
            method takes.
        pathology: one of :data:`PATHOLOGIES`.
        source: ``parametric`` or ``labels``.
        head: path of the label map where the source is ``labels``; "" otherwise.
        anatomy: of the parametric head.
        pose: place, size and deformation of either.
        vessels: which arteries there are.
        vessel_seed: draws their courses.
        tissue_spread: standard deviation of the logarithm of T1 and T2.
        tissue_seed: draws them, and the texture.
        protocols: sequences.
        scan: grid of the images and of the truth.
        angio: grid of ``heavy_t2`` and ``tof`` where ``same_grid`` is false.
        same_grid: whether all images lie on one grid.
        painted: whether there are faulty labels.
        faults: their faults.
    """

    contrasts: tuple[str, ...] = ("t1",)
    pathology: str = "normal"
    source: str = "parametric"
    head: str = ""
    anatomy: Anatomy = field(default_factory=Anatomy)
    pose: Pose = field(default_factory=Pose)
    vessels: Vessels = field(default_factory=Vessels)
    vessel_seed: int = 0
    tissue_spread: float = 0.05
    tissue_seed: int = 0
    protocols: Protocols = field(default_factory=Protocols)
    scan: Scan = field(default_factory=Scan)
    angio: Scan = field(default_factory=Scan)
    same_grid: bool = True
    painted: bool = False
    faults: Faults = field(default_factory=Faults)


class BrainPhantom(Phantom[BrainParameters]):
    """MR of one head; see :mod:`manabi.phantoms.brain_sampling` for the ranges."""

    name = "brain"
    parameters_type = BrainParameters
    method = "brain"

    def sample_parameters(self, rng: np.random.Generator, **choices: Any) -> BrainParameters:
        """Draw one case.

        Args:
            rng: source of everything random.
            choices: values to fix: ``anatomy`` (``parametric`` or ``labels``), ``head`` (path of the label map; implies
                ``labels``), ``contrasts`` (names, or one name), ``pathology``, ``faults`` (true or false),
                ``same_grid``, and any field of :class:`Scan`, :class:`Anatomy`, :class:`Pose`, :class:`Vessels` and
                :class:`Faults` by its name (``voxel_mm``, ``slice_mm``, ``plane``, ``ventricle``, ``rotation_deg``,
                ``acom``, ``keep``, ...); a fault's field implies ``faults``. ``noise_percent``,
                ``inhomogeneity_percent`` and ``blur_voxels`` hold for every contrast, ``vessel_seed``,
                ``tissue_spread`` and ``tissue_seed`` for the case.

        Raises:
            InvalidInputError: for an unknown name or value.
        """
        from manabi.phantoms.brain_sampling import sample

        return sample(rng, choices)

    def pair(self, parameters: BrainParameters) -> tuple[str, str] | None:
        """Cisternography and angiography where both are rendered on one grid."""
        both = {"heavy_t2", "tof"} <= set(parameters.contrasts)
        return ("heavy_t2", "tof") if both else None

    def render_batch(self, parameters: Sequence[BrainParameters], context: Context | None = None) -> list[Case]:
        """Render cases, each on its own; always on the processor, one thread per case.

        Each has a volume per contrast (named after it, the first is the method's input), the label map ``structures``
        (:data:`manabi.brain.structures.LABELS`) and, where asked for, ``painted`` (the same with a reader's faults),
        and the truth: volumes in mL within the image, pathology, contrast.

        Raises:
            InvalidInputError: for what cannot be simulated.
            CancelledError: when the context was cancelled.
        """
        from manabi.phantoms.brain_render import render_cases

        records = [json.loads(self.to_json(case)) for case in parameters]
        return render_cases(parameters, records, context or Context())
