"""The part Cohort of the panel: two tables to choose, and the models side by side once they were evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import bridge
from manabi_slicer.panels import number_table
from manabi_slicer.slots import calling
from RadiomicsSurvivalLib import cohort
from RadiomicsSurvivalLib.parameters import Outcome

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

BLOCKS = ("clinical", "volume", "radiomics", "combined")
FIRST, OVERALL = 2, "IBS"
"""So many scores are listed, and the integrated Brier score; all are in the table node (our choice)."""
PATHS = ("featuresCsv", "outcomesCsv", "bundlePlace")


class CohortPanel:
    """Keeps the paths of the panel and of the parameter node the same, and shows the scores.

    Args:
        ui: the module's widgets.
        choices: gives the parameter node, or None.
        on_use: called when the fitted model is to be used.
    """

    def __init__(self, ui: Any, choices: Callable[[], Any], on_use: Callable[[], None]) -> None:
        self._ui, self._choices = ui, choices
        for name in PATHS:
            getattr(ui, f"{name}Edit").connect("currentPathChanged(QString)", calling(self._onPath, name))
        ui.suggestButton.connect("clicked(bool)", calling(self._onSuggest))
        ui.useModelButton.connect("clicked(bool)", calling(on_use))

    def refresh(self, p: Any) -> None:
        """A choice changed.

        Args:
            p: the parameter node.
        """
        ui, survival = self._ui, p.outcome == Outcome.SURVIVAL
        for name in PATHS:
            edit, path = getattr(ui, f"{name}Edit"), getattr(p, name)
            if edit.currentPath != path:
                edit.currentPath = path
        for name in ("timeColumnLabel", "timeColumnEdit", "timeUnitComboBox", "eventColumnLabel", "eventColumnEdit"):
            getattr(ui, name).visible = survival
        for name in ("labelColumnLabel", "labelColumnEdit", "labelLevelsEdit"):
            getattr(ui, name).visible = not survival
        known = bool(cohort.heading(p.outcomesCsv))
        ui.suggestButton.enabled = known
        ui.suggestButton.toolTip = (
            _("Fill in the columns of the outcomes that seem to be clinical variables; then take out what is none")
            if known
            else _("Choose the table of outcomes first.")
        )

    def fill(self, outputs: Mapping[str, vtkMRMLNode], fitted_folder: str) -> None:
        """Show the scores of a cohort, or nothing.

        Args:
            outputs: of the cohort.
            fitted_folder: of its model; empty where none was saved.
        """
        ui = self._ui
        rows = bridge.table_rows(outputs.get("tables/scores"))
        scores, lines = side_by_side(rows)
        number_table.fill(ui.scoresTable, (_("Out of fold"), *scores), [(line, False) for line in lines])
        main = f": {scores[0]}" if scores else ""
        rows = [row for row in bridge.table_rows(outputs.get("tables/differences")) if str(row["score"]).endswith(main)]
        lines = [(str(row["score"]), interval(row)) for row in rows]
        number_table.fill(ui.differencesTable, (_("Difference"), _("95 % interval")), [(line, False) for line in lines])
        ui.cohortLabel.text = who(bridge.table_rows(outputs.get("measurements")))
        there = bool(outputs) and bool(fitted_folder) and Path(fitted_folder).is_dir()
        ui.useModelButton.enabled = there
        ui.useModelButton.toolTip = (
            _("Check the model and install it on this computer; it is then a choice for the patient's risk")
            if there
            else _("No model was saved. Choose a folder to save it in, and press Apply.")
        )

    def _onPath(self, name: str) -> None:
        p, path = self._choices(), str(getattr(self._ui, f"{name}Edit").currentPath)
        if p is not None and getattr(p, name) != path:
            setattr(p, name, path)

    def _onSuggest(self) -> None:
        p = self._choices()
        if p is not None:
            other = (p.patientColumn, p.timeColumn, p.eventColumn, p.labelColumn, p.centreColumn, "volume_ml")
            p.clinicalColumns = cohort.suggested(p.outcomesCsv, other)


def side_by_side(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """The scores that are listed, and a line with them for each of the models that were compared.

    Args:
        rows: of the output ``tables/scores``.
    """
    every = list(dict.fromkeys(str(row["score"]) for row in rows))
    scores = every[:FIRST] + [name for name in every[FIRST:] if name == OVERALL]
    found = {(str(row["block"]), str(row["score"])): interval(row) for row in rows}
    there = {block for block, _score in found}
    blocks = [name for name in BLOCKS if name in there]
    return scores, [(block, *(found.get((block, score), "–") for score in scores)) for block in blocks]


def interval(row: Mapping[str, Any]) -> str:
    """A score with its interval."""
    values = [_float(row.get(name)) for name in ("estimate", "low", "high")]
    if values[0] is None:
        return "–"
    if values[1] is None or values[2] is None:
        return f"{values[0]:.3f}".replace("-", "−")
    return f"{values[0]:.2f} ({values[1]:.2f}–{values[2]:.2f})".replace("-", "−")


def who(rows: Sequence[Mapping[str, Any]]) -> str:
    """Patients and events of a cohort; empty without one."""
    known = {str(row["name"]): row["value"] for row in rows}
    if "patients" not in known:
        return ""
    text = _(
        "{patients} patients, {events} events; {features} features offered, {inputs} inputs in the model ({block})."
    )
    whole = {name: f"{_float(known.get(name)) or 0:.0f}" for name in ("patients", "events", "candidate_features",
                                                                   "model_inputs")}  # fmt: skip
    return text.format(
        patients=whole["patients"], events=whole["events"], features=whole["candidate_features"],
        inputs=whole["model_inputs"], block=known.get("block", ""),
    )  # fmt: skip


def _float(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if value == value else None
