"""What a reader sees: the film beside its heat map, marks that views jump to; before, after and truth side by side."""

from __future__ import annotations

import numpy as np
import pytest
from nodule_panel_methods import FOUND
from nodule_panel_user import NoduleUser, add_film, ras_of, standing, straight
from slicer_standin import views


@pytest.fixture
def user(slicer_app, monkeypatch):
    manager = views.install(slicer_app.boot().app, (900, 500))
    user = NoduleUser(slicer_app, monkeypatch)
    user.manager = manager
    yield user
    manager.close()


@pytest.fixture
def found(user):
    """A user with a film that was searched."""
    user.choose(add_film())
    user.run_here()
    return user


def node_of(user, index):
    return user.manager.sliceWidget(f"ManabiNodule{index}").mrmlSliceNode()


def composite(user, index):
    return user.manager.sliceWidget(f"ManabiNodule{index}").mrmlSliceCompositeNode()


def matrix_of(node):
    return np.array([[node.GetSliceToRAS().GetElement(r, c) for c in range(4)] for r in range(4)])


def labels(user, count):
    return [node_of(user, n).GetLayoutLabel() for n in range(1, count + 1)]


# --- detect -----------------------------------------------------------------------------------------------------------


def test_the_film_stands_beside_its_heat_map(found):
    film, heat = found.choices.inputVolume, found.outputs()["volumes/heat_map"]
    assert labels(found, 2) == ["Film", "Heat map"]
    assert [composite(found, n).GetBackgroundVolumeID() for n in (1, 2)] == [film.GetID()] * 2
    assert composite(found, 1).GetForegroundVolumeID() in (None, "")
    assert composite(found, 2).GetForegroundVolumeID() == heat.GetID()
    assert composite(found, 2).GetForegroundOpacity() == pytest.approx(0.5)
    found.ui.heatSlider.value = 20
    assert composite(found, 2).GetForegroundOpacity() == pytest.approx(0.2)
    assert composite(found, 1).GetForegroundOpacity() == 0.0


@pytest.mark.parametrize("matrix", [straight(), standing()], ids=["as Slicer loads it", "standing in the patient"])
def test_the_film_is_seen_whole_and_upright_however_it_lies_in_space(user, matrix):
    film = add_film(matrix=matrix)
    user.choose(film)
    user.run_here()
    drawn = user.manager.slice_pixels("ManabiNodule1", (400, 400)).astype(float)[..., 0]
    corners = [user.manager.pixel_of("ManabiNodule1", ras_of(film, v, u)) for v, u in ((0, 0), (0, 1), (1, 0))]
    (left, top, depth), (right, _, _), (_, bottom, _) = corners
    assert abs(depth) < 1
    assert 0 <= left < right <= 400
    assert 0 <= top < bottom <= 400
    lung, spine = (user.manager.pixel_of("ManabiNodule1", ras_of(film, 0.5, u)) for u in (0.3, 0.5))
    around = [drawn[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4].mean() for x, y, _ in (lung, spine)]
    assert around[1] - around[0] > 80


def test_heat_is_coloured_over_the_film_and_clear_where_there_is_none(found):
    film = found.choices.inputVolume
    plain, hot = (found.manager.slice_pixels(f"ManabiNodule{n}", (400, 400)).astype(int) for n in (1, 2))

    def at(place):
        x, y, _ = found.manager.pixel_of("ManabiNodule2", ras_of(film, *place))
        box = (slice(round(y) - 1, round(y) + 2), slice(round(x) - 1, round(x) + 2))
        return plain[box].mean((0, 1)), hot[box].mean((0, 1))

    without, with_heat = at((0.9, 0.9))
    np.testing.assert_allclose(without, with_heat, atol=1)
    without, with_heat = at((FOUND[2][0] + 0.02, FOUND[2][1] + 0.02))
    assert np.ptp(with_heat) > 30 > np.ptp(without) - 1


def test_marks_are_drawn_with_number_and_score_and_the_hidden_ones_are_not(found):
    points = found.points()
    assert points.GetDisplayNode().GetGlyphType() == points.GetDisplayNode().Cross2D
    for step, expected in ((0, ["1   0.95"]), (100, ["1   0.95", "2   0.85", "3   0.55", "4   0.15"])):
        found.slide(step)
        assert found.visible() == expected
    before = found.manager.slice_pixels("ManabiNodule1", (400, 400)).astype(int)
    found.slide(0)
    after = found.manager.slice_pixels("ManabiNodule1", (400, 400)).astype(int)
    x, y, _ = found.manager.pixel_of("ManabiNodule1", ras_of(found.choices.inputVolume, *FOUND[3][:2]))
    box = (slice(round(y) - 25, round(y) + 25), slice(round(x) - 25, round(x) + 25))
    assert np.ptp(before[box], axis=2).max() > 60
    assert np.ptp(after[box], axis=2).max() < 10


def test_the_lungs_are_not_drawn_at_first(found):
    assert not found.outputs()["labelmaps/lungs"].GetDisplayNode().GetVisibility()


