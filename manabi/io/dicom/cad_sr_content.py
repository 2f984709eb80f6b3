"""The content tree of a Chest CAD report (DICOM PS3.16, TID 4100 and what it includes)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manabi.io.dicom.inherit import coded

if TYPE_CHECKING:
    from pydicom import Dataset

Code = tuple[str, str, str]
OPACITY: Code = ("112033", "DCM", "Abnormal opacity")
MODIFIER: Code = ("112024", "DCM", "Single Image Finding Modifier")
NODULE: Code = ("27925004", "SCT", "Nodule")
REPORT: Code = ("112000", "DCM", "Chest CAD Report")
LANGUAGE: Code = ("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH: Code = ("en", "RFC5646", "English")
LIBRARY: Code = ("111028", "DCM", "Image Library")
SUMMARY: Code = ("111017", "DCM", "CAD Processing and Findings Summary")
WITH_FINDINGS: Code = ("111242", "DCM", "All algorithms succeeded; with findings")
WITHOUT_FINDINGS: Code = ("111241", "DCM", "All algorithms succeeded; without findings")
FINDING: Code = ("111059", "DCM", "Single Image Finding")
INTENT: Code = ("111056", "DCM", "Rendering Intent")
REQUIRED: Code = ("111150", "DCM", "Presentation Required: Rendering device is expected to present")
OPTIONAL: Code = ("111151", "DCM", "Presentation Optional: Rendering device may present")
CERTAINTY: Code = ("111012", "DCM", "Certainty of Finding")
PERCENT: Code = ("%", "UCUM", "Percent")
CENTER: Code = ("111010", "DCM", "Center")
OUTLINE: Code = ("111041", "DCM", "Outline")
COMMENT: Code = ("121106", "DCM", "Comment")
ALGORITHM_NAME: Code = ("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION: Code = ("111003", "DCM", "Algorithm Version")
ALGORITHM_PARAMETERS: Code = ("111002", "DCM", "Algorithm Parameters")
DETECTIONS: Code = ("111064", "DCM", "Summary of Detections")
ANALYSES: Code = ("111065", "DCM", "Summary of Analyses")
SUCCEEDED: Code = ("111222", "DCM", "Succeeded")
NOT_ATTEMPTED: Code = ("111225", "DCM", "Not Attempted")
DETECTION: Code = ("111022", "DCM", "Detection Performed")
IMAGE_PLACE = (1, 2, 1)
"""Where the film stands in the tree: the report's second item is the library, whose first is the film."""
DISCLAIMER = (
    "For research use only, not for diagnosis. The certainty is the detector's score, no probability of cancer."
)


@dataclass(frozen=True)
class Finding:
    """One mark in the image's coordinates: column, row; 0 is the edge of the first pixel, 0.5 its middle."""

    x: float
    y: float
    score: float
    diameter: float
    text: str
    shown: bool


@dataclass(frozen=True)
class Algorithm:
    """What searched the film."""

    name: str
    version: str
    parameters: str = ""


def content(dataset: Dataset, original: Dataset, findings: Sequence[Finding], algorithm: Algorithm) -> None:
    """Fill a report's header with its content tree.

    Args:
        dataset: the header, changed in place.
        original: header of the film.
        findings: of the search, most suspicious first.
        algorithm: that searched.
    """
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = [coded(REPORT)]
    template = _dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "4100"
    dataset.ContentTemplateSequence = [template]
    dataset.ContentSequence = [
        _code("HAS CONCEPT MOD", LANGUAGE, ENGLISH), _library(original), _summary(findings, algorithm),
        _detections(algorithm), _code("CONTAINS", ANALYSES, NOT_ATTEMPTED),
    ]  # fmt: skip


def _library(original: Dataset) -> Dataset:
    """The film, that findings refer to."""
    library = _item("CONTAINS", "CONTAINER", LIBRARY)
    library.ContinuityOfContent = "SEPARATE"
    film = _item("CONTAINS", "IMAGE", None)
    reference = _dataset()
    reference.ReferencedSOPClassUID = original.SOPClassUID
    reference.ReferencedSOPInstanceUID = original.SOPInstanceUID
    film.ReferencedSOPSequence = [reference]
    library.ContentSequence = [film]
    return library


