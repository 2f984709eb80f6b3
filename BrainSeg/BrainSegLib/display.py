"""How a reader sees a result: three planes, surfaces, numbers; the synthetic image beside the real one; maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import slicer
from slicer.i18n import tr as _

from manabi_slicer import layout
from manabi_slicer.colors import show_with

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

GROUP, NUMBER = "Brain", 2
"""Of Manabi's layouts: three planes of one image."""
MRA_GROUP, MRA_NUMBER = "BrainMRA", 3
"""The real image and the synthetic one side by side."""
PLANES = ("Axial", "Coronal", "Sagittal")
THROUGH = 0.35
"""Opacity of cerebrum and cerebellum in 3-D, so that ventricles and vessels are seen through them (our choice)."""
FILL_2D = 0.3
"""Opacity of the structures in the slices, so that the image is seen through them (our choice)."""
OVERLAY = 0.5
"""Opacity of maps over the image (our choice)."""
DRESSED = "Manabi.dressed"
"""Attribute of a display that has its first looks; what the user changes later stays."""
MIDDLE, HIGH = 50.0, 99.5
"""Percentiles between which the colours of maps run (our choice)."""


def show_structures(image: vtkMRMLScalarVolumeNode, outputs: Mapping[str, vtkMRMLNode], confidence: bool) -> None:
    """Three planes with the structures, their surfaces, chart and table.

    Args:
        image: the MR.
        outputs: of the structures.
        confidence: whether the confidence lies over the image.
    """
    segmentation = outputs.get("labelmaps/structures")
    if segmentation is not None:
        dress(segmentation)
    _arrange(image, segmentation)
    overlay_confidence(image, outputs, confidence)
    layout.show_numbers(GROUP, outputs.get("plots/volumes"), outputs.get("tables/volumes"))


def show_preview(
    image: vtkMRMLScalarVolumeNode, outputs: Mapping[str, vtkMRMLNode], target: vtkMRMLSegmentationNode | None,
    uncertainty: bool,
) -> None:  # fmt: skip
    """Three planes with what was propagated, filled, and its table.

    Args:
        image: the MR.
        outputs: of the propagation.
        target: the user's segmentation, or None.
        uncertainty: whether the uncertainty lies over the image.
    """
    shown = outputs.get("labelmaps/propagated") or target
    _arrange(image, shown)
    overlay_uncertainty(image, outputs, uncertainty)
    layout.show_numbers(GROUP, None, outputs.get("tables/slices"))
    if shown is not None:
        _jump_to(shown)


def show_contrast(image: vtkMRMLScalarVolumeNode, outputs: Mapping[str, vtkMRMLNode], unknowable: bool) -> None:
    """The real image, the synthetic one, and it with what cannot be known; each says what it is."""
    synthetic, unknown = outputs.get("volumes/synthetic_mra"), outputs.get("volumes/unknowable")
    if synthetic is None:
        return
    _window(synthetic)
    if unknown is not None:
        show_with(unknown, "spread", 0.0, 1.0)
    views = [layout.Shown(_("Acquired"), image), layout.Shown(_("SYNTHETIC, not acquired"), synthetic)]
    if unknowable and unknown is not None:
        views.append(layout.Shown(_("SYNTHETIC, and what cannot be known"), synthetic, unknown, OVERLAY))
    layout.show(MRA_GROUP, MRA_NUMBER, views)


