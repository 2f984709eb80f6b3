"""The gate: may this conversion be used, must it be looked at, or must it not be used?

It puts together how unlike the training images the input is, what kind of image it seems to be, truncation, metal, the
HU check of the output, the cycle residual and the distortion, and gives reasons in plain words with what to do. The
limits are our choice; docs say what they do on corrupted and foreign inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from manabi.mvct.hu_check import HuLine, failing
from manabi.mvct.metal import Metal
from manabi.mvct.missing import Missing
from manabi.mvct.ood import Oddity
from manabi.mvct.truncation import Truncation
from manabi.parameters import Parameters
from manabi.result import Table

OK, FLAG, REFUSE = "ok", "flag", "refuse"
LEVELS = (OK, FLAG, REFUSE)
OUT_OF_RANGE = "Out of the training range"
METAL = "Metal"
TRUNCATED = "Truncated field of view"
DO_NOT_USE = "Do not use"
HU_OFF = "HU check"
WRONG_KIND = "Another kind of image"
DISTORTED = "Possible distortion"
TILTED = "Tilted slices"
MISSING = "Missing slices"
NO_HU = "The values do not look like Hounsfield units"
PREFIXES = (OUT_OF_RANGE, METAL, TRUNCATED, DO_NOT_USE, HU_OFF, WRONG_KIND, DISTORTED, TILTED, MISSING, NO_HU)
"""How the gate's warnings begin; a method's ``alert_prefixes``."""
KIND_WORDS = {"mvct": "megavoltage CT", "cbct": "cone-beam CT", "kvct": "kilovoltage CT"}
MOST_NAMED = 3
MISSING_SCORE = 1.5
"""Of slices that are missing: flagged, for the others can be used."""
EDGE = "edge_mm"
HU_LOWEST = -200.0
"""A CT in Hounsfield units holds air: its lowest value is below this (our choice)."""


@dataclass(frozen=True)
class GateLimits(Parameters):
    """From where on something is flagged and refused.

    Attributes:
        flag_z: of an oddity, in standard deviations of the training images.
        refuse_z: the same.
        blur_z: from where on a skin's edge that is wider than usual is flagged; twice as much is refused. Scans of
            different pixel sizes were trained on, so that four deviations would let a blur of 4 mm pass.
        refuse_lost_share: of the body outside the field of view, in any slice; a body that is cut at all is flagged.
        refuse_arc_deg: of the field's edge that the body touches, in any slice: so much is cut that the share lost
            cannot be told.
        refuse_hu_times: tissue of the output off by so many tolerances.
        flag_dig: DIG-a over its usual value.
        least_body_share: of the image's voxels; less is no patient.
        flag_slope: of the couch along the slices, mm per mm; couches are level within 0.02 in the real and simulated
            scans that were tried.
        refuse_slope: the same.
    """

    flag_z: float = 4.0
    refuse_z: float = 8.0
    blur_z: float = 3.0
    refuse_lost_share: float = 0.2
    refuse_arc_deg: float = 200.0
    refuse_hu_times: float = 3.0
    flag_dig: float = 2.0
    least_body_share: float = 0.002
    flag_slope: float = 0.1
    refuse_slope: float = 0.3


@dataclass(frozen=True)
class Evidence:
    """What the gate looks at; what is None was not measured and counts for nothing.

    Attributes:
        body_share: of the image's voxels that are body.
        lowest_hu: value of the image, padding aside.
        oddities: of the input, see :func:`manabi.mvct.ood.oddities`.
        kind: that the model was made for.
        seems: kind that the input seems to be.
        truncation: of the input.
        metal: in the input.
        hu_lines: HU check of the output.
        dig: DIG-a of the conversion, HU/mm.
        couch_slope: of the input, see :func:`manabi.mvct.level.couch_slope`.
        missing: slices of the input that do not show what lies there.
        usual_dig: mean of the model's validation patients (of its training ones where those are too few), HU/mm.
    """

    body_share: float | None = None
    lowest_hu: float | None = None
    oddities: Sequence[Oddity] = ()
    kind: str | None = None
    seems: str | None = None
    truncation: Truncation | None = None
    metal: Metal | None = None
    hu_lines: Sequence[HuLine] = ()
    dig: float | None = None
    usual_dig: float | None = None
    couch_slope: float | None = None
    missing: Missing | None = None


@dataclass(frozen=True)
class Reason:
    """One thing that the gate found.

    Attributes:
        level: ``flag`` or ``refuse``.
        prefix: one of :data:`PREFIXES`.
        text: what was found.
        advice: what to do.
        score: 1 where it is on the limit of a flag; more is worse.
    """

    level: str
    prefix: str
    text: str
    advice: str
    score: float

    @property
    def warning(self) -> str:
        """As a line for the reader."""
        return f"{self.prefix}: {self.text} {self.advice}"


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes:
        level: ``ok``, ``flag`` or ``refuse``.
        reasons: the worst first.
        score: the worst reason's; for ROC curves. Below 1 is ok.
    """

    level: str
    reasons: tuple[Reason, ...] = ()
    score: float = 0.0

    @property
    def warnings(self) -> list[str]:
        """Lines for the reader, the verdict first where it is refused."""
        lines = [reason.warning for reason in self.reasons]
        if self.level == REFUSE:
            return [f"{DO_NOT_USE}: the conversion is not reliable on this image, for the reasons that follow.", *lines]
        return lines

    def table(self) -> Table:
        """A row per reason."""
        rows = tuple((r.level, r.prefix, r.text, r.advice, round(min(r.score, 1e6), 2)) for r in self.reasons)
        return Table(("level", "what", "found", "what_to_do", "score"), rows)


