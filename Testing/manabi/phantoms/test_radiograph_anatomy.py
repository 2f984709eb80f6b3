"""What a film's chest is made of: heart, vessels, bones, gas, breasts, arms."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from fixtures_radiograph import FEW, SMALL, small_chest

from manabi.phantoms.base import case_rng
from manabi.phantoms.radiograph_anatomy import paint_upright
from manabi.phantoms.radiograph_chest import project
from manabi.phantoms.radiograph_rays import node_grid
from manabi.phantoms.radiograph_sampling import sample_chest
from manabi.phantoms.radiograph_vessels import VesselStyle, grow_film_vessels, sample_style


@lru_cache(maxsize=2)
def painted(index):
    return paint_upright(sample_chest(case_rng(21, index)), SMALL, torch.device("cpu"), FEW)


@pytest.mark.parametrize("index", [0, 1])
def test_the_heart_is_about_half_as_wide_as_the_chest_and_lies_to_the_left(index):
    shapes = painted(index).shapes
    x = torch.linspace(float(shapes.nodes.canvas.x[0]), float(shapes.nodes.canvas.x[-1]), shapes.nodes.shape[2])
    heart, chest = (x[(depth > 0).any(dim=0).any(dim=0)] for depth in (shapes.heart, shapes.cage))
    ratio = float((heart.max() - heart.min()) / (chest.max() - chest.min()))
    assert 0.36 < ratio < 0.58
    assert float(heart.max() + heart.min()) < -15


def test_lung_reaches_behind_the_heart():
    chest = small_chest(0)
    behind = chest.hidden == 1
    assert np.median(chest.lung_path_mm[behind]) > 15


def test_vessels_start_at_the_hila_and_end_in_the_lungs():
    tree = grow_film_vessels(painted(0).shapes, VesselStyle(ends=60), seed=3)
    generation, starts, ends = np.array(tree.generation), np.array(tree.start), np.array(tree.end)
    roots = starts[generation == 1]
    assert len(roots) == 8
    assert (np.abs(roots[:, 0]) < 50).all()
    thin = ends[np.array(tree.r1) < 0.8]
    shapes = painted(0).shapes
    inside, grid = shapes.lung > -4, node_grid(shapes.nodes)
    axes = [axis.numpy() for axis in (grid.z, grid.y, grid.x)]
    index = [np.abs(axis[None] - thin[:, 2 - k, None]).argmin(axis=1) for k, axis in enumerate(axes)]
    assert inside.numpy()[tuple(index)].mean() > 0.9


def test_vessels_thin_out_and_their_calibre_is_a_factor():
    shapes = painted(0).shapes
    one, wide = (grow_film_vessels(shapes, VesselStyle(ends=60, calibre=c), seed=3) for c in (1.0, 1.5))
    np.testing.assert_allclose(wide.r0, 1.5 * np.array(one.r0))
    assert (np.array(one.r1) <= np.array(one.r0) + 1e-9).all()
    by_generation = [np.mean(np.array(one.r0)[np.array(one.generation) == g]) for g in range(1, 7)]
    assert all(a > b for a, b in zip(by_generation, by_generation[1:], strict=False))


def test_the_seed_draws_the_vessels():
    shapes = painted(0).shapes
    first, again, other = (grow_film_vessels(shapes, FEW, seed).table() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_the_held_out_domains_vessels_divide_and_bend_otherwise():
    rng = np.random.default_rng(0)
    training = [sample_style(rng) for _ in range(50)]
    held_out = [sample_style(rng, "held_out") for _ in range(50)]
    assert max(s.uneven for s in training) < min(s.uneven for s in held_out)
    assert max(s.bend for s in training) < min(s.bend for s in held_out)


def test_ribs_spine_and_collarbones_carry_mineral():
    chest = small_chest(0)
    bone = chest.maps[2]
    clear = (chest.lungs > 0) & (chest.hidden == 0)
    assert 0.05 < np.median(bone[clear]) < 0.8
    assert bone.max() < 6


@pytest.mark.parametrize(
    ("field", "values"), [("bowel_gas", (0.0, 30.0)), ("breast", (5.0, 55.0)), ("fat", (5.0, 40.0))]
)
def test_gas_lightens_the_belly_breasts_and_fat_add_to_the_chest(field, values):
    drawn = sample_chest(case_rng(21, 0))
    less, more = (
        project(replace(drawn, chest=replace(drawn.chest, female=True, **{field: value})), SMALL, style=FEW)
        for value in values
    )
    change = more.maps.sum(axis=0) - less.maps.sum(axis=0)
    if field == "bowel_gas":
        assert change[40:, 32:].min() < -1.5
    else:
        assert change[(less.lungs > 0) & (less.hidden == 0)].mean() > 0.3
