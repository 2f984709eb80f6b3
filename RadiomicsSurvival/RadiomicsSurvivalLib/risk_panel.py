"""The patient's risk in the panel: in words, survival by year, and what drove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import bridge
from manabi_slicer.panels import number_table

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

DRIVERS = 12
"""So many of the inputs are listed; all are in the table node (our choice)."""
PROBABILITY = "probability_"


def fill(ui: Any, outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Show what came of a run, or nothing.

    Args:
        ui: has ``riskLabel``, ``survivalTable``, ``driversLabel`` and ``driversTable``.
        outputs: of the risk.
    """
    rows = bridge.table_rows(outputs.get("tables/risk"))
    many = len(rows) > 1
    ui.riskLabel.text = "<br>".join(risk_text(row) for row in rows)
    years = bridge.table_rows(outputs.get("tables/survival"))
    titles = (_("Survival at"), _("Predicted"), _("Seen in the group"))
    number_table.fill(ui.survivalTable, titles, [(survival_cells(row, many), False) for row in years])
    drivers = bridge.table_rows(outputs.get("tables/contributions"))[:DRIVERS]
    titles = (_("Adds to the risk"), _("Effect"), _("Input"))
    number_table.fill(ui.driversTable, titles, [(driver_cells(row, many), False) for row in drivers])
    ui.driversLabel.visible = bool(drivers)


def risk_text(row: Mapping[str, Any]) -> str:
    """A segment's risk in words."""
    group = _("HIGH risk") if str(row["group"]).startswith("high") else _("low risk")
    text = _("<b>{segment}: {group}.</b> Percentile {percentile} of the cohort (risk {risk}).").format(
        segment=row["segment"], group=group, percentile=_number(row["percentile"], "{:.0f}"),
        risk=_number(row["risk"], "{:.2f}").replace("-", "−"),
    )  # fmt: skip
    chances = {name.removeprefix(PROBABILITY): row[name] for name in row if name.startswith(PROBABILITY)}
    if chances:
        parts = [f"{name} {_number(value, '{:.0%}')}" for name, value in chances.items()]
        text += " " + _("Probabilities: {parts}.").format(parts=", ".join(parts))
    return text


def survival_cells(row: Mapping[str, Any], many: bool) -> tuple[str, ...]:
    """One year's row as it is shown."""
    count = float(row["years"])
    year = _("1 year") if count == 1.0 else _("{n} years").format(n=f"{count:g}")
    seen = _number(row["observed_in_group"], "{:.0%}")
    low, high = (_number(row[name], "{:.0%}") for name in ("observed_low", "observed_high"))
    interval = f"{seen} ({low} – {high})" if row["observed_low"] is not None else seen
    return f"{row['segment']}, {year}" if many else year, _number(row["predicted"], "{:.0%}"), interval


def driver_cells(row: Mapping[str, Any], many: bool) -> tuple[str, ...]:
    """One input's row as it is shown."""
    name = f"{row['segment']}: {row['input']}" if many else str(row["input"])
    effect = _("raises it") if str(row["effect_on_risk"]) == "raises" else _("lowers it")
    # The name, which may be longer than the panel is wide, comes last.
    return _number(row["contribution"], "{:+.3f}").replace("-", "−"), effect, name


def _number(cell: Any, form: str) -> str:
    """A cell as text; a dash where nothing can be said."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return "–"
    return form.format(value) if value == value else "–"
