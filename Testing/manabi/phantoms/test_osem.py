"""Reconstruction recovers what was projected."""

from __future__ import annotations

import pytest
import torch
from test_spect_camera import camera, disc

from manabi.errors import InvalidInputError
from manabi.phantoms.osem import osem, smooth, subset_order
from manabi.phantoms.spect_camera import Projector, attenuation_factors
from manabi.phantoms.spect_tables import Geometry


def projected(nodes: int = 8, views: int = 60, slices: int = 6) -> tuple[Projector, torch.Tensor, torch.Tensor]:
    """A camera, an image of a cylinder with a hot rod of 10 to 1, and its projections."""
    projector = camera(nodes, views, slices=slices)
    image = disc(projector.geometry, 80.0, slices) + 9.0 * disc(projector.geometry, 12.0, slices)
    return projector, image, projector.forward(image[:, None])


def test_uniform_cylinder_is_uniform_within_a_few_percent() -> None:
    projector = camera(1, 60, slices=4)
    cylinder = disc(projector.geometry, 80.0, 4)
    found = osem(projector, projector.forward(cylinder[:, None]), None, 4, 6)[:, 0]
    inner = found[disc(projector.geometry, 60.0, 4) > 0]
    assert float(inner.mean()) == pytest.approx(1.0, abs=0.01)
    assert float(inner.std()) < 0.05


def test_cylinder_without_attenuation_correction_is_cupped() -> None:
    size = Geometry(views=60, nodes=1)
    cylinder = disc(size, 80.0, 2)
    counts = Projector(size, attenuation_factors(size, 0.15 * disc(size, 90.0, 2))).forward(cylinder[:, None])
    found = osem(Projector(size), counts, None, 4, 6)[:, 0]
    middle, edge = found[disc(size, 15.0, 2) > 0].mean(), found[(disc(size, 75.0, 2) - disc(size, 65.0, 2)) > 0].mean()
    assert float(middle) < 0.7 * float(edge)


def test_recovery_of_a_hot_rod_grows_with_iterations() -> None:
    projector, image, counts = projected(slices=4)
    rod = disc(projector.geometry, 12.0, 4) > 0
    recovered = [float(osem(projector, counts, None, n, 6)[:, 0][rod].mean() / image[rod].mean()) for n in (1, 3, 8)]
    assert recovered[0] < recovered[1] < recovered[2] < 1.02
    assert recovered[2] > 0.85


def test_knowing_the_blur_recovers_more() -> None:
    projector, image, counts = projected(slices=4)
    sharp = Projector(Geometry(views=60, nodes=1), projector.attenuation)
    rod = disc(projector.geometry, 12.0, 4) > 0
    blind, aware = (osem(p, counts, None, 6, 6)[:, 0][rod].mean() for p in (sharp, projector))
    assert float(aware) > 1.05 * float(blind)


def test_known_scatter_is_removed() -> None:
    projector, _, counts = projected(nodes=1, slices=4)
    scatter = counts.mean() * torch.ones_like(counts)
    clean = osem(projector, counts, None, 3, 6)
    corrected = osem(projector, counts + scatter, scatter, 3, 6)
    raw = osem(projector, counts + scatter, None, 3, 6)
    inner = disc(projector.geometry, 70.0, 4) > 0
    def off(image: torch.Tensor) -> float:
        return float((image - clean)[:, 0][inner].abs().mean())
    assert off(corrected) < 0.2 * off(raw)


def test_batches_are_reconstructed_as_if_alone() -> None:
    projector, _, counts = projected(slices=4)
    both = osem(projector, torch.cat([counts, counts / 5.0], 2), None, 2, 6)
    assert torch.allclose(both[:, 0], 5.0 * both[:, 1], rtol=1e-3, atol=1e-4)
    assert torch.allclose(both[:, :1], osem(projector, counts, None, 2, 6), rtol=1e-3, atol=1e-4)


def test_sparse_counts_without_a_scatter_estimate_stay_bounded() -> None:
    projector, _, counts = projected(nodes=1, views=120, slices=4)
    sparse = torch.poisson(counts / counts.sum() * 20000.0, generator=torch.Generator().manual_seed(3))
    found = osem(projector, sparse, torch.zeros_like(sparse), 8, 10)
    assert bool(torch.isfinite(found).all())
    assert float(found.min()) >= 0.0
    assert float(projector.forward(found).sum()) == pytest.approx(float(sparse.sum()), rel=0.2)


def test_subsets_of_uneven_size_and_every_subset_once() -> None:
    projector, image, counts = projected(nodes=1, slices=2)
    assert all(sorted(subset_order(n)) == list(range(n)) for n in range(1, 21))
    found = osem(projector, counts, None, 3, 8)[:, 0]
    inner = disc(projector.geometry, 70.0, 2) - disc(projector.geometry, 25.0, 2) > 0
    assert float(found[inner].mean() / image[inner].mean()) == pytest.approx(1.0, abs=0.03)


def test_every_iteration_is_told_and_can_stop_the_rest() -> None:
    projector, _, counts = projected(nodes=1, slices=2)
    told: list[int] = []
    osem(projector, counts, None, 2, 6, on_iteration=told.append)
    assert told == [1, 2]


def test_filter_keeps_counts_and_has_its_width() -> None:
    size = Geometry()
    volume = torch.zeros((21, 128, 128))
    volume[10, 60, 64] = 7.0
    smoothed = smooth(volume, 9.9, size)
    assert float(smoothed.sum()) == pytest.approx(7.0, rel=1e-4)
    profile = smoothed.sum((0, 1)).double()
    place = torch.arange(128) - 64
    assert float((profile * place**2).sum() / 7.0) ** 0.5 * 3.29 * 2.3548 == pytest.approx(9.9, rel=0.01)
    assert torch.equal(smooth(volume, 0.0, size), volume)


@pytest.mark.parametrize(("iterations", "subsets"), [(0, 6), (1, 0), (1, 61)])
def test_impossible_reconstructions_are_refused(iterations: int, subsets: int) -> None:
    projector, _, counts = projected(nodes=1, slices=2)
    with pytest.raises(InvalidInputError, match="OSEM"):
        osem(projector, counts, None, iterations, subsets)


def test_counts_of_another_camera_are_refused() -> None:
    projector, _, counts = projected(nodes=1, slices=2)
    with pytest.raises(InvalidInputError, match="shape"):
        osem(projector, counts[:30], None, 1, 6)