def show_map(image: vtkMRMLScalarVolumeNode, feature: vtkMRMLNode | None) -> None:
    """A feature map over the image in the three planes; None takes it off."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    if manager.sliceWidget(layout.view_name(GROUP, 0)) is None or not _is_arranged(manager):
        _arrange(image, None)
    if feature is not None:
        low, high = _percentiles(feature)
        show_with(feature, "cool", low, high)
    overlay(image, feature)


def overlay_confidence(image: Any, outputs: Mapping[str, vtkMRMLNode], shown: bool) -> None:
    """Lay the confidence of the structures over the image, or take it off."""
    node = outputs.get("volumes/confidence") if shown else None
    if node is not None:
        show_with(node, "cool", 0.0, 1.0)
    overlay(image, node)


def overlay_uncertainty(image: Any, outputs: Mapping[str, vtkMRMLNode], shown: bool) -> None:
    """Lay the uncertainty of the propagation over the image, or take it off."""
    node = outputs.get("volumes/uncertainty") if shown else None
    if node is not None:
        show_with(node, "spread", 0.0, max(_percentiles(node)[1], 1e-3))
    overlay(image, node)


def overlay(image: Any, node: vtkMRMLNode | None) -> None:
    """Lay a volume over the image in the three planes, or take off what is there; nothing without views."""
    for index, plane in enumerate(PLANES):
        layout.set_layer(GROUP, index, layout.Shown(_title(plane), image, node, OVERLAY))


def dress(segmentation: vtkMRMLSegmentationNode) -> None:
    """Give a segmentation looks that let what is inside be seen, once."""
    display = segmentation.GetDisplayNode()
    if display is None or display.GetAttribute(DRESSED):
        return
    display.SetAttribute(DRESSED, "1")
    display.SetOpacity2DFill(FILL_2D)
    for one in segmentation.GetSegmentation().GetSegmentIDs():
        name = segmentation.GetSegmentation().GetSegment(one).GetName()
        if name.endswith(("cerebrum", "cerebellum")):
            display.SetSegmentOpacity3D(one, THROUGH)


def fill_structures(segmentation: vtkMRMLSegmentationNode | None, filled: bool) -> None:
    """Fill the structures in the slices, or only draw their outlines, so that a map below can be read."""
    display = segmentation.GetDisplayNode() if segmentation is not None else None
    if display is not None:
        display.SetVisibility2DFill(filled)


# --- parts ------------------------------------------------------------------------------------------------------------


def _arrange(image: vtkMRMLScalarVolumeNode, segmentation: vtkMRMLSegmentationNode | None) -> None:
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    layout.arrange(manager, layout.FIRST_ID + NUMBER, _layout_xml())
    slicer.app.processEvents()  # the views must have their size before the image is fitted into them
    for index, plane in enumerate(PLANES):
        logic = manager.sliceWidget(layout.view_name(GROUP, index)).sliceLogic()
        layout.fill(logic, layout.Shown(_title(plane), image))
        logic.FitSliceToBackground()
    if segmentation is not None:
        _show_surfaces(manager, segmentation)


def _title(plane: str) -> str:
    """A plane's name in the user's language."""
    return {"Axial": _("Axial"), "Coronal": _("Coronal"), "Sagittal": _("Sagittal")}[plane]


def _layout_xml() -> str:
    """Three planes above; surfaces, chart and table below."""
    planes = [layout.slice_view(GROUP, NUMBER, n, _title(plane), plane) for n, plane in enumerate(PLANES)]
    space = layout.view("vtkMRMLViewNode", f"Manabi{GROUP}3D", {"viewlabel": "3D"})
    plot = layout.view("vtkMRMLPlotViewNode", f"Manabi{GROUP}Plot", {"viewlabel": "Plot"})
    table = layout.view("vtkMRMLTableViewNode", f"Manabi{GROUP}Table", {"viewlabel": "Table"})
    low = layout.row([space, plot, table])
    return ElementTree.tostring(layout.column(((layout.row(planes), 560), (low, 440))), "unicode")


def _is_arranged(manager: Any) -> bool:
    return manager.layoutLogic().GetLayoutNode().GetViewArrangement() == layout.FIRST_ID + NUMBER


def _show_surfaces(manager: Any, segmentation: vtkMRMLSegmentationNode) -> None:
    """Let the 3-D view show the segments; the camera looks at all of them."""
    segmentation.CreateClosedSurfaceRepresentation()
    view = slicer.mrmlScene.GetSingletonNode(f"Manabi{GROUP}3D", "vtkMRMLViewNode")
    widget = manager.viewWidget(view) if view is not None else None
    if widget is not None:
        view.SetBoxVisible(False)
        view.SetAxisLabelsVisible(False)
        widget.threeDView().resetFocalPoint()
        widget.threeDView().resetCamera()


def _jump_to(segmentation: vtkMRMLSegmentationNode) -> None:
    """Show the middle of the first segment that holds something."""
    for one in segmentation.GetSegmentation().GetSegmentIDs():
        centre = segmentation.GetSegmentCenterRAS(one)
        if centre is not None:
            for index in range(len(PLANES)):
                node = slicer.mrmlScene.GetSingletonNode(layout.view_name(GROUP, index), "vtkMRMLSliceNode")
                if node is not None:
                    node.JumpSliceByOffsetting(*(float(x) for x in centre))
            return


def _percentiles(node: Any) -> tuple[float, float]:
    import numpy as np

    low, high = np.percentile(slicer.util.arrayFromVolume(node), (MIDDLE, HIGH))
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)


def _window(node: Any) -> None:
    """A grey image from its lowest to nearly its highest values, unless the user has set a window."""
    import numpy as np

    display = node.GetDisplayNode()
    if display is not None and display.GetAutoWindowLevel():
        low, high = np.percentile(slicer.util.arrayFromVolume(node), (1.0, 99.9))
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(float(low), float(max(high, low + 1e-6)))