def test_clicking_a_row_jumps_all_views_to_the_mark_and_shows_which(found):
    import slicer

    film, points = found.choices.inputVolume, found.points()
    wanted = ras_of(film, *FOUND[1][:2])
    zoomed = node_of(found, 1)
    zoomed.SetFieldOfView(40.0, 40.0, 1.0)
    field = zoomed.GetFieldOfView()
    found.ui.marksTable.cellClicked(1, 0)
    np.testing.assert_allclose(matrix_of(zoomed)[:2, 3], wanted[:2], atol=1e-3)
    assert zoomed.GetFieldOfView() == field
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        normal = matrix_of(node)[:3, 2]
        assert abs(normal @ wanted - node.GetSliceOffset()) < 1e-3, node.GetName()
    assert [points.GetNthControlPointSelected(n) for n in range(4)] == [False, True, False, False]


def test_a_view_that_shows_the_whole_film_stays_as_it_is_when_a_row_is_clicked(found):
    before = matrix_of(node_of(found, 1))
    found.ui.marksTable.selectRow(1)
    np.testing.assert_allclose(matrix_of(node_of(found, 1)), before, atol=1e-6)
    assert found.points().GetNthControlPointSelected(1)


def test_a_click_on_the_chosen_row_jumps_again(found):
    found.ui.marksTable.selectRow(0)
    node = node_of(found, 1)
    node.SetFieldOfView(40.0, 40.0, 1.0)
    node.JumpSliceByCentering(*ras_of(found.choices.inputVolume, 0.9, 0.9))
    found.ui.marksTable.cellClicked(0, 1)
    np.testing.assert_allclose(matrix_of(node)[:2, 3], ras_of(found.choices.inputVolume, *FOUND[0][:2])[:2], atol=1e-3)


def test_a_window_that_the_user_has_set_stays(user):
    film = add_film()
    film.GetDisplayNode().SetAutoWindowLevel(False)
    film.GetDisplayNode().SetWindowLevel(777.0, 1111.0)
    user.choose(film)
    user.run_here()
    assert (film.GetDisplayNode().GetWindow(), film.GetDisplayNode().GetLevel()) == (777.0, 1111.0)


# --- synthesise -------------------------------------------------------------------------------------------------------


def synthesised(user):
    film = add_film()
    user.choose(film)
    user.open("synthesise")
    user.ui.diameterSpinBox.value = 40.0
    user.place(ras_of(film, 0.5, 0.3))
    return film, user.run_here()


def test_before_after_and_truth_stand_side_by_side_in_one_window(user):
    import slicer

    _, outputs = synthesised(user)
    before, after = outputs["volumes/before"], outputs["volumes/after"]
    assert labels(user, 3) == ["Before", "After (synthetic)", "Nodules (truth)"]
    shown = [composite(user, n).GetBackgroundVolumeID() for n in (1, 2, 3)]
    assert shown == [before.GetID(), after.GetID(), after.GetID()]
    windows = {(n.GetDisplayNode().GetWindow(), n.GetDisplayNode().GetLevel()) for n in (before, after)}
    assert len(windows) == 1
    table = slicer.mrmlScene.GetSingletonNode("ManabiNoduleTable", "vtkMRMLTableViewNode")
    assert table.GetTableNodeID() == outputs["tables/nodules"].GetID()


def test_outlines_numbers_marks_and_places_are_not_drawn_over_the_film_before_and_after(user):
    """Drawn pixels: grey in the first two views, in colour around the nodule in the third."""
    film = add_film()
    user.choose(film)
    user.run_here()
    user.open("synthesise")
    user.ui.diameterSpinBox.value = 40.0
    user.place(ras_of(film, 0.5, 0.3))
    user.ui.placeButton.click()
    user.run_here()
    drawn = [user.manager.slice_pixels(f"ManabiNodule{n}", (400, 400)).astype(int) for n in (1, 2, 3)]
    colourful = [int((np.ptp(one, axis=2) > 30).sum()) for one in drawn]
    assert colourful[:2] == [0, 0]
    assert colourful[2] > 50
    user.open("detect")
    user.run_ui.showButton.click()
    again = user.manager.slice_pixels("ManabiNodule1", (400, 400)).astype(int)
    assert (np.ptp(again, axis=2) > 30).sum() > 20


def test_the_nodule_is_brighter_after_than_before_and_nothing_else_is(user):
    film, _ = synthesised(user)
    before, after = (user.manager.slice_pixels(f"ManabiNodule{n}", (400, 400)).astype(int)[..., 0] for n in (1, 2))
    x, y, _ = user.manager.pixel_of("ManabiNodule1", ras_of(film, 0.5, 0.3))
    assert (after - before)[round(y), round(x)] > 3
    x, y, _ = user.manager.pixel_of("ManabiNodule1", ras_of(film, 0.5, 0.7))
    assert (after - before)[round(y), round(x)] == 0


def test_placing_never_moves_a_view(user):
    import slicer

    film = add_film()
    user.choose(film)
    user.run_here()
    user.open("synthesise")
    node_of(user, 1).SetFieldOfView(60.0, 60.0, 1.0)
    before = {n.GetName(): matrix_of(n) for n in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
    user.place(ras_of(film, 0.2, 0.2), ras_of(film, 0.8, 0.8))
    user.app.process_events(0.2)
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        np.testing.assert_array_equal(matrix_of(node), before[node.GetName()], err_msg=node.GetName())


def test_places_are_drawn_again_when_the_next_one_is_to_be_placed(user):
    synthesised(user)
    display = user.choices.places.GetDisplayNode()
    assert display.GetNumberOfViewNodeIDs() > 0
    user.ui.placeButton.click()
    if not user.widget.sections.synthesis.places.placing:
        user.ui.placeButton.click()
    assert display.GetNumberOfViewNodeIDs() == 0
