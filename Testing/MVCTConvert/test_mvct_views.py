"""The views of a result: side by side and linked, each in its window; comparisons and maps as they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from mvct_panel_user import SHAPE, MVCTUser, add_ct, oblique, straight


@pytest.fixture
def user(slicer_app, monkeypatch):
    """A user who has a result in the views; skips where nothing can be drawn."""
    from slicer_standin import views

    if views.why_not():
        pytest.skip(f"no offscreen drawing here: {views.why_not()}")
    manager = views.install(slicer_app.boot().app, (1200, 800))
    user = MVCTUser(slicer_app, monkeypatch)
    user.manager = manager
    yield user
    manager.close()


def composite(user, index):
    return user.manager.sliceWidget(f"ManabiMVCT{index + 1}").mrmlSliceCompositeNode()


def background(user, index):
    return composite(user, index).GetBackgroundVolumeID()


def foreground(user, index):
    import slicer

    return slicer.mrmlScene.GetNodeByID(composite(user, index).GetForegroundVolumeID() or "")


def levels(node):
    display = node.GetDisplayNode()
    return display.GetWindow(), display.GetLevel()


def converted_with(user, **options):
    """A scan, and its outputs after Apply without the worker."""
    scan = add_ct(**options)
    user.choose(scan)
    return scan, user.run_here()


def test_input_converted_and_comparison_stand_side_by_side_with_chart_and_table(user):
    import slicer

    scan, outputs = converted_with(user)
    converted = outputs["volumes/converted"]
    assert [background(user, n) for n in range(3)] == [scan.GetID(), converted.GetID(), scan.GetID()]
    plot = slicer.mrmlScene.GetSingletonNode("ManabiMVCTPlot", "vtkMRMLPlotViewNode")
    table = slicer.mrmlScene.GetSingletonNode("ManabiMVCTTable", "vtkMRMLTableViewNode")
    assert plot.GetPlotChartNodeID() == outputs["plots/histogram"].GetID()
    assert table.GetTableNodeID() == outputs["tables/hu_check"].GetID()
    labels = [user.manager.sliceWidget(f"ManabiMVCT{n}").mrmlSliceNode().GetLayoutLabel() for n in (1, 2, 3)]
    assert labels == ["Input", "Converted (synthetic)", "Checkerboard"]


def test_a_planning_ct_stands_between(user):
    planning = add_ct("Planning", seed=1)
    scan = add_ct()
    user.choose(scan)
    user.ui.referenceSelector.setCurrentNode(planning)
    outputs = user.run_here()
    wanted = [scan, outputs["volumes/converted"], planning, scan]
    assert [background(user, n) for n in range(4)] == [node.GetID() for node in wanted]
    user.ui.againstComboBox.currentIndex = 1
    assert background(user, 3) == planning.GetID()


def test_the_views_are_centred_on_the_body_and_show_all_of_it(user):
    _, outputs = converted_with(user)
    bounds = [0.0] * 6
    outputs["labelmaps/body"].GetRASBounds(bounds)
    node = user.manager.sliceWidget("ManabiMVCT2").mrmlSliceNode()
    middle = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    off = np.abs(np.array(middle) - (np.array(bounds[::2]) + bounds[1::2]) / 2)
    assert (off < [0.01, 0.01, 3.01]).all()  # the nearest slice
    width = bounds[1] - bounds[0]
    assert width < min(node.GetFieldOfView()[:2]) < 1.3 * width


def test_the_views_scroll_together(user):
    converted_with(user)
    nodes = [user.manager.sliceWidget(f"ManabiMVCT{n}").mrmlSliceNode() for n in (1, 2, 3)]
    user.manager.sliceWidget("ManabiMVCT1").sliceController().setSliceOffsetValue(nodes[0].GetSliceOffset() + 12.0)
    assert len({round(node.GetSliceOffset(), 6) for node in nodes}) == 1
    assert background(user, 1) != background(user, 0)


def test_the_input_keeps_its_window_and_the_converted_one_is_read_as_soft_tissue(user):
    scan = add_ct()
    scan.GetDisplayNode().SetAutoWindowLevel(False)
    scan.GetDisplayNode().SetWindowLevel(700.0, -30.0)
    user.choose(scan)
    outputs = user.run_here()
    assert levels(scan) == (700.0, -30.0)
    assert levels(outputs["volumes/converted"]) == (400.0, 40.0)
    for index, wanted in enumerate([(2000.0, 500.0), (1500.0, -500.0), (700.0, -30.0)], 1):
        user.ui.windowComboBox.currentIndex = index
        assert levels(outputs["volumes/converted"]) == wanted
        assert levels(foreground(user, 2)) == wanted  # the checkerboard's squares follow
        assert levels(scan) == (700.0, -30.0)


@pytest.mark.parametrize("matrix", [straight(), oblique()], ids=["straight", "oblique"])
def test_a_checkerboard_shows_every_voxel_of_the_converted_image_in_every_other_square(user, matrix):
    import slicer

    _, outputs = converted_with(user, matrix=matrix)
    after = slicer.util.arrayFromVolume(outputs["volumes/converted"])
    shares = {}
    for tile in (20.0, 60.0):
        user.ui.tileSlider.value = tile
        node = foreground(user, 2)
        board = slicer.util.arrayFromVolume(node)
        seen = board > -2000
        np.testing.assert_array_equal(board[seen], np.maximum(after, -1100)[seen])
        changes = (seen[SHAPE[0] // 2, SHAPE[1] // 2, 1:] != seen[SHAPE[0] // 2, SHAPE[1] // 2, :-1]).sum()
        shares[tile] = (float(seen.mean()), int(changes))
    assert all(0.4 < share < 0.6 for share, _ in shares.values())
    assert shares[20.0][1] > 2 * shares[60.0][1] > 0
    corners = [[0.0] * 6, [0.0] * 6]
    node.GetRASBounds(corners[0])
    outputs["volumes/converted"].GetRASBounds(corners[1])
    np.testing.assert_allclose(*corners, atol=1e-6)


def test_holes_show_the_input_in_its_own_window(user):
    """Drawn pixels: where the checkerboard has a hole, the view looks like that of the input."""
    import slicer

    converted_with(user)
    node = user.manager.sliceWidget("ManabiMVCT3").mrmlSliceNode()
    board = slicer.util.arrayFromVolume(foreground(user, 2))
    drawn = [user.manager.slice_pixels(f"ManabiMVCT{n}", (300, 300)).astype(int)[..., 0] for n in (1, 2, 3)]
    place = float((np.linalg.inv(straight()) @ [0, 0, node.GetSliceOffset(), 1])[2])
    k = round(place)
    assert place == pytest.approx(k, abs=1e-3)
    checked = {True: 0, False: 0}
    for j in range(10, 34, 3):
        for i in range(10, 38, 3):
            around = board[k, j - 1 : j + 2, i - 1 : i + 2] > -2000
            if around.all() or not around.any():
                x, y, _ = user.manager.pixel_of("ManabiMVCT3", (straight() @ [i, j, k, 1])[:3])
                like = drawn[1] if around.all() else drawn[0]
                assert abs(drawn[2][round(y), round(x)] - like[round(y), round(x)]) <= 6, (i, j)
                checked[bool(around.all())] += 1
    assert min(checked.values()) > 10


@pytest.mark.parametrize("flip", [1, -1])
def test_the_wipe_shows_the_converted_image_at_the_left_of_the_view_whichever_way_it_is_stored(user, flip):
    import slicer

    matrix = straight() @ np.diag([flip, 1, 1, 1])
    _, outputs = converted_with(user, matrix=matrix)
    user.button("wipe").click()
    user.ui.wipeSlider.value = 25
    wiped = slicer.util.arrayFromVolume(foreground(user, 2))
    seen = wiped[0, 0] > -2000
    assert seen.sum() == SHAPE[2] // 4
    right = [(outputs["volumes/converted"], n) for n in (0, SHAPE[2] - 1)]
    ras_x = [float((matrix @ [n, 0, 0, 1])[0]) for _, n in right]
    assert seen[0] == (ras_x[0] > ras_x[1])  # an axial view has the patient's right at its left
    assert seen[0] != seen[-1]


def test_the_images_take_turns_until_something_else_is_chosen(user):
    converted_with(user)
    user.ui.flickerSlider.value = 5
    user.button("flicker").click()
    comparison = user.widget.sections.comparison
    assert comparison.flickers
    shown = set()
    for _ in range(40):
        user.app.process_events(0.05)
        shown.add(composite(user, 2).GetForegroundOpacity())
    assert shown == {0.0, 1.0}
    user.button("blend").click()
    assert not comparison.flickers
    assert composite(user, 2).GetForegroundOpacity() == pytest.approx(0.6)
    user.ui.opacitySlider.value = 25
    assert composite(user, 2).GetForegroundOpacity() == pytest.approx(0.25)


def test_the_squares_follow_the_window_that_the_user_drags(user):
    _, outputs = converted_with(user)
    outputs["volumes/converted"].GetDisplayNode().SetWindowLevel(222.0, 11.0)
    assert levels(foreground(user, 2)) == (222.0, 11.0)


def test_leaving_the_module_ends_the_flicker_and_coming_back_goes_on(user):
    converted_with(user)
    user.button("flicker").click()
    user.widget.exit()
    assert not user.widget.sections.comparison.flickers
    user.widget.enter()
    assert user.chosen() == ["flicker"]
    assert user.widget.sections.comparison.flickers


@pytest.mark.parametrize("name", ["difference", "uncertainty", "residual", "gradient_difference"])
def test_a_map_lies_over_the_converted_image_with_its_colours_and_legend(user, name):
    import slicer

    _, outputs = converted_with(user)
    user.button("edges" if name == "gradient_difference" else name).click()
    node = outputs[f"volumes/{name}"]
    assert background(user, 2) == outputs["volumes/converted"].GetID()
    assert foreground(user, 2) is node
    display = node.GetDisplayNode()
    signed = name in ("difference", "gradient_difference")
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    assert low == (-high if signed else 0.0)
    assert 0 < high <= np.abs(slicer.util.arrayFromVolume(node)).max() + 1e-3
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    assert legend.GetVisibility()
    assert ("HU/mm" if name == "gradient_difference" else "HU") in legend.GetTitleText()
    user.button("blend").click()
    assert not legend.GetVisibility()


def test_a_map_leaves_clear_what_is_next_to_nothing(user):
    """Drawn pixels: grey where nothing changed, in colour where much did."""
    converted_with(user)
    user.button("difference").click()
    drawn = user.manager.slice_pixels("ManabiMVCT3", (300, 300)).astype(int)
    x, y, _ = user.manager.pixel_of("ManabiMVCT3", (straight() @ [24, 22, 6, 1])[:3])  # bone: +290 HU
    red, green, _ = drawn[round(y), round(x)]
    assert red - green > 40
    x, y, _ = user.manager.pixel_of("ManabiMVCT3", (straight() @ [24, 12, 6, 1])[:3])  # muscle: +10 HU
    assert np.ptp(drawn[round(y), round(x)]) <= 3


def test_tissues_are_drawn_as_outlines_and_only_when_wanted(user):
    _, outputs = converted_with(user)
    body, tissues = (outputs[f"labelmaps/{name}"].GetDisplayNode() for name in ("body", "tissues"))
    assert (body.GetVisibility(), tissues.GetVisibility()) == (0, 0)
    user.ui.tissuesCheckBox.checked = True
    assert (body.GetVisibility(), tissues.GetVisibility(), tissues.GetVisibility2DFill()) == (0, 1, 0)


def test_the_volume_for_comparing_is_hidden_is_not_saved_and_goes_with_the_scene(user, tmp_path):
    import slicer

    converted_with(user)
    node = foreground(user, 2)
    assert node.GetHideFromEditors()
    assert not node.GetSaveWithScene()
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear()
    assert slicer.mrmlScene.GetSingletonNode("ManabiMVCTComparison", "vtkMRMLScalarVolumeNode") is None
    slicer.util.loadScene(path)
    user.app.process_events(0.1)
    assert slicer.mrmlScene.GetSingletonNode("ManabiMVCTComparison", "vtkMRMLScalarVolumeNode") is None
    user.run_ui.showButton.click()
    assert foreground(user, 2).GetName() == "MVCTConvert comparison"


def test_a_second_result_is_what_the_checkerboard_shows(user):
    import slicer

    _, outputs = converted_with(user)
    user.ui.strengthSlider.value = 0
    outputs = user.run_here()
    after = slicer.util.arrayFromVolume(outputs["volumes/converted"])
    board = slicer.util.arrayFromVolume(foreground(user, 2))
    seen = board > -2000
    np.testing.assert_array_equal(board[seen], np.maximum(after, -1100)[seen])
