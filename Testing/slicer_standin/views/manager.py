"""The layout manager: Slicer's own layout logic, and a widget for every view node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from weakref import WeakMethod

import numpy as np
import slicer
import slicer.util
import vtk
from PIL import Image

from .charts import PlotWidget
from .offscreen import Widget
from .paper import Box, annotate, boxes, offset_text, paste
from .slices import SliceWidget
from .spaces import ThreeDWidget
from .tables import TableWidget

_BACKDROP = (46, 46, 50)
_WIDGETS = {"slice": SliceWidget, "space": ThreeDWidget, "plot": PlotWidget, "table": TableWidget}
_NODES = {
    "slice": "vtkMRMLSliceNode",
    "space": "vtkMRMLViewNode",
    "plot": "vtkMRMLPlotViewNode",
    "table": "vtkMRMLTableViewNode",
}


class LayoutManager:
    """What our code uses of qSlicerLayoutManager, on real MRML nodes and logics; camelCase names are Slicer's.

    As in Slicer, views that a layout has just made have no size yet: they get it when events are processed, and a
    slice fitted before that was fitted to a square of 256 pixels. Names in snake_case exist here only.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, application_logic, size: tuple[int, int] = (1200, 800)):
        """Start with Slicer's first layout.

        Args:
            scene: where view nodes are made.
            application_logic: the vtkMRMLApplicationLogic, which links slice views.
            size: of the area of the views, pixels.
        """
        self.size = size
        self._scene = scene
        self._application_logic = application_logic
        self._widgets: dict[tuple[str, str], Widget] = {}
        self._unplaced = False
        if application_logic.GetSliceLogics() is None:
            application_logic.SetSliceLogics(vtk.vtkCollection())
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        self._followed = None
        self._call = _weakly(self._laid_out)
        self._tag = scene.AddObserver(scene.EndBatchProcessEvent, self._call, -10.0)
        self._laid_out()

    def layoutLogic(self) -> slicer.vtkMRMLLayoutLogic:
        return self._logic

    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return self._scene

    def mrmlSliceLogics(self) -> vtk.vtkCollection:
        return self._application_logic.GetSliceLogics()

    @property
    def layout(self) -> int:
        """Number of the present layout (vtkMRMLLayoutNode.SlicerLayout…)."""
        return self._logic.GetLayoutNode().GetViewArrangement()

    def setLayout(self, number: int) -> None:
        """Change the layout; an unknown number gives the conventional one, as in Slicer."""
        node = self._logic.GetLayoutNode()
        if self.layout != number:
            known = node.IsLayoutDescription(number)
            node.SetViewArrangement(number if known else node.SlicerLayoutConventionalView)

    def sliceViewNames(self) -> tuple[str, ...]:
        """Every slice view there is, also those outside the present layout: so it is in Slicer."""
        return tuple(node.GetName() for node in self._view_nodes("slice"))

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._named("slice", name)

    def threeDWidget(self, which: int | str) -> ThreeDWidget | None:
        return self._named("space", which) if isinstance(which, str) else self._numbered("space", which)

    def viewWidget(self, node: slicer.vtkMRMLAbstractViewNode) -> Widget | None:
        for kind in _NODES:
            if node.IsA(_NODES[kind]):
                return self._widget(kind, node)
        return None

    def plotWidget(self, index: int) -> PlotWidget | None:
        return self._numbered("plot", index)

    def tableWidget(self, index: int) -> TableWidget | None:
        return self._numbered("table", index)

    @property
    def threeDViewCount(self) -> int:
        return len(self._view_nodes("space"))

    @property
    def plotViewCount(self) -> int:
        return len(self._view_nodes("plot"))

    @property
    def tableViewCount(self) -> int:
        return len(self._view_nodes("table"))

    def resetSliceViews(self) -> None:
        for name in self.sliceViewNames():
            self.sliceWidget(name).sliceController().fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for index in range(self.threeDViewCount):
            view = self.threeDWidget(index).threeDView()
            view.resetFocalPoint()
            view.resetCamera()

    def place(self, size: tuple[int, int] | None = None) -> None:
        """Give the views of the layout their sizes; Slicer does so when it processes events."""
        self.size = size or self.size
        self._unplaced = False
        for box, widget, _ in self._shown():
            widget.view.resize(box.inner)

    def slice_pixels(self, name: str, size: tuple[int, int] | None = None) -> np.ndarray:
        """``(height, width, 3)`` of a slice view without letters, at ``(width, height)``."""
        widget = self._named("slice", name)
        if size is None and self._unplaced:
            self.place()
        elif size is not None:
            widget.view.resize(size)
        return widget.view.pixels()

    def ras_at(self, name: str, x: float, y: float) -> np.ndarray:
        """Where a pixel of :meth:`slice_pixels` lies in the patient, mm; ``y`` counts from the top."""
        view = self._named("slice", name).sliceView()
        return np.array(view.convertXYZToRAS((x, view.node.GetDimensions()[1] - 1 - y, 0.0)))

    def pixel_of(self, name: str, ras: np.ndarray) -> np.ndarray:
        """The pixel ``(x, y)`` of a point (mm); third, how far the point is from the slice, in slices."""
        view = self._named("slice", name).sliceView()
        x, y, z = view.convertRASToXYZ([float(v) for v in ras])
        return np.array([x, view.node.GetDimensions()[1] - 1 - y, z])

    def picture(self, size: tuple[int, int] | None = None) -> Image.Image:
        """The present layout with bars, letters and colour scales."""
        self.place(size)
        page = Image.new("RGB", self.size, _BACKDROP)
        for box, widget, node in self._shown():
            pixels, subtitle = widget.view.pixels(), ""
            if isinstance(widget, SliceWidget):
                pixels, subtitle = annotate(pixels, widget.sliceLogic()), offset_text(node)
            paste(page, box, pixels, node, subtitle)
        return page

    def render(self, path: str | Path, size: tuple[int, int] | None = None) -> None:
        """Write :meth:`picture` as a PNG of ``(width, height)``."""
        self.picture(size).save(path)

    def close(self) -> None:
        """Let go of everything before the scene goes; VTK does not survive the other order."""
        self._scene.RemoveObserver(self._tag)
        self._unplaced = False
        while self._widgets:
            self._widgets.popitem()[1].view.close()
        self._logic.SetMRMLScene(None)

    def _laid_out(self) -> None:
        node = self._logic.GetLayoutNode()
        if node is None or self._scene.IsClosing():
            return
        self._forget_removed()
        if node is not self._followed:
            self._followed = node
            node.AddObserver("ModifiedEvent", self._call)
        shown = {node.GetID() for _, node in self._boxes()}
        for kind in _NODES:
            for node in self._view_nodes(kind):
                node.SetMappedInLayout(node.GetID() in shown)
        for node in self._view_nodes("slice"):
            self._widget("slice", node)
        self._unplaced = True
        _when_events_are_processed(_weakly(self._place_late))

    def _forget_removed(self) -> None:
        for key, widget in list(self._widgets.items()):
            if not self._scene.IsNodePresent(widget.mrmlAbstractViewNode()):
                self._widgets.pop(key).view.close()

    def _place_late(self) -> None:
        if self._unplaced:
            self.place()

    def _boxes(self) -> Iterator[tuple[Box, slicer.vtkMRMLAbstractViewNode]]:
        for box in boxes(self._logic.GetLayoutNode().GetCurrentLayoutDescription() or "", self.size):
            node = self._scene.GetSingletonNode(box.tag, box.node_class)
            if node is not None and box.node_class in _NODES.values():
                yield box, node

    def _shown(self) -> Iterator[tuple[Box, Widget, slicer.vtkMRMLAbstractViewNode]]:
        kinds = {name: kind for kind, name in _NODES.items()}
        for box, node in self._boxes():
            yield box, self._widget(kinds[box.node_class], node), node

    def _view_nodes(self, kind: str) -> list[slicer.vtkMRMLAbstractViewNode]:
        return list(slicer.util.getNodesByClass(_NODES[kind], self._scene))

    def _named(self, kind: str, name: str):
        """By the node's name, as in Slicer: a slice view's is its singleton tag, a 3-D view's has View before it."""
        found = [node for node in self._view_nodes(kind) if node.GetName() == name]
        return self._widget(kind, found[0]) if found else None

    def _numbered(self, kind: str, index: int):
        nodes = self._view_nodes(kind)
        return self._widget(kind, nodes[index]) if 0 <= index < len(nodes) else None

    def _widget(self, kind: str, node: slicer.vtkMRMLAbstractViewNode) -> Widget:
        if (kind, node.GetID()) not in self._widgets:
            needs_logic = kind in ("slice", "space")
            widget = _WIDGETS[kind](node, self._application_logic) if needs_logic else _WIDGETS[kind](node)
            self._widgets[kind, node.GetID()] = widget
        return self._widgets[kind, node.GetID()]


def _weakly(method: Callable[[], None]) -> Callable[..., None]:
    """A call-back that does not keep its object alive, so that a manager goes when its last user does."""
    held = WeakMethod(method)

    def call(*_) -> None:
        alive = held()
        if alive is not None:
            alive()

    return call


def _when_events_are_processed(call: Callable[[], None]) -> None:
    try:
        from PySide6.QtCore import QCoreApplication, QTimer
    except ImportError:
        return
    if QCoreApplication.instance() is not None:
        QTimer.singleShot(0, call)
