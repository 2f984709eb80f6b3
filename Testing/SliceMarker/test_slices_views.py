"""SliceMarker and the views: jumping, the line in the plot, the layout, and points that stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
from slices_panel_user import SPACING, SlicesUser, add_ct, feet_first, position_of

FIXED = ("ManabiSlices1", "ManabiSlices2", "ManabiSlices3")
CORONAL, BROWSE = "ManabiSlices4", "ManabiSlices5"
AT = {"apex": 35, "carina": 23, "diaphragm": 10}


@pytest.fixture
def shown_of(slicer_app, monkeypatch):
    """A function that gives a user with a result on the screen, and the stand-in's layout manager."""
    import slicer
    from slicer_standin import views

    if views.why_not():
        pytest.skip(f"no offscreen drawing here: {views.why_not()}")
    managers = []

    def make(method="quick-slices", matrix=None):
        managers.append(views.install(slicer.app, (1200, 800)))
        user = SlicesUser(slicer_app, monkeypatch, method)
        user.choose(add_ct(matrix=matrix))
        user.run_here()
        return user, managers[-1]

    yield make
    for manager in managers:
        manager.close()


@pytest.fixture
def shown(shown_of):
    return shown_of()


def node_of(manager, name):
    return manager.sliceWidget(name).mrmlSliceNode()


def looks(manager):
    """Zoom, pan and orientation of every slice view, but not where along its normal it is."""
    found = {}
    for name in manager.sliceViewNames():
        node = node_of(manager, name)
        matrix = np.array([[node.GetSliceToRAS().GetElement(r, c) for c in range(4)] for r in range(4)])
        along = matrix[:3, 3] - matrix[:3, 2] * (matrix[:3, 3] @ matrix[:3, 2])
        found[name] = np.round([*node.GetFieldOfView()[:2], *node.GetXYZOrigin(), *matrix[:3, :3].ravel(), *along], 6)
    return found


def distance(manager, name, point):
    """How far a point is from the plane that a view shows, mm."""
    matrix = node_of(manager, name).GetSliceToRAS()
    return abs(sum((point[r] - matrix.GetElement(r, 3)) * matrix.GetElement(r, 2) for r in range(3)))


def offset(manager, name):
    return node_of(manager, name).GetSliceOffset()


def scroll(manager, name, mm):
    manager.sliceWidget(name).sliceController().setSliceOffsetValue(mm)


def row_text(user):
    return user.ui.shownLabel.text


# --- the layout -----------------------------------------------------------------------------------------------------


def test_each_marker_stands_on_its_slice_side_by_side_with_a_coronal_view_plot_and_table(shown):
    import slicer

    user, manager = shown
    for name, marker in zip(FIXED, AT, strict=True):
        assert offset(manager, name) == pytest.approx(position_of(AT[marker]))
        assert node_of(manager, name).GetOrientation() == "Axial"
    assert node_of(manager, CORONAL).GetOrientation() == "Coronal"
    ct = user.ui.inputSelector.currentNode()
    for name in (*FIXED, CORONAL, BROWSE):
        assert manager.sliceWidget(name).mrmlSliceCompositeNode().GetBackgroundVolumeID() == ct.GetID()
        assert node_of(manager, name).IsMappedInLayout()
    plot = slicer.mrmlScene.GetSingletonNode("ManabiSlicesPlot", "vtkMRMLPlotViewNode")
    table = slicer.mrmlScene.GetSingletonNode("ManabiSlicesTable", "vtkMRMLTableViewNode")
    assert plot.GetPlotChartNodeID() == user.outputs()["plots/probability"].GetID()
    assert table.GetTableNodeID() == user.outputs()["tables/markers"].GetID()


def test_a_marker_above_the_image_has_its_view_at_the_top_slice(shown_of):
    _, manager = shown_of("cut-slices")
    assert offset(manager, FIXED[0]) == pytest.approx(position_of(39))


