"""Markers corrected by hand: the result as it is with a marker on another slice, and back again. No Slicer here.

What a correction replaced is kept in the result's provenance (``corrections``), so that it goes where the result goes:
into the scene, into exported files, and back to the found position whenever the user wants.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from manabi.errors import InvalidInputError
from manabi.result import Landmark, Result, Table
from manabi.slices import report
from manabi.slices.reading import MARKERS, NAMES, PLACES
from manabi.slices.representative import Plan, choice_notes, choose, representative_volume

if TYPE_CHECKING:
    from manabi.result import Cell
    from manabi.slices.stack import AxialStack
    from manabi.volume import Volume

BY_HAND = "corrected by hand"
"""The status of a marker that the user moved."""
KEY = "corrections"
UID = "sop_instance_uid"


def is_corrected(result: Result, marker: str) -> bool:
    """Whether a marker was put where it is by hand."""
    return marker in result.provenance.get(KEY, {}).get("markers", {})


def slice_of_row(result: Result, marker: str) -> int | None:
    """The slice of a marker along the input's own axis; None where it is not in the image."""
    cell = _row(result, marker)["slice"]
    return None if cell is None else int(cell)


def moved(
    result: Result, volume: Volume, stack: AxialStack, marker: str, point_ras: Sequence[float], k: int
) -> Result:
    """The result with a marker at a point on another slice.

    Within the slice it was found on, only the point moves: the level and its confidence stay.

    Args:
        result: of SliceMarker; it is not changed. Its representative volume is not needed.
        volume: the CT.
        stack: of the CT.
        marker: one of :data:`~manabi.slices.reading.MARKERS`.
        point_ras: on the slice, RAS mm.
        k: slice of the stack.

    Raises:
        InvalidInputError: for an unknown marker.
    """
    if marker not in MARKERS:
        raise InvalidInputError(f"Expected one of {', '.join(MARKERS)}; got {marker!r}.")
    position = tuple(float(x) for x in point_ras)
    before = result.landmarks.get(marker)
    index = stack.input_index(k)
    if before is not None and slice_of_row(result, marker) == index:
        mark = dataclasses.replace(before, position_ras=position)
        return dataclasses.replace(result, landmarks={**result.landmarks, marker: mark})
    record = _record(result)
    record["markers"].setdefault(marker, _found(result, stack, marker))
    row = {**_row(result, marker), "status": BY_HAND, "slice": index, "confidence": None,
           "position_mm": report.rounded(float(stack.z_mm[k]))}  # fmt: skip
    mark = Landmark(NAMES[marker], position, None, BY_HAND)
    return _rebuilt(result, volume, stack, record, {marker: row}, {**result.landmarks, marker: mark})


def put_back(result: Result, volume: Volume, stack: AxialStack, marker: str) -> Result:
    """The result with a marker where it was found, or found to be outside the image.

    Args:
        result: as of :func:`moved`.
        volume: the CT.
        stack: of the CT.
        marker: which one; it need not have been corrected.
    """
    if not is_corrected(result, marker):
        return result
    record = _record(result)
    found = record["markers"].pop(marker)
    marks = {name: mark for name, mark in result.landmarks.items() if name != marker}
    if found["landmark"] is not None:
        name, kji, confidence, description = found["landmark"]
        marks[marker] = Landmark(name, stack.ras(*kji), confidence, description)
    return _rebuilt(result, volume, stack, record, {marker: dict(found["row"])}, marks)


# --- parts ------------------------------------------------------------------------------------------------------------


def _record(result: Result) -> dict[str, Any]:
    """A copy of what earlier corrections replaced; of the first one, what it is about to replace."""
    known = result.provenance.get(KEY) or {"warnings": list(result.warnings), "markers": {}}
    return {"warnings": list(known["warnings"]), "markers": dict(known["markers"])}


def _found(result: Result, stack: AxialStack, marker: str) -> dict[str, Any]:
    """What is to be kept of a marker as it was found; its place in voxels, as the patient may be moved."""
    import numpy as np

    mark = result.landmarks.get(marker)
    kept = None
    if mark is not None:
        kji = stack.volume.grid.ijk_of(np.array(mark.position_ras))[::-1]
        kept = [mark.name, [round(float(x), 6) for x in kji], mark.confidence, mark.description]
    return {"row": _row(result, marker), "landmark": kept}


