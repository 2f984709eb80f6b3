"""Shape between painted slices."""

import numpy as np
import pytest

from manabi.brain.between import between_of, interpolate_shape, labels_of, signed_distance
from manabi.errors import InvalidInputError


def ball(radius: float = 9.0, size: int = 28, centre: float = 13.5) -> np.ndarray:
    z, y, x = np.indices((size, size, size)) - centre
    return (z**2 + y**2 + x**2 <= radius**2).astype(np.uint8)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.logical_and(one, other).sum() / (one.sum() + other.sum())


def only(labels: np.ndarray, slices: list[int], axis: int = 0) -> np.ndarray:
    out = np.zeros_like(labels)
    np.moveaxis(out, axis, 0)[slices] = np.moveaxis(labels, axis, 0)[slices]
    return out


def test_signed_distance_is_positive_inside_and_zero_at_the_edge_between_pixels():
    mask = np.zeros((7, 9), bool)
    mask[2:5, 3:6] = True
    field = signed_distance(mask, (1.0, 1.0))
    assert field[3, 4] == pytest.approx(1.5)
    assert field[2, 4] == pytest.approx(0.5)
    assert field[1, 4] == pytest.approx(-0.5)


def test_signed_distance_is_in_mm():
    mask = np.zeros((3, 30), bool)
    mask[:, 10:20] = True
    assert signed_distance(mask, (1.0, 3.0))[1, 0] == pytest.approx(-10 * 3.0 + 0.5)


def test_signed_distance_of_nothing_is_minus_infinity_and_of_everything_is_positive():
    assert np.isneginf(signed_distance(np.zeros((4, 4), bool), (1, 1))).all()
    assert (signed_distance(np.ones((4, 4), bool), (1, 1)) > 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_ball_is_rebuilt_from_every_fourth_slice_along_any_axis(axis):
    truth = ball()
    slices = list(range(5, 25, 4))
    rebuilt = interpolate_shape(only(truth, slices, axis), slices, (1.0, 1.0, 1.0), axis, reach_mm=2.0)
    assert dice(rebuilt, truth) > 0.94
    assert np.array_equal(np.moveaxis(rebuilt, axis, 0)[slices], np.moveaxis(truth, axis, 0)[slices])


def test_a_moving_disc_is_found_halfway():
    y, x = np.indices((40, 40))
    discs = [((y - 20) ** 2 + (x - c) ** 2 <= 36).astype(np.uint8) for c in (16, 22)]
    painted = np.zeros((5, 40, 40), np.uint8)
    painted[0], painted[4] = discs
    middle = interpolate_shape(painted, [0, 4], (1.0, 1.0, 1.0))[2]
    assert np.argwhere(middle).mean(0)[1] == pytest.approx(19, abs=0.2)


def test_labels_that_touch_stay_apart():
    painted = np.zeros((7, 20, 20), np.uint8)
    painted[[0, 6], 4:16, 4:10] = 3
    painted[[0, 6], 4:16, 10:16] = 7
    middle = interpolate_shape(painted, [0, 6], (1.0, 1.0, 1.0))[3]
    assert np.array_equal(middle, painted[0])


def test_a_slice_left_empty_on_purpose_ends_the_structure():
    painted = np.zeros((9, 20, 20), np.uint8)
    painted[0, 4:16, 4:16] = 1
    areas = (interpolate_shape(painted, [0, 8], (1.0, 1.0, 1.0)) > 0).sum((1, 2))
    assert areas[1] > areas[3] > 0
    assert areas[7] == 0


def test_beyond_the_outermost_slice_the_shape_closes_within_its_reach():
    painted = np.zeros((20, 30, 30), np.uint8)
    painted[4, 8:22, 8:22] = painted[0, 8:22, 8:22] = 1
    areas = (interpolate_shape(painted, [0, 4], (1.0, 1.0, 1.0), reach_mm=6.0) > 0).sum((1, 2))
    assert (np.diff(areas[4:11]) <= 0).all()
    assert areas[6] > 0
    assert areas[11:].sum() == 0


def test_a_slice_that_is_left_out_does_not_count():
    maps = [np.zeros((12, 12), int) for _ in range(3)]
    for one, size in zip(maps, (2, 5, 2), strict=True):
        one[6 - size : 6 + size, 6 - size : 6 + size] = 1
    shape = between_of(maps, [0.0, 5.0, 10.0], [1], (1.0, 1.0), 5.0)
    with_it, near = shape.at(5.0)
    without, far = shape.at(5.0, without=(1,))
    assert (near, far) == (0.0, 5.0)
    assert np.array_equal(labels_of(with_it, [1], np.dtype(int)), maps[1])
    assert np.array_equal(labels_of(without, [1], np.dtype(int)), maps[0])


def test_without_a_painted_slice_there_is_nothing_to_interpolate():
    with pytest.raises(InvalidInputError, match="at least one painted slice"):
        interpolate_shape(np.zeros((4, 5, 6), np.uint8), [], (1.0, 1.0, 1.0))
