from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import Grid
from manabi.phantoms.brain_anatomy import Anatomy, parametric_head
from manabi.phantoms.brain_pose import Pose
from manabi.phantoms.brain_vessels import Landmarks, Tree, Vessels, grow, landmarks_of, paint, sample_vessels

STEP = 3.0


def _grid(count: tuple[int, int, int] = (64, 78, 62), step: float = STEP) -> Grid:
    matrix = np.diag([step, step, step, 1.0])
    matrix[:3, 3] = [-(n - 1) / 2 * step for n in count[::-1]]
    return Grid(count, matrix)


@pytest.fixture(scope="module")
def marks() -> Landmarks:
    grid = _grid()
    return landmarks_of(parametric_head(Anatomy(), Pose(), grid).classes, grid)


@pytest.fixture(scope="module")
def tree(marks: Landmarks) -> Tree:
    return grow(np.random.default_rng(0), marks, Vessels())


def _rod(radius: float, length: float = 20.0) -> Tree:
    half = np.array([[0.0, 0.0, length / 2]])
    one = np.array([radius])
    return Tree(-half, half, one, one, np.zeros(1), np.zeros(1, bool))


def test_arteries_hold_ten_to_twenty_ml_at_calibres_of_named_arteries(tree: Tree) -> None:
    arteries = tree.arteries
    assert 10.0 < arteries.volume_ml < 20.0
    assert 2.2 < arteries.start_radius_mm.max() < 2.7
    assert 0.28 < arteries.end_radius_mm.min() < 0.4


def test_courses_are_connected_and_pulses_grow_downstream(tree: Tree) -> None:
    arteries = tree.arteries
    ends = {
        tuple(np.round(point, 4)): pulses for point, pulses in zip(arteries.end_mm, arteries.pulses_at, strict=True)
    }
    gaps = 0
    for start, pulses in zip(arteries.start_mm, arteries.pulses_at, strict=True):
        before = ends.get(tuple(np.round(start, 4)))
        gaps += before is None
        assert before is None or before < pulses + 1e-6 or pulses < before + 30
    assert gaps < 30  # the trunks' beginnings


def test_the_carotid_divides_where_it_does_in_real_heads(tree: Tree, marks: Landmarks) -> None:
    places = marks.to_frame(tree.arteries.start_mm)
    wide = places[(tree.arteries.start_radius_mm > 1.7) & (places[:, 2] > 0)]
    assert np.abs(np.abs(wide[:, 0]).mean() - 11.0) < 3.0
    assert 12.0 < wide[:, 1].mean() < 24.0


def test_vessels_keep_off_the_tissue_mostly(tree: Tree, marks: Landmarks) -> None:
    depth = marks.distance(tree.arteries.start_mm)
    assert (depth > -1.0).mean() > 0.75
    assert np.median(depth) < 6.0


def test_communicating_arteries_can_be_absent(marks: Landmarks) -> None:
    whole = grow(np.random.default_rng(1), marks, Vessels(density=0.3))
    open_ring = grow(
        np.random.default_rng(1), marks, Vessels(density=0.3, acom=False, pcom_left=False, pcom_right=False)
    )
    lost = {tuple(point) for point in whole.start_mm} - {tuple(point) for point in open_ring.start_mm}
    assert 10 < len(lost) < 40
    assert {tuple(point) for point in open_ring.start_mm} <= {tuple(point) for point in whole.start_mm}
    drawn = [sample_vessels(np.random.default_rng(n)) for n in range(60)]
    assert 0.5 < np.mean([v.pcom_left for v in drawn]) < 0.95
    assert all(v.pcom_left for v in drawn if v.fetal_left)


def test_the_same_seed_grows_the_same_tree(marks: Landmarks) -> None:
    first, second = (grow(np.random.default_rng(4), marks) for _ in range(2))
    np.testing.assert_array_equal(first.start_mm, second.start_mm)


@pytest.mark.parametrize("radius", [0.35, 0.8, 2.2])
def test_a_painted_rod_holds_its_volume_on_any_grid(radius: float) -> None:
    turn = Pose(rotation_deg=(20.0, -30.0, 15.0)).matrix
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([1.0, 0.8, 1.3])
    matrix[:3, 3] = matrix[:3, :3] @ [-15.0, -18.0, -14.0]
    grid = Grid((30, 38, 32), matrix)
    share = paint(_rod(radius), grid)
    painted = float(share.sum()) * float(np.prod(grid.spacing_mm))
    true = np.pi * radius**2 * (20.0 + 4.0 / 3.0 * radius)
    assert painted == pytest.approx(true, rel=0.12)
    assert share.max() <= 1.0


def test_a_sheared_grid_is_refused() -> None:
    matrix = np.eye(4)
    matrix[0, 2] = 0.4
    with pytest.raises(GeometryError, match="perpendicular"):
        paint(_rod(1.0), Grid((8, 8, 8), matrix))


def test_landmarks_follow_a_turned_head() -> None:
    grid, pose = _grid(), Pose(rotation_deg=(8.0, -6.0, 10.0), shift_mm=(5.0, -4.0, 3.0))
    marks = landmarks_of(parametric_head(Anatomy(), pose, grid).classes, grid)
    assert np.degrees(np.arccos(np.clip((marks.axes[0] @ pose.matrix[:, 0]), -1, 1))) < 4.0
    assert np.degrees(np.arccos(np.clip((marks.axes[2] @ pose.matrix[:, 2]), -1, 1))) < 8.0


def test_a_map_without_a_brainstem_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="brainstem"):
        classes = np.ones((20, 20, 20), np.uint8)
        classes[:5] = 2
        landmarks_of(classes, _grid((20, 20, 20)))
