"""Scatter: shares of the signal in lung and mediastinum with and without a grid, spread, what it does to contrast."""

import numpy as np
import pytest
import torch
from fixtures_radiograph import small_chest

from manabi.phantoms.radiograph_beam import BeamParameters, transmitted
from manabi.phantoms.radiograph_film import FilmParameters, signals
from manabi.phantoms.radiograph_scatter import ScatterParameters, sample_scatter, scattered


def fractions(parameters, index=0):
    """Scatter's share in clear lung and in the middle of the mediastinum of a chest."""
    chest = small_chest(index)
    maps = torch.tensor(chest.maps)[None]
    primary = transmitted(maps, [BeamParameters()])
    scatter = scattered(primary, maps.sum(dim=1), [parameters], chest.geometry.pixel_mm)
    share = (scatter / (scatter + primary))[0].numpy()
    clear = (chest.lungs > 0) & (chest.hidden == 0)
    size = chest.geometry.matrix
    middle = share[size * 30 // 64 : size * 40 // 64, size * 30 // 64 : size * 34 // 64]
    return float(np.median(share[clear])), float(np.median(middle))


@pytest.mark.parametrize("index", [0, 1])
def test_with_a_grid_a_third_of_the_lungs_signal_is_scatter_and_over_half_of_the_mediastinums(index):
    lung, middle = fractions(ScatterParameters(), index)
    assert 0.28 <= lung <= 0.42
    assert 0.52 <= middle <= 0.70


@pytest.mark.parametrize("index", [0, 1])
def test_without_a_grid_nearly_all_of_the_mediastinums_signal_is_scatter(index):
    lung, middle = fractions(ScatterParameters(grid=1.0), index)
    assert 0.6 <= lung <= 0.8
    assert 0.85 <= middle <= 0.94


def test_a_thin_nodules_contrast_falls_by_the_scatters_share():
    maps = torch.zeros(1, 4, 64, 64)
    maps[:, 0] = 9.0
    added = torch.zeros(1, 64, 64)
    added[:, 32, 32] = 0.79 * 1.5
    film = FilmParameters(scatter=ScatterParameters(screening=0.0))
    primary = [transmitted(maps + part[:, None] * torch.tensor([1.0, 0, 0, 0])[None, :, None, None], [film.beam])
               for part in (torch.zeros_like(added), added)]  # fmt: skip
    contrast = 1 - float(primary[1][0, 32, 32] / primary[0][0, 32, 32])
    total = [signals(maps, [film], part, 6.0) for part in (None, added)]
    seen = 1 - float(total[1][0, 32, 32] / total[0][0, 32, 32])
    share = 1 - float(primary[0][0, 32, 32] / total[0][0, 32, 32])
    assert contrast == pytest.approx(0.22, abs=0.02)
    assert seen == pytest.approx(contrast * (1 - share), rel=0.03)


def test_with_two_fifths_scatter_a_nodule_of_15_mm_has_13_percent_contrast():
    maps = torch.zeros(1, 4, 64, 64)
    maps[:, 0] = 9.0
    added = torch.zeros(1, 64, 64)
    added[:, 32, 32] = 0.79 * 1.5
    primary = transmitted(maps, [BeamParameters()])
    plain = scattered(primary, maps.sum(dim=1), [ScatterParameters(grid=1.0, screening=0.0)], 6.0)[0, 32, 32]
    grid = float(0.4 / 0.6 * primary[0, 32, 32] / plain)
    film = FilmParameters(scatter=ScatterParameters(grid=grid, screening=0.0))
    total = [float(signals(maps, [film], part, 6.0)[0, 32, 32]) for part in (None, added)]
    assert 1 - total[1] / total[0] == pytest.approx(0.13, abs=0.012)


def test_scatter_spreads_as_its_sigma_says():
    grams = torch.zeros(2, 128, 128)
    grams[:, 60:68, 60:68] = 10.0
    parameters = [ScatterParameters(sigma_mm=s, screening=0.0) for s in (30.0, 60.0)]
    found = scattered(torch.ones(2, 128, 128), grams, parameters, 4.0)
    at = (torch.arange(128) - 63.5) * 4.0
    for film, sigma in zip(found, (30.0, 60.0), strict=True):
        line = film.sum(dim=0)
        spread = float((line * at.square()).sum() / line.sum()) ** 0.5
        assert spread == pytest.approx(sigma, rel=0.1)


def test_scatter_is_in_proportion_to_the_tissue_where_nothing_is_weakened():
    primary = torch.ones(1, 64, 64)
    one, two = (scattered(primary, torch.full((1, 64, 64), g), [ScatterParameters()], 6.0) for g in (1.0, 2.0))
    torch.testing.assert_close(two, 2 * one)


def test_the_open_beam_scatters_nothing():
    assert float(scattered(torch.ones(1, 64, 64), torch.zeros(1, 64, 64), [ScatterParameters()], 6.0).abs().max()) == 0


def test_the_held_out_domains_grids_are_weaker():
    rng = np.random.default_rng(0)
    training = [sample_scatter(rng).grid for _ in range(50)]
    held_out = [sample_scatter(rng, "held_out").grid for _ in range(50)]
    assert max(training) <= min(held_out)
