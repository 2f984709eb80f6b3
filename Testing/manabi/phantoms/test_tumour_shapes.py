"""Bricks of the tumour phantom: fields, blobs, the scanner's laws."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from manabi.phantoms.tumour_parameters import Lesion, Scan
from manabi.phantoms.tumour_scanner import blurred, correlated_noise, transfer
from manabi.phantoms.tumour_shapes import Space, axis_mm, coarse_field, grow_blob, paint_tube, random_field


def cube(side_mm: float = 60.0, step: float = 1.0) -> Space:
    axis = axis_mm(int(side_mm / step), step)
    return Space(axis, axis, axis)


@pytest.mark.parametrize("length", [3.0, 6.0])
def test_a_field_s_autocorrelation_is_one_over_e_at_its_length(length: float) -> None:
    field = random_field(np.random.default_rng(1), (96, 96, 96), (1.0, 1.0, 1.0), length)
    shift = int(length)
    assert float((field * np.roll(field, shift, 2)).mean()) == pytest.approx(math.exp(-1.0), abs=0.06)


def test_a_field_s_length_is_in_mm_along_every_axis() -> None:
    field = random_field(np.random.default_rng(2), (96, 64, 64), (0.5, 1.0, 1.0), 4.0)
    found = [float((field * np.roll(field, n, axis)).mean()) for axis, n in ((0, 8), (1, 4), (2, 4))]
    assert found == pytest.approx([math.exp(-1.0)] * 3, abs=0.08)


def test_a_coarse_field_has_about_the_same_spread() -> None:
    field = coarse_field(np.random.default_rng(3), (70, 71, 72), (1.0, 1.0, 1.0), 9.0)
    assert field.shape == (70, 71, 72)
    assert 0.6 < float(field.std()) < 1.1


@pytest.mark.parametrize(("lobulation", "lobes"), [(0.0, 4), (0.9, 9)])
def test_a_blob_is_one_piece_of_the_exact_volume(lobulation: float, lobes: int) -> None:
    space = cube()
    for seed in range(4):
        blob = grow_blob(Lesion(volume_ml=9.0, lobes=lobes, lobulation=lobulation, seed=seed), space)
        assert float(blob.share.sum()) == pytest.approx(9000.0, rel=0.04)
        assert ndimage.label(blob.share > 0.5)[1] == 1


def test_lobes_make_the_surface_larger() -> None:
    space = cube()

    def surface(lobulation: float) -> float:
        blobs = [grow_blob(Lesion(volume_ml=9.0, lobes=8, lobulation=lobulation, seed=s), space) for s in range(4)]
        return float(np.mean([(np.abs(np.diff((b.share > 0.5).astype(int), axis=0))).sum() for b in blobs]))

    assert surface(1.0) > surface(0.0)


def test_a_shrunken_blob_lies_within_the_larger_one() -> None:
    lesion, space = Lesion(volume_ml=9.0, seed=5), cube()
    whole, part = grow_blob(lesion, space), grow_blob(lesion, space, volume_ml=5.0)
    assert float(part.share.sum()) == pytest.approx(5000.0, rel=0.05)
    assert not np.any((part.share > 0.5) & (whole.share < 0.4))


def test_a_blob_keeps_out_of_what_is_not_allowed() -> None:
    space = cube()
    allowed = np.broadcast_to(5.0 - space.offsets(np.zeros(3))[2], space.shape)
    blob = grow_blob(Lesion(volume_ml=9.0), space, allowed)
    beyond = space.part(blob.box).x > 6.5
    assert not (blob.share[:, :, beyond] > 0.5).any()
    assert float(blob.share.sum()) == pytest.approx(9000.0, rel=0.06)


def test_the_texture_has_mean_0_and_deviation_1_within() -> None:
    blob = grow_blob(Lesion(volume_ml=9.0, length_mm=4.0), cube())
    inside = blob.texture[blob.share > 0.5]
    assert (float(inside.mean()), float(inside.std())) == pytest.approx((0.0, 1.0), abs=1e-3)


def test_a_tube_has_its_cross_section() -> None:
    space, out = cube(40.0, 0.5), np.zeros((80, 80, 80), np.float32)
    paint_tube(out, space, np.array([-30.0, 0, 0]), np.array([30.0, 0, 0]), (3.0, 3.0), 0.5)
    assert float(out[40].sum()) * 0.25 == pytest.approx(math.pi * 9.0, rel=0.03)


def test_a_tube_outside_changes_nothing() -> None:
    space, out = cube(), np.zeros((60, 60, 60), np.float32)
    paint_tube(out, space, np.array([90.0, 90, 90]), np.array([99.0, 99, 99]), (2.0, 1.0), 1.0)
    assert not out.any()


def test_the_kernel_keeps_the_mean_and_blurs_as_it_says() -> None:
    scan = Scan(pixel_mm=0.5, psf_mm=1.0, sharpness=0.0)
    point = np.zeros((1, 81, 81), np.float32)
    point[0, 40, 40] = 1.0
    out = blurred(point, scan)[0].astype(float)
    place = (np.arange(81) - 40) * 0.5
    assert out.sum() == pytest.approx(1.0, abs=1e-3)
    assert math.sqrt((out.sum(0) * place**2).sum()) == pytest.approx(1.0, rel=0.02)


def test_a_sharp_kernel_raises_edges() -> None:
    soft = Scan(pixel_mm=0.7, psf_mm=0.45)
    edge = np.where(np.arange(60) < 30, -800.0, 0.0)[None, None, :] * np.ones((1, 40, 1))
    assert blurred(edge, replace(soft, sharpness=0.6)).max() > blurred(edge, soft).max() + 20.0
    assert transfer(np.zeros(1), soft)[0] == 1.0


def test_noise_has_the_spectrum_of_backprojection() -> None:
    scan = Scan(pixel_mm=0.8, psf_mm=0.6)
    noise = correlated_noise((30, 96, 96), scan, np.random.default_rng(4))
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(0)
    frequency = np.hypot(np.fft.fftfreq(96, 0.8)[:, None], np.fft.fftfreq(96, 0.8)[None])
    low, middle = (
        power[(frequency > 0) & (frequency < 0.05)].mean(),
        power[(frequency > 0.2) & (frequency < 0.3)].mean(),
    )
    assert float(noise.std()) == pytest.approx(1.0, abs=1e-3)
    assert low < 0.4 * middle
