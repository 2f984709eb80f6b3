"""Diseases of the simulated chest change what they should, where they should, on any grid; the scanner's noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.phantoms.thorax_canvas import Canvas, edge
from manabi.phantoms.thorax_disease import KINDS, SHARES, apply_disease, sample_disease
from manabi.phantoms.thorax_masses import paint_mass
from manabi.phantoms.thorax_nodes import Nodes
from manabi.phantoms.thorax_noise import blurred, noise_strength, scanned
from manabi.phantoms.thorax_parameters import Airway, Chest, Disease
from manabi.phantoms.thorax_patterns import cells, cropped, field, lung_box
from manabi.phantoms.thorax_shape import Frame, shape_chest

LUNG = -860.0
PLAIN = Disease()
TEXTURED = ("uip", "nsip", "consolidation", "emphysema")
SOLID = ("consolidation", "effusion", "atelectasis", "nodules", "apical_cap")
MASS_SEED = 4
"""Of nodules: a single mass of this seed lies within the lungs of :func:`chest`."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on a busy machine are many times faster on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def chest(step: float = 4.0, count: tuple[int, int, int] = (72, 56, 72)) -> tuple[Canvas, float]:
    """Healthy lungs in soft tissue, and the height of their lowest part."""
    x, y, z = ((torch.arange(n * 4 / step) + 0.5) * step + low for n, low in
               zip(count, (-144.0, -104.0, -196.0), strict=True))  # fmt: skip
    canvas = Canvas.empty(x, y, z)
    lungs = shape_chest(Nodes(canvas, np.random.default_rng(0), 0.0), Frame(Chest(), Airway(), PLAIN))
    canvas.depth = lungs.nodes.fine(lungs.lung)
    canvas.lung = edge(canvas.depth, canvas.voxel)
    canvas.hu[:] = 40.0
    canvas.paint(canvas.lung, LUNG)
    return canvas, lungs.lowest


def changed(disease: Disease, step: float = 4.0) -> tuple[Canvas, torch.Tensor, torch.Tensor]:
    """The diseased canvas, the change of density, and the lung's share before."""
    canvas, lowest = chest(step)
    before, lung = canvas.hu.clone(), canvas.lung.clone()
    apply_disease(canvas, disease, lowest)
    return canvas, canvas.hu - before, lung


@pytest.mark.parametrize("kind", KINDS)
def test_each_disease_changes_density_in_its_direction_and_only_in_the_lungs(kind):
    canvas, change, lung = changed(Disease(kind=kind, severity=0.7, side="both", seed=MASS_SEED))
    mean = float(change[lung > 0.9].mean())
    if kind == "normal":
        assert float(change.abs().max()) == 0.0
    elif kind == "emphysema":
        assert mean < -10
    else:
        assert mean > 2
    assert float(change[canvas.depth < -4.0].abs().max()) == 0.0
    assert float(canvas.hu.min()) > -1020 and float(canvas.hu.max()) < 80
    assert bool((canvas.lung <= lung + 1e-6).all())


@pytest.mark.parametrize("kind", KINDS)
def test_what_turns_solid_is_no_longer_lung(kind):
    canvas, change, lung = changed(Disease(kind=kind, severity=0.9, side="both", seed=MASS_SEED))
    lost = float(lung.sum() - canvas.lung.sum())
    assert (lost > 30) == (kind in SOLID)
    solid = (canvas.hu > -150) & (lung > 0.95) & (change > 600)
    if kind in SOLID:
        assert float(canvas.lung[solid].mean()) < 0.4


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "normal"])
def test_diseases_follow_their_seed(kind):
    one, again, other = (changed(Disease(kind=kind, severity=0.6, seed=seed))[1] for seed in (4, 4, 9))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "normal"])
def test_diseases_look_the_same_on_a_finer_grid(kind):
    disease = Disease(kind=kind, severity=0.8, side="both", seed=MASS_SEED)
    coarse, change, lung = changed(disease)
    fine, detail, _ = changed(disease, step=2.0)
    pooled = torch.nn.functional.avg_pool3d(detail[None, None], 2)[0, 0]
    inner = lung > 0.99
    agreement = float(torch.corrcoef(torch.stack((pooled[inner], change[inner])))[0, 1])
    assert agreement > (0.75 if kind in TEXTURED else 0.93)
    assert float(fine.lung.sum()) / 8 == pytest.approx(float(coarse.lung.sum()), rel=0.03)


