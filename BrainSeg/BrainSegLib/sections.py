"""The sections of the panel below Apply, in step with the scene: numbers, propagation, missing contrast, maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from BrainSegLib import display, tasks, volumes_table
from BrainSegLib.maps_panel import MapsPanel
from BrainSegLib.propagate_panel import PropagatePanel
from BrainSegLib.requests import reason_not_to_propagate
from manabi_slicer import interaction
from manabi_slicer.bridge.attributes import INPUT_ROLE
from manabi_slicer.panels.sections import PanelSections
from manabi_slicer.slots import calling

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

OVERLAYS = ("showConfidence", "showUncertainty", "showUnknowable")


class Sections(PanelSections):
    """Connects the sections' widgets with the panel.

    Args:
        widget: the module's.
    """

    def __init__(self, widget: Any) -> None:
        super().__init__(widget)
        self._overlays: tuple[bool, ...] = ()
        self.propagate = PropagatePanel(self._ui, self._on_segments)
        self.maps = MapsPanel(self._ui, self._on_layer, self._on_map)
        runs = {"propagateButton": tasks.PROPAGATE, "contrastButton": tasks.CONTRAST, "layersButton": tasks.LAYERS,
                "featuresButton": tasks.FEATURES}  # fmt: skip
        for name, task in runs.items():
            getattr(self._ui, name).connect("clicked(bool)", calling(widget.start, task))
        acts = {"copyButton": self.copy, "acceptButton": self.accept, "discardButton": self.discard,
                "contrastShowButton": self.show_contrast}  # fmt: skip
        for name, act in acts.items():
            getattr(self._ui, name).connect("clicked(bool)", calling(self._guarded, act))

    def _outputs(self, task: str = tasks.STRUCTURES) -> dict[str, Any]:
        return self._logic.outputsOf(self._choices.inputVolume, task) if self._choices is not None else {}

    # --- filling ------------------------------------------------------------------------------------

    def fill(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """The outputs of the chosen image changed.

        Args:
            outputs: of the structures.
        """
        p = self._choices
        least = p.minConfidencePercent / 100.0 if p is not None else 0.0
        volumes_table.fill(self._ui.volumesTable, outputs.get("tables/volumes"), least)
        self._ui.segmentationShow3DButton.setSegmentationNode(outputs.get("labelmaps/structures"))
        self._ui.confidenceCheckBox.enabled = "volumes/confidence" in outputs
        self.refresh()

    def refresh(self) -> None:
        """A choice changed, or a run began or ended."""
        p, busy = self._choices, self._widget.run is not None
        if p is None:
            return
        automatic = self._outputs().get("labelmaps/structures")
        self.propagate.segments.follow(p.segmentation, p.segments)
        nothing = "" if automatic is not None else _("There is no automatic result yet. Press Apply first.")
        self.propagate.say(
            reason_not_to_propagate(p, automatic), nothing, self._outputs(tasks.PROPAGATE), busy, automatic is not None
        )
        self.maps.fill(self._outputs(tasks.LAYERS), self._outputs(tasks.FEATURES), p.layer)
        image = "" if p.inputVolume and p.inputVolume.GetImageData() else _("Choose the image first.")
        self.maps.say(image, p.layer, self._outputs(tasks.CONTRAST), busy)
        self._follow_overlays(p)

    def let_go(self) -> None:
        """The scene or the panel goes."""
        self.propagate.segments.leave()
        self._overlays = ()

    def show(self, outputs: Mapping[str, vtkMRMLNode], image: Any = None) -> None:
        """Arrange the views for what was made.

        Args:
            outputs: of one task; they know the image that they belong to.
            image: not needed.
        """
        p = self._choices
        node = next((node for node in outputs.values() if node.GetNodeReference(INPUT_ROLE) is not None), None)
        if node is None or p is None:
            return
        image = node.GetNodeReference(INPUT_ROLE)
        self._fill_structures("volumes/synthetic_mra" not in outputs and not p.showConfidence)
        if "labelmaps/structures" in outputs:
            self._ui.resultCollapsibleButton.collapsed = False
            display.show_structures(image, outputs, p.showConfidence)
        elif "tables/labels" in outputs:
            display.show_preview(image, outputs, p.segmentation, p.showUncertainty)
        elif "volumes/synthetic_mra" in outputs:
            display.show_contrast(image, outputs, p.showUnknowable)
        elif "tables/features" in outputs:
            self._ui.featuresList.setCurrentRow(0)

    # --- actions ------------------------------------------------------------------------------------

    def copy(self) -> None:
        """Copy the automatic result, choose the copy, and count only what will be changed in it."""
        p = self._choices
        p.segmentation = self._logic.copyToCorrect(p.inputVolume)
        p.segments = []
        p.changedOnly = True

    def accept(self) -> None:
        """Put the preview into the painted segments."""
        self._logic.acceptPropagation(self._choices.inputVolume)
        self._widget.runPanel.setStatus(_("Accepted. Undo brings back what was painted, and the preview."))

    def discard(self) -> None:
        """Take the preview away."""
        self._logic.discardPropagation(self._choices.inputVolume)
        self._widget.runPanel.setStatus(_("The preview was discarded; the painted segments are as they were."))

    def show_contrast(self) -> None:
        """Show the real image and the synthetic one side by side."""
        if interaction.has_views():
            self.show(self._outputs(tasks.CONTRAST))

    def _guarded(self, act: Callable[..., None], *given: Any) -> None:
        """As of the base class; the outputs are shown as they are then."""
        if self._choices is not None:
            super()._guarded(act, *given)
            self._widget.refreshOutputs()

    def _on_segments(self, chosen: list[str]) -> None:
        if self._choices is not None:
            self._choices.segments = chosen

    def _on_layer(self, name: str) -> None:
        if self._choices is not None:
            self._choices.layer = name

    def _on_map(self, node: Any) -> None:
        if self._choices is not None and self._choices.inputVolume and interaction.has_views():
            self._fill_structures(False)
            display.show_map(self._choices.inputVolume, node)

    def _fill_structures(self, filled: bool) -> None:
        display.fill_structures(self._outputs().get("labelmaps/structures"), filled)

    def _follow_overlays(self, p: Any) -> None:
        """A map was switched on or off: the views follow, where they show the result."""
        now = tuple(getattr(p, name) for name in OVERLAYS)
        before, self._overlays = self._overlays, now
        if not before or before == now or not p.inputVolume or not interaction.has_views():
            return
        if before[0] != now[0]:
            self._fill_structures(not p.showConfidence)
            display.overlay_confidence(p.inputVolume, self._outputs(), p.showConfidence)
        if before[1] != now[1]:
            display.overlay_uncertainty(p.inputVolume, self._outputs(tasks.PROPAGATE), p.showUncertainty)
        if before[2] != now[2] and self._outputs(tasks.CONTRAST):
            self.show(self._outputs(tasks.CONTRAST))
