"""The numbers of a denoised scan in the panel: what a reader looks at first, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from manabi_slicer.icons import is_dark

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLTableNode

ALERT_INK, ALERT_INK_DARK = "#b3261e", "#ff8a80"
"""Of a change beyond the alert's limit, in light and in dark styles."""
ROW_PX, HEADER_PX = 24, 22


def column(node: vtkMRMLTableNode, name: str) -> list[str]:
    """The cells of a column as text; an unknown value is empty."""
    array = node.GetTable().GetColumnByName(name)
    return [] if array is None else [str(array.GetVariantValue(n).ToString()) for n in range(array.GetNumberOfTuples())]


def fill_changes(table: Any, node: vtkMRMLTableNode | None, alert_z: float) -> None:
    """Show the change of each region; those above the alert's limit in red.

    Args:
        table: a QTableWidget.
        node: the output ``tables/changes``, or None, which empties the table.
        alert_z: limit in standard errors.
    """
    titles = (_("Region"), _("Before"), _("After"), _("Change"), _("Standard errors"))
    rows = [] if node is None else list(_rows(node))
    ink = ALERT_INK_DARK if is_dark() else ALERT_INK
    table.visible = bool(rows)
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setDefaultSectionSize(ROW_PX)
    table.setRowCount(len(rows))
    for r, (cells, z) in enumerate(rows):
        for c, text in enumerate(cells):
            item = qt.QTableWidgetItem(text)
            if c:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            if abs(z) > alert_z:
                item.setForeground(qt.QBrush(qt.QColor(ink)))
            table.setItem(r, c, item)
    table.resizeColumnsToContents()
    table.horizontalHeader().setStretchLastSection(True)
    if rows:
        table.setFixedHeight(ROW_PX * len(rows) + HEADER_PX)


def grades_text(outputs: Mapping[str, vtkMRMLNode]) -> str:
    """The grade of each side after denoising, and before where it was another one; empty where none was given."""
    node = outputs.get("tables/grades")
    if node is None:
        return ""
    names = ("image", "side", "grade", "meaning", "probability")
    found = {}
    for image, side, grade, meaning, chance in zip(*(column(node, name) for name in names), strict=True):
        found[image, side] = (_whole(grade), meaning, _number(chance))
    lines = []
    for side, word in (("right", _("Right")), ("left", _("Left"))):
        after, before = found.get(("denoised", side)), found.get(("input", side))
        if after is None:
            continue
        line = _("{side}: grade {grade}, {meaning} (probability {chance})").format(
            side=word, grade=after[0], meaning=after[1], chance="" if after[2] is None else f"{after[2]:.2f}"
        )
        if before is not None and before[0] != after[0]:
            line += _("; before denoising grade {grade}").format(grade=before[0])
        lines.append(line)
    return "\n".join(lines)


def likeness_text(outputs: Mapping[str, vtkMRMLNode]) -> str:
    """How like the 25-minute scan the images before and after are; empty where there is none."""
    node = outputs.get("tables/comparison")
    if node is None:
        return ""
    scores = dict(zip(column(node, "image"), column(node, "ssim"), strict=True))
    before, after = (_text(scores.get(name, ""), "{:.3f}") for name in ("input", "denoised"))
    return _("Likeness to 25 minutes (SSIM): {before} before, {after} after").format(before=before, after=after)


def _rows(node: vtkMRMLTableNode) -> list[tuple[tuple[str, ...], float]]:
    names = ("structure", "side", "sbr_input", "sbr_denoised", "change_percent", "change_in_noise_sd")
    rows = []
    for structure, side, before, after, percent, z in zip(*(column(node, name) for name in names), strict=True):
        cells = (
            f"{structure} {side}".capitalize(), _text(before, "{:.2f}"), _text(after, "{:.2f}"),
            _text(percent, "{:+.1f} %"), _text(z, "{:+.1f}"),
        )  # fmt: skip
        rows.append((cells, _number(z) or 0.0))
    return rows


def _text(cell: str, form: str) -> str:
    value = _number(cell)
    return "–" if value is None else form.format(value).replace("-", "−")


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if value == value else None


def _whole(cell: str) -> str:
    value = _number(cell)
    return cell if value is None else f"{value:g}"
