"""Body and tissues of noisy MVCT and of kVCT."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct_head import SPACING, head

from manabi.mvct.noise_level import edge_width_mm, mode, noise_hu
from manabi.mvct.tissue_map import TISSUES, body_mask, eroded, smooth_in, tissue_map


def dice(a, b):
    return 2.0 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("kind", ["kvct", "mvct", "cbct"])
def test_the_body_is_found_without_the_couch(kind):
    case = head(kind)
    body = body_mask(case.hu, SPACING)
    assert dice(body, case.truth > 0) > 0.98
    couch = (case.truth == 0) & (case.clean > -500)
    couch &= ~np.roll(case.truth > 0, -6, 1)
    assert couch.sum() > 300 and (body & couch).sum() < 0.05 * couch.sum()


def test_a_hollow_couch_that_touches_the_back_is_no_body():
    case = head("kvct", couch=False)
    truth = case.truth > 0
    lowest = int(np.argwhere(truth)[:, 1].min())
    hu = case.hu.copy()
    couch = np.zeros(hu.shape, bool)
    couch[:, lowest - 20 : lowest + 1, 20:124] = True
    hu[couch & ~truth] = -300.0
    hu[:, lowest - 18 : lowest - 1, 22:122] = -960.0
    assert dice(body_mask(hu, SPACING), truth) > 0.95


def test_an_image_of_air_has_no_body():
    air = np.full((4, 40, 40), -1000.0, np.float32)
    tissues = tissue_map(air, SPACING)
    assert not tissues.body.any() and not tissues.labels.any()


@pytest.mark.parametrize(("kind", "least"), [("kvct", 0.92), ("mvct", 0.8), ("cbct", 0.8)])
def test_fat_muscle_bone_and_air_are_told_apart(kind, least):
    case = head(kind)
    tissues = tissue_map(case.hu, SPACING, kind)
    for name in ("fat", "muscle", "bone"):
        assert dice(tissues.mask(name), case.truth == TISSUES.index(name) + 1) > least, name
    assert dice(tissues.mask("air"), case.truth == 1) > 0.75
    assert not tissues.mask("lung").any()


def test_an_offset_of_the_scanner_moves_the_peaks_not_the_map():
    case = head("mvct")
    usual, off = tissue_map(case.hu, SPACING, "mvct"), tissue_map(case.hu - 45.0, SPACING, "mvct")
    inside = usual.body & off.body
    assert (usual.labels == off.labels)[inside].mean() > 0.97
    assert off.peaks.muscle_hu - usual.peaks.muscle_hu == pytest.approx(-45.0, abs=5.0)


def test_a_large_piece_of_low_density_is_lung_and_a_small_one_air():
    case = head("kvct", scale=1.2)
    k, j, i = np.mgrid[tuple(slice(0, n) for n in case.hu.shape)]
    place = np.hypot((j - 72) * 1.5 - 10, (i - 72) * 1.5 - 45) < 29
    hu = np.where(place, -780.0, case.hu).astype(np.float32)
    tissues = tissue_map(hu, SPACING, "kvct")
    core = eroded(place, 4.0, SPACING)
    assert tissues.mask("lung")[core].mean() > 0.95
    assert tissues.mask("air").sum() > 200 and not (tissues.mask("air") & core).any()


def test_smoothing_does_not_mix_in_what_lies_outside():
    case = head("mvct")
    flat = np.where(case.truth > 0, 40.0, -1000.0)
    smooth = smooth_in(flat, case.truth > 0, 3.0, SPACING)
    assert np.allclose(smooth[case.truth > 0], 40.0, atol=0.1)


@pytest.mark.parametrize("level", [8.0, 25.0, 55.0])
def test_noise_is_measured_within_a_tenth(level):
    case = head("mvct", noise=level)
    assert noise_hu(case.hu, SPACING, case.truth > 0) == pytest.approx(level, rel=0.12)


def test_a_blurred_skin_is_wider():
    sharp, blurred = head("kvct"), head("mvct")
    widths = [edge_width_mm(c.hu, SPACING, c.truth > 0) for c in (sharp, blurred)]
    assert widths[1] > 1.15 * widths[0] > 0


def test_the_mode_is_not_moved_by_a_tail():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(40, 10, 20000), rng.uniform(60, 300, 6000)])
    assert mode(values) == pytest.approx(40.0, abs=2.0)
    assert mode(np.full(10, 7.0)) == 7.0
