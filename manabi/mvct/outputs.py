"""From a conversion to a :class:`manabi.result.Result`: maps on the input's grid, tables, measurements, warnings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.mvct import harm, report
from manabi.mvct.density import DensityTable, table_of
from manabi.mvct.gate import Verdict
from manabi.mvct.metrics import dig_map
from manabi.mvct.parameters import MVCTParameters
from manabi.mvct.pipeline import Conversion, Model
from manabi.mvct.report import Study
from manabi.mvct.safety import InputCheck, final_verdict, refuse
from manabi.mvct.tissue_map import body_mask
from manabi.mvct.uncertainty import calibrated
from manabi.result import Cell, Labelmap, Result, Table
from manabi.volume import SYNTHETIC, Volume

LEAST_COVER = 0.5
"""Share of the body that a reference must show (our choice)."""
LEAST_MATCH = 0.6
"""Correlation of input and reference in the body: about 0.93 where they are registered, 0.5 where they are 6 mm apart
(simulated patients; our choice)."""
OUTSIDE_HU = -1000.0
PADDING_HU = np.float32(-3024.0)
"""What padding counts as where tissues are measured: no air, whatever the scanner wrote (see ``hu_check``)."""


def result(
    done: Conversion, checked: InputCheck, model: Model, reference: Reference, tables: Tables,
    parameters: MVCTParameters, context: Context,
) -> Result:  # fmt: skip
    """Everything that is said about a conversion.

    Raises:
        InvalidInputError: where the gate refuses, or the reference shows another part of the body.
    """
    context.progress(0.0, "Telling tissues apart")
    body = done.work.mask_to_straight(done.body)
    box = report.box_of(body)
    study = _study(done, model, reference, body, box)
    residual = None if done.residual is None else done.residual[body]
    verdict = _judged(study, checked, residual, context)
    refuse(verdict, parameters.gate)
    context.progress(0.6, "Measuring contrast and noise")
    out = Result(
        tables={"hu_check": report.hu_table(study), "quality": report.quality_table(study)},
        plots={"histogram": report.histogram_plot(study)},
        measurements={**_verdict_cells(verdict), **report.measurements(study)},
        warnings=[*verdict.warnings, *_mismatch(study), *_counted(checked), *_left_out(done, model, parameters)],
    )
    if parameters.density:
        context.progress(0.75, "Comparing electron density")
        _add_density(out, study, tables)
    if parameters.dose:
        _add_dose(out, study, tables, context)
    context.progress(0.85, "Writing maps")
    _add_maps(out, done, model, study, body, box)
    _add_tables(out, checked, verdict)
    return out


def _judged(study: Study, checked: InputCheck, residual: np.ndarray | None, context: Context) -> Verdict:
    """The verdict; what it rests on is computed in steps, between which cancelling is answered."""
    slices = len(study.tissues.labels)
    context.progress(0.2, f"Measuring gradients in {slices} slices")
    dig = study.dig
    context.progress(0.4, f"Checking Hounsfield units in {slices} slices")
    return final_verdict(checked, study.lines["converted"], dig, residual)


Reference = tuple[Volume, Volume] | None
"""The reference on the input's grid, and 1 where it is known there, 0 elsewhere."""
Tables = tuple[DensityTable, DensityTable]


def on_grid(reference: Volume | None, volume: Volume, context: Context) -> Reference:
    """The reference on the input's grid, with the mask of what it shows; reordered without loss or resampled."""
    if reference is None:
        return None
    turned = reference.reoriented_like(volume.grid)
    if turned.grid.same_as(volume.grid):
        return turned, turned.like(np.ones(volume.shape, np.uint8))
    context.warn("The reference lies on another grid; it was resampled to the input's for the comparison.")
    known = reference.like(np.ones(reference.shape, np.float32)).resampled(volume.grid, "linear", 0.0)
    inside = known.like((np.asarray(known.array) > 0.5).astype(np.uint8))
    return reference.resampled(volume.grid, "linear", OUTSIDE_HU), inside


def density_tables(kind: str, parameters: MVCTParameters) -> Tables:
    """The density tables of the input and of the converted image, the site's own where it gives them.

    Raises:
        InvalidInputError: for a site's table that cannot be read; it is called before any work is done.
    """
    return table_of(kind, parameters.density_source), table_of("kvct", parameters.density_target)


def comparison_tables(images: Mapping[str, Volume]) -> dict[str, Table]:
    """HU check and quality of images on one grid.

    Args:
        images: input, converted and reference, in this order; the first is called ``mvct`` or ``cbct`` where it is
            known which.
    """
    names = list(images)
    straight = {name: np.asarray(volume.reoriented().array, np.float32) for name, volume in images.items()}
    spacing = images[names[0]].reoriented().spacing_mm
    body = body_mask(straight[names[-1]], spacing)
    if not body.any():
        return {}
    box = report.box_of(body)
    kinds = {name: "kvct" for name in names} | {names[0]: "cbct" if names[0] == "cbct" else "mvct"}
    cut = {name: array[box] for name, array in straight.items()}
    study = Study(cut, kinds, body[box], spacing, {}, best=names[-1])
    return {"Hounsfield units": report.hu_table(study), "Image quality": report.quality_table(study)}


