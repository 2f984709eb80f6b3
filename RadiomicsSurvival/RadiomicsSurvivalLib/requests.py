"""What the panel's choices ask for, and why that cannot be run yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import bridge
from manabi_slicer.exporting import new_folder
from RadiomicsSurvivalLib import clinical, cohort, tasks
from RadiomicsSurvivalLib.parameters import Outcome

if TYPE_CHECKING:
    from manabi.bundle import Bundle
    from manabi_slicer.request import Request


def request_of(p: Any, bundle: Bundle | None) -> Request:
    """What Apply asks for in the part of the panel that is open.

    Args:
        p: the parameter node.
        bundle: the model that the panel shows as the chosen one, or None.
    """
    if p.task.value == tasks.COHORT:
        return _cohort(p)
    chosen = [one for one in bridge.segment_names(p.segmentation) if one not in p.leftOut]
    ids = None if not p.leftOut else chosen
    if p.task.value == tasks.RISK:
        return tasks.risk_request(
            p.inputVolume, p.segmentation, ids, p.secondVolume,
            clinical=clinical.asked(clinical.fields_of(bundle), clinical.read(p.clinical)), centre=p.centre.strip(),
            model=bundle.name if bundle is not None else None,
        )  # fmt: skip
    return tasks.features_request(p.inputVolume, p.segmentation, ids, p.secondVolume, **extraction_of(p))


def extraction_of(p: Any) -> tasks.Extraction:
    """The settings that the panel's choices make; 0 keeps the preset's."""
    return {
        "preset": p.preset.value, "binWidth": p.binWidth or None, "binCount": p.binCount or None,
        "resampleMm": p.resampleMm or None, "wavelets": p.wavelets, "engine": p.engine.value,
    }  # fmt: skip


def batch_request(p: Any, bundle: Bundle | None) -> Request:
    """What a batch asks for: features, or risks where that part is open; nothing that is of one patient."""
    if p.task.value == tasks.RISK:
        return tasks.risk_request(None, None, model=bundle.name if bundle is not None else None)
    return tasks.features_request(None, None, **extraction_of(p))


def reason(p: Any, bundle: Bundle | None) -> str:
    """Why nothing can be run yet, beside a missing image; empty where it can.

    Args:
        p: the parameter node.
        bundle: the chosen model, or None.
    """
    if p.task.value == tasks.COHORT:
        return cohort.reason(p)
    if p.inputVolume and p.inputVolume is p.secondVolume:
        return _("The image is chosen twice: the second image must be another one, or none.")
    if not p.segmentation:
        return _("Choose the segmentation of the tumour. Draw it in Segment Editor, or load it.")
    if not [one for one in bridge.segment_names(p.segmentation) if one not in p.leftOut]:
        return _("Check at least one segment.")
    return _risk_reason(p, bundle) if p.task.value == tasks.RISK else _features_reason(p)


def _features_reason(p: Any) -> str:
    if p.binWidth and p.binCount:
        return _("Choose the width of the grey levels or their number under Options, not both.")
    return ""


def _risk_reason(p: Any, bundle: Bundle | None) -> str:
    if bundle is None:
        return clinical.model_text(None)
    if "second" in clinical.facts_of(bundle).get("extraction", {}) and not p.secondVolume:
        return _("This model takes two images of the patient. Choose the second image.")
    return clinical.reason(clinical.fields_of(bundle), clinical.read(p.clinical))


def _cohort(p: Any) -> Request:
    """A cohort's run; its model gets a folder that is not there yet."""
    survival, name = p.outcome == Outcome.SURVIVAL, p.bundleName.strip()
    folder = str(new_folder(Path(p.bundlePlace), name)) if p.bundlePlace.strip() else ""
    return tasks.cohort_request(
        p.featuresCsv, p.outcomesCsv, folder, patientColumn=p.patientColumn, timeColumn=p.timeColumn,
        timeUnit=p.timeUnit.value, eventColumn=p.eventColumn, labelColumn="" if survival else p.labelColumn,
        labelLevels=[] if survival else [part.strip() for part in p.labelLevels.split(",") if part.strip()],
        centreColumn=p.centreColumn.strip(), modelKind=p.modelKind.value, block=p.modelBlock.value, folds=p.folds,
        repeats=p.repeats, permutations=p.permutations, bundleName=name, seed=p.seed,
        clinicalColumns=p.clinicalColumns,
    )  # fmt: skip
