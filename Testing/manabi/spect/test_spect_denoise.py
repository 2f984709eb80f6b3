"""Denoising a whole volume: counts kept, uncertainty, context, any spacing, its own grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures_spect import head, head_grid, quick

from manabi.errors import CancelledError
from manabi.filters import FILTERS
from manabi.spect import denoise
from manabi.spect.denoise import Settings
from manabi.volume import Volume


class Averaging(torch.nn.Module):
    """Mean of the neighbouring slices and of 3×3 pixels, with a constant log variance."""

    def __init__(self, log_variance=-4.0):
        super().__init__()
        self.blur = torch.nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.log_variance = log_variance

    def forward(self, stack):
        mean = self.blur(stack.mean(1, keepdim=True))
        return mean if self.log_variance is None else torch.cat([mean, torch.full_like(mean, self.log_variance)], 1)


class Middle(torch.nn.Module):
    """Gives the middle slice back, times a factor."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def forward(self, stack):
        return self.factor * stack[:, stack.shape[1] // 2][:, None]


def noisy_head(spacing=3.29, seed=0):
    clean = head(head_grid(spacing))
    array = np.asarray(clean.array, float)
    return clean.like(np.random.default_rng(seed).poisson(array).astype(np.float32))


def run(volume, network, **settings):
    return denoise.denoise_with_network(volume, network, Settings(**settings), quick(None))


# --- counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [2.2, 3.29, 4.4, (2.2, 2.2, 4.4)])
@pytest.mark.parametrize("consistency", [0.0, 40.0])
def test_the_counts_of_the_scan_are_kept(spacing, consistency):
    volume = noisy_head(spacing)
    done = run(volume, Averaging(), consistency_mm=consistency)
    ratio = np.asarray(done.volume.array, float).sum() / np.asarray(volume.array, float).sum()
    assert ratio == pytest.approx(1.0, abs=1e-6)
    assert done.volume.array.min() >= 0
    assert done.volume.grid.same_as(volume.grid)
    assert done.uncertainty.grid.same_as(volume.grid)


@pytest.mark.parametrize("factor", [0.3, 5.0])
def test_a_network_that_loses_or_invents_counts_is_corrected(factor):
    volume = noisy_head()
    done = run(volume, Middle(factor))
    np.testing.assert_allclose(done.volume.array, volume.array, rtol=1e-4, atol=1e-3)


def test_negative_outputs_become_zero():
    before = np.ones((4, 5, 6))
    after = np.ones((4, 5, 6))
    after[0] = -1.0
    kept = denoise.keep_counts(before, after, np.full(3, 3.29), 0.0)
    assert kept.min() == 0.0
    assert kept.sum() == pytest.approx(before.sum())


def test_local_counts_are_restored_at_the_scale_asked_for():
    """A result that lost a tenth of one region has it back, on the scale of the consistency."""
    volume = head()
    before = np.asarray(volume.array, float)
    after = before.copy()
    after[:, :, : before.shape[2] // 2] *= 0.9
    left = (slice(20, 40), slice(20, 45), slice(8, 22))
    for consistency, least, most in ((0.0, 0.93, 0.97), (30.0, 0.98, 1.01)):
        kept = denoise.keep_counts(before, after, volume.spacing_mm, consistency)
        assert least < kept[left].sum() / before[left].sum() < most


def test_an_empty_result_stays_empty():
    nothing = np.zeros((3, 4, 5))
    assert not denoise.keep_counts(nothing, nothing, np.full(3, 3.0), 30.0).any()


# --- what it does -----------------------------------------------------------------------------------------------------


def test_noise_is_removed_and_measured():
    volume = noisy_head()
    clean = np.asarray(head().array)
    done = run(volume, Averaging())
    inside = clean > 90
    assert (done.volume.array - clean)[inside].std() < 0.7 * (np.asarray(volume.array) - clean)[inside].std()
    assert 0.02 < done.relative_noise < 0.2


def test_the_result_scales_with_the_counts():
    volume = noisy_head()
    first = run(volume, Averaging(), consistency_mm=30.0)
    second = run(volume.like(volume.array * 100), Averaging(), consistency_mm=30.0)
    np.testing.assert_allclose(second.volume.array, 100 * first.volume.array, rtol=1e-3, atol=1e-2)
    assert second.relative_noise == pytest.approx(first.relative_noise, rel=1e-3)


def test_uncertainty_is_in_counts_and_calibrated():
    volume = noisy_head()
    scale = denoise.head_scale(np.asarray(volume.array), volume)
    plain, wider = (run(volume, Averaging(), variance_calibration=c).uncertainty for c in (1.0, 4.0))
    assert plain.array.min() >= 0
    assert plain.array.max() == pytest.approx(np.exp(-2.0) * scale, rel=1e-3)
    np.testing.assert_allclose(wider.array, 2 * plain.array, rtol=1e-5)


def test_a_network_without_variance_has_no_uncertainty():
    assert run(noisy_head(), Averaging(log_variance=None)).uncertainty is None


def test_empty_slices_are_skipped_and_stay_empty():
    volume = noisy_head()
    array = np.array(volume.array)
    array[:10] = 0.0
    seen = []

    class Counting(Middle):
        def forward(self, stack):
            seen.append(len(stack))
            return super().forward(stack)

    done = run(volume.like(array), Counting(), context=1)
    occupied = int(array.reshape(len(array), -1).any(1).sum())
    assert sum(seen) == occupied < len(array)
    assert not done.volume.array[:10].any()


def test_it_can_be_cancelled():
    context = quick(None)
    context.cancel.set()
    with pytest.raises(CancelledError):
        denoise.denoise_with_network(noisy_head(4.4), Middle(), Settings(), context)


@pytest.mark.parametrize("name", ["gaussian", "bilateral"])
def test_filters_keep_the_counts_and_the_grid(name):
    volume = noisy_head(4.4).reoriented((1, 0, 2), (1, -1, 1))
    told = []
    done = denoise.denoise_with_filter(volume, name, quick(None, on_progress=lambda f, _: told.append(f)))
    assert float(done.volume.array.sum(dtype=float)) == pytest.approx(float(volume.array.sum(dtype=float)), rel=1e-6)
    assert done.volume.grid.same_as(volume.grid)
    assert done.uncertainty is None and done.relative_noise > 0
    assert told[-1] == 1.0 and len(told) > 10
    assert name in FILTERS


# --- context ----------------------------------------------------------------------------------------------------------


def test_every_slice_comes_with_its_neighbours_and_mirrored_ends():
    array = np.arange(6.0)[:, None, None] * np.ones((6, 2, 3))
    stack = denoise.context_stack(array, 5)
    assert stack.shape == (6, 5, 2, 3)
    assert stack[:, :, 0, 0].tolist() == [
        [2, 1, 0, 1, 2], [1, 0, 1, 2, 3], [0, 1, 2, 3, 4], [1, 2, 3, 4, 5], [2, 3, 4, 5, 4], [3, 4, 5, 4, 3],
    ]  # fmt: skip


def test_a_context_of_one_is_the_slice_itself():
    array = np.random.default_rng(0).random((4, 2, 2))
    np.testing.assert_array_equal(denoise.context_stack(array, 1)[:, 0], array)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_slices_are_mirrored_within_bounds(count):
    stack = denoise.context_stack(np.arange(count, dtype=float)[:, None, None], 9)
    assert stack.min() >= 0 and stack.max() <= count - 1


# --- the working grid -------------------------------------------------------------------------------------------------


def test_a_scan_at_3_29_mm_is_not_resampled():
    volume = noisy_head()
    np.testing.assert_array_equal(denoise.work_image(volume).array, volume.array)


@pytest.mark.parametrize("spacing", [2.2, 4.4])
def test_another_spacing_is_brought_to_3_29_mm_and_back(spacing):
    volume = head(head_grid(spacing))
    work = denoise.work_image(volume)
    np.testing.assert_allclose(work.spacing_mm, 3.29)
    done = run(volume, Middle())
    assert done.volume.grid.same_as(volume.grid)
    inside = np.asarray(volume.array) > 50
    error = np.abs(done.volume.array - volume.array)[inside]
    assert np.mean(error) < 0.04 * np.mean(np.asarray(volume.array)[inside])


def test_the_scale_is_the_mean_of_the_head():
    volume = head(sbr=0.0)
    assert denoise.head_scale(np.asarray(volume.array), volume) == pytest.approx(95.0, rel=0.06)


def test_integer_counts_are_taken():
    volume = noisy_head()
    whole = Volume(np.asarray(volume.array).astype(np.uint16), volume.ijk_to_ras, "NM", "CNTS")
    np.testing.assert_array_equal(run(whole, Averaging()).volume.array, run(volume, Averaging()).volume.array)
