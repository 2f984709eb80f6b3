"""The views of a result: side by side, linked, in common windows and in the readers' colours."""

from __future__ import annotations

import numpy as np
import pytest
from panel_methods import REGISTERED
from panel_user import OBLIQUE, User, add_scan, use_methods
from scipy import ndimage


@pytest.fixture
def views(slicer_app, monkeypatch):
    """The stand-in's views, and the methods of the tests; skips where nothing can be drawn."""
    from slicer_standin import views

    if views.why_not():
        pytest.skip(f"no offscreen drawing here: {views.why_not()}")
    use_methods(monkeypatch, REGISTERED)
    return views


@pytest.fixture
def shown(slicer_app, views):
    """A user who has applied with a 25-minute scan, and the stand-in's layout manager."""
    import slicer

    manager = views.install(slicer.app, (1200, 800))
    user = User(slicer_app, "quick-spect")
    user.choose(add_scan())
    user.ui.referenceSelector.setCurrentNode(add_scan("Full", seed=1))
    user.apply()
    yield user, manager
    manager.close()


def slice_of(manager, index):
    return manager.sliceWidget(f"ManabiSPECT{index + 1}")


def backgrounds(manager, count=4):
    return [slice_of(manager, n).mrmlSliceCompositeNode().GetBackgroundVolumeID() for n in range(count)]


def test_before_after_full_time_and_difference_stand_side_by_side(shown):
    user, manager = shown
    outputs = user.outputs()
    scan, full = user.ui.inputSelector.currentNode(), user.ui.referenceSelector.currentNode()
    wanted = [scan, outputs["volumes/denoised"], full, outputs["volumes/difference"]]
    assert backgrounds(manager) == [node.GetID() for node in wanted]
    assert manager.plotViewCount == 1
    assert manager.tableViewCount == 1
    space = manager.threeDWidget("ViewManabiSPECT3D").mrmlViewNode()
    assert space.IsMappedInLayout()
    assert not space.GetBoxVisible()


def test_the_views_scroll_together_and_leave_slicer_s_own_views_alone(shown):
    import slicer

    user, manager = shown
    nodes = [slice_of(manager, n).mrmlSliceNode() for n in range(4)]
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    before = None if red is None else red.GetSliceOffset()
    slice_of(manager, 0).sliceController().setSliceOffsetValue(nodes[0].GetSliceOffset() + 6.0)
    assert len({round(node.GetSliceOffset(), 6) for node in nodes}) == 1
    assert len(set(backgrounds(manager))) == 4
    assert red is None or red.GetSliceOffset() == before


def test_the_views_are_centred_on_the_striatum_and_hold_the_head(shown):
    user, manager = shown
    regions = user.outputs()["labelmaps/regions"]
    ids = regions.GetSegmentation().GetSegmentIDs()[:4]
    centre = np.mean([regions.GetSegmentCenterRAS(i) for i in ids], axis=0)
    node = slice_of(manager, 1).mrmlSliceNode()
    middle = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    np.testing.assert_allclose(middle, centre, atol=0.01)
    width, height = node.GetDimensions()[:2]
    across, along = node.GetFieldOfView()[:2]
    assert across / width == pytest.approx(along / height)


def test_before_and_after_share_one_window_in_cool_and_full_time_is_scaled_to_its_counts(shown):
    user, _ = shown
    outputs = user.outputs()
    scan, full = user.ui.inputSelector.currentNode(), user.ui.referenceSelector.currentNode()
    displays = [node.GetDisplayNode() for node in (scan, outputs["volumes/denoised"], full)]
    tops = [display.GetWindowLevelMax() for display in displays]
    assert [display.GetColorNode().GetName() for display in displays] == ["Manabi Cool"] * 3
    assert tops[0] == tops[1]
    import slicer

    ratio = slicer.util.arrayFromVolume(full).sum() / slicer.util.arrayFromVolume(scan).sum()
    assert tops[2] / tops[0] == pytest.approx(ratio)
    change = outputs["volumes/difference"].GetDisplayNode()
    assert change.GetWindowLevelMin() == -change.GetWindowLevelMax()


def test_the_cool_table_has_the_corners_of_imagej_s(shown):
    import slicer

    table = slicer.mrmlScene.GetSingletonNode("ManabiCool", "vtkMRMLColorTableNode")
    color = [0.0] * 4
    found = []
    for index in (0, 64, 128, 191, 255):
        table.GetColor(index, color)
        found.append([round(255 * c) for c in color[:3]])
    wanted = [[0, 0, 0], [0, 128, 128], [128, 0, 255], [255, 128, 0], [255, 255, 255]]
    np.testing.assert_allclose(found, wanted, atol=3)