@pytest.mark.parametrize("kind", ["uip", "nsip", "consolidation", "effusion", "atelectasis"])
def test_a_severer_disease_changes_more(kind):
    mild, severe = (float(changed(Disease(kind=kind, severity=s, seed=4))[1].abs().mean()) for s in (0.25, 0.95))
    assert severe > 1.3 * mild


def test_honeycomb_lies_below_the_pleura_at_the_bases_with_cysts_and_walls():
    canvas, change, lung = changed(Disease(kind="uip", severity=0.8, seed=2), step=2.0)
    inner = lung > 0.95
    low = (canvas.z < -60)[:, None, None]
    high = (canvas.z > 30)[:, None, None]
    strength = change.abs()
    rim, core = canvas.depth < 8, canvas.depth > 25
    assert float(strength[inner & rim & low].mean()) > 3 * float(strength[inner & core & low].mean())
    assert float(strength[inner & rim & low].mean()) > 2 * float(strength[inner & rim & high].mean())
    values = canvas.hu[inner & rim & low]
    assert float((values < -910).float().mean()) > 0.05 and float((values > -450).float().mean()) > 0.1


def test_ground_glass_has_the_density_of_ground_glass_and_lies_at_the_bases():
    canvas, change, lung = changed(Disease(kind="nsip", severity=0.6, seed=2))
    filled = canvas.hu[(lung > 0.95) & (change > 100)]
    assert -720 < float(filled.median()) < -430
    low = float(change[(lung > 0.95) & (canvas.z < -60)[:, None, None]].mean())
    assert low > 1.5 * float(change[(lung > 0.95) & (canvas.z > 30)[:, None, None]].mean())


def test_an_effusion_lies_behind_below_and_on_its_side_and_hides_the_base():
    canvas, lowest = chest()
    apply_disease(canvas, Disease(kind="effusion", severity=0.8, side="left", seed=1), lowest)
    before, _ = chest()
    lost = before.lung - canvas.lung
    x, y, z = canvas.x, canvas.y, canvas.z
    assert float(lost[:, :, x > 0].sum()) == 0.0
    assert float((lost * y[None, :, None]).sum() / lost.sum()) < float((before.lung * y[None, :, None]).sum()
                                                                       / before.lung.sum()) - 20  # fmt: skip

    def base(c: Canvas) -> float:
        area = c.lung[:, :, x < 0].sum(dim=(1, 2))
        return float(z[torch.nonzero(area > 4).min()])

    assert base(canvas) > base(before) + 8
    fluid = canvas.hu[(lost > 0.98) & (canvas.depth > 4)]
    assert float(((fluid > 2) & (fluid < 21)).float().mean()) > 0.6


def test_fluid_hides_airways_too():
    canvas, lowest = chest()
    canvas.lumen[:] = canvas.lung
    apply_disease(canvas, Disease(kind="effusion", severity=0.9, seed=1), lowest)
    assert float(canvas.lumen.sum()) < 0.9 * float(chest()[0].lung.sum())


def test_airways_stay_open_in_consolidation():
    canvas, lowest = chest()
    canvas.lumen[:] = ((canvas.x / 16).round() % 2 == 0).float()[None, None, :]
    before = canvas.hu.clone()
    apply_disease(canvas, Disease(kind="consolidation", severity=0.9, seed=4), lowest)
    change, within = canvas.hu - before, canvas.lung > 0.2
    assert float(change[(canvas.lumen > 0.99) & within].abs().max()) < 1e-3
    assert float(change[(canvas.lumen < 0.01) & within].max()) > 500


def test_a_cap_covers_the_tips_only():
    canvas, change, _ = changed(Disease(kind="apical_cap", severity=0.8, side="right", seed=0))
    assert float(change[canvas.z < 20].abs().max()) == 0.0
    assert float(change[:, :, canvas.x < 0].abs().max()) == 0.0
    assert float(change.max()) > 500


def test_a_mass_is_solid_and_of_its_size():
    canvas, _ = chest(2.0)
    before = canvas.lung.clone()
    paint_mass(canvas, np.random.default_rng(3), np.array([75.0, 10.0, -10.0]), 15.0, 45.0)
    volume = float((before - canvas.lung).sum()) * 8
    assert 0.5 < volume / (4 / 3 * np.pi * 15**3) < 1.4
    assert float(canvas.hu[canvas.box((73, 8, -12), (77, 12, -8))].min()) == pytest.approx(45.0, abs=1)


def test_an_unknown_disease_is_named():
    canvas, lowest = chest()
    with pytest.raises(InvalidInputError, match="measles"):
        apply_disease(canvas, replace(PLAIN, kind="measles"), lowest)


