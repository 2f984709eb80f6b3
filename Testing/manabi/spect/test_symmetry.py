"""The plane of symmetry: found where it is, whatever the striata do."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_spect import STRIATUM_IN_BRAIN_MM, brain_share, head, head_grid

from manabi.spect.localise import brain_mask, work_volume
from manabi.spect.symmetry import symmetry_plane
from manabi.spect.template import REGIONS, Pose, rotation

SPACING = 4.0
UNEVEN = dict(zip(REGIONS, (2.5, 0.5, 2.0, 0.1), strict=True))


def found_plane(lean, turn, shift_mm=0.0, sbr=1.5):
    """The plane of a hand-made head, and where its middle truly is (mm along the grid)."""
    grid = head_grid(SPACING)
    pose = Pose((shift_mm, *STRIATUM_IN_BRAIN_MM[1:]), (0.0, lean, turn))
    volume = head(grid, pose, sbr)
    brain = brain_share(grid, pose) >= 0.5
    middle = np.asarray(pose.centre_mm) - pose.matrix @ STRIATUM_IN_BRAIN_MM - grid.origin_ras
    return symmetry_plane(np.asarray(volume.array), grid.spacing_mm, brain, middle + [3.0, 0.0, 0.0]), middle, pose


@pytest.mark.parametrize(("lean", "turn"), [(0.0, 0.0), (6.0, 0.0), (0.0, -7.0), (-5.0, 8.0), (9.0, 4.0)])
def test_lean_and_turn_are_found_within_two_degrees(lean, turn):
    plane, _, _ = found_plane(lean, turn)
    assert plane.lean_deg == pytest.approx(lean, abs=2.0)
    assert plane.turn_deg == pytest.approx(turn, abs=2.0)


@pytest.mark.parametrize("shift", [-7.0, 0.0, 5.0])
def test_the_midline_is_found_within_a_millimetre(shift):
    plane, middle, pose = found_plane(3.0, -4.0, shift)
    assert abs((plane.point_mm - middle) @ pose.matrix[:, 0]) < 1.0


def test_an_uneven_striatum_does_not_pull_the_plane():
    plane, middle, pose = found_plane(4.0, -3.0, sbr=UNEVEN)
    assert plane.lean_deg == pytest.approx(4.0, abs=2.0)
    assert plane.turn_deg == pytest.approx(-3.0, abs=2.0)
    assert abs((plane.point_mm - middle) @ pose.matrix[:, 0]) < 1.5


@pytest.mark.parametrize("minutes", [5, 25])
def test_it_is_found_in_the_noise_of_a_scan(striatum_case, minutes):
    """A rendered head, tilted by several degrees: turn within 2°, lean, which fewer voxels tell, within 4°."""
    case, parameters = striatum_case
    work = work_volume(case.volumes[f"spect_{minutes}min"])
    brain = brain_mask(work)
    middle = np.argwhere(brain).mean(0)[::-1] * work.spacing_mm
    plane = symmetry_plane(np.asarray(work.array), work.spacing_mm, brain, middle)
    _, lean, turn = parameters.anatomy.tilt_deg
    assert abs(lean) > 3 and abs(turn) > 3
    assert plane.turn_deg == pytest.approx(turn, abs=2.0)
    assert plane.lean_deg == pytest.approx(lean, abs=4.0)


def test_the_frame_is_a_rotation_whose_first_column_is_the_normal():
    plane, _, _ = found_plane(5.0, -6.0)
    np.testing.assert_allclose(plane.frame.T @ plane.frame, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(plane.frame, rotation(0.0, plane.lean_deg, plane.turn_deg))
