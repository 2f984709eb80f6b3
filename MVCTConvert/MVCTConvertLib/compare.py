"""The right-hand view: the converted image against another one, or a map over it, each with one click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

from manabi_slicer import layout, slots
from MVCTConvertLib import layers, patterns
from MVCTConvertLib.parameters import COMPARISONS, Against, View

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

GROUP, NUMBER = "MVCT", 7
"""Of Manabi's layouts."""
CONVERTED = "volumes/converted"


class Comparison(VTKObservationMixin):
    """Fills the right-hand view, and lets it flicker."""

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self._timer = slots.timer(500, self._on_timer)
        self._index: int | None = None
        self._dressed: tuple[str, int] | None = None

    @property
    def flickers(self) -> bool:
        """Whether the two images take turns now."""
        return bool(self._timer.active)

    def show(self, index: int, choices: Any, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """Show what is chosen; nothing happens where there is no such view.

        Args:
            index: of the view.
            choices: the parameter node.
            outputs: of the chosen input.
        """
        self.stop()
        converted = outputs.get(CONVERTED)
        if converted is None or _widget(index) is None:
            return
        self._index = index
        layers.hide_legends(outputs)
        view = view_of(choices.view, outputs)
        if view not in COMPARISONS:
            self._show_layer(index, view, choices, converted, outputs[view.value])
            return
        behind = other(choices)
        if view in (View.CHECKERBOARD, View.WIPE):
            amount = choices.tileMm if view == View.CHECKERBOARD else choices.wipePercent / 100.0
            node = patterns.show(converted, (view.value, amount))
            self._follow_window(converted)
            _fill(index, layout.Shown(view.label(), behind, node, 1.0))
            return
        opacity = choices.opacityPercent / 100.0 if view == View.BLEND else 1.0
        _fill(index, layout.Shown(view.label(), behind, converted, opacity))
        if view == View.FLICKER:
            self._timer.setInterval(round(1000.0 / choices.flickerHz))
            self._timer.start()

    def stop(self) -> None:
        """The images take turns no longer."""
        self._timer.stop()

    def let_go(self) -> None:
        """Hold nothing of the scene."""
        self.stop()
        self.removeObservers()
        self._index = self._dressed = None
        patterns.forget()

    def _follow_window(self, converted: vtkMRMLScalarVolumeNode) -> None:
        """Whenever the user changes the window of the converted image, its squares follow."""

        def follow(caller: Any = None, event: Any = None) -> None:
            node = patterns.found()
            if node is not None:
                patterns.same_window(node, converted)

        self.removeObservers()
        self.addObserver(converted.GetDisplayNode(), vtk.vtkCommand.ModifiedEvent, follow)

    def _show_layer(
        self, index: int, view: View, choices: Any, converted: vtkMRMLScalarVolumeNode, node: vtkMRMLScalarVolumeNode
    ) -> None:  # fmt: skip
        now = (node.GetID(), node.GetImageData().GetMTime())
        _fill(index, layout.Shown(view.label(), converted, node, choices.opacityPercent / 100.0))
        if now != self._dressed:
            layers.dress(node, view)
            self._dressed = now
        layers.show_legend(node, view)  # once the map is in the view: Slicer draws no legend of what is not

    def _on_timer(self) -> None:
        """The other image's turn."""
        widget = None if self._index is None else _widget(self._index)
        if widget is None:
            self.stop()
            return
        composite = widget.sliceLogic().GetSliceCompositeNode()
        composite.SetForegroundOpacity(0.0 if composite.GetForegroundOpacity() > 0.5 else 1.0)


def view_of(wanted: View, outputs: Mapping[str, vtkMRMLNode]) -> View:
    """What can be shown: the wanted one, or the checkerboard where the result lacks the layer."""
    return wanted if wanted in COMPARISONS or wanted.value in outputs else View.CHECKERBOARD


def other(choices: Any) -> vtkMRMLScalarVolumeNode:
    """What the converted image is compared with."""
    chosen = choices.referenceVolume if choices.against == Against.REFERENCE else None
    return chosen or choices.inputVolume


def _widget(index: int) -> Any:
    manager = slicer.app.layoutManager()
    return None if manager is None else manager.sliceWidget(layout.view_name(GROUP, index))


def _fill(index: int, shown: layout.Shown) -> None:
    layout.set_layer(GROUP, index, shown)
    _widget(index).sliceLogic().GetSliceNode().SetLayoutLabel(shown.label)
