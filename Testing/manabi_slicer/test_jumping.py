"""Moving slice views to a point, and knowing which slice is shown."""

from __future__ import annotations

import pytest

from manabi_slicer import jumping


@pytest.fixture
def manager(slicer_app):
    import slicer
    from slicer_standin import views

    if views.why_not():
        pytest.skip(f"no offscreen drawing here: {views.why_not()}")
    made = views.install(slicer.app, (600, 400))
    yield made
    made.close()


def offsets(manager):
    return {name: manager.sliceWidget(name).mrmlSliceNode().GetSliceOffset() for name in ("Red", "Yellow", "Green")}


def test_all_views_go_to_a_point_but_those_left_out(manager):
    jumping.jump((10.0, 20.0, 30.0), but=("Green",))
    assert offsets(manager) == pytest.approx({"Red": 30.0, "Yellow": -10.0, "Green": 0.0})


def test_only_views_across_a_direction_go(manager):
    jumping.jump((10.0, 20.0, 30.0), across=(0.0, 0.2, 1.0))
    assert offsets(manager) == pytest.approx({"Red": 30.0, "Yellow": 0.0, "Green": 0.0})


def test_a_tilted_view_shows_the_point_without_turning(manager):
    node = manager.sliceWidget("Red").mrmlSliceNode()
    node.SetSliceToRASByNTP(0.0, 0.3, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    before = [node.GetSliceToRAS().GetElement(r, 2) for r in range(3)]
    jumping.jump((10.0, 20.0, 30.0))
    matrix = node.GetSliceToRAS()
    assert [matrix.GetElement(r, 2) for r in range(3)] == before
    away = sum((p - matrix.GetElement(r, 3)) * before[r] for r, p in enumerate((10.0, 20.0, 30.0)))
    assert away == pytest.approx(0.0, abs=1e-9)


def test_the_shown_slice_is_told_once_per_move_and_not_after_leaving(manager):
    told = []
    shown = jumping.ShownSlice(told.append)
    shown.follow()
    node = manager.sliceWidget("Red").mrmlSliceNode()
    node.SetSliceOffset(12.0)
    node.SetFieldOfView(50.0, 50.0, 1.0)
    manager.sliceWidget("Green").mrmlSliceNode().SetSliceOffset(5.0)
    assert [point[2] for point in told] == [12.0]
    shown.leave()
    node.SetSliceOffset(-3.0)
    assert len(told) == 1
