"""A searched film as a :class:`manabi.result.Result`: heat map, lungs, marks, operating points, measurements."""

from __future__ import annotations

import numpy as np

from manabi.context import Context
from manabi.io.radiograph import MIRRORED
from manabi.nodule import operating
from manabi.nodule.detect import DetectorSettings, Search
from manabi.nodule.lung_mask import LEFT_LUNG, RIGHT_LUNG
from manabi.nodule.marks import lungs_found, place_of
from manabi.nodule.operating import MARK_COLUMNS
from manabi.nodule.parameters import NoduleParameters
from manabi.result import LEFT, RIGHT, Cell, Code, Labelmap, Plot, Result, Segment, Table
from manabi.volume import Volume

LUNG = Code("39607008", "SCT", "Lung")
SEGMENTS = (
    Segment(RIGHT_LUNG, "right lung", (0.55, 0.8, 0.75), LUNG, laterality=RIGHT),
    Segment(LEFT_LUNG, "left lung", (0.75, 0.65, 0.85), LUNG, laterality=LEFT),
)
SERIOUS = ("Not a frontal", "Polarity", "Unlike the training", "A child", MIRRORED)
"""How the warnings begin after which the marks are not to be relied on."""
PX_TO_MM_DIGITS = 1
HALF = 0.5
"""Share of a pixel that lies in a lung from which on it is the lung's."""


def result(found: Search, settings: DetectorSettings, parameters: NoduleParameters, context: Context) -> Result:
    """Everything that is said about a searched film."""
    context.progress(0.92, "Writing marks")
    candidates = candidates_table(found, settings.curve)
    shown = operating.marks_at(candidates, settings.curve, parameters.false_positives)
    cells = operating.point_cells(settings.curve, parameters.false_positives, shown)
    return Result(
        volumes={"heat_map": _on_film(found, found.heat, "heat map")},
        labelmaps={"lungs": Labelmap(_lungs(found), SEGMENTS)},
        landmarks=operating.landmarks(shown),
        tables={"marks": shown, "candidates": candidates, "operating_points": settings.curve.table()},
        plots=_plots(settings.curve),
        measurements={**cells, **_film_cells(found)},
        warnings=list(found.warnings),
    )


def candidates_table(found: Search, curve: operating.Curve) -> Table:
    """A row per candidate, most suspicious first; numbers stay at every operating point."""
    rows: list[tuple[Cell, ...]] = []
    for number, peak in enumerate(found.peaks, start=1):
        row, column = found.grid.to_film(peak.row, peak.column)
        place = place_of(peak, found.lungs, found.margin_px)
        diameter = round(peak.diameter_px * found.grid.mm_per_pixel, PX_TO_MM_DIGITS) if found.mm_known else None
        rows.append((
            number, round(peak.score, 6), round(curve.false_positives(peak.score), 4),
            *(round(v, 2) for v in found.film.ras(row, column)), place.lung, place.zone, place.location, diameter,
        ))  # fmt: skip
    return Table(MARK_COLUMNS, tuple(rows))


def _on_film(found: Search, array: np.ndarray, name: str) -> Volume:
    shape = found.film.pixels.shape
    volume = found.film.back(found.grid.spread(array, (shape[0], shape[1])), name)
    return volume.like(volume.array, modality=None)


def _lungs(found: Search) -> Volume:
    shape = found.film.pixels.shape
    size, whole = (shape[0], shape[1]), found.lungs.whole
    right, left = (found.grid.spread((whole == label).astype(np.float32), size) for label in (RIGHT_LUNG, LEFT_LUNG))
    labels = np.where(np.maximum(right, left) < HALF, 0, np.where(right >= left, RIGHT_LUNG, LEFT_LUNG)).astype(
        np.uint8
    )
    volume = found.film.back(labels, "lungs")
    return volume.like(volume.array, modality=None)


def _film_cells(found: Search) -> dict[str, Cell]:
    """What a cohort's table says of the film."""
    told = (*found.film.source.warnings, *found.warnings)
    return {
        "image_score": round(found.peaks[0].score, 6) if found.peaks else 0.0,
        "candidates": len(found.peaks),
        "lungs": lungs_found(found.lungs),
        "lung_outline_score": round(found.lungs.quality, 3),
        "quality": "check" if any(text.startswith(SERIOUS) for text in told) else "good",
    }


def _plots(curve: operating.Curve) -> dict[str, Plot]:
    """Sensitivity against false positives as the bundle's card has it; nothing where it was not measured."""
    known = [p for p in curve.points if p.sensitivity is not None]
    if not known:
        return {}
    x = [p.false_positives for p in known]
    series = {"sensitivity": (x, [float(p.sensitivity or 0.0) for p in known])}
    if all(p.ci95 for p in known):
        series["95 % interval, lower end"] = (x, [p.ci95[0] for p in known if p.ci95])
        series["95 % interval, upper end"] = (x, [p.ci95[1] for p in known if p.ci95])
    return {
        "operating_curve": Plot(
            "What the detector found of known nodules", "False positives per film", "Sensitivity", series
        )
    }