def test_the_right_hand_view_changes_to_the_uncertainty(shown):
    user, manager = shown
    first = backgrounds(manager)
    user.ui.layerComboBox.currentIndex = 1
    assert backgrounds(manager)[:3] == first[:3]
    assert backgrounds(manager)[3] == user.outputs()["volumes/uncertainty"].GetID()
    user.run_ui.showButton.click()
    assert backgrounds(manager)[3] == user.outputs()["volumes/uncertainty"].GetID()


def test_the_plot_and_the_table_show_the_result(shown):
    import slicer

    user, _ = shown
    outputs = user.outputs()
    plot = slicer.mrmlScene.GetSingletonNode("ManabiSPECTPlot", "vtkMRMLPlotViewNode")
    table = slicer.mrmlScene.GetSingletonNode("ManabiSPECTTable", "vtkMRMLTableViewNode")
    assert plot.GetPlotChartNodeID() == outputs["plots/binding_ratios"].GetID()
    assert table.GetTableNodeID() == outputs["tables/changes"].GetID()


FLIPS = [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)]


def ball(matrix, shape_kji, at_ras, half_mm):
    """A ball whose edge is at half its brightness."""
    k, j, i = np.mgrid[tuple(slice(n) for n in shape_kji)]
    ras = np.stack([i, j, k, np.ones_like(i)], -1) @ matrix.T
    return 100 * np.exp(-np.log(2) * ((ras[..., :3] - at_ras) ** 2).sum(-1) / half_mm**2)


@pytest.mark.parametrize("flips", FLIPS)
def test_regions_of_an_oblique_scan_lie_on_its_anatomy_in_all_three_views(slicer_app, views, flips):
    """Drawn pixels: from the node through the worker and back, the outline encloses what is bright."""
    import slicer

    user = User(slicer_app, "blob-spect")
    matrix = OBLIQUE @ np.diag([*flips, 1])
    matrix[:3, 3] = -matrix[:3, :3] @ [23.5, 31.5, 14.5]
    at_ras = np.array([9.0, -6.0, 5.0])
    scan = add_scan(matrix=matrix)
    slicer.util.updateVolumeFromArray(scan, ball(matrix, (30, 64, 48), at_ras, 14.0).astype(np.float32))
    user.choose(scan)
    regions = user.apply()["labelmaps/regions"]
    manager = views.install(slicer.app, (900, 700))
    scan.GetDisplayNode().SetAutoWindowLevel(False)
    scan.GetDisplayNode().SetWindowLevelMinMax(0, 100)
    regions.GetSegmentation().GetNthSegment(0).SetColor(1.0, 0.0, 1.0)
    regions.GetDisplayNode().SetOpacity2DFill(0.0)
    manager.place()
    for name in ("Red", "Yellow", "Green"):
        logic = manager.sliceWidget(name).sliceLogic()
        logic.GetSliceCompositeNode().SetBackgroundVolumeID(scan.GetID())
        logic.FitSliceToBackground()
        logic.GetSliceNode().JumpSliceByCentering(*at_ras)
        pixels = manager.slice_pixels(name, (300, 260)).astype(int)
        outline = pixels[..., 0] - pixels[..., 1] > 60
        inside = ndimage.binary_fill_holes(outline)
        bright = (pixels[..., 1] > 127) | (outline & inside)
        assert inside.sum() > 1.5 * outline.sum(), f"{name}: the outline does not close"
        assert (inside & bright).sum() / (inside | bright).sum() > 0.8, name
        middle = ndimage.center_of_mass(inside)
        assert np.abs(manager.ras_at(name, middle[1], middle[0]) - at_ras).max() < 1.5, name


def test_the_regions_are_drawn_in_three_dimensions(slicer_app, views):
    import slicer

    manager = views.install(slicer.app, (900, 700))
    user = User(slicer_app, "blob-spect")
    matrix = np.diag([3.0, 3.0, 3.0, 1.0])
    scan = add_scan(matrix=matrix)
    ball_array = ball(matrix, (30, 40, 40), np.array([60.0, 60.0, 45.0]), 20.0).astype(np.float32)
    slicer.util.updateVolumeFromArray(scan, ball_array)
    user.choose(scan)
    regions = user.apply()["labelmaps/regions"]
    assert regions.GetSegmentation().ContainsRepresentation("Closed surface")
    view = manager.threeDWidget("ViewManabiSPECT3D").threeDView()
    view.resize((400, 300))
    drawn = view.pixels().astype(int)
    regions.GetDisplayNode().SetVisibility3D(False)
    plain = view.pixels().astype(int)
    assert (np.abs(drawn - plain).sum(-1) > 60).sum() > 2000