def test_lungless_canvases_stay_as_they_are():
    canvas, lowest = chest()
    canvas.lung[:] = 0.0
    before = canvas.hu.clone()
    apply_disease(canvas, Disease(kind="uip"), lowest)
    assert torch.equal(canvas.hu, before)


def test_drawn_diseases_have_their_shares_and_ranges():
    rng = np.random.default_rng(0)
    drawn = [sample_disease(rng) for _ in range(600)]
    assert {d.kind for d in drawn} == set(KINDS) == set(SHARES)
    share = sum(d.kind == "uip" for d in drawn) / len(drawn)
    assert share == pytest.approx(SHARES["uip"] / sum(SHARES.values()), abs=0.05)
    assert all(0 < d.severity <= 1 and 0 <= d.volume_loss <= 0.25 for d in drawn)
    assert all(d.volume_loss == 0 for d in drawn if d.kind == "normal")
    assert {sample_disease(rng, "effusion").side for _ in range(30)} == {"right", "left", "both"}


def test_fields_are_standard_normal_and_fixed_in_space():
    canvas, _ = chest()
    whole = field(canvas, np.random.default_rng(0), 9.0)
    assert float(whole.mean()) == pytest.approx(0.0, abs=0.05) and float(whole.std()) == pytest.approx(1.0, abs=0.05)
    part = cropped(canvas, (slice(10, 40), slice(5, 20), slice(8, 30)))
    assert torch.allclose(field(part, np.random.default_rng(0), 9.0), whole[10:40, 5:20, 8:30], atol=1e-4)


def test_cells_are_as_large_as_asked():
    canvas, _ = chest(1.0, (10, 10, 10))
    where = torch.ones_like(canvas.hu, dtype=torch.bool)
    wall, own = cells(canvas, where, np.random.default_rng(0), 10.0)
    assert float(wall.min()) >= 0 and float(own.min()) >= 0 and float(own.max()) <= 1
    assert len(own.unique()) == pytest.approx(5**3, abs=60)
    assert 0.5 < float(wall.mean()) < 3.0


def test_the_lungs_box_holds_all_lung_and_a_crop_is_a_view():
    canvas, _ = chest()
    box = lung_box(canvas)
    assert box is not None
    assert float(canvas.lung[box].sum()) == pytest.approx(float(canvas.lung.sum()), rel=1e-3)
    cropped(canvas, box).hu[:] = 7.0
    assert float(canvas.hu[box].min()) == 7.0


def test_noise_has_the_asked_deviation_and_is_correlated_within_the_slice_only():
    noise = scanned(torch.zeros(12, 96, 96), 2.0, 0.85, 20.0, np.random.default_rng(0))
    assert float(noise.std()) == pytest.approx(20.0, rel=0.03)

    def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1])

    assert 0.4 < correlation(noise[:, :, 1:], noise[:, :, :-1]) < 0.85
    assert 0.4 < correlation(noise[:, 1:], noise[:, :-1]) < 0.85
    assert abs(correlation(noise[1:], noise[:-1])) < 0.05


def test_noise_follows_its_seed():
    one, again, other = (scanned(torch.zeros(2, 32, 32), 2.0, 0.8, 20.0, np.random.default_rng(s)) for s in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_more_tissue_means_more_noise_and_streaks_from_side_to_side():
    slices = torch.full((8, 96, 96), -1000.0)
    slices[:, 30:60, 30:60] = 40.0
    slices[6:, 10:86, 4:92] = 40.0
    strength = noise_strength(slices)
    assert float(strength[7]) > 2 * float(strength[0])
    noise = scanned(slices, 2.0, 0.0, 20.0, np.random.default_rng(0)) - slices
    wide = noise[6:, 15:80, 10:86]
    assert float(wide.std()) > 1.5 * float(noise[:6].std())
    along, across = (wide - wide.roll(6, dims=axis) for axis in (2, 1))
    assert float(along.std()) < 0.93 * float(across.std())


def test_blur_keeps_the_mean_and_widens_an_edge():
    slices = torch.zeros(1, 40, 40)
    slices[:, :, 20:] = 100.0
    soft = blurred(slices, 1.5)
    assert float(soft.mean()) == pytest.approx(50.0, abs=0.01)
    slope = float((soft[0, 20, 1:] - soft[0, 20, :-1]).max())
    assert slope == pytest.approx(100 / (1.5 * np.sqrt(2 * np.pi)), rel=0.05)
    assert torch.equal(blurred(slices, 0.1), slices)
