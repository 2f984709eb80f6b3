"""The three things that the module does, each with outputs of its own, and what each asks the method for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from manabi_slicer.request import Request

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

FEATURES, RISK, COHORT = "features", "predict", "fit"
TASKS = (FEATURES, RISK, COHORT)
"""Values of the method's parameter ``task``."""


@dataclass(frozen=True)
class SegmentsRequest(Request):
    """A run on segments.

    Attributes:
        segment_ids: which ones; None for all that hold something.
    """

    segment_ids: tuple[str, ...] | None = None


class Extraction(TypedDict, total=False):
    """How features are extracted, from the Python console.

    Attributes:
        preset: a name of :data:`manabi.radiomics.presets.PRESETS`; ``default`` by default.
        binWidth: width of a grey level instead of the preset's.
        binCount: number of grey levels instead.
        resampleMm: isotropic voxels of this size instead of the preset's.
        wavelets: whether features of the eight wavelet bands are computed too.
        engine: ``manabi`` (the default) or ``pyradiomics``.
    """

    preset: str
    binWidth: float | None
    binCount: int | None
    resampleMm: float | None
    wavelets: bool
    engine: Literal["manabi", "pyradiomics"]


class CohortOptions(TypedDict, total=False):
    """What the tables of a cohort hold and how it is evaluated, from the Python console.

    Attributes:
        patientColumn: of the patient, in both tables; ``case`` by default.
        tumourColumn: tells a patient's tumours apart; none by default.
        timeColumn: of the follow-up time; ``time_days`` by default.
        timeUnit: ``days`` (the default), ``weeks``, ``months`` or ``years``.
        eventColumn: 1 where the event was seen; ``event`` by default.
        labelColumn: of a grade or label, instead of time and event.
        labelLevels: values of the label in their order.
        volumeColumn: of the volume in mL; ``volume_ml`` by default.
        centreColumn: of the centre; features are then harmonised.
        clinicalColumns: what each clinical column is: ``numeric``, ``categorical`` or ``IA<IB<IIA``.
        modelKind: ``elastic_net`` (the default), ``lasso``, ``ridge``, ``forest`` or ``boosting``.
        block: which of the compared models is saved: ``combined`` (the default), ``radiomics``, ``clinical`` or
            ``volume``.
        folds: of the validation, 5 by default.
        repeats: how often they are drawn, 10 by default.
        permutations: permuted outcomes, 0 by default.
        bundleName: of the fitted model.
        seed: everything random follows from it; 0 by default.
    """

    patientColumn: str
    tumourColumn: str
    timeColumn: str
    timeUnit: str
    eventColumn: str
    labelColumn: str
    labelLevels: Sequence[str]
    volumeColumn: str
    centreColumn: str
    clinicalColumns: Mapping[str, str] | str
    modelKind: str
    block: str
    folds: int
    repeats: int
    permutations: int
    bundleName: str
    seed: int


PARAMETERS = {
    "patientColumn": "patient_column", "tumourColumn": "tumour_column", "timeColumn": "time_column",
    "timeUnit": "time_unit", "eventColumn": "event_column", "labelColumn": "label_column",
    "volumeColumn": "volume_column", "centreColumn": "centre_column", "modelKind": "model", "block": "block",
    "folds": "folds", "repeats": "repeats", "permutations": "permutations", "bundleName": "bundle_name",
}  # fmt: skip
"""The method's parameters by the names that the console has."""


def features_request(
    image: vtkMRMLScalarVolumeNode | None, segmentation: vtkMRMLSegmentationNode | None,
    segment_ids: Sequence[str] | None = None, second: vtkMRMLScalarVolumeNode | None = None,
    **extraction: Unpack[Extraction],
) -> SegmentsRequest:  # fmt: skip
    """A run that extracts features; ``extraction`` as :class:`Extraction` says."""
    return _on_segments(image, segmentation, segment_ids, second, {"task": FEATURES, **extraction_of(**extraction)})


def extraction_of(**extraction: Unpack[Extraction]) -> dict[str, Any]:
    """The method's parameters of the extraction; those that are not given are left out."""
    names = {"preset": "preset", "binWidth": "bin_width", "binCount": "bin_count", "resampleMm": "resample_mm",
             "wavelets": "wavelets", "engine": "engine"}  # fmt: skip
    return {names[key]: value for key, value in extraction.items() if value is not None}


def risk_request(
    image: vtkMRMLScalarVolumeNode | None, segmentation: vtkMRMLSegmentationNode | None,
    segment_ids: Sequence[str] | None = None, second: vtkMRMLScalarVolumeNode | None = None, *,
    clinical: Mapping[str, str | float | None] | str = "", centre: str = "", model: str | None = None,
) -> SegmentsRequest:  # fmt: skip
    """A run that holds a patient against a cohort; arguments as those of the logic's ``risk``."""
    text = clinical if isinstance(clinical, str) else listed(clinical)
    wanted = {"task": RISK, "clinical": text, "centre": centre}
    return _on_segments(image, segmentation, segment_ids, second, wanted, model)


def cohort_request(
    features_csv: str, outcomes_csv: str, bundle_folder: str = "", **options: Unpack[CohortOptions]
) -> Request:  # fmt: skip
    """A run that evaluates and fits a cohort; it has no image.

    Args:
        features_csv: a row per tumour.
        outcomes_csv: a row per patient.
        bundle_folder: new folder for the model; empty for none.
        options: as :class:`CohortOptions` says.
    """
    given: dict[str, Any] = dict(options)
    wanted = {PARAMETERS[name]: value for name, value in given.items() if name in PARAMETERS}
    clinical = given.get("clinicalColumns") or ""
    wanted |= {
        "task": COHORT, "features_csv": str(features_csv), "outcomes_csv": str(outcomes_csv),
        "clinical_columns": clinical if isinstance(clinical, str) else listed(clinical),
        "label_levels": ",".join(given.get("labelLevels") or ()), "bundle_folder": str(bundle_folder),
    }  # fmt: skip
    return Request(nodes={"image": None}, parameters=wanted, seed=given.get("seed", 0))


def listed(values: Mapping[str, str | float | None]) -> str:
    """Values by name as the method takes them, ``age_years=70;stage=IB;``; what is not known is left out."""
    known = {name: value for name, value in values.items() if value not in (None, "") and not _is_nan(value)}
    return "".join(f"{name}={_plain(value)};" for name, value in known.items())


def _on_segments(
    image: Any, segmentation: Any, segment_ids: Sequence[str] | None, second: Any, parameters: Mapping[str, Any],
    model: str | None = None,
) -> SegmentsRequest:  # fmt: skip
    ids = None if segment_ids is None else tuple(segment_ids)
    nodes = {"image": image, "second": second, "mask": segmentation}
    return SegmentsRequest(nodes=nodes, parameters=parameters, bundle=model, segment_ids=ids)


def _plain(value: object) -> str:
    """A value as text; the semicolon parts the values from one another."""
    return str(value).replace(";", ",").strip()


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
