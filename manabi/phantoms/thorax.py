"""A chest in CT with the truth of its levels: lungs, airways, vessels, bones, heart, diaphragm, arms, disease.

For markers (:mod:`manabi.slices`) and, projected, for radiographs. The truth is that of the finished lungs and airways:
where fluid or collapse hides the base of a lung, the lowest *aerated* level counts, as for a reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.phantoms.base import Case, Phantom
from manabi.phantoms.thorax_parameters import ThoraxParameters

MARKERS = ("apex", "carina", "diaphragm")


class ThoraxPhantom(Phantom[ThoraxParameters]):
    """CT of one chest; see :mod:`manabi.phantoms.thorax_sampling` for the ranges."""

    name = "thorax"
    parameters_type = ThoraxParameters
    method = "slices"

    def sample_parameters(self, rng: np.random.Generator, **choices: Any) -> ThoraxParameters:
        """Draw one chest.

        Args:
            rng: source of everything random.
            choices: values to fix: ``pathology`` (a key of :data:`manabi.phantoms.thorax_disease.KINDS`), ``jitter``
                (whether a reader's marks are one slice off in a tenth of cases), and any field of the parts of
                :class:`ThoraxParameters` by its name (``slice_mm``, ``pixel_mm``, ``matrix``, ``top_mm``, ...).

        Raises:
            InvalidInputError: for an unknown name or pathology.
        """
        from manabi.phantoms.thorax_sampling import sample

        return sample(rng, choices)

    def render_batch(self, parameters: Sequence[ThoraxParameters], context: Context | None = None) -> list[Case]:
        """Render chests on the context's device; on a processor side by side, one thread each.

        Each case holds the volume ``ct`` (HU, 16 bit), the label map ``anatomy`` and the truth: positions of the
        markers in mm (RAS coordinate S), also outside the image; their slices (None there), as a reader marked them
        (``read_*_slice``), and the pathology.
        """
        from manabi.phantoms.thorax_render import render_all

        return render_all(parameters, context or Context())
