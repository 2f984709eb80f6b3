"""Views of the stand-in: layouts, links, and that a segment lies on the anatomy however the volume is turned."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from scipy import ndimage

slicer = pytest.importorskip("slicer")

from slicer_standin import views  # noqa: E402
from views_stage import add_segment, add_volume, opened_stage, show_everywhere  # noqa: E402

pytestmark = pytest.mark.skipif(bool(views.why_not()), reason=views.why_not() or "EGL works")

STRAIGHT = np.diag([-3.0, -3.0, 3.0, 1.0])
_VIEW = """<item><view class="vtkMRMLSliceNode" singletontag="{side}{n}">
<property name="orientation" action="default">Axial</property>
<property name="viewgroup" action="default">{group}</property></view></item>"""


@pytest.fixture
def manager() -> Iterator[views.LayoutManager]:
    with opened_stage() as made:
        yield made


def _turned(flips: tuple[int, int, int]) -> np.ndarray:
    """An oblique, anisotropic geometry with some of its axes reversed, centred on the patient's origin."""
    angle_a, angle_b = np.radians(24), np.radians(-17)
    about_s = [[np.cos(angle_a), -np.sin(angle_a), 0], [np.sin(angle_a), np.cos(angle_a), 0], [0, 0, 1]]
    about_r = [[1, 0, 0], [0, np.cos(angle_b), -np.sin(angle_b)], [0, np.sin(angle_b), np.cos(angle_b)]]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(about_s) @ np.array(about_r) @ np.diag(np.array([1.5, 2.0, 3.5]) * flips)
    matrix[:3, 3] = -matrix[:3, :3] @ [31.5, 23.5, 14.5]
    return matrix


def _ball(ijk_to_ras: np.ndarray, shape_kji: tuple[int, int, int], at_ras: np.ndarray, fall_mm: float) -> np.ndarray:
    k, j, i = np.mgrid[tuple(slice(n) for n in shape_kji)]
    ras = np.stack([i, j, k, np.ones_like(i)], -1) @ ijk_to_ras.T
    return np.exp(-np.log(2) * ((ras[..., :3] - at_ras) ** 2).sum(-1) / fall_mm**2)


def _offsets(manager: views.LayoutManager) -> dict[str, float]:
    return {name: manager.sliceWidget(name).sliceLogic().GetSliceOffset() for name in manager.sliceViewNames()}


def _side_by_side(manager: views.LayoutManager, number: int, group: int) -> None:
    items = "".join(_VIEW.format(side=side, n=number, group=group) for side in ("Left", "Right"))
    node = manager.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(number, f'<layout type="horizontal">{items}</layout>')
    manager.setLayout(number)


def _linked_pair(manager: views.LayoutManager, number: int, group: int) -> list:
    _side_by_side(manager, number, group)
    manager.place()
    widgets = [manager.sliceWidget(f"{side}{number}") for side in ("Left", "Right")]
    for widget in widgets:
        widget.mrmlSliceCompositeNode().SetLinkedControl(True)
        widget.mrmlSliceCompositeNode().SetHotLinkedControl(True)
    return widgets


@pytest.mark.parametrize("flips", list(product((1, -1), repeat=3)))
def test_a_segment_lies_on_its_anatomy_in_all_three_views(manager, flips):
    at_ras, matrix = np.array([11.0, -7.0, 5.0]), _turned(flips)
    image = _ball(matrix, (30, 48, 64), at_ras, 12.0)
    volume = add_volume(image, matrix)
    add_segment(image > 0.5, matrix, volume)
    show_everywhere(manager, volume, at_ras)
    for name in ("Red", "Yellow", "Green"):
        pixels = manager.slice_pixels(name, (300, 240)).astype(int)
        outline = pixels[..., 0] - pixels[..., 1] > 60
        inside = ndimage.binary_fill_holes(outline)
        bright = (pixels[..., 1] > 127) | (outline & inside)
        assert inside.sum() > 1.5 * outline.sum(), f"{name}: the outline does not close"
        assert (inside & bright).sum() / (inside | bright).sum() > 0.85, name
        middle_yx = np.array(ndimage.center_of_mass(inside))
        found = manager.ras_at(name, middle_yx[1], middle_yx[0])
        assert np.abs(found - at_ras).max() < 1.0, name


