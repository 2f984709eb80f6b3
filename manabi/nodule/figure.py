"""What a reader expects of NoduleSynth: the film beside its heat map and numbered marks; or films before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.nodule import figure_parts as parts
from manabi.nodule.method import NoduleSynth
from manabi.nodule.prepare import film_of_volume
from manabi.plotting import style
from manabi.plotting.report_page import INNER, SIDE, WIDTH, ReportPage, how_made
from manabi.result import Result, Table
from manabi.volume import Volume

GAP = 24
FILM_PX = 640
"""Width of each of the two films of a search."""
LOW_HEAT = 0.02
SHOWN = "The film as it is read: the patient's right is on the left; 0.5 to 99.5 % of its pixels from black to white."
CIRCLES = "Circles are half as large again as the marks' estimated size, within limits so that they can be seen into."
COLUMNS = {
    "number": "mark", "score": "score", "false_positives": "shown from FP/film", "lung": "lung", "zone": "zone",
    "location": "location", "diameter_mm": "diameter (mm)",
}  # fmt: skip
TRUTH_COLUMNS = {
    "number": "nodule", "diameter_mm": "diameter (mm)", "density": "density", "lung": "lung", "location": "location",
    "subtlety": "subtlety (1–5)", "contrast_to_noise": "contrast to noise", "ratio": "ratio",
}  # fmt: skip


def draw_search(volume: Volume, result: Result, path: Path) -> Path:
    """Draw a searched film as a PNG of 1600 pixels in width; a figure that is there already is replaced.

    Left the film as it is, right with heat map, outlines of the lungs and numbered marks. No file name, date or other
    text of the patient is shown.

    Args:
        volume: the film.
        result: of NoduleSynth on it, task detect.
        path: PNG file to write.

    Raises:
        InvalidInputError: where the result is not one of a search of this film.
    """
    if "heat_map" not in result.volumes or not result.volumes["heat_map"].grid.same_as(volume.grid):
        raise InvalidInputError("The result is not one of a search of this film. Choose the film that was searched.")
    film = film_of_volume(volume)
    page = ReportPage(result, NoduleSynth.alert_prefixes)
    top = page.draw_top("NoduleSynth: chest radiograph searched for nodules")
    height = FILM_PX * parts.aspect(film)
    page.text(SIDE, top + 9, "Film", style.HEADING, bold=True)
    page.text(SIDE + FILM_PX + GAP, top + 9, "Heat map, lungs and marks", style.HEADING, bold=True)
    top += 24
    heat = film_of_volume_like(result.volumes["heat_map"])
    parts.show_film(page, film, (SIDE, top, FILM_PX, height))
    axes = parts.show_film(page, film, (SIDE + FILM_PX + GAP, top, FILM_PX, height))
    parts.overlay(axes, heat, LOW_HEAT)
    lungs = film_of_volume_like(result.labelmaps["lungs"].volume)
    parts.outline(axes, lungs)
    marks = _rows(result.tables["marks"])
    parts.circles(axes, film, marks)
    left = SIDE + 2 * FILM_PX + 2 * GAP
    width = WIDTH - SIDE - left
    below = _numbers(page, result, left, top - 24, width)
    end = max(top + height + 14, below)
    end = parts.table(page, result.tables["marks"], COLUMNS, SIDE, end, 2 * FILM_PX + GAP, "No marks at this setting.")
    end = page.draw_notes(SIDE, end + 8, INNER)
    page.draw_footer(end + 8, f"{SHOWN} {CIRCLES}", how_made(result, [_operating(result)]))
    return page.save(path)


def draw_synthesis(result: Result, path: Path) -> Path:
    """Draw a film before and after, the difference and the mask as a PNG of 1600 pixels in width.

    Raises:
        InvalidInputError: where the result is not one of the task synthesise.
    """
    if not {"before", "after", "difference"} <= set(result.volumes):
        raise InvalidInputError("The result holds no film before and after. Choose one of task synthesise.")
    film = film_of_volume(result.volumes["before"])
    after = parts.like_film(film_of_volume_like(result.volumes["after"]), film)
    page = ReportPage(result, NoduleSynth.alert_prefixes)
    top = page.draw_top("NoduleSynth: simulated nodules, not for diagnosis")
    side = (INNER - 2 * GAP) / 3
    height = side * parts.aspect(film)
    for n, title in enumerate(("Before", "After", "Difference, with the nodules' outlines")):
        page.text(SIDE + n * (side + GAP), top + 9, title, style.HEADING, bold=True)
    top += 24
    parts.show_film(page, film, (SIDE, top, side, height))
    parts.show_pixels(page, after, film, (SIDE + side + GAP, top, side, height))
    change = film_of_volume_like(result.volumes["difference"])
    axes = parts.show_change(page, change, film, (SIDE + 2 * (side + GAP), top, side, height))
    parts.outline(axes, film_of_volume_like(result.labelmaps["mask"].volume))
    end = parts.table(page, result.tables["nodules"], TRUTH_COLUMNS, SIDE, top + height + 14, INNER, "No nodules.")
    end = page.draw_notes(SIDE, end + 8, INNER)
    page.draw_footer(end + 8, SHOWN, how_made(result, unbundled="no flow"))
    return page.save(path)


def film_of_volume_like(volume: Volume) -> np.ndarray:
    """The pixels of a volume of one slice as a reader sees them, ``(rows, columns)``, its values unchanged."""
    from manabi.nodule.prepare import upright

    return np.asarray(upright(volume).array[0])


def _numbers(page: ReportPage, result: Result, left: float, top: float, width: float) -> float:
    """Operating point and the film's own numbers."""
    top = page.heading(left, top, "Operating point", width)
    cells = result.measurements
    texts = [
        f"{cells['false_positives']:g} false positives per film accepted",
        f"score of at least {cells['threshold']:.3f}",
        f"{cells['marks']} of {cells['candidates']} candidates shown",
    ]
    if isinstance(cells.get("sensitivity"), float):
        texts.append(f"{100 * float(cells['sensitivity'] or 0):.0f} % of known nodules found at this setting "
                     "(bundle's test films)")  # fmt: skip
    texts.append(f"highest score {cells['image_score']:.3f}; lungs found: {cells['lungs']}")
    for text in texts:
        top = page.paragraph(left, top, text, width, style.SMALL) + 3
    if "operating_curve" in result.plots:
        top = parts.curve(page, result, left, top + 10, width)
    return top


def _operating(result: Result) -> str:
    return f"{result.measurements['false_positives']:g} false positives per film"


def _rows(table: Table) -> list[Mapping[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]
