"""A man's pelvis in planning CT with the truth of prostate, seminal vesicles, bladder and rectum.

For segmentation of the four organs. The patient is painted as tissues (skin, fat, muscles, bones, vessels, bowel, the
organs in contact with one another, stones, seeds and artificial hips) and scanned by the physics of
:mod:`manabi.phantoms.ct`. Prostate and vesicles differ by about 5 HU, so that they are as hard to tell apart as in
patients; simulated observers can contour the image with their usual unsteadiness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.phantoms.base import Case, Phantom
from manabi.phantoms.pelvis_parameters import PelvisParameters


class PelvisPhantom(Phantom[PelvisParameters]):
    """CT of one pelvis; see :mod:`manabi.phantoms.pelvis_sampling` for the ranges."""

    name = "pelvis"
    parameters_type = PelvisParameters
    method = ""

    def sample_parameters(self, rng: np.random.Generator, **choices: Any) -> PelvisParameters:
        """Draw one patient.

        Args:
            rng: source of everything random. The same draws are made whatever the choices, so that a choice changes
                what it names and nothing else.
            choices: values to fix: ``empty_bladder`` and ``bladder_contrast`` (true or false), and any field of the
                parts of :class:`PelvisParameters` by its name (``pixel_mm``, ``matrix``, ``slice_mm``, ``length_mm``,
                ``bladder_ml``, ``prosthesis``, ``seeds``, ``readers``, ...).

        Raises:
            InvalidInputError: for an unknown name or value.
        """
        from manabi.phantoms.pelvis_sampling import sample

        return sample(rng, choices)

    def render_batch(self, parameters: Sequence[PelvisParameters], context: Context | None = None) -> list[Case]:
        """Render patients on the context's device.

        Each case holds the volume ``ct`` (HU, 16 bit), the label maps ``organs`` (1 prostate, 2 seminal vesicles,
        3 bladder, 4 rectum: the exact truth), ``anatomy`` (every tissue) and ``contours_1``, ... (simulated
        observers, where ``readers`` asks for them), and the truth: volumes in mL, whether each organ lies wholly in
        the image, median HU of organs and tissues without noise and blur, metal, contrast medium, truncation.
        """
        from manabi.phantoms.pelvis_scan import render_all

        return render_all(parameters, context or Context())