@dataclass
class _Findings:
    """Reasons as they come in, and the highest score of all checks, those that raised nothing included."""

    reasons: list[Reason] = field(default_factory=list)
    score: float = 0.0

    def add(self, score: float, refuse_from: float, prefix: str, text: str, advice: str) -> None:
        """Note a check's score, and its reason where it is 1 or more: to refuse the input, or to flag it."""
        self.score = max(self.score, score)
        if score >= 1.0:
            level = REFUSE if score >= refuse_from else FLAG
            self.reasons.append(Reason(level, prefix, text, advice, float(score)))


def judge(evidence: Evidence, limits: GateLimits | None = None) -> Verdict:
    """Put the evidence together.

    Args:
        evidence: what was measured.
        limits: from where on something is flagged or refused.
    """
    limits = limits or GateLimits()
    findings = _Findings()
    for check in (_units, _body, _oddities, _kind, _truncation, _metal, _level, _missing, _hu, _distortion):
        check(evidence, limits, findings)
    reasons = tuple(sorted(findings.reasons, key=lambda r: (r.level != REFUSE, -r.score)))
    levels = {reason.level for reason in reasons}
    level = next((one for one in (REFUSE, FLAG) if one in levels), OK)
    return Verdict(level, reasons, float(findings.score))


def _units(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    if evidence.lowest_hu is None or evidence.lowest_hu <= HU_LOWEST:
        return
    findings.add(
        1e3, 1.0, NO_HU, f"the lowest is {evidence.lowest_hu:g}; air is -1000.",
        "Check that the series was exported with its rescale intercept; disregard the converted image otherwise.",
    )  # fmt: skip


def _body(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    if evidence.body_share is None or evidence.body_share >= limits.least_body_share:
        return
    findings.add(
        100.0, 1.0, OUT_OF_RANGE, f"only {100 * evidence.body_share:.2f} % of the image is body.",
        "Check that it is a CT in Hounsfield units, rescaled by its slope and intercept.",
    )  # fmt: skip


def _oddities(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    if not evidence.oddities:
        return
    scores = {o.name: abs(o.z) / (limits.blur_z if _blurred(o) else limits.flag_z) for o in evidence.oddities}
    score = max(scores.values())
    named = [o for o in evidence.oddities if scores[o.name] >= 1.0][:MOST_NAMED]
    text = "; ".join(f"{o.words} is {o.value:.4g}, in training {o.usual:.4g} ± {o.sd:.2g}" for o in named)
    findings.add(
        score, limits.refuse_z / limits.flag_z, OUT_OF_RANGE, f"{text}.",
        "The model has not seen such images: compare with the input slice by slice, or train on your own.",
    )  # fmt: skip


def _blurred(oddity: Oddity) -> bool:
    return oddity.name == EDGE and oddity.z > 0


def _kind(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    if evidence.kind is None or evidence.seems is None or evidence.kind == evidence.seems:
        return
    foreign = "mvct" in (evidence.kind, evidence.seems)
    findings.add(
        1.5 if foreign else 1.0, 2.0, WRONG_KIND,
        f"the image looks like {KIND_WORDS[evidence.seems]}; the model was made for {KIND_WORDS[evidence.kind]}.",
        "Choose the model for this kind, or say which kind it is; a kilovoltage CT needs no conversion.",
    )  # fmt: skip


def _truncation(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    found = evidence.truncation
    if found is None or not found.cut:
        return
    loss, arc = found.largest_loss, float(found.degrees.max())
    over = max(loss / limits.refuse_lost_share, arc / limits.refuse_arc_deg)
    findings.add(
        1.0 + over, 2.0, TRUNCATED,
        f"the body is cut in {len(found.cut)} of {len(found.degrees)} slices; {_about(loss)} of a slice is missing "
        "where it is worst.",
        "Do not contour near the edge of the field of view, and calculate no dose without the missing tissue.",
    )  # fmt: skip


def _about(share: float) -> str:
    return "less than 1 %" if share < 0.01 else f"about {100 * share:.0f} %"


def _metal(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    found = evidence.metal
    if found is None or not found.present:
        return
    streaked = found.streaked
    where = _ranges([part.index + 1 for part in found.slices])
    more = f" Streaks disturb slice {_ranges([k + 1 for k in streaked])}." if streaked else ""
    findings.add(
        1.25 if streaked else 1.0, 2.0, METAL, f"{found.volume_ml:.2f} ml in slice {where}.{more}",
        "Structures in these slices may be invented or lost: contour them on the input.",
    )  # fmt: skip


def _level(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    if evidence.couch_slope is None:
        return
    degrees = float(np.degrees(np.arctan(abs(evidence.couch_slope))))
    findings.add(
        abs(evidence.couch_slope) / limits.flag_slope, limits.refuse_slope / limits.flag_slope, TILTED,
        f"the couch is inclined by {degrees:.0f} degrees along the slices.",
        "A tilt of the gantry was probably lost when the image was saved: load the DICOM series itself.",
    )  # fmt: skip


def _missing(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    found = evidence.missing
    if found is None or not found.present:
        return
    named = ((found.empty, "no patient in slice {}"), (found.repeated, "slice {} repeats the one below"))
    text = "; ".join(words.format(_ranges([k + 1 for k in slices])) for slices, words in named if slices)
    findings.add(
        MISSING_SCORE, 2.0, MISSING, f"{text}.",
        "Load the series again from its source: nothing is known there, in the converted image either.",
    )  # fmt: skip


def _hu(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    off = failing(list(evidence.hu_lines))
    times = max((abs(line.difference_hu) / line.tolerance_hu for line in off), default=0.0)
    text = "; ".join(
        f"{line.tissue} measures {line.measured_hu:.0f} HU, expected {line.expected_hu:.0f} ± {line.tolerance_hu:.0f}"
        for line in off
    )
    findings.add(
        times, limits.refuse_hu_times, HU_OFF, f"{text}.",
        "Check the scanner's calibration; use no HU of this image for density.",
    )  # fmt: skip


def _distortion(evidence: Evidence, limits: GateLimits, findings: _Findings) -> None:
    if evidence.dig is None or not evidence.usual_dig or not np.isfinite(evidence.dig):
        return
    times = evidence.dig / evidence.usual_dig
    findings.add(
        times / limits.flag_dig, 2.0, DISTORTED,
        f"gradients differ from the input's by {evidence.dig:.1f} HU/mm, {times:.1f} times the usual.",
        "Compare edges with the input before contouring.",
    )  # fmt: skip


def _ranges(numbers: Sequence[int]) -> str:
    """1, 2, 3, 7 as ``1 to 3, 7``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]} to {p[-1]}" for p in parts)
