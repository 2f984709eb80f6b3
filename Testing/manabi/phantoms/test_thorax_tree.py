"""Airways and vessels of the simulated chest: where the trachea splits, what the trees reach, how they are painted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from manabi.phantoms.thorax_canvas import Canvas
from manabi.phantoms.thorax_capsules import Capsules, occupancy
from manabi.phantoms.thorax_parameters import Airway
from manabi.phantoms.thorax_tree import (
    SEGMENTAL,
    grow_airways,
    grow_vessels,
    paint_airways,
    paint_vessels,
    runs,
    sample_airway,
    split_level,
    trachea_at,
)

HULLS = {"right": (34.0, 134.0, -78.0, 95.0, -155.0, 78.0), "left": (-134.0, -34.0, -78.0, 95.0, -160.0, 76.0)}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on a busy machine are many times faster on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def grid(low: tuple[float, ...], high: tuple[float, ...], step: float) -> Canvas:
    """A canvas between two corners."""
    return Canvas.empty(*(torch.arange(a + step / 2, b, step) for a, b in zip(low, high, strict=True)))


def central(tree: Capsules) -> Capsules:
    """Trachea and main bronchi."""
    keep = [i for i, g in enumerate(tree.generation) if g <= 1]
    return Capsules(*([getattr(tree, n)[i] for i in keep] for n in ("start", "end", "r0", "r1", "generation")))


def parts(plane: np.ndarray) -> int:
    """Connected pieces of a plane."""
    return int(ndimage.label(plane)[1])


@pytest.mark.parametrize("seed", range(4))
def test_the_painted_lumen_is_one_above_the_split_and_two_below(seed):
    airway = sample_airway(np.random.default_rng(seed), bool(seed % 2))
    tree = grow_airways(airway, HULLS)
    level = split_level(tree, airway)
    assert -2 < level < 2
    canvas = grid((-26.0, -18.0, level - 8), (26.0, 14.0, level + 12), 0.5)
    canvas.hu[:] = 40.0
    paint_airways(canvas, central(tree), replace(airway, diverticulum=0.0, secretions=0.0))
    lumen = (canvas.lumen > 0.5).numpy()
    z = canvas.z.numpy()
    assert {parts(lumen[k]) for k in np.flatnonzero(z > level + 1)} == {1}
    assert {parts(lumen[k]) for k in np.flatnonzero((z < level - 1) & (z > level - 5))} == {2}


def test_the_right_main_bronchus_is_shorter_and_steeper_and_on_the_right():
    tree = grow_airways(Airway(), HULLS)
    mains = [np.array(tree.end[i]) - tree.start[i] for i, g in enumerate(tree.generation) if g == 1]
    right, left = sorted(mains, key=lambda v: -v[0])
    assert right[0] > 0 > left[0]
    assert np.linalg.norm(right) < 0.6 * np.linalg.norm(left)
    assert abs(right[0] / right[2]) < abs(left[0] / left[2])


def test_nineteen_segments_end_inside_their_lungs():
    tree = grow_airways(Airway(tree_seed=3), HULLS)
    starts = {tuple(np.round(s, 6)) for s in tree.start}
    ends = np.array([e for e, g in zip(tree.end, tree.generation, strict=True)
                     if g > SEGMENTAL and tuple(np.round(e, 6)) not in starts])  # fmt: skip
    segments = np.array([e for e, g in zip(tree.end, tree.generation, strict=True) if g == SEGMENTAL])
    assert (segments[:, 0] > 0).sum() == 10 and (segments[:, 0] < 0).sum() == 9
    for side, sign in (("right", 1.0), ("left", -1.0)):
        low, high = np.array(HULLS[side][0::2]), np.array(HULLS[side][1::2])
        own = ends[ends[:, 0] * sign > 0]
        assert len(own) >= 45
        assert ((own > low - 1e-6) & (own < high + 1e-6)).all()


@pytest.mark.parametrize("which", ["airways", "vessels"])
def test_no_branch_is_wider_than_its_parent(which):
    tree = grow_airways(Airway(), HULLS) if which == "airways" else grow_vessels(0, HULLS, 60)
    at_end = {}
    for end, r, g in zip(tree.end, tree.r1, tree.generation, strict=True):
        if g > 0:
            at_end[tuple(np.round(end, 6))] = r
    checked = 0
    for start, r0, r1, g in zip(tree.start, tree.r0, tree.r1, tree.generation, strict=True):
        if g > 0:
            assert r1 <= r0
            parent = at_end.get(tuple(np.round(start, 6)))
            if parent is not None:
                checked += 1
                assert r0 <= parent + 1e-9
    assert checked > 100


def test_vessels_reach_all_parts_of_both_lungs():
    tree = grow_vessels(1, HULLS)
    ends = np.array([e for e, r in zip(tree.end, tree.r1, strict=True) if r < 0.9])
    for side, sign in (("right", 1.0), ("left", -1.0)):
        low, high = np.array(HULLS[side][0::2]), np.array(HULLS[side][1::2])
        unit = (ends[ends[:, 0] * sign > 0] - low) / (high - low)
        for axis in range(3):
            counts = np.histogram(unit[:, axis], bins=3, range=(-0.1, 1.0))[0]
            assert counts.min() > 0.12 * len(unit)


def test_trees_follow_their_seed():
    tables = [grow_vessels(seed, HULLS, 30).table() for seed in (5, 5, 6)]
    assert np.array_equal(tables[0], tables[1]) and not np.array_equal(tables[0], tables[2])
    airways = [grow_airways(Airway(tree_seed=seed), HULLS).table() for seed in (5, 5, 6)]
    assert np.array_equal(airways[0], airways[1]) and not np.array_equal(airways[0], airways[2])


def test_dilated_bronchi_are_wider_only_far_out():
    plain, wide = (grow_airways(Airway(dilation=f), HULLS) for f in (1.0, 1.5))
    ratio = np.array(wide.r0) / np.array(plain.r0)
    generation = np.array(plain.generation)
    assert ratio[generation <= 2] == pytest.approx(1.0)
    assert ratio[generation >= 5] == pytest.approx(1.5)


def test_a_sabre_sheath_trachea_is_narrower_than_deep():
    airway = Airway(sabre=0.6, lean_deg=(0.0, 0.0))
    canvas = grid((-16.0, -16.0, 48.0), (16.0, 20.0, 52.0), 0.5)
    paint_airways(canvas, grow_airways(airway, HULLS), airway)
    plane = canvas.lumen[4] > 0.5
    width, depth = int(plane.any(dim=0).sum()), int(plane.any(dim=1).sum())
    assert width / depth == pytest.approx(0.6, abs=0.05)
    assert float(canvas.lumen[4].sum()) * 0.25 == pytest.approx(np.pi * 8.5**2, rel=0.03)


def test_a_diverticulum_is_a_second_lumen_beside_the_trachea_that_is_no_airway():
    airway = Airway(diverticulum=4.0)
    x, y, z = trachea_at(airway, 0.72)
    canvas = grid((x - 25, y - 25, z - 2), (x + 25, y + 20, z + 2), 1.0)
    canvas.hu[:] = 40.0
    paint_airways(canvas, grow_airways(airway, HULLS), airway)
    assert parts((canvas.hu[2] < -500).numpy()) == 2
    assert parts((canvas.lumen[2] > 0.5).numpy()) == 1


def test_secretions_fill_a_part_of_the_trachea():
    clean, wet = Airway(), Airway(secretions=0.5)
    volumes = []
    for airway in (clean, wet):
        x, y, z = trachea_at(airway, 0.25)
        canvas = grid((x - 15, y - 15, z - 4), (x + 15, y + 15, z + 4), 1.0)
        canvas.hu[:] = 40.0
        paint_airways(canvas, grow_airways(airway, HULLS), airway)
        volumes.append(int((canvas.hu < -500).sum()))
    assert 0.3 * volumes[0] < volumes[1] < 0.9 * volumes[0]


@pytest.mark.parametrize("radius", [0.4, 0.8, 3.0])
def test_cones_fill_their_volume_whatever_their_thickness(radius):
    tree = Capsules()
    tree.add(np.array([-30.0, 1.3, 0.7]), np.array([28.0, -6.0, 5.0]), radius, radius, 1)
    canvas = grid((-40.0, -16.0, -12.0), (40.0, 16.0, 16.0), 2.0)
    volume = float(occupancy(canvas, tree.table()).sum()) * 8
    length = float(np.linalg.norm(tree.end[0] - tree.start[0]))
    true = np.pi * radius**2 * length + (4 / 3) * np.pi * radius**3
    assert volume == pytest.approx(true, rel=0.12)


def test_cones_look_the_same_on_a_coarser_grid_and_as_painted_one_by_one():
    tree = grow_airways(Airway(), HULLS)
    thick = np.array(tree.r1) > 3.0
    fine, coarse = (grid((-40.0, -30.0, -40.0), (40.0, 30.0, 40.0), step) for step in (1.0, 2.0))
    high, low = (occupancy(c, tree.table(thick)) for c in (fine, coarse))
    pooled = torch.nn.functional.avg_pool3d(high[None, None], 2)[0, 0]
    assert float((pooled - low).abs().mean()) < 0.12 * float(low.mean())
    record = torch.zeros_like(coarse.hu)
    rows = torch.as_tensor(tree.table(thick), dtype=torch.float32)
    coarse.capsules(rows[:, :3], rows[:, 3:6], rows[:, 6], rows[:, 7], 0.0, record=record)
    assert float((record - low).abs().max()) < 0.06


def test_cones_outside_the_grid_change_nothing():
    tree = Capsules()
    tree.add(np.array([500.0, 0.0, 0.0]), np.array([520.0, 0.0, 0.0]), 3.0, 3.0, 1)
    assert float(occupancy(grid((-8.0, -8.0, -8.0), (8.0, 8.0, 8.0), 2.0), tree.table()).abs().max()) == 0.0


def test_thin_vessels_stay_within_the_lungs():
    canvas = grid((-140.0, -90.0, -60.0), (140.0, 90.0, -20.0), 4.0)
    canvas.hu[:] = -860.0
    canvas.depth[:] = 20.0
    canvas.lung[:] = (canvas.y < 0).float()[None, :, None]
    tree = grow_vessels(0, HULLS, 80)
    tree.generation = [max(g, 2) for g in tree.generation]
    paint_vessels(canvas, tree, 40.0)
    assert float(canvas.hu[:, canvas.y < 0].max()) > -400
    assert float(canvas.hu[:, canvas.y > 0].max()) == -860.0


def test_drawn_airways_have_the_published_means():
    rng = np.random.default_rng(0)
    for female, length, diameter in ((False, 107.8, 18.0), (True, 101.4, 14.8)):
        drawn = [sample_airway(rng, female) for _ in range(300)]
        assert np.mean([a.trachea for a in drawn]) == pytest.approx(length, abs=3)
        assert np.mean([a.diameter for a in drawn]) == pytest.approx(diameter, abs=0.6)
        assert np.mean([a.left_main for a in drawn]) == pytest.approx(48.3, abs=1.5)
        usual = [a.right_main for a in drawn if a.right_main > 8.0]
        assert np.mean(usual) == pytest.approx(14.3, abs=1.5)
        assert 0.1 < 1.0 - len(usual) / len(drawn) < 0.4, "the upper lobe's bronchus leaves at the carina in some"


def test_runs_counts_separate_stretches():
    lines = ([False] * 3, [True, True, False], [True, False, True], [False, True, False, True])
    assert [runs(line) for line in lines] == [0, 1, 2, 2]
