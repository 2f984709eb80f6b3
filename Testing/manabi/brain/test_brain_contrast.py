"""A synthetic contrast: on the input's grid, marked as such, and honest about what the source cannot show."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from manabi.brain.contrast import NO_NOISE, NOT_MEASURED, Settings, invisible, neighbours, normalised, synthesise
from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.networks import build
from manabi.networks.pix2pix import NoiseDropout
from manabi.volume import Volume

SPACING = (0.8, 0.8, 1.0)
CPU = {"device": "cpu", "precision": "float32"}
TISSUE, CISTERN_VOID, TISSUE_VOID, AIR, VENTRICLE = (4, 50, 68), (4, 48, 30), (4, 50, 60), (4, 3, 3), (4, 36, 48)


def head(noise=0.01):
    """Heavy T2: a rim of fluid around dark brain, ventricle and cistern, a void in the cistern and one in the brain."""
    rows, columns = np.mgrid[-48:48, -48:48] * 0.8
    radius = np.hypot(rows, columns)
    image = np.zeros((9, 96, 96), np.float32)
    image[:, radius < 36] = 1.0
    image[:, radius < 32] = 0.05
    image[:, 30:40, 44:52] = 1.0
    image[:, 40:56, 22:38] = 1.0
    image[:, 47:50, 29:32] = 0.0
    image[:, 49:52, 59:62] = 0.0
    rng = np.random.default_rng(0)
    image = np.hypot(image + noise * rng.normal(size=image.shape), noise * rng.normal(size=image.shape))
    return Volume((700 * image).astype(np.float32), np.diag([*SPACING, 1.0]), modality="MR", name="t2")


class Inverts(nn.Module):
    """The centre slice upside down in brightness, with dropout of some strength."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.noise = NoiseDropout(dropout)
        self.shapes = []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        centre = x[:, x.shape[1] // 2 :][:, :1]
        return (1 - centre) + 0.1 * (self.noise(torch.ones_like(centre)) - 1)


def run(volume=None, dropout=0.5, seed=0, **settings):
    context = Context(**CPU, seed=seed)
    return synthesise(volume or head(), Inverts(dropout), Settings(**settings), context)


def test_the_answer_is_on_the_inputs_grid_named_and_marked_as_synthetic():
    volume = head()
    found = run(volume)
    for part in (found.volume, found.uncertainty, found.spread, found.unseen):
        assert part.grid.same_as(volume.grid, 1e-9) and part.array.dtype == np.float32
        assert part.name.startswith("synthetic_mra") and NOT_MEASURED in part.warnings
    assert found.volume.name == "synthetic_mra"
    assert volume.warnings == ()


def test_the_mean_of_the_samples_is_the_image_and_their_scatter_the_spread():
    volume = head(0.0)
    found = run(volume, samples=64)
    expected = 1 - normalised(volume.array)
    assert np.abs(found.volume.array - expected).mean() < 0.02
    assert found.spread.array.mean() == pytest.approx(0.1, rel=0.05)
    assert found.uncertainty.array.min() >= 0 and found.uncertainty.array.max() <= 1


def test_vessels_in_the_brain_are_unknown_and_those_in_a_cistern_are_not():
    unseen = run(dropout=0.0).unseen.array
    assert unseen[TISSUE] > 0.95 and unseen[TISSUE_VOID] > 0.95
    assert unseen[CISTERN_VOID] < 0.05 and unseen[VENTRICLE] < 0.05
    assert unseen[AIR] == 0


def test_the_uncertainty_is_high_where_either_the_source_or_the_samples_do_not_know():
    found = run(samples=16, spread_limit=0.25)
    assert found.uncertainty.array[TISSUE] > 0.95
    quiet = found.uncertainty.array[CISTERN_VOID]
    assert quiet == pytest.approx(found.spread.array[CISTERN_VOID] / 0.25, abs=0.05)
    assert (found.uncertainty.array >= found.unseen.array - 1e-6).all()


def test_other_pairs_of_contrasts_hide_nothing():
    found = run(voids=False, dropout=0.0, name="synthetic_t1")
    assert not found.unseen.array.any() and found.volume.name == "synthetic_t1"


def test_the_same_seed_repeats_and_another_does_not_and_torchs_generator_is_left_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    one, same, other = run(samples=3), run(samples=3), run(samples=3, seed=50)
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(one.volume.array, same.volume.array)
    assert not np.array_equal(one.volume.array, other.volume.array)


def test_a_network_without_noise_runs_once_and_says_that_its_spread_is_unknown():
    network = Inverts(0.0)
    found = synthesise(head(), network, Settings(samples=8, context=5), Context(**CPU))
    assert sum(shape[0] for shape in network.shapes) == 9
    assert {shape[1] for shape in network.shapes} == {5}
    assert NO_NOISE in found.volume.warnings and not found.spread.array.any()


def test_a_generator_of_pix2pix_is_sampled():
    torch.manual_seed(0)
    network = build("pix2pix_generator", filters=(4, 6, 8), in_channels=3, norm="instance", output_activation="sigmoid")
    found = synthesise(head(), network, Settings(samples=3), Context(**CPU))
    assert found.spread.array.mean() > 1e-4 and NO_NOISE not in found.volume.warnings
    assert found.volume.array.min() >= 0 and found.volume.array.max() <= 1 and found.volume.array.std() > 0


def test_one_sample_is_a_pass_without_dropout():
    volume = head()
    found = run(volume, samples=1)
    np.testing.assert_allclose(found.volume.array, 1 - normalised(volume.array), atol=1e-6)
    assert NO_NOISE not in found.volume.warnings


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_permuted_flipped_or_tilted_copy_gives_the_same_answer(axes):
    volume = head()
    turned = volume.reoriented(axes, (-1, 1, -1))
    tilt, angle = np.eye(4), np.deg2rad(12)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    tilted = Volume(turned.array, tilt @ turned.ijk_to_ras, modality="MR")
    straight = run(volume, samples=2)
    for copy in (turned, tilted):
        found = run(copy, samples=2)
        assert found.volume.grid.same_as(copy.grid, 1e-9)
        for part, other in ((found.volume, straight.volume), (found.uncertainty, straight.uncertainty)):
            np.testing.assert_allclose(part.array, other.reoriented(axes, (-1, 1, -1)).array, atol=1e-5)


def test_another_pixel_size_is_undone():
    volume = head(0.0)
    network = Inverts()
    found = synthesise(volume, network, Settings(samples=1, pixel_mm=1.2), Context(**CPU))
    assert network.shapes[0][2:] == (64, 64)
    assert found.volume.grid.same_as(volume.grid, 1e-9)
    assert found.volume.array[TISSUE] == pytest.approx(0.95, abs=0.03)
    assert found.unseen.array[TISSUE] > 0.95 and found.unseen.array[VENTRICLE] < 0.05


def test_scaling_the_source_changes_nothing():
    volume = head()
    scaled = volume.like(volume.array * 3 + 100)
    np.testing.assert_allclose(run(scaled).volume.array, run(volume).volume.array, atol=1e-5)


def test_the_reach_is_in_millimetres():
    image = np.full((5, 64, 64), 0.02, np.float32)
    image[:, 4:60, 4:8] = image[:, 4:60, 56:60] = 1.0
    widths = []
    for spacing in ((1.0, 1.0, 1.0), (0.5, 1.0, 1.0)):
        settings = Settings(reach_mm=4.0)
        row = invisible(image, np.array(spacing), settings)[2, 30]
        widths.append((np.flatnonzero(row > 0.5)[0] - 8) * spacing[0])
    assert widths[0] == pytest.approx(widths[1], abs=1.01) and 3 <= widths[0] <= 6


def test_neighbours_repeat_the_outermost_slice():
    array = np.arange(4.0)[:, None, None]
    assert neighbours(array, [0, 2, 3], 3)[..., 0, 0].tolist() == [[0, 0, 1], [1, 2, 3], [2, 3, 3]]


def test_a_cancelled_run_stops():
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        synthesise(head(), Inverts(), Settings(), Context(**CPU, cancel=cancel))


def test_an_image_without_contrast_is_refused():
    with pytest.raises(InvalidInputError, match="no contrast"):
        run(Volume(np.ones((3, 8, 8)), np.eye(4)))


@pytest.mark.parametrize(
    "wrong", [{"name": "mra"}, {"context": 2}, {"samples": 0}, {"tissue_level": 0.5}, {"low": 100}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        Settings(**wrong)


def test_settings_come_from_a_bundles_facts():
    assert Settings.of({"samples": 3, "context": 5, "modality": "MR"}) == Settings(samples=3, context=5)
