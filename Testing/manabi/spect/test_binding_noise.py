"""Standard errors of binding ratios from one scan, and the over-correction alert."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures_spect import head, head_grid, localisation
from scipy import ndimage

from manabi.spect.noise import ALERT_Z, Shift, alerts, binding_noise, shifts, with_noise
from manabi.spect.quantify import measure, regions, voxel_ml
from manabi.spect.template import REGIONS

UPTAKE = {(name, side): 2.5 if side == "left" else 1.0 for name, side in REGIONS}
REALISATIONS = 20
NOISE_FWHM_MM = 9.0


class Scan:
    """A blurred head, the regions on it, and noise as a reconstruction makes it: smooth, growing with the counts."""

    def __init__(self):
        self.clean = head(head_grid(4.4), sbr=UPTAKE)
        self.array = np.asarray(self.clean.array, float)
        self.places = regions(self.clean, localisation(self.clean))
        self.voxel_ml = voxel_ml(self.clean)

    def noisy(self, seed, level=0.25):
        sd = NOISE_FWHM_MM / 2.3548 / self.clean.spacing_mm[::-1]
        grain = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(self.array.shape), sd)
        return self.array + grain / grain.std() * level * 100.0 * (self.array / 100.0) ** 0.75

    def measure(self, array):
        return measure(array, self.places, self.voxel_ml)

    def alerts(self, before, after):
        first, second = self.measure(before), self.measure(after)
        noise = binding_noise(before - after, self.places, first)
        return alerts(shifts(first, second, noise), first, second, noise, ALERT_Z)


@pytest.fixture(scope="module")
def scan():
    return Scan()


@pytest.fixture(scope="module")
def realisations(scan):
    """Binding ratios of noisy images, and the standard errors that each of them predicts."""
    images = [scan.noisy(seed) for seed in range(REALISATIONS)]
    measured = [scan.measure(image) for image in images]
    errors = [binding_noise(i - scan.array, scan.places, b) for i, b in zip(images, measured, strict=True)]
    return measured, errors


@pytest.mark.parametrize("region", REGIONS)
def test_the_standard_error_is_that_of_repeated_scans(realisations, region):
    """Within a factor of 1.5 of the spread over 20 noise realisations, on average over them."""
    measured, errors = realisations
    observed = np.std([b.sbr[region] for b in measured], ddof=1)
    predicted = np.mean([e.sd[region] for e in errors])
    assert 1 / 1.5 < predicted / observed < 1.5


def test_the_error_of_the_reference_is_that_of_repeated_scans(realisations):
    measured, errors = realisations
    observed = np.std([b.reference for b in measured], ddof=1)
    assert 1 / 1.5 < np.mean([e.reference_sd for e in errors]) / observed < 1.5


def test_one_scan_suffices(realisations):
    """No single scan's standard error is off by more than a factor of two from the average."""
    _, errors = realisations
    for region in REGIONS:
        values = np.array([e.sd[region] for e in errors])
        assert values.max() / values.mean() < 2 and values.min() / values.mean() > 0.5


def test_more_noise_gives_a_larger_error(scan):
    before = scan.measure(scan.array)
    low, high = (binding_noise(scan.noisy(3, n) - scan.array, scan.places, before) for n in (0.1, 0.3))
    for region in REGIONS:
        assert high.sd[region] == pytest.approx(3 * low.sd[region], rel=1e-6)


def test_no_noise_gives_no_error_and_no_z(scan):
    before = scan.measure(scan.array)
    noise = binding_noise(np.zeros_like(scan.array), scan.places, before)
    assert set(noise.sd.values()) == {0.0}
    assert [c.z for c in shifts(before, before, noise)] == [0.0] * 4


# --- the alert --------------------------------------------------------------------------------------------------------


def test_an_unbiased_result_hardly_ever_raises_an_alert(scan, realisations):
    """Measured on 60 realisations: 0.8 % of the regions, 3 % of the scans, beyond 3 standard errors."""
    clean = scan.measure(scan.array)
    alarms = [alerts(shifts(b, clean, e), b, clean, e, ALERT_Z) for b, e in zip(*realisations, strict=True)]
    assert sum(map(bool, alarms)) <= REALISATIONS // 10


def test_smoothing_that_flattens_a_striatum_raises_an_alert(scan):
    """A blur is not unbiased: it lowers the ratios more than noise does, and the reader is told."""
    noisy = scan.noisy(7)
    smooth = ndimage.gaussian_filter(noisy, 1.2)
    assert scan.measure(smooth).sbr["caudate", "left"] < 0.85 * scan.measure(noisy).sbr["caudate", "left"]
    assert any("left caudate" in text for text in scan.alerts(noisy, smooth))


@pytest.mark.parametrize("region", REGIONS)
def test_an_inflated_striatum_raises_an_alert_with_its_name(scan, region):
    inflated = scan.array + 150.0 * ndimage.gaussian_filter(scan.places.structures[region], 0.7)
    texts = scan.alerts(scan.noisy(1), inflated)
    assert any(f"{region[1]} {region[0]}" in text for text in texts)
    assert all("Read the scan that was not denoised" in text for text in texts)


def test_a_suppressed_background_raises_an_alert(scan):
    striatal = np.maximum.reduce(list(scan.places.large.values()))
    suppressed = scan.array * (0.6 + 0.4 * ndimage.gaussian_filter(striatal, 1.0))
    texts = scan.alerts(scan.noisy(2), suppressed)
    assert any("background" in text and "-" in text for text in texts)
    assert sum("binding ratio of" in text for text in texts) >= 2


def test_the_limit_decides(scan):
    before = scan.measure(scan.array)
    noise = binding_noise(scan.noisy(1) - scan.array, scan.places, before)
    moved = replace(before, sbr={r: v + 2.0 * noise.sd[r] for r, v in before.sbr.items()})
    changes = shifts(before, moved, noise)
    assert [c.z for c in changes] == pytest.approx([2.0] * 4)
    assert alerts(changes, before, moved, noise, 3.0) == []
    assert len(alerts(changes, before, moved, noise, 1.5)) == 4


def test_errors_go_with_the_measurement(scan):
    before = scan.measure(scan.array)
    noise = binding_noise(scan.noisy(1) - scan.array, scan.places, before)
    assert before.sd == {}
    assert with_noise(before, noise).sd == noise.sd
    assert with_noise(before, noise).sbr == before.sbr


def test_a_shift_without_noise_has_no_z():
    assert Shift(("putamen", "left"), 1.0, 2.0, 0.0).z == 0.0
    assert Shift(("putamen", "left"), 1.0, 2.0, 0.5).z == 2.0
