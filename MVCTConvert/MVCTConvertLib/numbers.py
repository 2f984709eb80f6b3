"""The numbers of a converted CT in the panel: the verdict, HU of the tissues, contrast before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from manabi_slicer import bridge
from manabi_slicer.icons import is_dark
from manabi_slicer.panels import number_table
from MVCTConvertLib.verdict import Verdict

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLTableNode

INPUT, CONVERTED, REFERENCE = "input", "converted", "reference"
"""The images in the tables ``hu_check`` and ``quality``."""
DO_NOT_USE = "Do not use"
"""How the warning begins that says no more than the verdict."""
GOOD_INK, GOOD_INK_DARK = "#2e7d32", "#81c995"
"""Of a tissue that is as it should be, in light and in dark styles."""
THICKNESS = "water_thickness_change_percent_"
"""How the measurements begin that say what the conversion would do to a dose."""


def verdict(outputs: Mapping[str, vtkMRMLNode]) -> Verdict | None:
    """What the checks said of a result; None where there is none."""
    measured = _measured(outputs)
    if "verdict" not in measured:
        return None
    rows = bridge.table_rows(outputs.get("tables/checks"))
    return Verdict(str(measured["verdict"]), tuple(_reason(row) for row in rows))


def untold(warnings: Sequence[str], outputs: Mapping[str, vtkMRMLNode]) -> list[str]:
    """The warnings of a result without those that the verdict tells at the top of the panel."""
    found = verdict(outputs)
    told = () if found is None else found.reasons
    return [text for text in warnings if text not in told and not (told and text.startswith(DO_NOT_USE))]


def fill_hu(table: Any, node: vtkMRMLTableNode | None) -> None:
    """Show the HU check of every image; converted tissues outside the tolerance in red, within in green.

    Args:
        table: a QTableWidget.
        node: the output ``tables/hu_check``, or None, which empties the table.
    """
    rows = bridge.table_rows(node)
    images = list(dict.fromkeys(str(row["image"]) for row in rows))
    found = {(str(row["tissue"]), str(row["image"])): row for row in rows}
    tissues = list(dict.fromkeys(tissue for tissue, _image in found))
    titles = (_("Tissue"), *(_title(image) for image in images), _("Expected"), _("Check"))
    lines = [(_hu_cells(tissue, images, found), _within(tissue, found) is False) for tissue in tissues]
    number_table.fill(table, titles, lines)
    ink = qt.QBrush(qt.QColor(GOOD_INK_DARK if is_dark() else GOOD_INK))
    for r, tissue in enumerate(tissues):
        if _within(tissue, found):
            table.item(r, len(titles) - 1).setForeground(ink)


def quality_text(outputs: Mapping[str, vtkMRMLNode]) -> str:
    """Contrast, noise and errors of the images, a line each; empty where they were not measured."""
    rows = bridge.table_rows(outputs.get("tables/quality"))
    known = {str(row["measure"]): row for row in rows}
    lines = [_quality_line(words, known[name]) for name, words in _quality_words().items() if name in known]
    return "\n".join(line for line in (*lines, _thickness_line(_measured(outputs))) if line)


def dicom_tip() -> str:
    """What the DICOM button does."""
    return _(
        "Write the converted CT as a new DICOM CT series into the study of the input, in its frame of reference, so "
        "that structures drawn on either lie right on both. It is marked as derived, synthetic and not for dose."
    )


def structures_tip() -> str:
    """What the button for structures does."""
    return _(
        "Write the structures (RTSTRUCT) that were drawn on the input once more for the exported DICOM CT. The "
        "contours stay as they are; the new structure set is not approved."
    )


def _measured(outputs: Mapping[str, vtkMRMLNode]) -> dict[str, Any]:
    return {str(row["name"]): row["value"] for row in bridge.table_rows(outputs.get("measurements"))}


def _reason(row: Mapping[str, Any]) -> str:
    """A row of the table ``checks`` as its warning says it."""
    return f"{row['what']}: {row['found']} {row['what_to_do']}"


def _thickness_line(measured: Mapping[str, Any]) -> str:
    """The largest change of a water-equivalent thickness; empty where none was measured."""
    changes = [float(value) for name, value in measured.items() if name.startswith(THICKNESS) and value is not None]
    if not changes:
        return ""
    largest = max(changes, key=abs)
    return _("Water-equivalent thickness of the patient: {percent} % at most").format(
        percent=_number(largest, "{:+.1f}")
    )


def _quality_words() -> dict[str, str]:
    """What the panel shows of the table ``quality``, and in which words."""
    return {
        "contrast to noise, muscle-fat": _("Contrast to noise of muscle and fat"),
        "noise in soft tissue": _("Noise in soft tissue"),
        "mean absolute error, body": _("Mean error against the planning CT"),
    }


def _quality_line(words: str, row: Mapping[str, Any]) -> str:
    """``Noise in soft tissue (HU): 55.0 before, 9.1 after, planning CT 8.8``; empty where nothing is known."""
    names = {CONVERTED: _("{value} after"), REFERENCE: _("planning CT {value}")}
    images = [name for name in row if name not in ("measure", "unit") and row[name] is not None]
    parts = [names.get(name, _("{value} before")).format(value=_number(row[name], "{:.1f}")) for name in images]
    if not parts:
        return ""
    unit = f" ({row['unit']})" if row["unit"] else ""
    return _("{words}{unit}: {values}").format(words=words, values=", ".join(parts), unit=unit)


def _title(image: str) -> str:
    """An image of the tables, as the user knows it."""
    return {INPUT: _("Input"), CONVERTED: _("Converted"), REFERENCE: _("Planning")}.get(image, image)


def _within(tissue: str, found: Mapping[tuple[str, str], Mapping[str, Any]]) -> bool | None:
    """Whether the converted image has a tissue as it should be; None where it was not measured."""
    row = found.get((tissue, CONVERTED))
    return None if row is None else row["within"] == "yes"


def _hu_cells(
    tissue: str, images: Sequence[str], found: Mapping[tuple[str, str], Mapping[str, Any]]
) -> tuple[str, ...]:  # fmt: skip
    """A tissue's row as it is shown; what is expected is that of the converted image."""
    row = found.get((tissue, CONVERTED), {})
    states = {True: _("OK"), False: _("Off"), None: "–"}
    measured = (_number(found.get((tissue, image), {}).get("measured_hu")) for image in images)
    expected = _("{hu} ± {tolerance}").format(
        hu=_number(row.get("expected_hu")), tolerance=_number(row.get("tolerance_hu"))
    )
    return (tissue.capitalize(), *measured, expected if row else "–", states[_within(tissue, found)])


def _number(cell: Any, form: str = "{:.0f}") -> str:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return "–"
    return form.format(value).replace("-", "−") if value == value else "–"