def test_scrolling_one_of_the_three_leaves_the_others_and_zooming_takes_them_along(shown):
    import slicer

    _, manager = shown
    before = [offset(manager, name) for name in FIXED]
    scroll(manager, FIXED[1], before[1] + 20)
    assert [offset(manager, name) for name in FIXED] == [before[0], before[1] + 20, before[2]]
    node = node_of(manager, FIXED[1])
    logic = manager.sliceWidget(FIXED[1]).sliceLogic()
    logic.StartSliceNodeInteraction(slicer.vtkMRMLSliceNode.FieldOfViewFlag)
    node.SetFieldOfView(*(0.5 * x for x in node.GetFieldOfView()[:2]), node.GetFieldOfView()[2])
    logic.EndSliceNodeInteraction()
    assert len({round(node_of(manager, name).GetFieldOfView()[0], 3) for name in FIXED}) == 1
    assert offset(manager, FIXED[0]) == before[0]


def test_all_three_points_are_seen_in_the_coronal_view_and_only_there(shown):
    user, manager = shown
    user.widget.reader.jump("carina")

    def yellow(name):
        pixels = manager.slice_pixels(name).astype(int)
        seen = (pixels[..., 0] > 200) & (pixels[..., 1] > 150) & (pixels[..., 2] < 110)
        rows = [round(manager.pixel_of(name, position(user, k))[1]) for k in range(3)]
        return [bool(seen[max(row - 8, 0) : row + 9].any()) for row in rows], bool(seen.any())

    assert yellow(CORONAL)[0] == [True, True, True]
    scroll(manager, BROWSE, position_of(30))
    assert not yellow(BROWSE)[1]


def position(user, index):
    place = [0.0] * 3
    user.points().GetNthControlPointPositionWorld(index, place)
    return np.array(place)


# --- jumping --------------------------------------------------------------------------------------------------------


def test_click_on_a_marker_jumps_the_views_and_changes_nothing_else(shown):
    """Views jump, zoom and pan stay, the three fixed views stay on their markers."""
    user, manager = shown
    fixed = [offset(manager, name) for name in FIXED]
    node_of(manager, BROWSE).SetFieldOfView(90.0, 60.0, 1.0)
    for name in ("Red", "Yellow"):
        node_of(manager, name).SetFieldOfView(70.0, 55.0, 1.0)
    before = looks(manager)
    for index, marker in enumerate(AT):
        getattr(user.ui, f"{marker}Button").click()
        for name in (BROWSE, CORONAL, "Red", "Green", "Yellow"):
            assert distance(manager, name, position(user, index)) < 1e-4, (marker, name)
    after = looks(manager)
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-5, err_msg=name)
    assert [offset(manager, name) for name in FIXED] == fixed


def test_placing_a_marker_never_scrolls(shown):
    """Setting one marker after the other leaves every view that the user scrolls where it is."""
    user, manager = shown
    user.ui.editCheckBox.checked = True
    scroll(manager, BROWSE, position_of(30))
    where = {name: offset(manager, name) for name in (BROWSE, CORONAL, "Red", "Green")}
    user.ui.apexSetButton.click()
    assert user.row(0)["slice"] == 30
    user.ui.carinaSetButton.click()
    assert user.row(1)["slice"] == 30
    assert {name: offset(manager, name) for name in where} == where
    assert offset(manager, FIXED[0]) == pytest.approx(position_of(30))


def test_a_locked_point_cannot_be_dragged_with_the_mouse_and_an_unlocked_one_can(shown):
    """The events of a mouse, in Slicer's own displayable manager."""
    user, manager = shown
    user.ui.carinaButton.click()
    before = position(user, 1)
    drag_with_mouse(manager, BROWSE, before)
    user.settle()
    np.testing.assert_allclose(position(user, 1), before)
    user.ui.editCheckBox.checked = True
    drag_with_mouse(manager, BROWSE, before)
    user.settle()
    assert np.abs(position(user, 1) - before)[:2].max() > 5.0
    assert user.row(1)["slice"] == AT["carina"]


def drag_with_mouse(manager, name, from_ras, pixels=30):
    """Press on a point, move, release."""
    import slicer
    import vtk

    view = manager.sliceWidget(name).sliceView()
    view.pixels()
    handler = view._group.GetDisplayableManagerByClassName("vtkMRMLMarkupsDisplayableManager")
    x, y, _ = view.convertRASToXYZ([float(v) for v in from_ras])
    command = vtk.vtkCommand
    steps = [(command.MouseMoveEvent, 0), (command.LeftButtonPressEvent, 0),
             *((command.MouseMoveEvent, step) for step in range(5, pixels + 1, 5)),
             (command.LeftButtonReleaseEvent, pixels)]  # fmt: skip
    for kind, step in steps:
        data = slicer.vtkMRMLInteractionEventData()
        data.SetType(kind)
        data.SetDisplayPosition([int(x + step), int(y)])
        data.SetWorldPosition(list(view.convertXYZToRAS((x + step, y, 0.0))))
        data.SetViewNode(view.node)
        data.SetRenderer(handler.GetRenderer())
        data.SetMouseMovedSinceButtonDown(step > 0)
        can = handler.CanProcessInteractionEvent(data, vtk.reference(0.0))
        handler.SetHasFocus(can, data)
        handler.ProcessInteractionEvent(data)


