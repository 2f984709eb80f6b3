"""Bodies of the simulated pelvis: depths, volumes, and sizes found for a volume."""

from __future__ import annotations

import math

import pytest
import torch

from manabi.phantoms.head_neck_shapes import ball
from manabi.phantoms.pelvis_organs import bodies
from manabi.phantoms.pelvis_parameters import Build, Organs
from manabi.phantoms.pelvis_shapes import blade, front_of, lumpy, pear, places, sized, volume_ml


def _at(*at: tuple[float, float, float]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, y, z = torch.tensor(at).unbind(1)
    return x, y, z


def test_a_volume_is_that_of_the_formula() -> None:
    assert volume_ml(ball((1.0, 2.0, 3.0), (20.0, 15.0, 10.0))) == pytest.approx(4 / 3 * math.pi * 3.0, rel=0.02)


def test_a_size_is_found_for_a_volume_beside_what_is_taken() -> None:
    wall = ball((25.0, 0.0, 0.0), (20.0, 20.0, 20.0))
    body = sized(lambda r: ball((0.0, 0.0, 0.0), (r, r, r)), 30.0, 5.0, 40.0, (wall,))
    assert volume_ml(body) == pytest.approx(30.0, rel=0.02)
    assert float(body.depth(_at((12.0, 0.0, 0.0)))) < 0 < float(body.depth(_at((0.0, 0.0, 0.0))))


def test_a_blade_is_as_long_and_thick_as_its_rows_and_bends() -> None:
    straight = blade((-20, 0, 0, 30, 5, 0), (20, 0, 0, 30, 5, 0))
    depth = straight.depth(_at((0.0, 4.0, 0.0), (0.0, 6.0, 0.0), (29.0, 0.0, 0.0), (31.0, 0.0, 0.0)))
    assert (depth > 0).tolist() == [True, False, True, False]
    bent = blade((-20, 0, 0, 30, 5, 0), (20, 0, 0, 30, 5, 0), bend=0.02)
    depth = bent.depth(_at((25.0, 6.5, 0.0), (25.0, -3.0, 0.0), (0.0, -6.0, 0.0)))
    assert (depth > 0).tolist() == [True, False, True]


def test_an_uneven_body_keeps_about_its_volume_and_lies_in_its_box() -> None:
    plain = ball((0.0, 0.0, 0.0), (20.0, 20.0, 20.0))
    body = lumpy(plain, 7, 1.5, 15.0)
    assert volume_ml(body) == pytest.approx(volume_ml(plain), rel=0.08)
    at = places(tuple(v - 6 for v in body.low), tuple(v + 6 for v in body.high))  # type: ignore[arg-type]
    inside = body.depth(at) > 0
    for axis in range(3):
        assert float(at[axis][inside].min()) >= body.low[axis] and float(at[axis][inside].max()) <= body.high[axis]
    assert lumpy(plain, 7, 0.0, 15.0) is plain


def test_a_pear_is_flat_behind_and_narrow_below() -> None:
    body = pear((0.0, 0.0, 0.0), (20.0, 16.0, 18.0), 0.7, 0.2)
    depth = body.depth(_at((0.0, 15.0, 0.0), (0.0, -15.0, 0.0), (14.0, 0.0, 12.0), (14.0, 0.0, -12.0)))
    assert (depth > 0).tolist() == [True, False, True, False]


def test_the_front_of_a_body_is_found() -> None:
    body = ball((0.0, 10.0, 0.0), (20.0, 5.0, 20.0))
    assert front_of(body, 0.0, 0.0) == pytest.approx(15.0, abs=0.6)
    assert front_of(body, 0.0, 60.0) is None


@pytest.mark.parametrize("ml", [25.0, 160.0, 450.0])
def test_organs_take_their_volumes_and_never_the_same_place(ml: float) -> None:
    found = bodies(Organs(bladder_ml=ml, shape_seed=3), Build())
    at = places((-60.0, -90.0, -80.0), (60.0, 85.0, 110.0), 3.0)
    depths = [body.depth(at) for body in (found.rectum, found.prostate, *found.vesicles, found.bladder)]
    inside = torch.stack(depths) > 0.5
    assert int(inside.sum(dim=0).max()) == 1
    assert volume_ml(found.bladder, 2.5) == pytest.approx(ml, rel=0.08)
    assert volume_ml(found.prostate) == pytest.approx(42.0, rel=0.05)
    assert volume_ml(found.rectum) == pytest.approx(70.0, rel=0.05)
