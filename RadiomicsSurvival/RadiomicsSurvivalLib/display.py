"""How a reader sees a result: the segments on three planes with their numbers; the patient among the cohort; scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import slicer
from slicer.i18n import tr as _

from manabi_slicer import layout

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

GROUP = "Radiomics"
FEATURES, RISK, COHORT = 4, 5, 6
"""Numbers of Manabi's layouts."""
PLANES = ("Axial", "Coronal", "Sagittal")
DRESSED = "Manabi.dressed"
"""Attribute of a display that has its first looks; what the user changes later stays."""
PLOT, TABLE = "vtkMRMLPlotViewNode", "vtkMRMLTableViewNode"


def show_features(
    image: vtkMRMLScalarVolumeNode, outputs: Mapping[str, vtkMRMLNode], segmentation: vtkMRMLSegmentationNode | None
) -> None:
    """Three planes with the segments; the key features and the volumes below.

    Args:
        image: that was measured.
        outputs: of the features.
        segmentation: the user's, or None.
    """
    low = layout.row([_plot("Plot"), _table()])
    if _arrange(FEATURES, layout.column(((_planes(FEATURES, PLANES), 620), (low, 380)))):
        _show_slices(image, PLANES, outputs, segmentation)
        several = outputs["tables/key_features"].GetTable().GetNumberOfRows() > 1
        layout.show_numbers(
            GROUP, outputs.get("plots/volumes"), outputs.get("tables/key_features" if several else "measurements")
        )


def show_risk(
    image: vtkMRMLScalarVolumeNode, outputs: Mapping[str, vtkMRMLNode], segmentation: vtkMRMLSegmentationNode | None
) -> None:
    """The tumour, the patient's curve among the cohort's, what drove the risk, survival by year.

    Args:
        image: of the patient.
        outputs: of the risk.
        segmentation: the user's, or None.
    """
    planes = PLANES[:1]
    top = layout.row([_slice(RISK, 0, planes[0]), _plot("Plot")])
    low = layout.row([_plot("Drivers"), _table()])
    if _arrange(RISK, layout.column(((top, 560), (low, 440)))):
        _show_slices(image, planes, outputs, segmentation)
        chart = outputs.get("plots/survival") or outputs.get("plots/probability")
        layout.show_numbers(GROUP, chart, outputs.get("tables/survival") or outputs.get("tables/risk"))
        _chart("Drivers", outputs.get("plots/contributions"))


def show_cohort(outputs: Mapping[str, vtkMRMLNode]) -> None:
    """The models side by side, survival of the risk groups, calibration, and the scores.

    Args:
        outputs: of a cohort.
    """
    top = layout.row([_plot("Plot"), _plot("Groups")])
    low = layout.row([_plot("Calibration"), _table()])
    if _arrange(COHORT, layout.column(((top, 520), (low, 480)))):
        layout.show_numbers(GROUP, outputs.get("plots/blocks"), outputs.get("tables/scores"))
        _chart("Groups", outputs.get("plots/survival") or outputs.get("plots/selection"))
        _chart("Calibration", outputs.get("plots/calibration"))


def hide_copy(outputs: Mapping[str, vtkMRMLNode]) -> None:
    """The measured segments are a copy of the user's: they are shown only where the user asks for it."""
    node: Any = outputs.get("labelmaps/segments")
    display = node.GetDisplayNode() if node is not None else None
    if display is not None and not display.GetAttribute(DRESSED):
        display.SetAttribute(DRESSED, "1")
        display.SetVisibility(False)


# --- parts ------------------------------------------------------------------------------------------------------------


def _arrange(number: int, parts: ElementTree.Element) -> bool:
    """Show a layout; False where there are no views."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return False
    layout.arrange(manager, layout.FIRST_ID + number, ElementTree.tostring(parts, "unicode"))
    slicer.app.processEvents()  # the views must have their size before the images are fitted into them
    return True


def _planes(number: int, planes: Sequence[str]) -> ElementTree.Element:
    return layout.row([_slice(number, index, plane) for index, plane in enumerate(planes)])


def _slice(number: int, index: int, plane: str) -> ElementTree.Element:
    return layout.slice_view(GROUP, number, index, _title(plane), plane)


def _plot(name: str) -> ElementTree.Element:
    return layout.view(PLOT, f"Manabi{GROUP}{name}", {"viewlabel": name})


def _table() -> ElementTree.Element:
    return layout.view(TABLE, f"Manabi{GROUP}Table", {"viewlabel": "Table"})


def _title(plane: str) -> str:
    """A plane's name in the user's language."""
    return {"Axial": _("Axial"), "Coronal": _("Coronal"), "Sagittal": _("Sagittal")}[plane]


def _chart(name: str, chart: Any) -> None:
    """Give one of the plot views its chart; an empty view where there is none."""
    view = slicer.mrmlScene.GetSingletonNode(f"Manabi{GROUP}{name}", PLOT)
    if view is not None:
        view.SetPlotChartNodeID(chart.GetID() if chart is not None else None)


def _show_slices(
    image: Any, planes: Sequence[str], outputs: Mapping[str, vtkMRMLNode], segmentation: Any
) -> None:  # fmt: skip
    """The image in the slice views, on the middle of the first segment."""
    manager = slicer.app.layoutManager()
    shown = segmentation or outputs.get("labelmaps/segments")
    if segmentation is not None:
        _dress(segmentation)
    for index, plane in enumerate(planes):
        logic = manager.sliceWidget(layout.view_name(GROUP, index)).sliceLogic()
        layout.fill(logic, layout.Shown(_title(plane), image))
        logic.FitSliceToBackground()
    centre = _centre(shown)
    for index in range(len(planes) if centre is not None else 0):
        node = slicer.mrmlScene.GetSingletonNode(layout.view_name(GROUP, index), "vtkMRMLSliceNode")
        if node is not None:
            node.JumpSliceByOffsetting(*(float(x) for x in centre))


def _dress(segmentation: Any) -> None:
    """Draw segments as outlines, once, so that the texture within can be read."""
    display = segmentation.GetDisplayNode()
    if display is not None and not display.GetAttribute(DRESSED):
        display.SetAttribute(DRESSED, "1")
        display.SetVisibility2DFill(False)


def _centre(segmentation: Any) -> Any:
    """Middle of the first segment that holds something, RAS mm, or None."""
    if segmentation is None:
        return None
    centres = (segmentation.GetSegmentCenterRAS(one) for one in segmentation.GetSegmentation().GetSegmentIDs())
    return next((centre for centre in centres if centre is not None), None)
