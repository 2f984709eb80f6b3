"""A head with striata of grade 1 to 4, its dopamine-transporter SPECT of 5 and 25 minutes, and the truth.

Physics after the project's survey of published 123I-ioflupane practice: anatomy and uptake
(:mod:`manabi.phantoms.striatum_anatomy`), camera (:mod:`manabi.phantoms.spect_camera`), reconstruction
(:mod:`manabi.phantoms.osem`). Sources: Winz OH et al., 2012, doi:10.1097/RLU.0b013e318251e1b3 (OSEM 8 × 8); phantom
ratios of PMC6038970; binding ratios of PMC4182457; collimator formula and table of the Siemens Symbia.

Both images are in counts per voxel of their own acquisition, corrected for attenuation: the 5-minute image holds a
fifth of the counts of the 25-minute one. ``activity`` is the noise-free truth in counts per voxel of 25 minutes.

As with real scans, few counts do not only make OSEM noisier: its images cannot be negative, so that the 5-minute
image's striata are some percent too low against a fifth of the 25-minute one's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.phantoms.base import Case, Phantom
from manabi.phantoms.striatum_anatomy import Anatomy, Uptake


@dataclass(frozen=True)
class Acquisition:
    """How the scan is taken.

    Attributes:
        views: number of views over 360°.
        n_slices: axial slices of 3.29 mm.
        radius_mm: from the axis to the collimator's face.
        collimator: a key of :data:`manabi.phantoms.spect_camera.COLLIMATORS`.
        counts: expected counts in the photopeak window in ``full_minutes``, of the simulated slices over the whole
            detector.
        scatter_fraction: scatter and septal penetration, as a share of ``counts``.
        scatter_sigma_mm: width of their blur over the projections.
        tew_bias: the scatter estimate's mean over the truth.
        tew_window: counts of the scatter windows over scattered counts in the photopeak window (our choice 0.7: two
            windows of 7 % beside one of 20 %).
        tew_filter_mm: FWHM of the smoothing of the scatter estimate; 0 for none.
        minutes: of the short scan.
        full_minutes: of the full scan.
        independent: whether the two scans share no counts; otherwise the short one is a part of the full one.
        noise_seed: draws the counts.
    """

    views: int = 60
    n_slices: int = 64
    radius_mm: float = 140.0
    collimator: str = "LEHR"
    counts: float = 1.3e6
    scatter_fraction: float = 0.325
    scatter_sigma_mm: float = 26.0
    tew_bias: float = 1.0
    tew_window: float = 0.7
    tew_filter_mm: float = 0.0
    minutes: float = 5.0
    full_minutes: float = 25.0
    independent: bool = False
    noise_seed: int = 0


def image_names(plan: Acquisition) -> tuple[str, str]:
    """Keys of the short and the full scan's images."""
    return f"spect_{plan.minutes:g}min", f"spect_{plan.full_minutes:g}min"


@dataclass(frozen=True)
class Reconstruction:
    """How images are made of the counts.

    Attributes:
        iterations: of OSEM.
        subsets: of OSEM.
        resolution_recovery: whether OSEM knows the collimator's blur.
        filter_fwhm_mm: of the Gaussian post-filter.
        mu_shift_mm: error of the CT's position, RAS.
    """

    iterations: int = 7
    subsets: int = 10
    resolution_recovery: bool = False
    filter_fwhm_mm: float = 6.6
    mu_shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class StriatumParameters:
    """Everything a case is rebuilt from.

    Attributes:
        grade_left: 4 normal, 3 putamen mildly reduced, 2 putamen severely reduced, 1 putamen and caudate severely.
        grade_right: the same for the right side.
        anatomy: shape and pose.
        uptake: binding ratios.
        acquisition: camera and counts.
        reconstruction: OSEM and filter.
    """

    grade_left: int = 4
    grade_right: int = 4
    anatomy: Anatomy = field(default_factory=Anatomy)
    uptake: Uptake = field(default_factory=Uptake)
    acquisition: Acquisition = field(default_factory=Acquisition)
    reconstruction: Reconstruction = field(default_factory=Reconstruction)


class StriatumPhantom(Phantom[StriatumParameters]):
    """Dopamine-transporter SPECT of one head; see :mod:`manabi.phantoms.striatum_sampling` for the ranges."""

    name = "striatum"
    parameters_type = StriatumParameters
    method = "spect"

    def sample_parameters(self, rng: np.random.Generator, **choices: Any) -> StriatumParameters:
        """Draw one case.

        Args:
            rng: source of everything random.
            choices: values to fix: ``grade_left``, ``grade_right``, ``protocol`` (``source`` or ``published``, see
                :data:`manabi.phantoms.striatum_sampling.PROTOCOLS`), and any field of :class:`Anatomy`,
                :class:`Uptake`, :class:`Acquisition` and :class:`Reconstruction` by its name (``minutes``,
                ``full_minutes``, ``independent``, ``counts``, ``views``, ``iterations``, ``tilt_deg``, ...).

        Raises:
            InvalidInputError: for an unknown name or an impossible grade.
        """
        from manabi.phantoms.striatum_sampling import sample

        return sample(rng, choices)

    def pair(self, parameters: StriatumParameters) -> tuple[str, str]:
        """The short and the full scan."""
        return image_names(parameters.acquisition)

    def render_batch(self, parameters: Sequence[StriatumParameters], context: Context | None = None) -> list[Case]:
        """Render cases, each on its own, so that a case does not depend on its neighbours.

        On the CPU a case takes one thread, and several cases run side by side: the same voxels come out whatever the
        number of threads, and a busy machine does not stall.

        Each has volumes ``spect_5min`` and ``spect_25min`` (named by their minutes), ``activity`` and ``mu_map``
        (per cm, as the reconstruction used it), label maps ``striatum`` and ``brain``, and the truth. Counts are
        drawn on the CPU, so that they are the same on every device.

        Raises:
            InvalidInputError: for parameters that no camera or reconstruction can have.
            CancelledError: when the context was cancelled.
        """
        from manabi.phantoms.striatum_render import render_cases

        records = [json.loads(self.to_json(case)) for case in parameters]
        return render_cases(parameters, records, context or Context())
