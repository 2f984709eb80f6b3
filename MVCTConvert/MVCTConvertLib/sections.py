"""The result in the panel, in step with the scene: verdict, comparison, maps, numbers and the DICOM button."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import interaction
from manabi_slicer.panels.sections import PanelSections
from manabi_slicer.slots import calling
from MVCTConvertLib import display, numbers
from MVCTConvertLib.compare import CONVERTED, Comparison, view_of
from MVCTConvertLib.parameters import COMPARISONS, LAYERS, Converter, View
from MVCTConvertLib.verdict import VerdictBox

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

BUTTONS = {
    View.CHECKERBOARD: "checkerboardButton", View.FLICKER: "flickerButton", View.BLEND: "blendButton",
    View.WIPE: "wipeButton", View.DIFFERENCE: "differenceButton", View.UNCERTAINTY: "uncertaintyButton",
    View.RESIDUAL: "residualButton", View.EDGES: "edgesButton",
}  # fmt: skip
SLIDERS = {
    "tile": (View.CHECKERBOARD,), "flicker": (View.FLICKER,), "opacity": (View.BLEND, *LAYERS), "wipe": (View.WIPE,),
}  # fmt: skip
"""The views that each slider is for."""
MODEL_ONLY = (View.UNCERTAINTY, View.RESIDUAL)
WATCHED = ("view", "against", "tileMm", "flickerHz", "opacityPercent", "wipePercent")
"""Choices that change the right-hand view."""


class Sections(PanelSections):
    """Connects the widgets of the result with the panel.

    Args:
        widget: the module's.
    """

    def __init__(self, widget: Any) -> None:
        super().__init__(widget)
        self._tips = {view: getattr(self._ui, name).toolTip for view, name in BUTTONS.items()}
        self._seen: dict[str, Any] = {}
        self.comparison = Comparison()
        self.verdict = VerdictBox(self._ui)
        for view, name in BUTTONS.items():
            getattr(self._ui, name).connect("clicked(bool)", calling(self.choose, view))
        self._ui.dicomButton.connect("clicked(bool)", calling(widget.onExport, "dicom"))
        self._ui.structuresButton.connect("clicked(bool)", calling(widget.onStructures))

    def _outputs(self) -> dict[str, Any]:
        return self._logic.outputsOf(self._choices.inputVolume) if self._choices is not None else {}

    # --- what the user does -------------------------------------------------------------------------

    def choose(self, view: View) -> None:
        """One of the comparisons or maps was clicked."""
        if self._choices is not None:
            self._choices.view = view
            self._mark(view_of(view, self._outputs()))  # a click on the chosen one leaves it chosen

    def refresh(self) -> None:
        """A choice changed: the sliders that matter are shown, and the views follow."""
        p = self._choices
        if p is None:
            return
        outputs = self._outputs()
        view = view_of(p.view, outputs)
        self._mark(view)
        self._show_sliders(view, bool(p.referenceVolume))
        now = {name: getattr(p, name) for name in (*WATCHED, "window", "showTissues")}
        before, self._seen = self._seen, now
        if not before or before == now or CONVERTED not in outputs or not interaction.has_views():
            return
        if before["window"] != now["window"]:
            display.set_windows(p, outputs)
        if before["showTissues"] != now["showTissues"]:
            display.show_tissues(outputs, p.showTissues)
        if any(before[name] != now[name] for name in (*WATCHED, "window")):
            self.comparison.show(display.compare_index(p), p, outputs)

    # --- what the scene has -------------------------------------------------------------------------

    def fill(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """The outputs of the chosen input changed."""
        self.verdict.show(numbers.verdict(outputs))
        numbers.fill_hu(self._ui.huTable, outputs.get("tables/hu_check"))
        self._ui.qualityLabel.text = numbers.quality_text(outputs)
        self._ui.qualityLabel.visible = bool(self._ui.qualityLabel.text)
        there = CONVERTED in outputs
        self._enable(outputs)
        tips = {self._ui.dicomButton: numbers.dicom_tip(), self._ui.structuresButton: numbers.structures_tip()}
        for button, tip in tips.items():
            button.enabled = there
            button.toolTip = tip if there else _("There is no result yet. Press Apply first.")
        if not there:
            self.comparison.stop()
        self.refresh()

    def show(self, outputs: Mapping[str, vtkMRMLNode], image: Any = None) -> None:
        """Input, converted and comparison side by side, with the histogram and the HU check below."""
        p = self._choices
        if p is None or CONVERTED not in outputs:
            return
        self._ui.resultCollapsibleButton.collapsed = False
        self.comparison.stop()
        display.show(p, outputs)
        self.comparison.show(display.compare_index(p), p, outputs)

    def resume(self) -> None:
        """The module is opened again: what took turns before does so again."""
        p = self._choices
        if p is not None and p.view == View.FLICKER and interaction.has_views():
            self.comparison.show(display.compare_index(p), p, self._outputs())

    def let_go(self) -> None:
        """The scene or the panel goes."""
        self.comparison.let_go()
        self._seen = {}

    # --- parts --------------------------------------------------------------------------------------

    def _enable(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """Each button can be pressed, or its tool tip says what it waits for."""
        for view, name in BUTTONS.items():
            reason = self._reason(view, outputs)
            button = getattr(self._ui, name)
            button.enabled = not reason
            button.toolTip = reason or self._tips[view]

    def _reason(self, view: View, outputs: Mapping[str, vtkMRMLNode]) -> str:
        if CONVERTED not in outputs:
            return _("There is no result yet. Press Apply first.")
        if view in COMPARISONS or view.value in outputs:
            return ""
        if view in MODEL_ONLY and self._choices is not None and self._choices.converter != Converter.NETWORK:
            return _("Only the model gives this map. Choose it as the converter under Options, and press Apply.")
        if view == View.UNCERTAINTY:
            return _("The uncertainty was not computed. Choose how under Uncertainty, and press Apply.")
        if view == View.RESIDUAL:
            return _("The way back was not computed. Tick Way back, and press Apply.")
        return _("This result has no such map.")

    def _mark(self, view: View) -> None:
        for one, name in BUTTONS.items():
            getattr(self._ui, name).checked = one == view

    def _show_sliders(self, view: View, has_reference: bool) -> None:
        for name, views in SLIDERS.items():
            for part in ("Label", "Slider"):
                getattr(self._ui, f"{name}{part}").visible = view in views
        shown = view in COMPARISONS
        self._ui.againstLabel.visible = self._ui.againstComboBox.visible = shown
        self._ui.againstComboBox.enabled = has_reference
        self._ui.againstComboBox.toolTip = (
            _("What the converted image is compared with")
            if has_reference
            else _("There is no planning CT to compare with. Choose one under Scan.")
        )
