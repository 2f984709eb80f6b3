"""The choices of the part that makes films, in step with the scene: places to click, and the truth of what was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import bridge
from manabi_slicer.panels import number_table
from manabi_slicer.slots import calling
from NoduleSynthLib import flows, places
from NoduleSynthLib.parameters import Base
from NoduleSynthLib.places import Places

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi.bundle import Bundle

COLUMNS = ("number", "diameter_mm", "density", "subtlety", "location")
"""Of the table of truth, those that the panel shows."""


class SynthesisPanel:
    """Places and truth.

    Args:
        ui: the module's widgets.
        choices: gives the parameter node, or None.
        on_changed: called when the places changed.
    """

    def __init__(self, ui: Any, choices: Callable[[], Any], on_changed: Callable[[], None]) -> None:
        self._ui, self._choices = ui, choices
        self.places = Places(calling(on_changed))
        self._flows: list[str] = [""]
        self._listing = False
        ui.flowComboBox.connect("currentIndexChanged(int)", self._onFlow)
        ui.placeButton.connect("clicked(bool)", self._onPlace)
        ui.clearPlacesButton.connect("clicked(bool)", calling(self._onClear, on_changed))

    def refresh(self, p: Any) -> None:
        """A choice changed, or a point was placed."""
        self.places.follow(p.places)
        self._show_flow(p)
        ui, film = self._ui, p.base == Base.INPUT
        ui.placeButton.enabled = film and bool(p.inputVolume)
        ui.placeButton.checked = self.places.placing
        ui.placeButton.toolTip = (
            _("Click into the film where a nodule shall be, also behind the heart; right click or Escape ends it")
            if ui.placeButton.enabled
            else _("Nodules can be placed on a film only. Choose one above, or make one first and go on from it.")
        )
        count = len(places.points(p.places))
        ui.clearPlacesButton.enabled = count > 0
        ui.placesLabel.text = _places_text(count)
        ui.ratioSlider.enabled = not p.randomRatio

    def list_flows(self, bundles: Sequence[Bundle]) -> None:
        """Offer the flows among the models; the first choice is the one that Manabi brings."""
        self._listing = True
        self._flows = ["", *(one.name for one in bundles if flows.is_flow(one))]
        self._ui.flowComboBox.clear()
        for name in self._flows:
            self._ui.flowComboBox.addItem(name or _("The one that Manabi brings"))
        self._listing = False
        p = self._choices()
        if p is not None:
            self._show_flow(p)

    def _show_flow(self, p: Any) -> None:
        """The chosen flow, also one that is not on this computer (any more)."""
        self._listing = True
        if p.flow not in self._flows:
            self._flows.append(p.flow)
            self._ui.flowComboBox.addItem(_("{name} (not installed)").format(name=p.flow))
        self._ui.flowComboBox.currentIndex = self._flows.index(p.flow)
        self._listing = False

    def _onFlow(self, index: int) -> None:
        p = self._choices()
        if p is not None and not self._listing and 0 <= index < len(self._flows):
            p.flow = self._flows[index]

    def flow(self) -> str:
        """Name of the flow that blends nodules in: the chosen one, or the first there is; empty without any."""
        p = self._choices()
        chosen = p.flow if p is not None else ""
        return chosen or next((name for name in self._flows if name), "")

    def points(self, p: Any) -> list[Any]:
        """The places that count: none where the film is made from nothing."""
        return places.points(p.places) if p.base == Base.INPUT else []

    def reason(self, p: Any) -> str:
        """Why no film can be made yet, beside a missing one; empty where it can."""
        beside = places.outside(p.inputVolume, self.points(p))
        if beside:
            numbers = ", ".join(str(number) for number in beside)
            return _("Place {numbers} lies beside the film. Drag it into the lungs, or clear the places.").format(
                numbers=numbers
            )
        return ""

    def fill(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """Show the truth of a film that was made, or nothing."""
        rows = bridge.table_rows(outputs.get("tables/nodules"))
        shown = [name for name in COLUMNS if rows and name in rows[0]]
        titles = [_titles()[name] for name in shown]
        number_table.fill(self._ui.truthTable, titles, [(tuple(_cell(row[name]) for name in shown), False)
                                                        for row in rows])  # fmt: skip
        for name in ("goOnButton", "lookButton"):
            button = getattr(self._ui, name)
            button.enabled = "volumes/after" in outputs

    def let_go(self) -> None:
        """The scene or the panel goes."""
        self.places.let_go()

    def _onPlace(self, checked: bool = False) -> None:
        p = self._choices()
        if p is None:
            return
        if self.places.placing:
            self.places.stop()
            return
        if not p.places:
            p.places = places.make()
        self.places.follow(p.places)
        self.places.start()
        self._ui.placeButton.checked = self.places.placing

    def _onClear(self, on_changed: Callable[[], None]) -> None:
        p = self._choices()
        if p is not None and p.places:
            self.places.stop()
            p.places.RemoveAllControlPoints()
            on_changed()


def _places_text(count: int) -> str:
    if not count:
        return _("Anywhere in the lungs")
    return _("1 place") if count == 1 else _("{n} places").format(n=count)


def _titles() -> dict[str, str]:
    return {
        "number": _("No."), "diameter_mm": _("Size (mm)"), "density": _("Density"), "subtlety": _("Subtlety"),
        "location": _("Where"),
    }  # fmt: skip


def _cell(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.0f}" if cell.is_integer() else f"{cell:.1f}"
    return "–" if cell is None else str(cell).replace("_", " ")
