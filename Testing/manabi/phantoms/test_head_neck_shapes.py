"""Bodies of the simulated head and neck: depths are right, combinations hold, painting misses nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_mouth import MANDIBLE, TEETH_PER_ROW, TONGUE, place
from manabi.phantoms.head_neck_parameters import Build, Grid, Setup
from manabi.phantoms.head_neck_pose import atlas
from manabi.phantoms.head_neck_shapes import Body, ball, beyond, path, strap
from manabi.phantoms.head_neck_tissues import SEGMENTS, TISSUES
from manabi.phantoms.slab import axes, slices
from manabi.phantoms.thorax_canvas import edge

SPACING = (2.0, 2.0, 2.0)


def _at(*places: tuple[float, float, float]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, y, z = torch.tensor(places).unbind(1)
    return x, y, z


def _canvas() -> Canvas:
    axis = torch.arange(-60.0, 60.1, 2.0)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return Canvas.empty((x.contiguous(), y.contiguous(), z.contiguous()), SPACING, np.random.default_rng(0))


def test_depth_is_the_distance_below_a_round_surface() -> None:
    sphere = ball((1.0, 2.0, 3.0), (10.0, 10.0, 10.0))
    assert sphere.depth(_at((9.0, 2.0, 3.0), (11.0, 2.0, 3.0), (13.0, 2.0, 3.0))).tolist() == pytest.approx([2, 0, -2])
    tube = path((0.0, 0.0, 0.0, 4.0), (0.0, 0.0, 20.0, 6.0))
    assert tube.depth(_at((3.0, 0.0, 10.0), (0.0, 0.0, 28.0))).tolist() == pytest.approx([2.0, -2.0])
    column = strap((0.0, 0.0, 0.0, 5.0, 5.0, 0.0), (30.0, 10.0, 0.0, 5.0, 5.0, 0.0), smooth_mm=0.5)
    depth = column.depth(_at((5.0, 4.0, 15.0), (5.0, 0.0, -2.0), (5.0, 0.0, 33.0)))
    assert depth.tolist() == pytest.approx([1.0, -2.0, -3.0], abs=0.1)


def test_combined_bodies_hold_what_their_signs_say() -> None:
    left, right = ball((-4.0, 0, 0), (6.0, 6.0, 6.0)), ball((4.0, 0, 0), (6.0, 6.0, 6.0))
    at = _at((-8.0, 0, 0), (0.0, 0, 0), (8.0, 0, 0))
    signs = {name: (body.depth(at) > 0).tolist() for name, body in
             {"or": left | right, "and": left & right, "minus": left - right}.items()}  # fmt: skip
    assert signs == {"or": [True, True, True], "and": [False, True, False], "minus": [True, False, False]}
    half = left & beyond(0, -4.0, -1.0)
    assert (half.depth(at) > 0).tolist() == [True, False, False]
    assert float(left.moved(x=3.0).grown(1.0).depth(_at((6.0, 0, 0)))) == pytest.approx(0.0, abs=1e-5)


def test_a_turned_body_keeps_its_volume_and_lies_in_its_box() -> None:
    canvas = _canvas()
    body = ball((3.0, -5.0, 8.0), (30.0, 12.0, 8.0), pitch=25.0, yaw=-40.0, roll=15.0)
    share = edge(body.depth(canvas.points), 2.0)
    assert float(share.sum()) * 8.0 == pytest.approx(4 / 3 * math.pi * 30 * 12 * 8, rel=0.03)
    for axis, places in enumerate(canvas.points):
        inside = places[body.depth(canvas.points) > 0]
        assert body.low[axis] - 0.01 <= float(inside.min()) and float(inside.max()) <= body.high[axis] + 0.01


@pytest.mark.parametrize("body", [ball((11.0, -20.0, 5.0), (3.0, 2.0, 2.5)), path((5, 5, 5, 2), (40, -30, 20, 3)),
                                  MANDIBLE.moved(y=-40.0, z=60.0), TONGUE.moved(y=-40.0, z=40.0)])  # fmt: skip
def test_painting_near_a_body_misses_no_voxel_on_either_side(body: Body) -> None:
    canvas = _canvas()
    canvas.paint(body, "lens", both=True)
    x, y, z = canvas.points
    for side in (1.0, -1.0):
        share = edge(body.depth((side * x, y, z)), canvas.voxel)
        assert bool((canvas.hu[share > 0.999] > 80).all())
        assert int((share > 0.999).sum()) > 0
    both = torch.maximum(edge(body.depth((x, y, z)), canvas.voxel), edge(body.depth((-x, y, z)), canvas.voxel))
    assert bool((canvas.hu[both == 0] == -1000).all())


def test_metal_gives_way_to_what_is_painted_over_it() -> None:
    canvas = _canvas()
    canvas.plate(ball((0, 0, 0), (10, 10, 10)), "gold")
    assert float(canvas.metal["gold"].max()) == 1.0
    canvas.paint(beyond(0, 0.0) & ball((0, 0, 0), (30, 30, 30)), "soft")
    assert float(canvas.metal["gold"][canvas.points[0] > 2].max()) == 0.0
    assert float(canvas.metal["gold"][canvas.points[0] < -2].max()) == 1.0


def test_teeth_stand_side_by_side_on_a_symmetric_arch() -> None:
    for lower in (False, True):
        spots = [place(lower, index) for index in range(TEETH_PER_ROW)]
        for one, other in zip(spots, reversed(spots), strict=True):
            assert one[0] == pytest.approx(-other[0]) and one[1:] == pytest.approx(other[1:])
        for (xa, ya, wa), (xb, yb, wb) in zip(spots, spots[1:], strict=False):
            assert math.hypot(xb - xa, yb - ya) == pytest.approx((wa + wb) / 2, rel=0.06)


def test_an_upright_average_patient_is_the_atlas_itself() -> None:
    grid, setup = Grid(matrix=48, pixel_mm=6.0, slice_mm=6.0), Setup(extend_deg=0.0, place_mm=(0.0, 0.0, 0.0))
    x, y, z = atlas(Build(uneven=0.0), setup, grid, np.random.default_rng(0), torch.device("cpu"))
    across, along, up = axes(grid, setup)
    head = up > -70.0
    assert slices(grid) * grid.subslices == len(up) == len(z)
    assert float(up[-1]) == pytest.approx(grid.top_mm)
    assert torch.allclose(x, across[None, None, :].expand_as(x), atol=0.1)
    assert torch.allclose(y, along[None, :, None].expand_as(y), atol=0.1)
    assert torch.allclose(z[head], up[head][:, None, None].expand_as(z[head]), atol=0.6)


def test_a_raised_chin_moves_the_face_and_not_the_shoulders() -> None:
    grid = Grid(matrix=48, pixel_mm=6.0, slice_mm=6.0)
    build, cpu = Build(uneven=0.0), torch.device("cpu")
    flat, raised = (atlas(build, Setup(extend_deg=deg), grid, np.random.default_rng(0), cpu) for deg in (0.0, 15.0))
    moved = (flat[2] - raised[2]).abs()
    _, y, z = axes(grid, Setup())
    face, low = moved[z > 0][:, y > 60], moved[z < -137][:, y < 10]
    assert float(face.mean()) > 10.0 and float(low.max()) < 0.5
    nose = (flat[0].abs() < 4) & ((flat[1] - 105).abs() < 4) & ((flat[2] - 3).abs() < 4)
    assert bool(nose.any()) and float((raised[2] - flat[2])[nose].mean()) < -10.0  # lower in the atlas: the nose rose


def test_every_tissue_has_a_label_that_is_listed_and_codes_are_unique() -> None:
    labels = [segment.label for segment in SEGMENTS]
    assert len(set(labels)) == len(labels)
    assert {tissue.label for tissue in TISSUES.values()} - {0} <= set(labels)
    codes = [segment.type.value for segment in SEGMENTS]
    assert len(set(codes)) == len(codes) and all(code.isdigit() for code in codes)
