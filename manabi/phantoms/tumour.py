"""A tumour with known texture, volume and outcome: in the lung (CT, cone-beam CT) or the brain (two MR contrasts).

The truth is what radiomics should find: the correlation length of the texture (z), the volume, the parts of the hazard
that follow from them, and the survival drawn from it (:mod:`manabi.phantoms.tumour_survival`). Scanners differ by
centre. What is rendered, and how: :mod:`manabi.phantoms.tumour_render` and :mod:`manabi.phantoms.tumour_glioma`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.phantoms.base import Case, Phantom
from manabi.phantoms.tumour_parameters import TumourParameters


class TumourPhantom(Phantom[TumourParameters]):
    """One patient's tumour; see :mod:`manabi.phantoms.tumour_sampling` for the ranges."""

    name = "tumour"
    parameters_type = TumourParameters
    method = "radiomics"

    def sample_parameters(self, rng: np.random.Generator, **choices: Any) -> TumourParameters:
        """Draw one patient.

        Args:
            rng: source of everything random.
            choices: values to fix: ``modality`` (``ct`` or ``mr``), ``weeks``, ``cohort`` (a key of
                :data:`manabi.phantoms.tumour_survival.COHORTS`), the effects and the study's plan by the names of
                :class:`manabi.phantoms.tumour_survival.OutcomeModel` (``beta``, ``gamma_v``, ``confounding``, ...),
                facts of the patient (``z``, ``v``, ``volume_ml``, ``length_mm``, ``age_years``, ``sex``, ``centre``,
                ``grade``), from which the rest follows, and any field of the parts of :class:`TumourParameters` by its
                name (``slice_mm``, ``pixel_mm``, ``spicules``, ``wall_mm``, ...).

        Raises:
            InvalidInputError: for an unknown name, or a value that no tumour or study can have.
        """
        from manabi.phantoms.tumour_sampling import sample

        return sample(rng, choices)

    def render_batch(self, parameters: Sequence[TumourParameters], context: Context | None = None) -> list[Case]:
        """Render cases one after the other, on one thread each.

        A case holds the volume ``ct`` (HU) or ``t1ce`` and ``t2`` (MR), ``cbct_week1`` and so on where there are weeks,
        a label map ``tumour`` (``tumour_week1`` ...) of the true outline, and the truth: ``z``, ``v``, ``volume_ml``,
        ``length_mm``, the parts of the log hazard (``hazard_*``) and their sum, ``time_days``, ``event``, ``centre``,
        ``age_years``, ``sex``, ``stage``, ``grade`` (MR only), and the volumes of the weeks.

        Raises:
            InvalidInputError: for a modality that is not known.
            CancelledError: when the context was cancelled.
        """
        from manabi.phantoms.tumour_render import render_all

        return render_all(parameters, context or Context())