def _rebuilt(
    result: Result, volume: Volume, stack: AxialStack, record: dict[str, Any],
    rows: Mapping[str, Mapping[str, Cell]], landmarks: Mapping[str, Landmark],
) -> Result:  # fmt: skip
    """Everything that follows from the markers' rows."""
    markers = _with_rows(result.tables["markers"], rows)
    levels = _levels(markers, stack)
    plan = _plan(result)
    chosen = choose(levels, stack.z_mm, plan)
    notes = choice_notes(levels, stack.z_mm, plan, chosen)
    before = choose(_levels(result.tables["markers"], stack), stack.z_mm, plan)
    old = choice_notes(_levels(result.tables["markers"], stack), stack.z_mm, plan, before)
    tables = {**result.tables, "markers": markers, "representative": report.slices_table(chosen, stack)}
    if UID in result.tables["markers"].columns:
        tables = _with_uids(tables, volume, stack)
    provenance = {key: value for key, value in result.provenance.items() if key != KEY}
    if record["markers"]:
        provenance[KEY] = record
    warnings = _warnings(record, old, notes, markers) if record["markers"] else list(record["warnings"])
    return dataclasses.replace(
        result,
        volumes={**result.volumes, "representative": representative_volume(volume, stack, chosen)},
        landmarks={name: landmarks[name] for name in MARKERS if name in landmarks},
        tables=tables,
        measurements=_measurements(result.measurements, markers, levels, warnings),
        warnings=warnings,
        provenance=provenance,
    )


def _levels(markers: Table, stack: AxialStack) -> dict[str, float]:
    """Positions of the markers that are in the image, from their slices."""
    by_name = {shown: name for name, shown in NAMES.items()}
    cells = zip(markers.column("marker"), markers.column("slice"), strict=True)
    return {by_name[str(shown)]: float(stack.z_mm[stack.input_index(int(k))]) for shown, k in cells if k is not None}


def _plan(result: Result) -> Plan:
    """Which slices were asked for."""
    asked = result.provenance.get("parameters", {})
    plan = Plan()
    return Plan(
        asked.get("representative", plan.kind), int(asked.get("count", plan.count)),
        float(asked.get("spacing_mm", plan.spacing_mm)),
    )  # fmt: skip


def _row(result: Result, marker: str) -> dict[str, Any]:
    table = result.tables["markers"]
    for row in table.rows:
        if row[table.columns.index("marker")] == NAMES[marker]:
            return dict(zip(table.columns, row, strict=True))
    raise InvalidInputError(f"The table of markers has no row for the {marker}. Press Apply again.")


def _with_rows(table: Table, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    place = table.columns.index("marker")
    by_shown = {NAMES[name]: row for name, row in rows.items()}
    new = [
        tuple(by_shown[str(row[place])].get(column) for column in table.columns) if row[place] in by_shown else row
        for row in table.rows
    ]
    return Table(table.columns, tuple(new))


def _with_uids(tables: dict[str, Table], volume: Volume, stack: AxialStack) -> dict[str, Table]:
    from manabi.slices.method import instance_uids

    uids = instance_uids(volume, stack)
    markers = tables["markers"]
    bare = Table(markers.columns[:-1], tuple(row[:-1] for row in markers.rows))
    return {
        **tables, "markers": report.with_uids(bare, uids),
        "representative": report.with_uids(tables["representative"], uids),
    }  # fmt: skip


def _warnings(record: Mapping[str, Any], old: Sequence[str], notes: Sequence[str], markers: Table) -> list[str]:
    """What was said, without what is no longer so, and what the user changed."""
    gone = tuple(
        text for name in record["markers"] for text in (f"Check {PLACES[name]}:", f"Not in the image: {PLACES[name]}.")
    )
    kept = [text for text in record["warnings"] if not text.startswith(gone) and text not in old]
    kept = [text for text in kept if not text.startswith("Representative slices") or text in notes]
    kept += [text for text in notes if text not in kept]
    at = dict(zip(markers.column("marker"), markers.column("slice"), strict=True))
    for name, found in record["markers"].items():
        row = dict(found["row"])
        was = f"found on slice {row['slice']}" if row["slice"] is not None else f"found to be {row['status']}"
        sure = "" if row.get("confidence") is None else f" with confidence {float(row['confidence']):.0%}"
        kept.append(f"Corrected by hand: {NAMES[name].lower()}, now on slice {at[NAMES[name]]} ({was}{sure}).")
    return kept


def _measurements(
    before: Mapping[str, Cell], markers: Table, levels: Mapping[str, float], warnings: Sequence[str]
) -> dict[str, Cell]:  # fmt: skip
    from manabi.slices.method import SliceMarker

    out = dict(before)
    for row in (dict(zip(markers.columns, cells, strict=True)) for cells in markers.rows):
        marker = next(name for name, shown in NAMES.items() if shown == row["marker"])
        for name, cell in (("status", "status"), ("mm", "position_mm"), ("slice", "slice"),
                           ("confidence", "confidence")):  # fmt: skip
            out[f"{marker}_{name}"] = row[cell]
    if "apex_to_diaphragm_mm" in out:
        whole = "apex" in levels and "diaphragm" in levels
        out["apex_to_diaphragm_mm"] = report.rounded(levels["apex"] - levels["diaphragm"]) if whole else None
    out["quality"] = "check" if any(text.startswith(SliceMarker.alert_prefixes) for text in warnings) else "good"
    return out
