"""The numbers of a denoised scan in the panel: what a reader looks at first, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import bridge
from manabi_slicer.panels import number_table

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLTableNode


def fill_changes(table: Any, node: vtkMRMLTableNode | None, alert_z: float) -> None:
    """Show the change of each region; those above the alert's limit in red.

    Args:
        table: a QTableWidget.
        node: the output ``tables/changes``, or None, which empties the table.
        alert_z: limit in standard errors.
    """
    titles = (_("Region"), _("Before"), _("After"), _("Change"), _("Standard errors"))
    found = [_changes_row(row) for row in bridge.table_rows(node)]
    number_table.fill(table, titles, [(cells, abs(z) > alert_z) for cells, z in found])


def grades_text(outputs: Mapping[str, vtkMRMLNode]) -> str:
    """The grade of each side after denoising, and before where it was another one; empty where none was given."""
    found = {(row["image"], row["side"]): row for row in bridge.table_rows(outputs.get("tables/grades"))}
    lines = []
    for side, word in (("right", _("Right")), ("left", _("Left"))):
        after, before = found.get(("denoised", side)), found.get(("input", side))
        if after is None:
            continue
        line = _("{side}: grade {grade}, {meaning} (probability {chance})").format(
            side=word, grade=_whole(after["grade"]), meaning=after["meaning"] or "",
            chance=_text(after["probability"], "{:.2f}", unknown=""),
        )  # fmt: skip
        if before is not None and _whole(before["grade"]) != _whole(after["grade"]):
            line += _("; before denoising grade {grade}").format(grade=_whole(before["grade"]))
        lines.append(line)
    return "\n".join(lines)


def likeness_text(outputs: Mapping[str, vtkMRMLNode]) -> str:
    """How like the 25-minute scan the images before and after are; empty where there is none."""
    rows = bridge.table_rows(outputs.get("tables/comparison"))
    if not rows:
        return ""
    scores = {row["image"]: row["ssim"] for row in rows}
    before, after = (_text(scores.get(name), "{:.3f}") for name in ("input", "denoised"))
    return _("Likeness to 25 minutes (SSIM): {before} before, {after} after").format(before=before, after=after)


def _changes_row(row: Mapping[str, Any]) -> tuple[tuple[str, ...], float]:
    """A region's row as it is shown, and its change in standard errors."""
    cells = (
        f"{row['structure']} {row['side']}".capitalize(), _text(row["sbr_input"], "{:.2f}"),
        _text(row["sbr_denoised"], "{:.2f}"), _text(row["change_percent"], "{:+.1f} %"),
        _text(row["change_in_noise_sd"], "{:+.1f}"),
    )  # fmt: skip
    return cells, _number(row["change_in_noise_sd"]) or 0.0


def _text(cell: Any, form: str, unknown: str = "–") -> str:
    value = _number(cell)
    return unknown if value is None else form.format(value).replace("-", "−")


def _number(cell: Any) -> float | None:
    """A cell as a number; None where it is none, or unknown."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if value == value else None


def _whole(cell: Any) -> str:
    value = _number(cell)
    return str(cell or "") if value is None else f"{value:g}"
