"""A reading as tables, landmarks, measurements, warnings and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from manabi.result import Cell, Landmark, Plot, Table
from manabi.slices.reading import DISAGREE_MM, LOWER_END, MARKERS, NAMES, PLACES, UPPER_END, Found, Reading
from manabi.slices.representative import Chosen
from manabi.slices.stack import AxialStack

if TYPE_CHECKING:
    from manabi.slices.rules import RuleReading

MARKER_COLUMNS = ("marker", "status", "slice", "position_mm", "confidence", "rules_position_mm")
SLICE_COLUMNS = ("number", "slice", "position_mm", "fraction", "marker")
STATUS = {"": "in the image", "above": "above the image", "below": "below the image", "unknown": "not found"}
_ENDS = {"above": "ends below it", "below": "ends above it"}


def markers_table(reading: Reading, stack: AxialStack, rules_mm: Mapping[str, float | None]) -> Table:
    """A row per marker; ``slice`` counts along the input's own axis from 0."""
    rows = []
    for one in reading.found:
        index = None if one.index is None else stack.input_index(one.index)
        rows.append((
            NAMES[one.marker], status(one), index, rounded(one.z_mm), round(one.confidence, 4),
            rounded(rules_mm.get(one.marker)),
        ))  # fmt: skip
    return Table(MARKER_COLUMNS, tuple(rows))


def slices_table(chosen: Sequence[Chosen], stack: AxialStack) -> Table:
    """A row per representative slice, from the head to the feet."""
    rows = [
        (c.number, stack.input_index(c.index), rounded(c.z_mm), round(c.fraction, 4), NAMES.get(c.marker, ""))
        for c in chosen
    ]
    return Table(SLICE_COLUMNS, tuple(rows))


def with_uids(table: Table, uids: Sequence[str] | None) -> Table:
    """The table with the SOP instance UID of each row's slice."""
    place = table.columns.index("slice")
    rows = tuple((*row, _uid(uids, row[place])) for row in table.rows)
    return Table((*table.columns, "sop_instance_uid"), rows)


def _uid(uids: Sequence[str] | None, index: Cell) -> str | None:
    return uids[index] if uids is not None and isinstance(index, int) else None


def measurements(reading: Reading, stack: AxialStack, min_confidence: float, alerts: Sequence[str]) -> dict[str, Cell]:
    """One row of a cohort's table."""
    out: dict[str, Cell] = {}
    for one in reading.found:
        out[f"{one.marker}_status"] = status(one)
        out[f"{one.marker}_mm"] = rounded(one.z_mm)
        out[f"{one.marker}_slice"] = None if one.index is None else stack.input_index(one.index)
        out[f"{one.marker}_confidence"] = round(one.confidence, 4)
    levels = reading.levels_mm
    whole = "apex" in levels and "diaphragm" in levels
    out["apex_to_diaphragm_mm"] = rounded(levels["apex"] - levels["diaphragm"]) if whole else None
    sure = all(one.confidence >= min_confidence for one in reading.found)
    out["quality"] = "good" if sure and not alerts else "check"
    out["slices_evaluated"] = int(reading.evaluated.sum())
    out["slices_in_image"] = stack.n
    return out


def truth_table(truth: Mapping[str, Cell], measured: Mapping[str, Cell]) -> Table:
    """A phantom's levels beside those that were found; see :func:`measurements`."""
    rows: list[tuple[Cell, ...]] = []
    for marker in MARKERS:
        true, found = truth.get(f"{marker}_mm"), measured.get(f"{marker}_mm")
        known = isinstance(true, int | float) and isinstance(found, int | float)
        off = round(float(found) - float(true), 2) if known else None  # type: ignore[arg-type]
        rows.append((NAMES[marker], true, found, off, measured.get(f"{marker}_status")))
    return Table(("marker", "true_mm", "found_mm", "difference_mm", "status"), tuple(rows))


def status(one: Found) -> str:
    """In the image, or beyond which end."""
    return STATUS[one.absent]


