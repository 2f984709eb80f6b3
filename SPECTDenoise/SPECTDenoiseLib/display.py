"""How a reader sees a denoised scan: before and after side by side in one window, difference or uncertainty beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from manabi_slicer import layout
from manabi_slicer.colors import show_with
from SPECTDenoiseLib.parameters import Layer

if TYPE_CHECKING:
    import numpy as np
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

GROUP = "SPECT"
NUMBER = 0
"""Of Manabi's layouts."""
SATURATED = 99.5
"""Percentile of what is in the head at which the colours of difference and uncertainty saturate (our choice)."""
HEAD = 0.1
"""Fraction of the highest denoised value above which a voxel counts as in the head, for windowing (our choice)."""
MARGIN = 1.25
"""The slice views show the head and so much more (our choice)."""


def show(
    inputNode: vtkMRMLScalarVolumeNode,
    outputs: Mapping[str, vtkMRMLNode],
    layer: Layer,
    referenceNode: vtkMRMLScalarVolumeNode | None = None,
) -> None:
    """Arrange linked axial views through the striatum, with the plot and the table of binding ratios below.

    Args:
        inputNode: the 5-minute scan.
        outputs: the method's output nodes by key.
        layer: what the right-hand view shows, where the result has it.
        referenceNode: the 25-minute scan, shown between, or None.
    """
    after = outputs["volumes/denoised"]
    set_windows(inputNode, outputs, referenceNode)
    views = [layout.Shown(_("Before"), inputNode), layout.Shown(_("After"), after)]
    if referenceNode is not None:
        views.append(layout.Shown(_("25 minutes"), referenceNode))
    last = outputs.get(layer.value) or outputs.get(Layer.DIFFERENCE.value)
    if last is not None:
        views.append(layout.Shown(layer.label(), last))
    regions = outputs.get("labelmaps/regions")
    if regions is not None:
        outline_only(regions)
    layout.show(
        GROUP, NUMBER, views, at_ras=striatum_ras(outputs), span_mm=head_mm(after),
        chart=outputs.get("plots/binding_ratios"), table=outputs.get("tables/changes"), surfaces=regions,
    )  # fmt: skip


def set_layer(outputs: Mapping[str, vtkMRMLNode], layer: Layer, has_reference: bool) -> None:
    """Show another layer in the right-hand view; nothing happens where the result lacks it."""
    node = outputs.get(layer.value)
    if node is not None:
        layout.set_layer(GROUP, 3 if has_reference else 2, layout.Shown(layer.label(), node))


def set_windows(
    inputNode: vtkMRMLScalarVolumeNode,
    outputs: Mapping[str, vtkMRMLNode],
    referenceNode: vtkMRMLScalarVolumeNode | None = None,
) -> None:
    """One window for before and after, from nothing to the highest denoised value; colours as readers know them.

    The 25-minute scan has more counts; its window is scaled by the ratio of all counts.
    """
    import numpy as np

    before = slicer.util.arrayFromVolume(inputNode)
    after = slicer.util.arrayFromVolume(outputs["volumes/denoised"])
    top = float(after.max()) or 1.0
    show_with(inputNode, "cool", 0.0, top)
    show_with(outputs["volumes/denoised"], "cool", 0.0, top)
    if referenceNode is not None:
        full = slicer.util.arrayFromVolume(referenceNode)
        show_with(referenceNode, "cool", 0.0, top * float(full.sum()) / (float(before.sum()) or 1.0))
    head = after > HEAD * top
    difference, uncertainty = (outputs.get(layer.value) for layer in (Layer.DIFFERENCE, Layer.UNCERTAINTY))
    if difference is not None:
        limit = _high(np.abs(slicer.util.arrayFromVolume(difference)), head, top)
        show_with(difference, "change", -limit, limit)
    if uncertainty is not None:
        show_with(uncertainty, "spread", 0.0, _high(slicer.util.arrayFromVolume(uncertainty), head, top))


def outline_only(segmentation: vtkMRMLSegmentationNode) -> None:
    """Show where the regions are without covering what is in them."""
    display = segmentation.GetDisplayNode()
    if display is not None:
        display.SetOpacity2DFill(0.0)
        display.SetVisibility2DFill(False)


def head_mm(volume: vtkMRMLScalarVolumeNode) -> float | None:
    """The head's largest extent in a denoised scan with a margin, mm; None where nothing is in it."""
    import numpy as np

    values = slicer.util.arrayFromVolume(volume)
    found = np.nonzero(values > HEAD * float(values.max()))
    if not found[0].size:
        return None
    spacing = np.array(volume.GetSpacing())[::-1]
    extent = [(axis.max() - axis.min() + 1) * mm for axis, mm in zip(found, spacing, strict=True)]
    return MARGIN * float(max(extent))


def striatum_ras(outputs: Mapping[str, vtkMRMLNode]) -> np.ndarray | None:
    """Centre of the measured striatum (RAS mm, world), or None where nothing was measured."""
    import numpy as np

    node = outputs.get("labelmaps/regions")
    if node is None:
        return None
    segmentation = node.GetSegmentation()
    names = ("caudate", "putamen")
    ids = [i for i in segmentation.GetSegmentIDs() if segmentation.GetSegment(i).GetName().endswith(names)]
    centres = [np.array(node.GetSegmentCenterRAS(i)) for i in ids]
    return np.mean(centres, axis=0) if centres else None


def _high(values: np.ndarray, head: np.ndarray, top: float) -> float:
    import numpy as np

    return (float(np.percentile(values[head], SATURATED)) if head.any() else 0.0) or top / 100.0