def _summary(findings: Sequence[Finding], algorithm: Algorithm) -> Dataset:
    """Whether anything is shown, and every mark (TID 4101)."""
    shown = any(one.shown for one in findings)
    summary = _code("CONTAINS", SUMMARY, WITH_FINDINGS if shown else WITHOUT_FINDINGS)
    children = [_text("HAS PROPERTIES", COMMENT, DISCLAIMER)]
    children += [_finding(one, algorithm) for one in findings]
    summary.ContentSequence = children
    return summary


def _finding(one: Finding, algorithm: Algorithm) -> Dataset:
    """One mark (TID 4104): an opacity (CID 6101), that is a nodule (CID 6102), how certain, where."""
    item = _code("INFERRED FROM", FINDING, OPACITY)
    children = [_code("HAS CONCEPT MOD", MODIFIER, NODULE)]
    children.append(_code("HAS CONCEPT MOD", INTENT, REQUIRED if one.shown else OPTIONAL))
    children += _algorithm(algorithm)
    children.append(_number("HAS PROPERTIES", CERTAINTY, round(100.0 * one.score, 2), PERCENT))
    if one.text:
        children.append(_text("HAS PROPERTIES", COMMENT, one.text))
    children.append(_shape(CENTER, "POINT", [one.x, one.y]))
    if one.diameter > 0:
        edge = one.x + one.diameter / 2
        children.append(_shape(OUTLINE, "CIRCLE", [one.x, one.y, edge, one.y]))
    item.ContentSequence = children
    return item


def _detections(algorithm: Algorithm) -> Dataset:
    """That nodules were searched for, by what (TID 4015)."""
    summary = _code("CONTAINS", DETECTIONS, SUCCEEDED)
    performed = _code("INFERRED FROM", DETECTION, OPACITY)
    performed.ContentSequence = _algorithm(algorithm)
    film = _reference("HAS PROPERTIES")
    performed.ContentSequence.append(film)
    summary.ContentSequence = [performed]
    return summary


def _algorithm(algorithm: Algorithm) -> list[Dataset]:
    """TID 4019."""
    texts = (
        (ALGORITHM_NAME, algorithm.name), (ALGORITHM_VERSION, algorithm.version),
        (ALGORITHM_PARAMETERS, algorithm.parameters),
    )  # fmt: skip
    return [_text("HAS CONCEPT MOD", name, text) for name, text in texts if text]


def _shape(name: Code, kind: str, points: Sequence[float]) -> Dataset:
    """Coordinates on the film of the library (TID 4021)."""
    item = _item("HAS PROPERTIES", "SCOORD", name)
    item.GraphicType, item.GraphicData = kind, [float(round(v, 3)) for v in points]
    item.ContentSequence = [_reference("SELECTED FROM")]
    return item


def _reference(relationship: str) -> Dataset:
    """Refers to the film by its place in the tree."""
    item = _dataset()
    item.RelationshipType, item.ReferencedContentItemIdentifier = relationship, list(IMAGE_PLACE)
    return item


def _code(relationship: str, name: Code, value: Code) -> Dataset:
    item = _item(relationship, "CODE", name)
    item.ConceptCodeSequence = [coded(value)]
    return item


def _text(relationship: str, name: Code, value: str) -> Dataset:
    item = _item(relationship, "TEXT", name)
    item.TextValue = value
    return item


def _number(relationship: str, name: Code, value: float, unit: Code) -> Dataset:
    item = _item(relationship, "NUM", name)
    measured = _dataset()
    measured.NumericValue = f"{value:.2f}" if math.isfinite(value) else "0"
    measured.MeasurementUnitsCodeSequence = [coded(unit)]
    item.MeasuredValueSequence = [measured]
    return item


def _item(relationship: str, kind: str, name: Code | None) -> Dataset:
    item = _dataset()
    item.RelationshipType, item.ValueType = relationship, kind
    if name is not None:
        item.ConceptNameCodeSequence = [coded(name)]
    return item


def _dataset() -> Dataset:
    from pydicom import Dataset

    return Dataset()
