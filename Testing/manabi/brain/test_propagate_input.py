"""What is painted, and inputs that cannot be propagated."""

import numpy as np
import pytest

from manabi.brain.propagate import PaintedSlice, propagate
from manabi.brain.propagate_input import as_given, find_painted, prepare
from manabi.context import Context
from manabi.errors import GeometryError, InvalidInputError
from manabi.volume import Volume


def volume(array: np.ndarray) -> Volume:
    return Volume(array, np.eye(4))


def image(shape: tuple[int, int, int] = (20, 24, 28)) -> Volume:
    return volume(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def block() -> np.ndarray:
    out = np.zeros((20, 24, 28), np.uint8)
    out[4:17, 5:20, 6:22] = 1
    return out


def planes(array: np.ndarray, *slices: tuple[int, int]) -> np.ndarray:
    keep = np.zeros(array.shape, bool)
    for axis, index in slices:
        np.moveaxis(keep, axis, 0)[index] = True
    return np.where(keep, array, 0).astype(array.dtype)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_painted_slices_are_found_along_any_axis(axis):
    slices = [(axis, 6), (axis, 10), (axis, 15)]
    assert find_painted(planes(block(), *slices) > 0, (1.0, 1.0, 1.0)) == [PaintedSlice(*s) for s in slices]


def test_slices_along_two_axes_are_found():
    slices = [(0, 6), (0, 13), (2, 12)]
    assert sorted(find_painted(planes(block(), *slices) > 0, (1.0, 1.0, 1.0))) == slices


def test_a_single_slice_and_neighbouring_slices_are_found():
    assert find_painted(planes(block(), (1, 9)) > 0, (1.0, 1.0, 1.0)) == [(1, 9)]
    three = [(0, 6), (0, 7), (0, 8)]
    assert find_painted(planes(block(), *three) > 0, (1.0, 1.0, 1.0)) == three


def test_a_dense_label_map_is_cut_along_its_widest_spacing():
    cube = np.zeros((12, 12, 12), bool)
    cube[2:10, 2:10, 2:10] = True
    assert {s.axis for s in find_painted(cube, (1.0, 3.0, 1.0))} == {1}


def test_the_axis_can_be_given():
    painted = planes(block(), (0, 6), (0, 12))
    task = prepare(image(), volume(painted), axis=2)
    assert {s.axis for s in task.slices} == {2}


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_slices_keep_their_own_names_through_a_turned_array(axes):
    turned = image().reoriented(axes, (-1, 1, -1))
    painted = np.zeros(turned.shape, np.uint8)
    painted[4:9, 3, 4:9] = 1
    found = prepare(turned, turned.like(painted)).slices
    assert [as_given(s, turned.grid) for s in found] == [PaintedSlice(1, 3)]


def test_a_slice_that_is_empty_on_purpose_counts_when_it_is_named():
    painted = planes(block(), (0, 6), (0, 12))
    named = [PaintedSlice(0, i) for i in (6, 12, 18)]
    assert prepare(image(), volume(painted), slices=named).slices == tuple(named)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"painted": volume(np.zeros((20, 24, 28), np.uint8))}, "at least one painted slice"),
        ({"labels": [4]}, r"Labels \[4\]"),
        ({"painted": volume(np.ones((20, 24, 28), np.float32))}, "whole numbers"),
        ({"painted": volume(planes(np.ones((20, 24, 28), np.uint8), (0, 3), (0, 9)))}, "filled to the image's edge"),
        ({"slices": [PaintedSlice(0, 40)]}, "index within the image"),
        ({"slices": [PaintedSlice(0, 1)]}, "None of the slices"),
        ({"image": volume(np.full((20, 24, 28), 3.0, np.float32))}, "image is empty"),
    ],
)
def test_what_cannot_be_propagated_is_said(changes, message):
    given = {"image": image(), "painted": volume(planes(block(), (0, 6), (0, 12))), **changes}
    with pytest.raises(InvalidInputError, match=message):
        propagate(
            given["image"], given["painted"], context=Context(device="cpu"), labels=given.get("labels"),
            slices=given.get("slices"),
        )  # fmt: skip


@pytest.mark.parametrize("name", ["painted", "protected", "start"])
def test_labels_on_another_grid_are_refused(name):
    painted = planes(block(), (0, 6), (0, 12))
    given = {"painted": volume(painted), "protected": None, "start": None}
    given[name] = Volume(painted, np.diag([1.0, 1.0, 2.0, 1.0]))
    with pytest.raises(GeometryError, match="on the image's grid"):
        propagate(image(), given["painted"], protected=given["protected"], start=given["start"])


def test_probabilities_as_a_start_count_for_one_label_only():
    painted = planes(block(), (0, 6), (0, 12))
    p = volume(block() * np.float32(0.7))
    assert (prepare(image(), volume(painted), start=p).start == block()).all()
    painted[6, 8, 8] = 2
    with pytest.raises(InvalidInputError, match="label map"):
        prepare(image(), volume(painted), start=p)


def test_values_that_are_not_finite_are_told():
    array = image().array.copy()
    array[0, 0, 0] = np.nan
    task = prepare(volume(array), volume(planes(block(), (0, 6), (0, 12))))
    assert np.isfinite(task.image).all()
    assert "1 voxels" in task.warnings[0]