def probability_plot(reading: Reading) -> Plot:
    """Probability of each marker against the position."""
    z = [round(float(v), 3) for v in reading.z_mm]
    series = {NAMES[one.marker]: (z, [round(float(p), 5) for p in one.probability]) for one in reading.found}
    return Plot("Where the markers are", "Position towards the head (mm)", "Probability", series)


def alerts(reading: Reading, min_confidence: float, rules: RuleReading | None = None) -> list[str]:
    """What a reader must not overlook; each begins with one of the method's ``alert_prefixes``.

    Args:
        reading: the answers.
        min_confidence: less confident ones are flagged.
        rules: what tracking of airway and lungs found, to hold against them.
    """
    has_lungs = None if rules is None else rules.lungs is not None and bool(rules.lungs.any())
    if has_lungs is False and all(one.absent or one.confidence < min_confidence for one in reading.found):
        return ["No lungs were recognised in this image. If it is not a CT of the chest, disregard the markers."]
    texts = [
        f"Check {PLACES[one.marker]}: the confidence is only {one.confidence:.0%}."
        for one in reading.found
        if one.confidence < min_confidence
    ]
    texts += [text for one in reading.found if rules is not None and (text := disagreement(one, rules))]
    texts += [f"Check {PLACES.get(marker, 'the markers')}: {flag}." for marker, flag in reading.flags]
    texts += [
        f"Not in the image: {PLACES[one.marker]}. The scan {_ENDS[one.absent]}."
        for one in reading.found
        if one.absent in _ENDS
    ]
    texts += [
        f"Check {PLACES[one.marker]}: it was not found, which need not mean that it is not in the image."
        for one in reading.found
        if one.absent == "unknown"
    ]
    return texts


def disagreement(one: Found, rules: RuleReading) -> str:
    """In what the rules contradict an answer; empty where they do not."""
    other = rules.z_mm.get(one.marker)
    ends = {"apex": ("above", UPPER_END), "diaphragm": ("below", LOWER_END)}
    beyond, end = ends.get(one.marker, ("", ""))
    says = ""
    if one.z_mm is not None and other is not None and abs(one.z_mm - other) > DISAGREE_MM:
        says = f"puts it {abs(one.z_mm - other):.0f} mm away"
    elif one.absent and other is not None:
        says = f"finds it in the image, at {other:.0f} mm"
    elif one.z_mm is not None and end in rules.notes:
        says = f"finds that {end}, so that it would lie {beyond} the image"
    if not says:
        return ""
    return f"Check {PLACES[one.marker]}: tracking of airway and lungs {says}."


def landmarks(reading: Reading, stack: AxialStack, centre_ij: tuple[float, float], masks: Mapping[str, np.ndarray | None]) -> dict[str, Landmark]:  # noqa: E501
    """The markers as points: in the middle of what is seen on their slice (lungs, airway), else of the body.

    Args:
        reading: the levels.
        stack: the CT.
        centre_ij: column and row of the body's middle.
        masks: ``lungs`` and ``airway`` on the stack's grid, or None.
    """
    points = {}
    for one in reading.found:
        if one.index is None:
            continue
        mask = masks.get("airway" if one.marker == "carina" else "lungs")
        i, j = centre_ij if mask is None or not mask[one.index].any() else _middle(mask[one.index], one.marker)
        points[one.marker] = Landmark(
            NAMES[one.marker], stack.ras(one.index, j, i), round(one.confidence, 4),
            f"{status(one)}; confidence {one.confidence:.2f}",
        )  # fmt: skip
    return points


def _middle(mask: np.ndarray, marker: str) -> tuple[float, float]:
    """Column and row of a mask's centroid; of the apex, of its larger part, so that the point lies in lung."""
    if marker == "apex":
        from scipy import ndimage

        labels, _ = ndimage.label(mask)
        mask = labels == int(np.bincount(labels.ravel())[1:].argmax()) + 1
    rows, columns = np.nonzero(mask)
    return float(columns.mean()), float(rows.mean())


def rounded(value: float | None) -> float | None:
    """Hundredths of a millimetre."""
    return None if value is None else round(float(value), 2)