def test_the_list_of_slices_jumps_the_axial_views_only(shown):
    user, manager = shown
    coronal, fixed = offset(manager, CORONAL), [offset(manager, name) for name in FIXED]
    before = looks(manager)
    for row, index in enumerate((35, 23, 10)):
        user.ui.slicesList.setCurrentRow(row)
        assert offset(manager, BROWSE) == pytest.approx(position_of(index))
        assert offset(manager, "Red") == pytest.approx(position_of(index))
    assert offset(manager, CORONAL) == coronal
    assert [offset(manager, name) for name in FIXED] == fixed
    for name, look in looks(manager).items():
        np.testing.assert_allclose(look, before[name], atol=1e-5, err_msg=name)


def test_slices_of_a_volume_that_runs_to_the_feet_are_found_too(shown_of):
    user, manager = shown_of(matrix=feet_first())
    user.ui.slicesList.setCurrentRow(0)
    assert offset(manager, BROWSE) == pytest.approx(position_of(AT["apex"]))


# --- the plot -------------------------------------------------------------------------------------------------------


def line_of(user):
    """Where the line in the plot is; None where the chart has none."""
    chart = user.outputs()["plots/probability"]
    for n in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(n)
        if series.GetName() == "Shown slice":
            column = series.GetTableNode().GetTable().GetColumnByName(series.GetXColumnName())
            assert column.GetTuple1(0) == column.GetTuple1(1)
            return column.GetTuple1(0)
    return None


def test_the_line_in_the_plot_follows_the_axial_view_that_is_scrolled(shown):
    user, manager = shown
    for index in (28, 5):
        scroll(manager, BROWSE, position_of(index))
        assert line_of(user) == pytest.approx(position_of(index))
        assert row_text(user).endswith(f"slice {index}")
    scroll(manager, CORONAL, offset(manager, CORONAL) + 15)
    assert line_of(user) == pytest.approx(position_of(5))
    scroll(manager, FIXED[2], position_of(12))
    assert line_of(user) == pytest.approx(position_of(12))


def test_a_click_on_the_plot_jumps_to_the_slice(shown):
    user, manager = shown
    chart, before = user.outputs()["plots/probability"], looks(manager)
    view = manager.plotWidget(0).plotView()
    view.click(chart.GetNthPlotSeriesNode(0), 17)
    assert offset(manager, BROWSE) == pytest.approx(position_of(17))
    assert line_of(user) == pytest.approx(position_of(17))
    view.click(chart.GetNthPlotSeriesNode(3), 0)  # the line itself
    assert offset(manager, BROWSE) == pytest.approx(position_of(17))
    for name, look in looks(manager).items():
        np.testing.assert_allclose(look, before[name], atol=1e-5, err_msg=name)


def test_the_line_is_no_part_of_the_result_and_comes_back_after_the_next_run(shown):
    user, manager = shown
    scroll(manager, BROWSE, position_of(20))
    ct = user.ui.inputSelector.currentNode()
    assert set(user.widget.logic.resultOf(ct).plots["probability"].series) == {
        "Lung apex", "Carina", "Above the diaphragm"}  # fmt: skip
    user.run_here()
    assert line_of(user) == pytest.approx(position(user, 1)[2])
    user.ui.editCheckBox.checked = True
    user.drag(1, position(user, 1) + [0, 0, SPACING[2]])
    assert line_of(user) is not None


def test_closing_the_scene_with_a_result_on_the_screen_leaves_a_panel_that_works(shown):
    import slicer

    user, manager = shown
    slicer.mrmlScene.Clear()
    user.app.process_events(0.1)
    assert not user.ui.carinaButton.enabled
    assert user.ui.slicesList.count == 0
    user.choose(add_ct())
    user.run_here()
    scroll(manager, BROWSE, position_of(9))
    assert line_of(user) == pytest.approx(position_of(9))
