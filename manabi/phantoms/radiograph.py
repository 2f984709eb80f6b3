"""A chest film (PA) with the truth of its nodules and lungs: a simulated chest projected, exposed, detected, processed.

For the nodule detector (:mod:`manabi.nodule`). The chest is that of the CT phantom, standing, in deep inspiration, with
a film's bones and heart; rays diverge from a point source, the beam has a spectrum, scatter passes a grid, the
detector adds noise. Nodules are put into the chest, not into the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from manabi.context import Context
from manabi.phantoms.base import Case, Phantom
from manabi.phantoms.radiograph_parameters import RadiographParameters


class RadiographPhantom(Phantom[RadiographParameters]):
    """One chest film; see :mod:`manabi.phantoms.radiograph_sampling` for the ranges."""

    name = "radiograph"
    parameters_type = RadiographParameters
    method = "nodule"
    shown: ClassVar[Mapping[str, Any]] = {"nodules": 1, "diameter_mm": 24.0, "density": "solid"}

    def sample_parameters(self, rng: np.random.Generator, **choices: Any) -> RadiographParameters:
        """Draw one film.

        Args:
            rng: source of everything random; a choice changes what it names and nothing else.
            choices: values to fix: ``nodules`` (0 to 3), ``diameter_mm`` (0 draws it), ``density`` (``solid``,
                ``part_solid``, ``ground_glass``), ``pathology`` (a key of
                :data:`manabi.phantoms.thorax_disease.KINDS`), ``domain`` (``training`` or ``held_out``), ``matrix``,
                ``pixel_mm``.

        Raises:
            InvalidInputError: for an unknown name or value.
        """
        from manabi.phantoms.radiograph_sampling import sample

        return sample(rng, choices)

    def render_batch(self, parameters: Sequence[RadiographParameters], context: Context | None = None) -> list[Case]:
        """Render films on the context's device, one after the other.

        Each case holds the volume ``radiograph`` (0 to 4095, 16 bit, denser brighter, one slice), for films with
        nodules also ``normal``, the same film without them; the label maps ``lungs`` (also where heart, bones and
        diaphragm cover them) and ``nodules`` (numbered); and the truth: number, and of each nodule its middle (RAS mm
        on the film), diameter, density, contrast, contrast to noise, subtlety, lung and what covers it.
        """
        from manabi.phantoms.radiograph_render import render_all

        return render_all(parameters, context or Context())