def _study(done: Conversion, model: Model, reference: Reference, body: np.ndarray, box: report.Box) -> Study:
    images = {"input": done.before[box], "converted": done.after[box]}
    if done.work.padding is not None:
        images = {name: np.where(done.work.padding[box], PADDING_HU, hu) for name, hu in images.items()}
    kinds = {"input": model.settings.kind, "converted": "kvct", "reference": "kvct"}
    expected = {"kvct": model.facts.get("expected_hu") or {}}
    known = None
    if reference is not None:
        shown, inside = (np.asarray(volume.reoriented().array)[box] for volume in reference)
        images["reference"], known = shown.astype(np.float32), inside > 0
        cover = float(known[body[box]].mean())
        if cover < LEAST_COVER:
            raise InvalidInputError(
                f"reference: it shows {100 * cover:.0f} % of the body in the input; expected most of it. Choose the "
                "planning CT of the same patient, and register it to the input first."
            )
    return Study(images, kinds, body[box], done.work.straight.spacing_mm, expected, known=known)


def _add_maps(
    out: Result, done: Conversion, model: Model, study: Study, body: np.ndarray, box: report.Box
) -> None:  # fmt: skip
    """Volumes and label maps on the input's own grid."""
    gradient = np.zeros_like(done.after)
    gradient[box] = dig_map(study.images["input"], study.images["converted"], study.spacing_mm) * study.body
    maps: dict[str, np.ndarray] = {"converted": done.after, "difference": done.after - done.before}
    if done.spread is not None:
        factor = float(model.facts.get("uncertainty_calibration") or 1.0)
        maps["uncertainty"] = calibrated(done.spread, factor) * body
        out.measurements["uncertainty_hu_median"] = round(float(np.median(maps["uncertainty"][body])), 2)
    if done.residual is not None:
        maps["residual"] = done.residual
        out.measurements["residual_hu_mean_absolute"] = round(float(np.abs(done.residual[body]).mean()), 2)
    maps["gradient_difference"] = gradient
    for name, array in maps.items():
        volume = done.work.back(np.asarray(array, np.float32), name)
        out.volumes[name] = Volume(
            volume.array, volume.ijk_to_ras, "CT", "HU", name, source=volume.source, caution=SYNTHETIC
        )
    labels = np.zeros(body.shape, np.uint8)
    labels[box] = study.tissues.labels
    for name, array, segments in (
        ("tissues", labels, report.TISSUE_SEGMENTS), ("body", body.astype(np.uint8), (report.BODY_SEGMENT,)),
    ):  # fmt: skip
        out.labelmaps[name] = Labelmap(done.work.back(array, name), segments)


def _add_tables(out: Result, checked: InputCheck, verdict: Verdict) -> None:
    """What the gate found, and the metal."""
    if verdict.reasons:
        out.tables["checks"] = verdict.table()
    metal = checked.evidence.metal
    if metal is not None:
        out.measurements["metal_ml"] = round(metal.volume_ml, 3)
    truncation = checked.evidence.truncation
    if truncation is not None:
        out.measurements["truncated_slices_percent"] = round(100.0 * truncation.share_of_slices, 2)


def _verdict_cells(verdict: Verdict) -> dict[str, Cell]:
    return {"verdict": verdict.level, "verdict_score": round(min(verdict.score, 1e6), 3)}


def _add_density(out: Result, study: Study, tables: Tables) -> None:
    """What a dose calculation would see of the input and of the converted image."""
    images = study.images["input"], study.images["converted"]
    paths = harm.thicknesses(*images, study.body, study.spacing_mm, tables)
    out.tables["density"] = harm.harm_table(study.stats, paths, tables)
    for path in paths:
        name = f"water_thickness_change_percent_{path.side.replace(' ', '_')}"
        out.measurements[name] = round(path.median_percent, 3)


def _add_dose(out: Result, study: Study, tables: Tables, context: Context) -> None:
    """A simple dose on input, converted image and reference; without a reference nothing can be said."""
    if "reference" not in study.images:
        out.warnings.append("dose=True needs a reference, the planning CT: no dose was compared.")
        return
    context.progress(0.78, "Comparing a simple dose")
    out.tables["dose"] = harm.dose_table(study.images, study.compared, study.spacing_mm, tables)


def _mismatch(study: Study) -> list[str]:
    """An alert where the reference is not a registered scan of the same patient."""
    if "reference" not in study.images:
        return []
    first, second = (np.clip(study.images[n][study.compared], -1000, 1000) for n in ("input", "reference"))
    if np.array_equal(first, second):
        return ["The reference is the input itself. Choose the planning CT of this patient."]
    varied = min(first.std(), second.std()) > 0
    match = float(np.corrcoef(first, second)[0, 1]) if varied else 0.0
    if match >= LEAST_MATCH:
        return []
    return [
        f"The reference does not match the input: their correlation in the body is {match:.2f}, that of registered "
        f"scans of one patient is over {LEAST_MATCH:g}. Check that it is the same patient and register it; disregard "
        "what is compared with it."
    ]


def _counted(checked: InputCheck) -> list[str]:
    """How slices are numbered, where some are named."""
    metal = checked.evidence.metal
    if metal is None or not metal.present:
        return []
    return ["Slices are counted from 1 at the patient's lower end, whatever way the series runs."]


def _left_out(done: Conversion, model: Model, parameters: MVCTParameters) -> list[str]:
    """What was asked for by default or by wish, and is not there."""
    texts = []
    if model.network is not None and parameters.residual and done.residual is None:
        texts.append("This model was trained without a way back, so there is no cycle residual.")
    if model.network is not None and not model.facts.get("ood"):
        texts.append("The bundle does not say what its training images were like: whether this image resembles them is "
                     "not known.")  # fmt: skip
    if done.work.resampled:
        spacing = " × ".join(f"{s:.2f}" for s in done.work.image.spacing_mm[:2])
        way = (
            "its correction was added to the input's own voxels"
            if parameters.way_back == "correction"
            else ("the result was resampled to the input's grid")
        )
        texts.append(f"The network worked with pixels of {spacing} mm; {way}.")
    return texts
