"""Markers by rules on simple chests: two lungs, a trachea that divides, and what must not be taken for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manabi.slices.airway import SEPTUM_HU
from manabi.slices.lumens import Field
from manabi.slices.lungs import aerated_area, air_in_body, end_mm, ends
from manabi.slices.reading import APEX_AREA_MM2
from manabi.slices.rules import find_by_rules
from manabi.slices.stack import AxialStack
from manabi.volume import Volume

SHAPE = (96, 72, 96)
STEP = 4.0
ORIGIN = np.array([-190.0, -142.0, -200.0])
APEX_MM, LOWEST_MM, CARINA_MM = 110.0, -130.0, 40.0


def chest(*, second_lung: bool = True, stomach: bool = False, gullet: bool = False, aside: float = 0.0) -> Volume:
    """Two ellipsoids of lung and a tube that divides, in RAS axes."""
    shape = SHAPE
    z, y, x = (o + STEP * np.arange(n).reshape([-1 if a == axis else 1 for a in range(3)])
               for axis, (n, o) in enumerate(zip(shape, ORIGIN[::-1], strict=True)))  # fmt: skip
    rng = np.random.default_rng(5)
    hu = np.full(shape, -1000.0)
    hu[np.broadcast_to((x / 170) ** 2 + (y / 115) ** 2 < 1, shape)] = 40.0
    middle, half = (APEX_MM + LOWEST_MM) / 2, (APEX_MM - LOWEST_MM) / 2
    for side in (-1, 1) if second_lung else (-1,):
        hu[((x - side * 85) / 55) ** 2 + (y / 80) ** 2 + ((z - middle) / half) ** 2 < 1] = -850.0
    apart = np.clip((CARINA_MM - z) * 0.7, 0, None)
    off = np.minimum(np.abs(x - aside - apart), np.abs(x - aside + apart))
    tube = (off**2 + (y - 5) ** 2 < 8.5**2) & (z > CARINA_MM - 40)
    hu[tube] = -1000.0
    if gullet:
        hu[(x - 10) ** 2 + (y + 22) ** 2 < 5.0**2 + 0 * z] = -900.0
    if stomach:
        hu[(x / 60) ** 2 + ((y - 40) / 30) ** 2 + ((z + 165) / 18) ** 2 < 1] = -1000.0
    matrix = np.diag([STEP, STEP, STEP, 1.0])
    matrix[:3, 3] = ORIGIN
    return Volume(np.round(hu + rng.normal(0, 15, shape)).astype(np.int16), matrix, modality="CT", units="HU")


def cut(volume: Volume, low: int, high: int) -> AxialStack:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2] * low
    return AxialStack.of(replace(volume, array=volume.array[low:high], ijk_to_ras=matrix))


def assert_markers(z_mm: dict[str, float | None], tolerance: float = 6.0) -> None:
    assert z_mm["apex"] == pytest.approx(APEX_MM, abs=tolerance)
    assert z_mm["carina"] == pytest.approx(CARINA_MM - 12, abs=5.0)
    assert z_mm["diaphragm"] == pytest.approx(LOWEST_MM + 24, abs=tolerance)


@pytest.mark.parametrize("extra", [{}, {"stomach": True}, {"gullet": True}])
def test_markers_of_a_simple_chest(extra: dict[str, bool]) -> None:
    stack = AxialStack.of(chest(**extra))
    reading = find_by_rules(stack)
    assert_markers(reading.z_mm)
    assert reading.notes == ()
    assert reading.index["apex"] == stack.nearest(reading.z_mm["apex"])


def test_masks_lie_where_lungs_and_trachea_are() -> None:
    volume = chest(stomach=True)
    stack = AxialStack.of(volume)
    reading = find_by_rules(stack)
    assert reading.lungs is not None and reading.airway is not None
    assert reading.lungs.shape == reading.airway.shape == stack.volume.array.shape
    hu = np.asarray(stack.volume.array)
    assert hu[reading.lungs].mean() == pytest.approx(-850, abs=25)
    assert hu[reading.airway].mean() < -900
    assert not reading.lungs[: stack.nearest(LOWEST_MM) - 2].any(), "gas in the stomach is no lung"
    assert not reading.airway[: reading.index["carina"]].any()


def test_one_lung_is_enough_for_apex_and_diaphragm() -> None:
    reading = find_by_rules(AxialStack.of(chest(second_lung=False)))
    assert reading.z_mm["apex"] == pytest.approx(APEX_MM, abs=6)
    assert reading.z_mm["diaphragm"] == pytest.approx(LOWEST_MM + 24, abs=6)


@pytest.mark.parametrize("flip", [(0,), (1, 2), (0, 1, 2)])
def test_flipped_copies_have_the_same_markers(flip: tuple[int, ...]) -> None:
    volume = chest()
    flipped = np.flip(volume.array, flip)
    matrix = volume.ijk_to_ras.copy()
    for axis in flip:
        column = 2 - axis
        matrix[:3, 3] += matrix[:3, column] * (volume.array.shape[axis] - 1)
        matrix[:3, column] *= -1
    turned = find_by_rules(AxialStack.of(replace(volume, array=flipped, ijk_to_ras=matrix)))
    assert turned.z_mm == pytest.approx(find_by_rules(AxialStack.of(volume)).z_mm)


def test_a_sagittal_copy_has_the_same_markers() -> None:
    volume = chest()
    matrix = volume.ijk_to_ras[:, [1, 2, 0, 3]]
    sagittal = replace(volume, array=volume.array.transpose(2, 0, 1), ijk_to_ras=matrix)
    assert find_by_rules(AxialStack.of(sagittal)).z_mm == pytest.approx(find_by_rules(AxialStack.of(volume)).z_mm)


def test_a_tilted_copy_has_the_same_markers_within_a_slice() -> None:
    volume = chest()
    angle = np.radians(8)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    grid = replace(volume, ijk_to_ras=tilt @ volume.ijk_to_ras).grid
    tilted = find_by_rules(AxialStack.of(volume.resampled(grid, "linear", fill=-1000.0)))
    assert tilted.z_mm["apex"] == pytest.approx(APEX_MM, abs=9)
    assert tilted.z_mm["diaphragm"] == pytest.approx(LOWEST_MM + 24, abs=13)
    assert tilted.z_mm["carina"] is not None


def test_a_chest_cut_above_has_no_apex() -> None:
    reading = find_by_rules(cut(chest(), 0, 70))
    assert reading.z_mm["apex"] is None
    assert reading.z_mm["diaphragm"] == pytest.approx(LOWEST_MM + 24, abs=6)
    assert any("upper end" in note for note in reading.notes)


def test_a_chest_cut_below_has_no_diaphragm() -> None:
    reading = find_by_rules(cut(chest(), 30, SHAPE[0]))
    assert reading.z_mm["diaphragm"] is None
    assert reading.z_mm["apex"] == pytest.approx(APEX_MM, abs=6)
    assert any("lower end" in note for note in reading.notes)


@pytest.mark.parametrize("slices", [(0, 54), (64, SHAPE[0])])
def test_no_carina_where_the_image_does_not_hold_it(slices: tuple[int, int]) -> None:
    reading = find_by_rules(cut(chest(), *slices))
    assert reading.index["carina"] is None
    assert any("trachea" in note for note in reading.notes)


@pytest.mark.parametrize("value", [-1000, 0, 40, 3000])
def test_images_without_lungs_give_nothing_but_a_note(value: int) -> None:
    stack = AxialStack.of(Volume(np.full((12, 20, 20), value, np.int16), np.diag([4.0, 4.0, 4.0, 1.0])))
    reading = find_by_rules(stack)
    assert set(reading.z_mm.values()) == {None}
    assert "no lungs were found" in reading.notes
    assert reading.lungs is None


def test_a_single_slice_and_missing_values_raise_nothing() -> None:
    array = np.full((1, 20, 20), np.nan, np.float32)
    reading = find_by_rules(AxialStack.of(Volume(array, np.diag([4.0, 4.0, 4.0, 1.0]))))
    assert set(reading.index.values()) == {None}


def test_values_that_are_not_hounsfield_units_are_told() -> None:
    volume = chest()
    shifted = volume.like(np.clip(volume.array.astype(np.int32) + 1100, 0, None).astype(np.int16))
    reading = find_by_rules(AxialStack.of(shifted))
    assert set(reading.z_mm.values()) == {None}
    assert any("Hounsfield" in note for note in reading.notes)


def test_a_bronchus_that_divides_far_from_the_middle_is_no_carina() -> None:
    assert find_by_rules(AxialStack.of(chest(aside=20.0))).index["carina"] is not None
    assert find_by_rules(AxialStack.of(chest(aside=45.0))).index["carina"] is None


@pytest.mark.parametrize(("wall", "divided"), [(-1000.0, False), (-850.0, False), (-500.0, True), (40.0, True)])
def test_the_wall_between_lumens_is_measured_straight(wall: float, divided: bool) -> None:
    plane = np.full((1, 120, 120), 40.0, np.float32)
    plane[0, 50:60, 40:52], plane[0, 50:60, 56:68] = -1000.0, -1000.0
    plane[0, 50:60, 52:56] = wall
    plane[0, 44:47, 40:68] = -1000.0
    plane[0, 44:60, 40:42], plane[0, 44:60, 66:68] = -1000.0, -1000.0
    stack = AxialStack.of(Volume(plane, np.diag([1.5, 1.5, 3.0, 1.0])))
    field = Field(stack, np.ones((1, 120, 120), bool), (1, 1))
    left, right = np.zeros_like(field.image(0), bool), np.zeros_like(field.image(0), bool)
    left[50 - field.j0 : 60 - field.j0, 40 - field.i0 : 52 - field.i0] = True
    right[50 - field.j0 : 60 - field.j0, 56 - field.i0 : 68 - field.i0] = True
    assert field.septum_hu(0, (left, right)) == pytest.approx(wall, abs=1.0)
    assert (field.septum_hu(0, (left, right)) > SEPTUM_HU) == divided


def test_the_offset_moves_the_diaphragm_alone() -> None:
    stack = AxialStack.of(chest())
    usual, higher = find_by_rules(stack), find_by_rules(stack, diaphragm_offset_mm=44.0)
    assert higher.z_mm["diaphragm"] - usual.z_mm["diaphragm"] == pytest.approx(20.0)
    assert higher.z_mm["apex"] == usual.z_mm["apex"]


def test_air_between_arm_and_trunk_is_not_inside() -> None:
    image = np.full((1, 60, 100), -1000.0)
    image[0, 10:50, 20:70] = 40.0
    image[0, 20:40, 30:60] = -850.0
    image[0, 20:40, 78:90] = 40.0
    inside = air_in_body(image)
    assert inside[0, 25, 45]
    assert not inside[0, :, 71:77].any()


def test_ends_are_none_where_lung_goes_on() -> None:
    top, lowest, notes = ends(np.array([0.0, 30.0, 900.0, 2000.0, 1500.0]))
    assert (top, lowest) == (None, 1)
    assert len(notes) == 1
    assert ends(np.array([0.0, 10.0, 60.0, 900.0, 60.0, 40.0])) == (4, 2, ())


def test_an_end_between_slices_is_found_by_the_root_of_the_area() -> None:
    z = np.arange(6) * 4.0
    assert end_mm(np.array([0.0, 0.0, 200.0, 900.0, 900.0, 900.0]), z) == pytest.approx(4.0 + 4.0 / 2)
    assert end_mm(np.array([60.0, 300.0, 300.0, 0.0, 0.0, 0.0]), z) == 0.0
    assert np.isnan(end_mm(np.zeros(6), z))


def test_voxels_at_the_edge_count_in_shares() -> None:
    hu, lungs = np.full((3, 5, 5), 40.0), np.zeros((3, 5, 5), bool)
    hu[1, 2, 2], lungs[1, 2, 2] = -850.0, True
    hu[0, 2, 2] = hu[1, 2, 3] = -425.0
    area = aerated_area(hu, lungs, slice(0, 2), 10.0)
    assert area == pytest.approx([5.0, 15.0])


@pytest.mark.parametrize("slope", [0.6, 1.5, 4.0])
def test_the_end_of_a_tapering_lung_is_found_within_a_slice(slope: float) -> None:
    fine = np.arange(-20.0, 60.0, 0.05)
    area = np.pi * (slope * np.clip(fine, 0.0, None)) ** 2
    true = float(np.sqrt(APEX_AREA_MM2 / np.pi)) / slope
    for shift in np.arange(0.0, STEP, 0.5):
        z = np.arange(-16.0, 56.0, STEP) + shift
        slices = np.array([area[np.abs(fine - place) <= STEP / 2].mean() for place in z])
        assert end_mm(slices, z) == pytest.approx(true, abs=1.5)
