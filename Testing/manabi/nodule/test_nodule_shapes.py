"""Nodules of overlapping spheres: exact lengths, exact diameters, densities and draws."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.nodule.shapes import DENSITIES, NoduleShape, crossings, longest_diameter, recentred, union_length
from manabi.nodule.shapes_sampling import NoduleRanges, sample_shape

LUNG = 0.2
Z_WAY = np.array([[0.0, 0.0, 1.0]])


def drawn(seed, **fixed):
    return sample_shape(np.random.default_rng(seed), **fixed)


def length(spheres, x=0.0, z=0.0):
    values = np.array(spheres, float)
    return float(union_length(*crossings(np.array([x, z, -100.0]), Z_WAY, values[:, :3], values[:, 3]))[0])


def test_a_ray_passes_a_sphere_by_its_chord():
    assert length([(0, 0, 5, 10.0)]) == pytest.approx(20.0)
    assert length([(0, 0, 5, 10.0)], x=6.0) == pytest.approx(16.0)
    assert length([(0, 0, 5, 10.0)], x=10.5) == 0.0


def test_overlaps_count_once_and_gaps_not_at_all():
    assert length([(0, 0, 0, 5.0), (0, 0, 0, 5.0), (0, 0, 1, 2.0)]) == pytest.approx(10.0)
    assert length([(0, 0, 0, 5.0), (0, 0, 6, 5.0)]) == pytest.approx(16.0)
    assert length([(0, 0, 0, 5.0), (0, 0, 40, 5.0)]) == pytest.approx(20.0)
    assert length([(30, 0, 0, 5.0), (0, 0, 40, 5.0)]) == pytest.approx(10.0)


def test_the_length_of_many_intervals_is_that_of_counted_points():
    rng = np.random.default_rng(3)
    starts = rng.uniform(0, 9, (40, 7))
    ends = starts + rng.uniform(0, 3, (40, 7)) * (rng.random((40, 7)) < 0.8)
    points = (np.arange(24_000) + 0.5) / 2000
    inside = ((points >= starts[..., None]) & (points <= ends[..., None])).any(axis=1)
    np.testing.assert_allclose(union_length(starts, ends), inside.sum(axis=1) / 2000, atol=0.01)


def test_a_ball_has_its_volume_and_two_apart_have_both():
    ball = NoduleShape(20.0, "solid", 1.0, 0.5, ((0, 0, 0, 10.0),))
    assert ball.volume_mm3() == pytest.approx(4 / 3 * math.pi * 1000, rel=0.003)
    two = replace(ball, body=((0, 0, -30, 10.0), (0, 0, 30, 10.0)))
    assert two.volume_mm3() == pytest.approx(8 / 3 * math.pi * 1000, rel=0.003)


def test_the_longest_diameter_is_that_of_points_on_the_surface():
    spheres = np.array(drawn(5, diameter_mm=22.0, spiculated=False).body)
    rng = np.random.default_rng(0)
    way = rng.standard_normal((400, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    points = (spheres[:, None, :3] + spheres[:, None, 3:] * way).reshape(-1, 3)
    extent = max(np.ptp(points @ w) for w in way)
    assert extent <= longest_diameter(spheres) + 1e-9
    assert extent == pytest.approx(22.0, rel=0.02) and longest_diameter(spheres) == pytest.approx(22.0, abs=0.01)


@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_nodule_is_in_one_piece_about_its_middle_and_as_large_as_it_says(seed):
    shape = drawn(seed)
    body = np.array(shape.body)
    assert 3 <= len(body) <= 12 and 5.0 <= shape.diameter_mm <= 35.0
    assert longest_diameter(body) == pytest.approx(shape.diameter_mm, abs=0.01)
    for before, after in zip(body[:-1], body[1:], strict=True):
        assert np.linalg.norm(before[:3] - after[:3]) < before[3] + after[3]
    np.testing.assert_allclose(recentred(body)[:, :3], body[:, :3], atol=0.01 * shape.diameter_mm)


def test_draws_cover_the_ranges_and_the_kinds():
    shapes = [drawn(seed) for seed in range(200)]
    sizes = [shape.diameter_mm for shape in shapes]
    assert min(sizes) < 7 and max(sizes) > 33 and np.mean(sizes) == pytest.approx(20.0, abs=1.5)
    shares = [np.mean([shape.density == kind for shape in shapes]) for kind in DENSITIES]
    assert shares[0] == pytest.approx(0.7, abs=0.1) and min(shares[1:]) > 0.08
    assert {len(shape.body) for shape in shapes} == set(range(3, 13))
    assert all(0.9 <= s.solid_g_cm3 <= 1.05 and 0.4 <= s.glass_g_cm3 <= 0.7 for s in shapes)


def test_the_same_seed_gives_the_same_nodule_and_fixing_one_thing_keeps_the_rest():
    assert drawn(8) == drawn(8) and drawn(8) != drawn(9)
    fixed = drawn(8, density="ground_glass")
    assert fixed.diameter_mm == drawn(8).diameter_mm and fixed.body == drawn(8).body
    larger = drawn(8, diameter_mm=30.0)
    np.testing.assert_allclose(np.array(larger.body) / 30.0, np.array(drawn(8).body) / drawn(8).diameter_mm, atol=2e-4)


@pytest.mark.parametrize("kind", DENSITIES)
def test_the_layers_sum_to_the_density_of_the_middle_over_the_lung(kind):
    shape = drawn(2, density=kind, diameter_mm=24.0, spiculated=False)
    inside = np.array(shape.core[0] if shape.core else shape.body[0])[:3]
    total = sum(
        layer.density_g_cm3
        for layer in shape.layers(LUNG)
        if (np.linalg.norm(layer.centres_mm - inside, axis=1) < layer.radii_mm).any()
    )
    wanted = shape.glass_g_cm3 if kind == "ground_glass" else shape.solid_g_cm3
    assert total == pytest.approx(wanted - LUNG) and shape.mean_density_g_cm3 == wanted


def test_ground_glass_thins_out_and_a_solid_nodule_does_not():
    glass = NoduleShape(20.0, "ground_glass", 1.0, 0.5, ((0, 0, 0, 10.0),))
    radii = [float(layer.radii_mm[0]) for layer in glass.layers(LUNG)]
    assert radii == pytest.approx([10.0, 8.5, 7.0])
    assert len(replace(glass, density="solid").layers(LUNG)) == 1


def test_the_core_of_a_part_solid_nodule_lies_within_it():
    for seed in range(5):
        shape = drawn(seed, density="part_solid")
        body, core = np.array(shape.body), np.array(shape.core)
        assert len(core) >= 1
        for sphere in core:
            same = np.linalg.norm(body[:, :3] - sphere[:3], axis=1) < 1e-6
            assert (body[same, 3] > sphere[3]).any()


def test_spicules_stand_out_without_changing_the_diameter():
    smooth, rough = drawn(4, diameter_mm=25.0, density="solid", spiculated=False), drawn(
        4, diameter_mm=25.0, density="solid", spiculated=True
    )  # fmt: skip
    assert not smooth.spicules and rough.body == smooth.body and rough.diameter_mm == 25.0
    assert rough.reach_mm > smooth.reach_mm + 2.0
    assert len(rough.layers(LUNG)[0].radii_mm) == len(rough.body) + len(rough.spicules)
    assert not drawn(4, density="ground_glass", spiculated=True).spicules
    small = [drawn(seed, diameter_mm=8.0, density="solid") for seed in range(30)]
    assert not any(shape.spicules for shape in small)


@pytest.mark.parametrize(
    "make",
    [
        lambda: drawn(0, diameter_mm=0.0),
        lambda: drawn(0, density="chalk"),
        lambda: NoduleRanges(diameter_mm=(30.0, 5.0)),
        lambda: NoduleRanges(density_weights=(0.0, 0.0, 0.0)),
        lambda: NoduleShape(10.0, "solid", 1.0, 0.5, ()),
        lambda: NoduleShape(10.0, "solid", 1.0, 0.5, ((0, 0, 0, 5.0),), fade=1.0),
    ],
)
def test_what_is_no_nodule_is_refused(make):
    with pytest.raises(InvalidInputError, match="got|ranges|Shares"):
        make()
