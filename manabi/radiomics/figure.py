"""The figures a reader expects of RadiomicsSurvival: one for each task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from manabi.errors import InvalidInputError
from manabi.plotting import style
from manabi.plotting.page import Page
from manabi.plotting.report_page import INNER, SIDE, WIDTH
from manabi.radiomics.figure_page import GAP, draw_rows, made_by, number_text, report_page
from manabi.radiomics.figure_planes import Scene, draw_planes, shown
from manabi.radiomics.figure_risk import draw_bars, draw_survival
from manabi.result import Result, Table
from manabi.volume import Volume

PLANES_SHARE, TALLEST = 0.6, 400.0
MOST_SEGMENTS = 4
"""Columns of key features; further segments are in the tables."""
SHOWN_AS = (
    "Radiological convention: the patient's right (R) is on the left; planes through the middle of the largest "
    "segment, blended for display. Bands: pointwise 95 % intervals."
)


def draw_result(inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
    """Draw a result as PNGs of 1600 pixels in width; which task it is of is seen from what it holds.

    No file name, date or other text of the patient is shown. A figure that is there already is replaced.

    Args:
        inputs: the method's; ``image`` for all tasks but ``fit``.
        result: of RadiomicsSurvival on them.
        folder: gets ``risk.png``, ``features.png`` or ``cohort.png``.

    Raises:
        InvalidInputError: where the result is not one of RadiomicsSurvival, or not of these inputs.
    """
    if "scores" in result.tables and "segments" not in result.labelmaps:
        from manabi.radiomics.figure_cohort import draw_cohort

        return [draw_cohort(result, folder / "cohort.png")]
    if "segments" not in result.labelmaps or "image" not in inputs:
        raise InvalidInputError(
            "The figure needs a result of RadiomicsSurvival with its image and segments. Check both."
        )
    scene = Scene.of(inputs["image"], result.labelmaps["segments"])
    if "risk" in result.tables:
        return [_draw(scene, result, "Risk against the cohort", folder / "risk.png")]
    return [_draw(scene, result, "Radiomic features", folder / "features.png")]


def _draw(scene: Scene, result: Result, title: str, path: Path) -> Path:
    """Planes and key features; of a prediction also its numbers and charts."""
    page = report_page(result)
    top = page.draw_top(title)
    left = SIDE + PLANES_SHARE * INNER + GAP
    planes = draw_planes(page, scene, SIDE, top, PLANES_SHARE * INNER - GAP, TALLEST)
    width = WIDTH - SIDE - left
    risk = "risk" in result.tables
    table = _names(page, scene, left, top, width)
    if risk:
        table = draw_rows(page, left, table, _widths(width, 4), _risk_rows(result)) + GAP
    table = draw_rows(page, left, table, *_key_rows(result.tables["key_features"], width)) + GAP
    if risk:
        planes, table = _charts(page, result, (planes, PLANES_SHARE * INNER - GAP), (left, table, width))
    top = max(planes, table) + GAP
    top = page.draw_notes(SIDE, top, INNER) + GAP
    page.draw_footer(top, SHOWN_AS, made_by(result))
    return page.save(path)


def _names(page: Page, scene: Scene, left: float, top: float, width: float) -> float:
    """Names of the segments in their colours."""
    top = page.heading(left, top, "Segments and key numbers", width)
    for segment in scene.segments.segments[:MOST_SEGMENTS]:
        page.band(left + 4, top + 6, 12, 12, shown(segment.color))
        page.text(left + 24, top + 12, segment.name, style.SMALL)
        top += 24
    if (more := len(scene.segments.segments) - MOST_SEGMENTS) > 0:
        page.text(left + 24, top + 12, f"and {more} more, see the tables", style.SMALL, style.MUTED)
        top += 24
    return top + 6


def _widths(width: float, columns: int) -> list[float]:
    first = 0.37 * width
    return [first, *[(width - first) / (columns - 1)] * (columns - 1)]


def _risk_rows(result: Result) -> list[list[str]]:
    """Numbers of the predictions as text: percentile and group, then survival or probabilities."""
    table = result.tables["risk"]
    rows = [["", "risk", "percentile", "group"]]
    for row in table.rows[:MOST_SEGMENTS]:
        cells = dict(zip(table.columns, row, strict=True))
        rows.append([str(row[0]), number_text(cells["risk"]), f"{cells['percentile']:.0f} %", str(cells["group"])])
    if "survival" in result.tables:
        rows.append(["survival at", "predicted", "seen in group", "95 % interval"])
        rows += _year_rows(result.tables["survival"], str(table.rows[0][0]))
    for name in (c for c in table.columns if c.startswith("probability_")):
        rows.append([name.removeprefix("probability_"), number_text(table.column(name)[0]), "", ""])
    return rows


def _year_rows(table: Table, segment: str) -> list[list[str]]:
    """Survival of the first segment at the years."""
    rows = []
    for name, _, years, predicted, observed, low, high in table.rows:
        if name == segment:
            interval = "–" if low is None or high is None else f"{low:.2f} to {high:.2f}"
            unit = "year" if years == 1 else "years"
            rows.append([f"{years:g} {unit}", _share(predicted), _share(observed), interval])
    return rows


def _share(value: object) -> str:
    """A probability with two decimals."""
    return f"{value:.2f}" if isinstance(value, float) else "–"


def _key_rows(table: Table, width: float) -> tuple[list[float], list[list[str]]]:
    """Key features, a column per segment."""
    rows = table.rows[:MOST_SEGMENTS]
    text = [["feature", *(str(row[0]) for row in rows)]]
    for place, column in enumerate(table.columns[2:], 2):
        text.append([column.replace("_", " "), *(number_text(row[place]) for row in rows)])
    return _widths(width, len(rows) + 1), text


def _charts(
    page: Page, result: Result, under_planes: tuple[float, float], under_table: tuple[float, float, float]
) -> tuple[float, float]:  # fmt: skip
    """Survival or probabilities below the planes, contributions below the numbers; returns where both end."""
    first, wide = under_planes
    left, second, width = under_table
    if "survival" in result.plots:
        groups = result.tables.get("cohort_survival")
        first = draw_survival(page, result.plots["survival"], groups, SIDE, first, wide)
    if "probability" in result.plots:
        first = draw_bars(page, result.plots["probability"], SIDE, first, wide, signed=False)
    if "contributions" in result.plots:
        second = draw_bars(page, result.plots["contributions"], left, second, width)
    return first, second