def test_the_patients_right_is_on_the_left_of_an_axial_view(manager):
    at_ras = np.array([30.0, 20.0, 0.0])
    matrix = STRAIGHT.copy()
    matrix[:3, 3] = [94.5, 94.5, -45]
    show_everywhere(manager, add_volume(_ball(matrix, (30, 64, 64), at_ras, 6.0), matrix), np.zeros(3))
    y, x = ndimage.center_of_mass(manager.slice_pixels("Red", (300, 300))[..., 0])
    assert x < 120 and y < 130
    assert np.allclose(manager.ras_at("Red", x, y), at_ras, atol=1.5)


def test_a_pixel_and_its_point_are_each_others_inverse(manager):
    manager.place()
    for name in manager.sliceViewNames():
        assert np.allclose(manager.pixel_of(name, manager.ras_at(name, 37.0, 91.0)), [37.0, 91.0, 0.0], atol=1e-6)


def test_views_have_the_label_colour_and_orientation_of_the_layout(manager):
    found = {n: manager.sliceWidget(n).mrmlSliceNode() for n in ("Red", "Yellow", "Green")}
    assert [node.GetOrientation() for node in found.values()] == ["Axial", "Sagittal", "Coronal"]
    assert [node.GetLayoutLabel() for node in found.values()] == ["R", "Y", "G"]
    assert found["Red"].GetLayoutColor()[0] > 0.9
    assert manager.sliceWidget("Purple") is None


def test_an_unknown_layout_number_gives_the_conventional_layout(manager):
    manager.setLayout(987_654)
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView


def test_only_the_views_of_the_layout_are_mapped(manager):
    widgets = _linked_pair(manager, 501, 0)
    assert all(widget.mrmlSliceNode().IsMappedInLayout() for widget in widgets)
    assert not manager.sliceWidget("Red").mrmlSliceNode().IsMappedInLayout()
    assert set(manager.sliceViewNames()) == {"Red", "Yellow", "Green", "Left501", "Right501"}


def test_the_slider_moves_linked_views_and_a_program_does_not(manager):
    left, right = _linked_pair(manager, 502, 7)
    left.sliceLogic().SetSliceOffset(9.0)
    assert right.sliceLogic().GetSliceOffset() == 0.0
    left.sliceController().setSliceOffsetValue(14.0)
    assert right.sliceLogic().GetSliceOffset() == 14.0


def test_links_end_at_the_view_group(manager):
    left, _ = _linked_pair(manager, 503, 7)
    left.sliceController().setSliceOffsetValue(14.0)
    assert _offsets(manager)["Red"] == 0.0
    left, _ = _linked_pair(manager, 504, 0)
    left.sliceController().setSliceOffsetValue(21.0)
    assert _offsets(manager)["Red"] == 21.0


def test_an_image_a_user_picks_goes_to_linked_views_unless_the_mask_forbids_it(manager):
    one, two = (add_volume(np.zeros((4, 4, 4)), STRAIGHT, name) for name in ("One", "Two"))
    left, right = _linked_pair(manager, 505, 7)
    left.sliceController().pick_background(one)
    assert right.mrmlSliceCompositeNode().GetBackgroundVolumeID() == one.GetID()
    left.mrmlSliceCompositeNode().SetInteractionFlagsModifier(0)
    left.sliceController().pick_background(two)
    assert left.mrmlSliceCompositeNode().GetBackgroundVolumeID() == two.GetID()
    assert right.mrmlSliceCompositeNode().GetBackgroundVolumeID() == one.GetID()
    left.sliceController().setSliceOffsetValue(6.0)
    assert right.sliceLogic().GetSliceOffset() == 6.0


def test_a_slice_fitted_before_events_are_processed_is_cut_by_a_narrow_view(manager):
    matrix = STRAIGHT.copy()
    matrix[:3, 3] = [94.5, 94.5, -45]
    volume = add_volume(np.ones((30, 64, 64)), matrix)
    manager.size = (500, 900)
    _side_by_side(manager, 506, 7)
    logic = manager.sliceWidget("Left506").sliceLogic()
    logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
    logic.FitSliceToBackground()
    manager.place()
    assert manager.slice_pixels("Left506").min() == 255
    logic.FitSliceToBackground()
    assert manager.slice_pixels("Left506").min() == 0


def test_views_live_through_a_closed_scene(manager):
    volume = add_volume(np.ones((8, 8, 8)), STRAIGHT)
    show_everywhere(manager, volume, np.zeros(3))
    assert manager.slice_pixels("Red").max() == 255
    slicer.mrmlScene.Clear(0)
    assert manager.slice_pixels("Red").max() == 0
    assert manager.sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID() is None
