"""The marks of a film in the scene: all that were found are there, and the slider says which of them are shown.

Nothing is computed anew for it: the scores are there, and the model's curve says which score the slider needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import bridge
from NoduleSynthLib.tasks import LOOSEST, STRICTEST, USUAL

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi.result import Result
    from manabi_slicer.jumping import Point

CANDIDATES, POINTS, MARKS = "tables/candidates", "tables/operating_points", "tables/marks"
HEAT = "volumes/heat_map"
SLIDER = "ManabiNodule.slider"
"""Attribute of the table of candidates: where the slider stands."""
KEY = "landmarks/mark_"


@dataclass(frozen=True)
class Mark:
    """One candidate as the panel shows it.

    Attributes:
        number: it keeps it wherever the slider stands.
        score: 0 to 1.
        shown: whether the slider shows it.
        cells: texts of its row.
    """

    number: int
    score: float
    shown: bool
    cells: tuple[str, ...]


def titles() -> tuple[str, ...]:
    """Titles of a mark's row."""
    return _("No."), _("Score"), _("Lung, zone"), _("Where"), _("Size (mm)")


def found(outputs: Mapping[str, vtkMRMLNode]) -> list[Mark]:
    """All candidates of a result, the most likely first; none without a result."""
    rows = bridge.table_rows(outputs.get(CANDIDATES))
    least = _threshold(outputs) if rows else 0.0
    return [_mark(row, least) for row in rows]


def slider_of(outputs: Mapping[str, vtkMRMLNode]) -> float:
    """Where the slider of a result stands, false marks per film."""
    node: Any = outputs.get(CANDIDATES)
    text = node.GetAttribute(SLIDER) if node is not None else None
    return float(text) if text else USUAL


def asked_of(result: Result) -> float:
    """The operating point that a result was asked for."""
    return float(result.provenance.get("parameters", {}).get("false_positives", USUAL))


def shown_only(result: Result, false_positives: float) -> Result:
    """A result with the marks of another place of the slider; they lie where they were. Others come back as they are.

    Args:
        result: of a detection, with its table of candidates.
        false_positives: per film.
    """
    if "candidates" not in result.tables:
        return result
    from manabi.nodule.operating import at

    made = at(result, false_positives)
    kept = {
        key: replace(mark, position_ras=result.landmarks[key].position_ras) if key in result.landmarks else mark
        for key, mark in made.landmarks.items()
    }
    return replace(made, landmarks=kept)


def show(outputs: Mapping[str, vtkMRMLNode], false_positives: float) -> None:
    """Show the marks of a place of the slider, hide the others; the tables of marks and of numbers follow.

    Args:
        outputs: of a film; nothing happens where they hold no candidates.
        false_positives: per film.
    """
    candidates: Any = outputs.get(CANDIDATES)
    if candidates is None:
        return
    candidates.SetAttribute(SLIDER, f"{min(max(false_positives, STRICTEST), LOOSEST):.6g}")
    points = points_of(outputs)
    if points is not None:
        _show_points(points, found(outputs))
    _refresh_tables(outputs)


def points_of(outputs: Mapping[str, vtkMRMLNode]) -> Any:
    """The point list of a detection, or None."""
    return next((node for key, node in outputs.items() if key.startswith(KEY)), None)


def position(outputs: Mapping[str, vtkMRMLNode], number: int) -> Point | None:
    """Where a mark lies, RAS mm of the patient; None where there is no such mark."""
    points = points_of(outputs)
    return None if points is None else bridge.landmark_position(points, f"mark_{number}")


def operating_text(outputs: Mapping[str, vtkMRMLNode]) -> str:
    """What to expect of the slider's place, by the model's own test; empty where nothing is known."""
    place = slider_of(outputs)
    films = _("1 in {n:.0f} films").format(n=1 / place) if place < 0.75 else _("{n:.1f} per film").format(n=place)
    text = _("False marks: about {films}.").format(films=films)
    measured = {str(row["name"]): row["value"] for row in bridge.table_rows(outputs.get("measurements"))}
    sensitivity = measured.get("sensitivity")
    if isinstance(sensitivity, (int, float)):
        text += " " + _("Nodules found in the model's test: {percent:.0f} %.").format(percent=100 * sensitivity)
    return text


