"""What is checked before and after a conversion, put together into one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.mvct.gate import REFUSE, Evidence, Verdict, judge
from manabi.mvct.hu_check import HuLine
from manabi.mvct.level import couch_slope
from manabi.mvct.metal import find_metal
from manabi.mvct.metrics import Dig
from manabi.mvct.missing import missing_slices
from manabi.mvct.ood import Reference, oddities
from manabi.mvct.pipeline import Model
from manabi.mvct.prepare import Work
from manabi.mvct.signature import Signature, likely_kind, signature
from manabi.mvct.tissue_map import TissueMap, tissue_map
from manabi.mvct.truncation import Truncation, find_truncation


@dataclass(frozen=True)
class InputCheck:
    """What the input alone says, on the work grid.

    Attributes:
        tissues: of the input, with its body and noise.
        signature: its numbers and histogram.
        reference: of the model's training images; None where the bundle holds none.
        features: of the model's encoder; None where the reference holds none.
        evidence: for the gate, as far as it is known before converting.
    """

    tissues: TissueMap
    signature: Signature
    reference: Reference | None
    features: np.ndarray | None
    evidence: Evidence

    @property
    def body(self) -> np.ndarray:
        """Mask of the body."""
        return self.tissues.body


def check_input(work: Work, model: Model, context: Context) -> InputCheck:
    """Look at an input before it is converted.

    Args:
        work: the input.
        model: that is going to convert it.
        context: progress and cancellation.

    Raises:
        InvalidInputError: where there is no body in the image.
    """
    spacing, kind = work.image.spacing_mm, model.settings.kind
    context.progress(0.0, "Finding the body")
    tissues = tissue_map(work.hu, spacing, kind)
    if not tissues.body.any():
        raise InvalidInputError(
            "No body was found in this image: nothing in it is denser than air over some centimetres. Check that the "
            "series is a CT in Hounsfield units, exported with its rescale intercept."
        )
    context.progress(0.5, "Checking the input")
    found = signature(work.hu, spacing, tissues)
    reference = Reference.of(model.facts["ood"]) if model.facts.get("ood") else None
    features = _features(work, model, reference, tissues.body, context)
    context.progress(0.7, "Looking for truncation, metal, tilt and missing slices")
    evidence = Evidence(
        body_share=float(tissues.body.mean()),
        lowest_hu=work.lowest_hu,
        oddities=() if reference is None else oddities(found, reference, features),
        kind=kind,
        seems=likely_kind(found),
        truncation=_truncation(work, tissues.body),
        metal=find_metal(work.hu, spacing, tissues.body, kind),
        usual_dig=model.facts.get("usual_dig"),
        couch_slope=couch_slope(work.hu, spacing, tissues.body),
        missing=missing_slices(work.hu, tissues.body),
    )
    return InputCheck(tissues, found, reference, features, evidence)


def _truncation(work: Work, body: np.ndarray) -> Truncation:
    """Looked for on the input's own pixels: others blur the edge of a field of view away."""
    own = work.mask_to_straight(body)
    return find_truncation(np.asarray(work.straight.array), work.straight.spacing_mm, own)


def _features(
    work: Work, model: Model, reference: Reference | None, body: np.ndarray, context: Context
) -> np.ndarray | None:  # fmt: skip
    """The encoder's features where the bundle holds those of its training images."""
    from manabi.mvct.features import encoder_features

    if reference is None or model.network is None or not reference.feature_mean.size:
        return None
    return encoder_features(model.network, model.settings, work.hu, body, context)


def final_verdict(
    checked: InputCheck, lines: Sequence[HuLine], dig: Dig, residual: np.ndarray | None
) -> Verdict:  # fmt: skip
    """The gate's verdict with all that is known after converting.

    Args:
        checked: what the input said.
        lines: HU check of the converted image.
        dig: difference in gradient.
        residual: cycle residuals of the body's voxels, HU; None where there are none.
    """
    found = checked.evidence.oddities
    if checked.reference is not None and residual is not None:
        residual_hu = float(np.abs(residual).mean())
        found = oddities(checked.signature, checked.reference, checked.features, residual_hu)
    return judge(replace(checked.evidence, oddities=found, hu_lines=lines, dig=dig.dig_a))


def refuse(verdict: Verdict, gate: str) -> None:
    """Raise InvalidInputError where the verdict is to refuse and ``gate`` says that this counts."""
    if gate != "refuse" or verdict.level != REFUSE:
        return
    raise InvalidInputError(
        f"The image was not converted. {' '.join(verdict.warnings)} Set gate=flag to convert it all the same."
    )
