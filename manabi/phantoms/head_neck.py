"""A head and neck seen by a megavoltage or cone-beam scanner and by a planning CT: the same patient, the same grid.

For converters (:mod:`manabi.mvct`). The patient is painted as tissues (skin, fat, muscles, bones, teeth with their
metal, airway, glands, vessels, brain) and scanned by the physics of :mod:`manabi.phantoms.ct`; the pair serves
evaluation, images of different patients serve unpaired training. A lesion, contrast medium and dental metal can each be
taken out of the same patient with everything else, noise included, left as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.phantoms.base import Case, Phantom
from manabi.phantoms.head_neck_parameters import HeadNeckParameters


class HeadNeckPhantom(Phantom[HeadNeckParameters]):
    """Two CTs of one head and neck; see :mod:`manabi.phantoms.head_neck_sampling` for the ranges."""

    name = "head_neck"
    parameters_type = HeadNeckParameters
    method = "mvct"

    def sample_parameters(self, rng: np.random.Generator, **choices: Any) -> HeadNeckParameters:
        """Draw one patient and the scanners.

        Args:
            rng: source of everything random. The same draws are made whatever the choices, so that a choice changes
                what it names and nothing else.
            choices: values to fix: ``image`` (``mvct`` or ``cbct``), ``lesion`` (``none``, ``bright``, ``dark``,
                ``bone``), ``contrast`` (whether the planning CT has contrast medium), ``metal`` (whether dental metal
                is kept), ``fast``, and any field of the parts of :class:`HeadNeckParameters` by its name
                (``pixel_mm``, ``matrix``, ``slice_mm``, ``length_mm``, ``diameter_mm``, ``extend_deg``, ...).

        Raises:
            InvalidInputError: for an unknown name or value.
        """
        from manabi.phantoms.head_neck_sampling import sample

        return sample(rng, choices)

    def render_batch(self, parameters: Sequence[HeadNeckParameters], context: Context | None = None) -> list[Case]:
        """Render patients on the context's device.

        Each case holds the volumes ``mvct`` (or ``cbct``) and ``kvct`` (HU, 16 bit) on one grid, the label map
        ``anatomy`` and the truth: mean HU of every tissue in both scans without noise and errors, the lesion's place
        and size, contrast medium, dental metal, the scanners' noise, field of view and slice thickness.
        """
        from manabi.phantoms.head_neck_scan import render_all

        return render_all(parameters, context or Context())

    def pair(self, parameters: HeadNeckParameters) -> tuple[str, str] | None:
        """The image to convert and the planning CT."""
        return parameters.grid.image, "kvct"