def summary_text(outputs: Mapping[str, vtkMRMLNode]) -> str:
    """How many marks are shown, and how suspicious the film is as a whole; empty without a result."""
    if CANDIDATES not in outputs:
        return ""
    every = found(outputs)
    shown = sum(mark.shown for mark in every)
    measured = {str(row["name"]): row["value"] for row in bridge.table_rows(outputs.get("measurements"))}
    score = measured.get("image_score")
    text = _("{shown} of {all} candidates are shown.").format(shown=shown, all=len(every))
    if isinstance(score, (int, float)):
        text += " " + _("Score of the film: {score:.2f}.").format(score=score)
    return text


def size_text(diameter_mm: Any) -> str:
    """A mark's diameter as a reader is shown it: whole mm; one that is no nodule's is not told as a number."""
    from manabi.nodule.operating import LARGEST_MM

    if not isinstance(diameter_mm, (int, float)):
        return "–"
    return _("over {mm:.0f}").format(mm=LARGEST_MM) if diameter_mm > LARGEST_MM else f"{diameter_mm:.0f}"


# --- parts ------------------------------------------------------------------------------------------------------------


def _threshold(outputs: Mapping[str, vtkMRMLNode]) -> float:
    """The least score that the slider shows."""
    from manabi.nodule.operating import Curve
    from manabi_slicer.bridge.tables import read_table

    points: Any = outputs.get(POINTS)
    return 0.0 if points is None else Curve.of_table(read_table(points)).threshold(slider_of(outputs))


def _mark(row: Mapping[str, Any], least: float) -> Mark:
    number, score = int(row["number"]), float(row["score"])
    lung = " ".join(str(row[name]) for name in ("lung", "zone") if row.get(name))
    cells = (
        f"{number}", f"{score:.2f}", lung or "–", str(row.get("location") or "–"), size_text(row.get("diameter_mm")),
    )  # fmt: skip
    return Mark(number, score, score >= least, cells)


def _show_points(points: Any, every: list[Mark]) -> None:
    """Numbers and scores beside the points, and only those of the slider; nobody can move them."""
    points.SetLocked(True)
    points.SetFixedNumberOfControlPoints(True)
    was_modifying = points.StartModify()
    for mark in every:
        index = bridge.landmark_index(points, f"mark_{mark.number}")
        if index >= 0:
            points.SetNthControlPointLabel(index, f"{mark.number}   {mark.score:.2f}")
            points.SetNthControlPointVisibility(index, mark.shown)
            points.SetNthControlPointLocked(index, True)
    points.EndModify(was_modifying)


def _refresh_tables(outputs: Mapping[str, vtkMRMLNode]) -> None:
    """The table of marks and the numbers, as the slider has them."""
    from manabi_slicer.bridge.tables import build_table, measurements_table

    read = bridge.result_from_nodes({key: node for key, node in outputs.items() if not _heavy(key)})
    now = shown_only(read, slider_of(outputs))
    fresh = {MARKS: now.tables["marks"], "measurements": measurements_table(now.measurements)}
    for key, table in fresh.items():
        node: Any = outputs.get(key)
        if node is not None:
            _replace_content(node, build_table(table))


def _heavy(key: str) -> bool:
    return key.startswith(("volumes/", "labelmaps/", "plots/"))


def _replace_content(node: Any, fresh: Any) -> None:
    """Give a table node other rows; its name, and what it is to the result, stay."""
    from manabi_slicer.bridge.attributes import content, set_content

    was_modifying = node.StartModify()
    node.SetAndObserveTable(fresh.GetTable())
    set_content(node, content(fresh))
    node.EndModify(was_modifying)
