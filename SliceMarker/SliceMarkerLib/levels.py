"""The levels of a result in words: what the buttons and the list of slices say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import bridge

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

MARKERS = ("apex", "carina", "diaphragm")


NOT_FOUND = "not found"
"""Status of a marker that the rules did not find."""


@dataclass(frozen=True)
class Level:
    """One marker as the panel shows it.

    Attributes:
        marker: its name in the method.
        text: of its button.
        reason: why the views cannot go there; empty where they can.
        slice: along the input's own axis, or None.
        by_hand: whether the user put it there.
    """

    marker: str
    text: str
    reason: str
    slice: int | None
    by_hand: bool


def title(marker: str) -> str:
    """As the button calls it."""
    return {"apex": _("Apex"), "carina": _("Carina"), "diaphragm": _("Diaphragm")}[marker]


def levels(outputs: Mapping[str, vtkMRMLNode]) -> dict[str, Level]:
    """The markers of a result by name; empty where there is none."""
    from manabi.slices.reading import NAMES

    rows = {row.get("marker"): row for row in bridge.table_rows(outputs.get("tables/markers"))}
    return {name: _level(name, rows[NAMES[name]]) for name in MARKERS if NAMES[name] in rows}


def slice_texts(outputs: Mapping[str, vtkMRMLNode]) -> list[tuple[int, str]]:
    """The representative slices: index along the input's own axis, and what the list says."""
    found = []
    for row in bridge.table_rows(outputs.get("tables/representative")):
        index = int(row["slice"])
        words = [f"{int(row['number'])}", where_text(float(row["position_mm"])), _("slice {n}").format(n=index)]
        words += [str(row["marker"])] if row["marker"] else []
        found.append((index, "   ".join(words)))
    return found


def points_of(outputs: Mapping[str, vtkMRMLNode]) -> Any:
    """The point list of a result, or None."""
    return next((node for key, node in outputs.items() if key.startswith("landmarks/")), None)


def where_text(position_mm: float) -> str:
    """A position as Slicer's views write it: S towards the head, I towards the feet of the origin."""
    return f"{'S' if position_mm >= 0 else 'I'} {abs(position_mm):.1f} mm"


def _level(marker: str, row: Mapping[str, Any]) -> Level:
    from SliceMarkerLib.corrections import BY_HAND

    by_hand = row["status"] == BY_HAND
    if row["slice"] is None:
        reason = (
            _("The {marker} was not found.")
            if row["status"] == NOT_FOUND
            else _("The {marker} is {where}: the image does not reach it.")
        ).format(marker=title(marker).lower(), where=row["status"])
        return Level(marker, f"{title(marker)}   {row['status']}", reason, None, by_hand)
    sure = _("by hand") if by_hand else "" if row["confidence"] is None else f"{float(row['confidence']):.0%}"
    words = [title(marker), where_text(float(row["position_mm"])), sure.replace("%", " %")]
    return Level(marker, "   ".join(filter(None, words)), "", int(row["slice"]), by_hand)
